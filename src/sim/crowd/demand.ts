/** What the hivemind arm is held to: each demand with the runs that it is judged by. */
import type { ArmFigures } from './figures.ts';
import type { RunOptions } from './scenario-run.ts';

/** Runs that differ in their seed alone. */
export type CellOptions = Omit<RunOptions, 'seed'>;

export interface Demand {
  readonly what: string;
  readonly cells: readonly CellOptions[];
  /** Judges the figures of the cells, in their order. */
  judge(figures: readonly ArmFigures[]): Judgement;
}

export interface Judgement {
  readonly isMet: boolean;
  readonly figure: string;
}

/** How much more ten thousand may cost, or take, than a hundred. */
const growthMax = 1.2;
const sick = 10;

const rest = (nodes: number): CellOptions => ({ scenario: 'rest', arm: 'hivemind', nodes });
const vanish = (nodes: number): CellOptions => ({ scenario: 'vanish', arm: 'hivemind', nodes });

/** Short ones first. */
export const demands: readonly Demand[] = [
  {
    what: 'lossy: 30 % loss at 32 members: nobody convicted, nobody down',
    cells: both({ scenario: 'lossy', arm: 'hivemind', nodes: 32 }),
    judge: nobodyWronged,
  },
  {
    what: 'blocked: 32 of 128 blocked in turn: no healthy member convicted, or down at a healthy one',
    cells: both({ scenario: 'blocked', arm: 'hivemind', nodes: 128, slow: 32 }),
    judge: nobodyWronged,
  },
  {
    what: 'slow: 20 slow readers of 200: no healthy member convicted, or down at a healthy one',
    cells: both({ scenario: 'slow', arm: 'hivemind', nodes: 200, slow: 20 }),
    judge: nobodyWronged,
  },
  {
    what: 'crash: ten processes of 1,000 crash at once: one entry',
    cells: [{ scenario: 'crash', arm: 'hivemind', nodes: 1_000 }],
    judge: ([own]) => atMostEntries(own as ArmFigures, 1),
  },
  {
    what: 'mass: ten machines of 1,000 vanish at once: at most three entries',
    cells: [{ scenario: 'mass', arm: 'hivemind', nodes: 1_000 }],
    judge: ([own]) => atMostEntries(own as ArmFigures, 3),
  },
  {
    what: 'mass: 40 % of 1,000 vanish, brake released: all of them convicted, nobody else',
    cells: [{ scenario: 'mass', arm: 'hivemind', nodes: 1_000, mass: { count: 40, isPercent: true } }],
    judge: ([own]) => exactly(own as ArmFigures, 400),
  },
  {
    what: 'ingress: 80 % ingress loss at ten of 1,000: all of them convicted, nobody else',
    cells: [{ scenario: 'ingress', arm: 'hivemind', nodes: 1_000 }],
    judge: ([own]) => exactly(own as ArmFigures, sick),
  },
  {
    what: 'flipflop: ten of 1,000 deaf by turns: they alone are convicted, at most two returns each',
    cells: [{ scenario: 'flipflop', arm: 'hivemind', nodes: 1_000 }],
    judge: ([own]) => {
      const { falseConvictions, falseDowns, missed, returnsPerNodeMax } = own as ArmFigures;
      const isMet = falseConvictions + falseDowns + missed === 0 && returnsPerNodeMax <= 2;
      return { isMet, figure: `${falseConvictions} wrongly, ${missed} missed, ${returnsPerNodeMax} returns at most` };
    },
  },
  {
    what: 'rest: bytes per node and second at 10,000 at most 1.2 times those at 100',
    cells: [rest(100), rest(10_000)],
    judge: ([small, large]) => {
      const [less, more] = [small?.bytesPerNodePerSecond ?? 0, large?.bytesPerNodePerSecond ?? 0];
      return { isMet: more <= growthMax * less, figure: `${less} and ${more} B/s` };
    },
  },
  {
    what: 'rest: 10,000 members run at least as fast as real time',
    cells: [rest(10_000)],
    judge: ([own]) => {
      const { simulatedMs, wallMs } = own as ArmFigures;
      return { isMet: wallMs <= simulatedMs, figure: `${(simulatedMs / wallMs).toFixed(2)} times real time` };
    },
  },
  {
    what: 'vanish: detection p99 at 10,000 at most 1.2 times that at 100',
    cells: [vanish(100), vanish(10_000)],
    judge: ([small, large]) => {
      const [less, more] = [small?.detectionMs.p99 ?? 0, large?.detectionMs.p99 ?? 0];
      return { isMet: more > 0 && more <= growthMax * less, figure: `${less} and ${more} ms` };
    },
  },
];

/** The same with Lifeguard, for the figure beside. */
function both(cell: CellOptions): readonly CellOptions[] {
  return [cell, { ...cell, arm: 'lifeguard' }];
}

function nobodyWronged([own, lifeguard]: readonly ArmFigures[]): Judgement {
  const { falseConvictions, falseDowns, falseDownsAnywhere } = own as ArmFigures;
  const beside = `${lifeguard?.falseDowns ?? 0} and ${lifeguard?.falseDownsAnywhere ?? 0} with Lifeguard`;
  const figure = `${falseConvictions} convicted, ${falseDowns} down (${falseDownsAnywhere} anywhere); ${beside}`;
  return { isMet: falseConvictions + falseDowns === 0, figure };
}

function atMostEntries({ convictionEntriesMax, missed, falseConvictions }: ArmFigures, most: number): Judgement {
  const isMet = convictionEntriesMax <= most && missed + falseConvictions === 0;
  return { isMet, figure: `${convictionEntriesMax} entries at most, ${missed} missed, ${falseConvictions} wrongly` };
}

function exactly({ convictions, missed, falseConvictions, falseDowns, seeds }: ArmFigures, perRun: number): Judgement {
  const isMet = missed + falseConvictions + falseDowns === 0 && convictions === perRun * seeds;
  return {
    isMet,
    figure: `${convictions} of ${perRun * seeds} convicted, ${missed} missed, ${falseConvictions} wrongly`,
  };
}
