/** What a run shows, and what many runs show together. */
import type { ArmName } from './arm.ts';
import type { ScenarioName } from './scenario.ts';

export interface RunFigures {
  readonly simulatedMs: number;
  readonly wallMs: number;
  /** For each fault that was noticed. */
  readonly detectionsMs: readonly number[];
  /** For each fault that everybody noticed. */
  readonly disseminationsMs: readonly number[];
  readonly missed: number;
  readonly falseDowns: number;
  readonly falseDownsAnywhere: number;
  readonly falseConvictions: number;
  readonly convictionEntries: number;
  readonly convictions: number;
  readonly returns: number;
  readonly returnsPerNodeMax: number;
  readonly suspicions: number;
  readonly datagramBytes: number;
  readonly streamBytes: number;
  /** Over all nodes, the time in which those bytes were sent. */
  readonly nodeSeconds: number;
  readonly viewSizeMax: number;
  /** What the scenario waited for; undefined in one that waits for nothing, or when it never came. */
  readonly reachedAfterMs: number | undefined;
  readonly socketDrops: number;
}

/** Nearest-rank quantiles; null without a sample. */
export interface Spread {
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** One arm in one scenario, over all seeds; counts are sums. */
export interface ArmFigures {
  readonly scenario: ScenarioName;
  readonly arm: ArmName;
  readonly nodes: number;
  readonly seeds: number;
  readonly firstSeed: number;
  readonly simulatedMs: number;
  readonly wallMs: number;
  /** From a fault to the first healthy member that held the subject for down. */
  readonly detectionMs: Spread;
  /** From a fault to the last healthy member that keeps the subject. */
  readonly disseminationMs: Spread;
  /** Until a join was complete everywhere, or everybody was alive everywhere after a partition. */
  readonly reachedMs: Spread;
  /** Faults that nobody noticed. */
  readonly missed: number;
  /** Healthy members held for down by healthy ones that could reach them: pairs. */
  readonly falseDowns: number;
  /** The same, by any member. */
  readonly falseDownsAnywhere: number;
  readonly falseConvictions: number;
  readonly convictionEntries: number;
  /** The most in one run. */
  readonly convictionEntriesMax: number;
  readonly convictions: number;
  readonly returns: number;
  readonly returnsPerNodeMax: number;
  readonly suspicions: number;
  /** Payload sent, streams included. */
  readonly bytesPerNodePerSecond: number;
  readonly streamBytesPerNodePerSecond: number;
  /** Of a member that is no control node. */
  readonly viewSizeMax: number;
  /** Packets lost in full sockets. */
  readonly socketDrops: number;
}

export interface Cell {
  readonly scenario: ScenarioName;
  readonly arm: ArmName;
  readonly nodes: number;
  readonly firstSeed: number;
}

export function summarise(cell: Cell, runs: readonly RunFigures[]): ArmFigures {
  const sum = (of: (run: RunFigures) => number): number => runs.reduce((total, run) => total + of(run), 0);
  const most = (of: (run: RunFigures) => number): number => runs.reduce((max, run) => Math.max(max, of(run)), 0);
  const nodeSeconds = sum((run) => run.nodeSeconds);
  const streamBytes = sum((run) => run.streamBytes);
  const perNodeSecond = (bytes: number): number => (nodeSeconds === 0 ? 0 : Math.round(bytes / nodeSeconds));
  return {
    ...cell,
    seeds: runs.length,
    simulatedMs: sum((run) => run.simulatedMs),
    wallMs: Math.round(sum((run) => run.wallMs)),
    detectionMs: spreadOf(runs.flatMap((run) => run.detectionsMs)),
    disseminationMs: spreadOf(runs.flatMap((run) => run.disseminationsMs)),
    reachedMs: spreadOf(runs.flatMap((run) => run.reachedAfterMs ?? [])),
    missed: sum((run) => run.missed),
    falseDowns: sum((run) => run.falseDowns),
    falseDownsAnywhere: sum((run) => run.falseDownsAnywhere),
    falseConvictions: sum((run) => run.falseConvictions),
    convictionEntries: sum((run) => run.convictionEntries),
    convictionEntriesMax: most((run) => run.convictionEntries),
    convictions: sum((run) => run.convictions),
    returns: sum((run) => run.returns),
    returnsPerNodeMax: most((run) => run.returnsPerNodeMax),
    suspicions: sum((run) => run.suspicions),
    bytesPerNodePerSecond: perNodeSecond(sum((run) => run.datagramBytes) + streamBytes),
    streamBytesPerNodePerSecond: perNodeSecond(streamBytes),
    viewSizeMax: most((run) => run.viewSizeMax),
    socketDrops: sum((run) => run.socketDrops),
  };
}

function spreadOf(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number | null => {
    const sample = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
    return sample === undefined ? null : Math.round(sample);
  };
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
