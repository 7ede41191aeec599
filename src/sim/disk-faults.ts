/** What happens to the disks of control nodes: never to so many at once that a majority would be damaged. */
import { type Random, shuffled } from '../seam/random.ts';
import type { SimCluster } from './sim-cluster.ts';
import type { SimNode } from './sim-node.ts';

/** How long a disk hangs, or is full, at most. */
const troubleMsMax = 8_000;
/** What is left of a disk that is about to be full: less than a snapshot takes, as a rule. */
const roomBytesMax = 3_000;
/** How many of those whose log rots, or whose sync is to fail, die at once, so that a start finds what is left. */
const deathChance = 0.5;

export const diskActions = ['rot', 'failSync', 'hang', 'fill', 'loseLog'] as const;
export type DiskAction = (typeof diskActions)[number];

export class DiskFaults {
  private readonly cluster: SimCluster;
  private readonly random: Random;
  /** Of the smallest control set that there may be. */
  private readonly minority: () => number;
  /** How many there were. */
  done = 0;

  constructor(cluster: SimCluster, minority: () => number) {
    this.cluster = cluster;
    this.random = cluster.random;
    this.minority = minority;
  }

  /** Does it where it can be done. */
  act(action: DiskAction): void {
    if (this[action]()) this.done++;
  }

  /** All disks work from now on; what was damaged stays damaged. */
  heal(): void {
    for (const { disk } of this.cluster.nodes) {
      disk.files.capacityBytes = Number.POSITIVE_INFINITY;
      disk.files.syncHangs = false;
      disk.files.forgetSyncErrors();
    }
  }

  private rot(): boolean {
    const node = this.mayBeDamaged ? this.pick(({ disk }) => !disk.isRotten && !disk.isWiped) : undefined;
    if (node?.disk.rot(this.random) !== true) return false;
    if (this.random.next() < deathChance) node.crash();
    return true;
  }

  private failSync(): boolean {
    const node = this.pick(({ running }) => running);
    node?.disk.files.failNextSync();
    return node !== undefined;
  }

  private hang(): boolean {
    const files = this.pick(({ running }) => running)?.disk.files;
    if (files === undefined) return false;
    files.syncHangs = true;
    this.later(() => {
      files.syncHangs = false;
    });
    return true;
  }

  private fill(): boolean {
    const files = this.pick(() => true)?.disk.files;
    if (files === undefined) return false;
    files.capacityBytes = files.usedBytes + this.random.below(roomBytesMax);
    this.later(() => {
      files.capacityBytes = Number.POSITIVE_INFINITY;
    });
    return true;
  }

  /** The log is gone, and its node is of no use any more: it must see that itself. */
  private loseLog(): boolean {
    const node = this.mayBeDamaged ? this.pick(({ disk }) => !disk.isRotten && !disk.isWiped) : undefined;
    if (node === undefined) return false;
    node.crash();
    node.disk.wipe();
    return true;
  }

  private get mayBeDamaged(): boolean {
    return this.cluster.nodes.filter(({ disk }) => disk.isRotten || disk.isWiped).length < this.minority();
  }

  private later(then: () => void): void {
    const { timeline } = this.cluster;
    timeline.schedule(timeline.now + this.random.below(troubleMsMax), then);
  }

  private pick(suits: (node: SimNode) => boolean): SimNode | undefined {
    return shuffled(
      this.cluster.nodes.filter((node) => node.number > 0 && node.keepsLog() && !node.hasLeft && suits(node)),
      this.random,
    )[0];
  }
}
