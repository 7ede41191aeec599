/** How much has to have happened for a run to prove anything. */
import type { Fault } from './fault.ts';

/** In a run of this length each kind of fault is done at least once. */
export const longRunMs = 300_000;

/** Of what the cluster decided and its clients were told, without which there was nothing to check. */
const wantedCounts = ['acked', 'consistentReads', 'elections'] as const;

export interface Happened {
  readonly forMs: number;
  readonly counts: Readonly<Record<(typeof wantedCounts)[number], number>>;
  readonly faults: ReadonlyMap<Fault['kind'], number>;
  /** Those that this machine can do. */
  readonly kinds: readonly Fault['kind'][];
}

/** What did not happen, as sentences; none when it was enough. */
export function tooLittle({ forMs, counts, faults, kinds }: Happened): readonly string[] {
  const missing: readonly string[] = wantedCounts.filter((name) => counts[name] === 0);
  const undone = forMs < longRunMs ? [] : kinds.filter((kind) => (faults.get(kind) ?? 0) === 0);
  return [
    ...missing.map((name) => `This run proves nothing: it had no ${name}.`),
    ...undone.map((kind) => `This run proves too little: the fault “${kind}” was never done.`),
  ];
}
