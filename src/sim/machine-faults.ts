/** What happens to whole machines and their processes: they stand still for a while, and their clocks are wrong. */
import type { MonotonicMs } from '../identity.ts';
import { type Random, shuffled } from '../seam/random.ts';
import type { SimCluster } from './sim-cluster.ts';
import type { SimNode } from './sim-node.ts';

/** SIGSTOP to SIGCONT: as a rule a moment, sometimes longer than anybody waits. */
const pauseMsMin = 100;
const pauseMsMax = 20_000;
/** How far a time of day is off at most, either way. */
const jumpMsMax = 10 * 60_000;
/** How much faster or slower a clock runs at most. */
const driftMax = 0.05;

export const machineActions = ['pause', 'jumpClock', 'driftClock'] as const;
export type MachineAction = (typeof machineActions)[number];

export class MachineFaults {
  private readonly cluster: SimCluster;
  private readonly random: Random;

  constructor(cluster: SimCluster) {
    this.cluster = cluster;
    this.random = cluster.random;
  }

  act(action: MachineAction): void {
    const node = shuffled(
      this.cluster.nodes.filter(({ running, isPaused }) => running && !isPaused),
      this.random,
    )[0];
    if (node !== undefined) this[action](node);
  }

  heal(): void {
    for (const node of this.cluster.nodes) {
      node.goOn();
      node.clock.wallOffsetMs = 0;
      node.clock.drift(1);
    }
  }

  private pause(node: SimNode): void {
    node.stop();
    const { generation } = node;
    const { timeline } = this.cluster;
    timeline.schedule(timeline.now + this.pauseMs(), () => {
      if (node.generation === generation) node.goOn();
    });
  }

  /** Each length has its chance, in orders of magnitude. */
  private pauseMs(): MonotonicMs {
    return Math.round(pauseMsMin * (pauseMsMax / pauseMsMin) ** this.random.next());
  }

  private jumpClock(node: SimNode): void {
    node.clock.wallOffsetMs = Math.round((2 * this.random.next() - 1) * jumpMsMax);
  }

  private driftClock(node: SimNode): void {
    node.clock.drift(1 + (2 * this.random.next() - 1) * driftMax);
  }
}
