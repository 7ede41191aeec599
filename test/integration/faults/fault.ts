/** What goes wrong in a run, drawn at random: whom it hits is looked up when it begins, by `pick`. */
import { unreachable } from '../../../src/assert.ts';
import type { Random } from '../../../src/seam/random.ts';

/** `control` and `any`: one of the control nodes, one of all that stay; `majority` and `all`: so many of them. */
export type Target = 'leader' | 'control' | 'majority' | 'all' | 'any';

export type Fault = { readonly lastsMs: number; readonly pick: number } & (
  | { readonly kind: 'kill'; readonly whom: Target }
  | { readonly kind: 'stop'; readonly whom: 'leader' | 'any' }
  | { readonly kind: 'cut'; readonly how: 'leader alone' | 'halves' | 'deaf' | 'mute' | 'one pair' }
  | { readonly kind: 'loss'; readonly percent: number }
  | { readonly kind: 'full disk'; readonly whom: 'leader' | 'control' }
  | { readonly kind: 'clock'; readonly whom: 'leader' | 'any'; readonly seconds: number }
  | { readonly kind: 'transfer' }
  | { readonly kind: 'demote'; readonly whom: 'leader' | 'control' }
  | { readonly kind: 'epoch' }
);

const picksMax = 1_000_000;

/** As often as they stand here. */
const kinds: readonly Fault['kind'][] = [
  'kill',
  'kill',
  'kill',
  'kill',
  'stop',
  'stop',
  'stop',
  'cut',
  'cut',
  'cut',
  'cut',
  'loss',
  'full disk',
  'full disk',
  'clock',
  'clock',
  'transfer',
  'transfer',
  'demote',
  'epoch',
];

export const faultKinds: readonly Fault['kind'][] = [...new Set(kinds)];

const killed: readonly Target[] = ['leader', 'leader', 'any', 'control', 'majority', 'all'];
const cuts = ['leader alone', 'halves', 'deaf', 'mute', 'one pair'] as const;
const jumpSeconds = [1, 5, 40, 600];

export function drawFault(random: Random): Fault {
  return drawFaultOf(oneOf(kinds, random), random);
}

export function drawFaultOf(kind: Fault['kind'], random: Random): Fault {
  const pick = random.below(picksMax);
  switch (kind) {
    case 'kill':
      return { kind, pick, whom: oneOf(killed, random), lastsMs: between(0, 8_000, random) };
    case 'stop':
      return { kind, pick, whom: oneOf(['leader', 'any'], random), lastsMs: spread(200, 20_000, random) };
    case 'cut':
      return { kind, pick, how: oneOf(cuts, random), lastsMs: spread(500, 15_000, random) };
    case 'loss':
      return { kind, pick, percent: between(5, 35, random), lastsMs: between(2_000, 10_000, random) };
    case 'full disk':
      return { kind, pick, whom: oneOf(['leader', 'control'], random), lastsMs: between(3_000, 10_000, random) };
    case 'clock': {
      const seconds = oneOf(jumpSeconds, random) * oneOf([1, -1], random);
      return { kind, pick, seconds, whom: oneOf(['leader', 'any'], random), lastsMs: between(3_000, 15_000, random) };
    }
    case 'transfer':
    case 'epoch':
      return { kind, pick, lastsMs: 0 };
    case 'demote':
      return { kind, pick, whom: oneOf(['leader', 'control'], random), lastsMs: between(1_000, 8_000, random) };
    default:
      return unreachable(kind);
  }
}

export function faultText(fault: Fault, whom: readonly string[]): string {
  return `${[...whatOf(fault), ...whom].join(' ')}${fault.lastsMs === 0 ? '' : ` for ${fault.lastsMs} ms`}`;
}

function whatOf(fault: Fault): readonly string[] {
  switch (fault.kind) {
    case 'cut':
      return ['cut', `(${fault.how})`];
    case 'loss':
      return [`${fault.percent} % loss`];
    case 'clock':
      return [`clock ${fault.seconds > 0 ? '+' : ''}${fault.seconds} s`];
    case 'kill':
    case 'stop':
    case 'full disk':
    case 'demote':
      return [fault.kind, `(${fault.whom})`];
    case 'transfer':
    case 'epoch':
      return [fault.kind];
    default:
      return unreachable(fault);
  }
}

function oneOf<T>(choices: readonly T[], random: Random): T {
  return choices[random.below(choices.length)] as T;
}

function between(least: number, most: number, random: Random): number {
  return least + random.below(most - least + 1);
}

/** As often between 1 and 2 as between 10 and 20. */
function spread(least: number, most: number, random: Random): number {
  return Math.round(least * (most / least) ** random.next());
}
