/**
 * One seed: a cluster of three control nodes and a few members lives through 20 % loss, partitions and crashes,
 * all drawn from the seed; then everything heals, and it must come together again.
 */
import type { Random } from '../seam/random.ts';
import { shuffled } from '../seam/random.ts';
import { SimCluster } from './sim-cluster.ts';
import { calmLink } from './sim-network.ts';
import type { SimNode } from './sim-node.ts';

/** How long faults go on, and how long the cluster has to heal after the last one. */
export const faultsMs = 30_000;
export const healingMs = 60_000;
const roughLink = { loss: 0.2, duplication: 0.05, delayMs: 1, jitterMs: 30 } as const;

export interface SeedReport {
  readonly seed: number;
  readonly simulatedMs: number;
  readonly steps: number;
  readonly crashes: number;
  readonly partitions: number;
  readonly committed: number;
  readonly convictions: number;
}

export class LivenessFailure extends Error {
  constructor(seed: number, detail: string) {
    super(`seed ${seed}: ${detail}`);
    this.name = 'LivenessFailure';
  }
}

/** @throws InvariantViolation or LivenessFailure, which name what broke */
export function runSeed(seed: number): SeedReport {
  const cluster = new SimCluster({ seed, controlNodes: 3, members: 3 });
  const run = new FaultRun(cluster);
  cluster.network.faults = roughLink;
  cluster.start();
  while (cluster.timeline.now < faultsMs) run.next();
  run.healAll();
  if (!cluster.runUntil(() => cluster.hasConverged(), healingMs)) {
    throw new LivenessFailure(seed, `not whole ${healingMs} ms after the last fault\n${describe(cluster)}`);
  }
  return {
    seed,
    simulatedMs: cluster.timeline.now,
    steps: cluster.invariants.checks,
    crashes: run.crashes,
    partitions: run.partitions,
    committed: Math.max(...cluster.control.map((node) => node.member?.pane?.state.appliedIndex ?? 0)),
    convictions: cluster.nodes.flatMap((node) => node.events).filter((event) => event.kind === 'down').length,
  };
}

class FaultRun {
  crashes = 0;
  partitions = 0;
  private readonly cluster: SimCluster;
  private readonly random: Random;
  private published = 0;

  constructor(cluster: SimCluster) {
    this.cluster = cluster;
    this.random = cluster.random;
  }

  /** Waits up to two seconds, then does one thing. */
  next(): void {
    this.cluster.run(100 + this.random.below(2_000));
    const dice = this.random.below(10);
    if (dice < 2) this.crash();
    else if (dice < 4) this.restart();
    else if (dice === 4) this.partition();
    else if (dice === 5) this.cutOneWay();
    else if (dice === 6) this.cluster.network.heal();
    else this.publish();
  }

  healAll(): void {
    this.cluster.network.heal();
    this.cluster.network.faults = calmLink;
    for (const node of this.cluster.nodes) this.start(node);
  }

  private crash(): void {
    const node = this.pick((each) => each.running);
    if (node === undefined) return;
    this.crashes++;
    node.crash();
  }

  private restart(): void {
    const node = this.pick((each) => !each.running);
    if (node !== undefined) this.start(node);
  }

  private start(node: SimNode): void {
    node.start(this.cluster.endpoints.filter((endpoint) => endpoint !== node.endpoint));
  }

  private partition(): void {
    const mixed = shuffled(this.cluster.nodes, this.random).map((node) => node.name);
    const cut = 1 + this.random.below(mixed.length - 1);
    this.cluster.network.partition(mixed.slice(0, cut), mixed.slice(cut));
    this.partitions++;
  }

  private cutOneWay(): void {
    const [from, to] = shuffled(this.cluster.nodes, this.random);
    if (from !== undefined && to !== undefined) this.cluster.network.cutOneWay(from.name, to.name);
  }

  private publish(): void {
    const node = this.pick((each) => each.member?.roles.some((role) => role.name === 'host') === true);
    if (node !== undefined) this.cluster.publish(node, 'host', { version: this.published++ });
  }

  private pick(suits: (node: SimNode) => boolean): SimNode | undefined {
    return shuffled(this.cluster.nodes.filter(suits), this.random)[0];
  }
}

function describe(cluster: SimCluster): string {
  return cluster.nodes
    .map((node) => {
      const { member } = node;
      if (member === undefined) return `  ${node.name}: ${node.running ? 'joining' : 'stopped'}`;
      const seen = member.membership.swim.members().map((each) => `${each.number}:${each.status}@${each.incarnation}`);
      const { state, leader } = member.client.pane;
      return `  ${node.name} (#${node.number}): pane ${state}, leader ${leader}, sees ${seen.join(' ')}`;
    })
    .join('\n');
}
