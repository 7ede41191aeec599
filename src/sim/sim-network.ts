/**
 * A network on virtual time: datagrams are lost, doubled, delayed and so reordered; streams keep their order and
 * break when the link does. Everything follows from the seed.
 */
import type { Random } from '../seam/random.ts';
import type { Timeline } from './timeline.ts';

export interface LinkFaults {
  /** Chance that a datagram is lost, 0 … 1. */
  readonly loss: number;
  /** Chance that it arrives twice. */
  readonly duplication: number;
  /** Milliseconds on the way: the least, and what randomness adds at most. */
  readonly delayMs: number;
  readonly jitterMs: number;
}

export const calmLink: LinkFaults = { loss: 0, duplication: 0, delayMs: 1, jitterMs: 2 };

/** How long a dialler waits for a machine that does not answer. */
export const dialSilenceMs = 1_000;

export class SimNetwork {
  faults: LinkFaults = calmLink;
  private readonly timeline: Timeline;
  private readonly random: Random;
  /** Directed pairs that nothing passes. */
  private readonly cuts = new Set<string>();
  private readonly streamOrder = new Map<string, number>();

  constructor(timeline: Timeline, random: Random) {
    this.timeline = timeline;
    this.random = random;
  }

  /** Cuts every link between the two sides, both ways. */
  partition(some: readonly string[], others: readonly string[]): void {
    for (const a of some) {
      for (const b of others) {
        this.cuts.add(`${a}>${b}`);
        this.cuts.add(`${b}>${a}`);
      }
    }
  }

  /** Nothing passes from `from` to `to`; the way back stays open. */
  cutOneWay(from: string, to: string): void {
    this.cuts.add(`${from}>${to}`);
  }

  heal(): void {
    this.cuts.clear();
  }

  isCut(from: string, to: string): boolean {
    return this.cuts.has(`${from}>${to}`);
  }

  datagram(from: string, to: string, arrive: () => void): void {
    const { loss, duplication } = this.faults;
    if (this.isCut(from, to) || this.random.next() < loss) return;
    this.timeline.schedule(this.timeline.now + this.delay(), arrive);
    if (this.random.next() < duplication) this.timeline.schedule(this.timeline.now + this.delay(), arrive);
  }

  /** One stream message: in order behind those sent before it; lost when the link is cut on either way. */
  stream(from: string, to: string, arrive: () => void, lost: () => void): void {
    const { timeline } = this;
    if (this.isCut(from, to) || this.isCut(to, from)) {
      timeline.schedule(timeline.now + dialSilenceMs, lost);
      return;
    }
    const pair = `${from}>${to}`;
    const retransmits = this.random.next() < this.faults.loss ? 200 : 0;
    const at = Math.max(timeline.now + this.delay() + retransmits, this.streamOrder.get(pair) ?? 0);
    this.streamOrder.set(pair, at);
    timeline.schedule(at, () => (this.isCut(from, to) ? lost() : arrive()));
  }

  private delay(): number {
    return this.faults.delayMs + this.random.below(this.faults.jitterMs + 1);
  }
}
