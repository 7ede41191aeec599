/**
 * One seed: a cluster forms and lives through 20 % loss, partitions, cuts, crashes and slow disks, while nodes join
 * late, leave and are removed, all drawn from the seed; then everything heals, and it must come together again.
 */
import { FaultRun } from './fault-run.ts';
import type { SimCluster } from './sim-cluster.ts';
import type { SimNode } from './sim-node.ts';

/** How long faults go on, and how long the cluster has to heal after the last one. */
export const faultsMs = 30_000;
export const healingMs = 60_000;
/** How soon after it somebody must lead: twenty election timeouts. */
const electionMsMax = 15_000;
const roughLink = { loss: 0.2, duplication: 0.05, delayMs: 1, jitterMs: 30 } as const;

export interface SeedOptions {
  /** See `InvariantsOptions`. */
  readonly thorough?: boolean;
}

export interface SeedReport {
  readonly seed: number;
  readonly simulatedMs: number;
  readonly steps: number;
  readonly crashes: number;
  /** Losses of power in the middle of a write. */
  readonly powerCuts: number;
  readonly partitions: number;
  readonly departures: number;
  /** Consistent ones that were answered. */
  readonly reads: number;
  readonly diskFaults: number;
  /** Starts that cut off a record which a crash had left in parts. */
  readonly tornTails: number;
  /** Notes that were decided, sent again, and answered as before. */
  readonly repeats: number;
  /** Of the control set, decided. */
  readonly controlChanges: number;
  readonly committed: number;
  readonly convictions: number;
  /** A digest of all that every step of every node did, and when: equal runs are equal step by step. */
  readonly trace: string;
}

export class LivenessFailure extends Error {
  constructor(seed: number, detail: string) {
    super(`seed ${seed}: ${detail}`);
    this.name = 'LivenessFailure';
  }
}

/** Few, so that a run takes snapshots, and nodes that were away get them. */
const snapshotEveryEntries = 8;

/** Every fifth seed has five control nodes, the others three. */
function sizesOf(seed: number): { readonly controlNodes: number; readonly members: number } {
  return seed % 5 === 0 ? { controlNodes: 5, members: 3 } : { controlNodes: 3, members: 4 };
}

/** @throws InvariantViolation or LivenessFailure, which name what broke */
export function runSeed(seed: number, { thorough = false }: SeedOptions = {}): SeedReport {
  const run = new FaultRun({ seed, thorough, snapshotEveryEntries, ...sizesOf(seed) });
  const { cluster } = run;
  cluster.network.faults = roughLink;
  // The last member joins when a restart finds it stopped.
  cluster.start(cluster.nodes.slice(0, -1));
  while (cluster.timeline.now < faultsMs) run.next();
  run.healAll();
  heal(run, seed);
  return {
    seed,
    simulatedMs: cluster.timeline.now,
    steps: cluster.invariants.checks,
    crashes: run.crashes,
    powerCuts: run.powerCuts,
    partitions: run.partitions,
    departures: run.departures,
    reads: cluster.invariants.consistentReads,
    diskFaults: run.disks.done,
    tornTails: cluster.nodes.reduce((sum, { disk }) => sum + disk.tornTails, 0),
    repeats: cluster.invariants.wishes.repeats,
    controlChanges: run.operator.changes,
    committed: Math.max(...cluster.control.map((node) => node.member?.pane?.state.appliedIndex ?? 0)),
    convictions: cluster.nodes.flatMap((node) => node.events).filter((event) => event.kind === 'down').length,
    trace: run.trace.digest(),
  };
}

/** Whoever runs the cluster looks after it each second. */
function heal(run: FaultRun, seed: number): void {
  const { cluster } = run;
  const until = cluster.timeline.now + healingMs;
  const electedBy = cluster.timeline.now + electionMsMax;
  let wasLed = false;
  while (cluster.timeline.now < until) {
    run.tend();
    if (cluster.runUntil(() => cluster.hasConverged(), 1_000)) return;
    wasLed ||= cluster.leader !== undefined;
    if (!wasLed && cluster.timeline.now >= electedBy) {
      throw new LivenessFailure(seed, `no leader ${electionMsMax} ms after the last fault\n${describe(cluster)}`);
    }
  }
  throw new LivenessFailure(seed, `not whole ${healingMs} ms after the last fault\n${describe(cluster)}`);
}

function describe(cluster: SimCluster): string {
  return cluster.nodes.map(describeNode).join('\n');
}

function describeNode(node: SimNode): string {
  const { member } = node;
  if (node.hasLeft) return `  ${node.name}: left`;
  if (member === undefined) {
    const why = node.joinError === undefined ? '' : `, refused: ${node.joinError.message}`;
    return `  ${node.name}: ${node.running ? 'joining' : 'stopped'}${why}`;
  }
  const seen = member.membership.swim.members().map((each) => `${each.number}:${each.status}@${each.incarnation}`);
  const { state, leader } = member.client.pane;
  const removed = [...member.directory.removed].join();
  const pane = `pane ${state}, leader ${leader}`;
  return `  ${node.name} (#${node.number}): ${pane}, sees ${seen.join(' ')}, removed ${removed}`;
}
