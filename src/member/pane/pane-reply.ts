/** How the pane answers whoever asked it for a decision. */
import type { Applied } from '../../control/apply.ts';
import { HivemindError } from '../../error.ts';
import type { LogIndex } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import type { Verdict } from './decision-log.ts';

export type PaneReply<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: HivemindError };
export type Then<T> = (reply: PaneReply<T>, at: Instant) => void;

/** Why an entry changed nothing. */
export function refusalOf(applied: Applied): HivemindError {
  if (applied.kind === 'ignored') return new HivemindError(applied.refusal.code, applied.refusal.sentence);
  return new HivemindError('busy', 'The admission was withdrawn meanwhile; ask again.');
}

/** The entry that decided what was asked for. */
export function decidedReply(verdict: Verdict): PaneReply<LogIndex> {
  if (!verdict.ok) return verdict;
  const { applied, index } = verdict;
  if (applied.kind === 'ignored') return { ok: false, error: refusalOf(applied) };
  return { ok: true, value: applied.kind === 'repeated' ? applied.index : index };
}
