import type { LocalBrake } from '../src/node/local-api.ts';
import { plural } from './count.ts';
import type { Paint } from './paint.ts';
import { firstOf } from './table.ts';

/** The brake, and how many members there are: the number accused says little without it. */
export interface BrakeStatus extends LocalBrake {
  readonly members: number;
}

/** Whom an operator has to judge is written out, up to here; --json has them all. */
const accusedMax = 100;

export function renderBrake(brake: BrakeStatus, paint: Paint): string {
  const { on, since, accused, members, releasedUntil } = brake;
  const who = accused.length === 0 ? [] : [`Accused: ${firstOf(accused, accusedMax)}.`];
  if (releasedUntil !== undefined) {
    return [`${paint('doubtful', 'Released')} until ${releasedUntil}: whoever is accused is convicted.`, ...who].join(
      '\n',
    );
  }
  if (!on) return `${paint('good', 'Off')}: no more members are accused at once than may die together.`;
  return [
    `${paint('bad', 'On')} since ${since}: ${accused.length} of ${plural(members, 'member')} are accused at once, ` +
      'which is more often a cut network than so many deaths.',
    ...who,
    'Nobody is convicted until enough of them answer again. If they are dead indeed, let them be convicted:',
    '  hivemind brake release --for 10m',
  ].join('\n');
}
