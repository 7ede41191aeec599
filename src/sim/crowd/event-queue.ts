/**
 * What is to happen, in order of time and then of planning, for some hundred thousand events at once: a heap with
 * four children to a node, in typed arrays, so that an event in flight costs no object of its own.
 */
import type { MonotonicMs } from '../../identity.ts';

export interface PlannedEvent {
  readonly atMs: MonotonicMs;
  readonly kind: number;
  /** Two small integers and whatever else belongs to it, as the planner means them. */
  readonly first: number;
  readonly second: number;
  readonly load: unknown;
}

const slotsAtFirst = 1_024;
const children = 4;

export class EventQueue {
  private times = new Float64Array(slotsAtFirst);
  private orders = new Float64Array(slotsAtFirst);
  private kinds = new Uint8Array(slotsAtFirst);
  private firsts = new Int32Array(slotsAtFirst);
  private seconds = new Int32Array(slotsAtFirst);
  private readonly loads: unknown[] = [];
  /** Slots in heap order; behind them, up to `slots`, those that are free. */
  private heap = new Int32Array(slotsAtFirst);
  private slots = 0;
  private used = 0;
  private planned = 0;

  get size(): number {
    return this.used;
  }

  /** When the next one is due; infinite when there is none. */
  get nextAtMs(): MonotonicMs {
    return this.used === 0 ? Number.POSITIVE_INFINITY : (this.times[this.heap[0] as number] as number);
  }

  push(atMs: MonotonicMs, kind: number, first: number, second: number, load: unknown): void {
    const slot = this.takeSlot();
    this.times[slot] = atMs;
    this.orders[slot] = this.planned++;
    this.kinds[slot] = kind;
    this.firsts[slot] = first;
    this.seconds[slot] = second;
    this.loads[slot] = load;
    this.rise(this.used++, slot);
  }

  /** Takes the next one out. */
  pop(): PlannedEvent | undefined {
    if (this.used === 0) return undefined;
    const slot = this.heap[0] as number;
    const event: PlannedEvent = {
      atMs: this.times[slot] as number,
      kind: this.kinds[slot] as number,
      first: this.firsts[slot] as number,
      second: this.seconds[slot] as number,
      load: this.loads[slot],
    };
    this.loads[slot] = undefined;
    const last = this.heap[--this.used] as number;
    if (this.used > 0) this.sink(last);
    this.heap[this.used] = slot;
    return event;
  }

  private takeSlot(): number {
    if (this.used < this.slots) return this.heap[this.used] as number;
    if (this.slots === this.heap.length) this.grow();
    return this.slots++;
  }

  private grow(): void {
    const slots = this.heap.length * 2;
    const wider = <T extends Float64Array | Uint8Array | Int32Array>(old: T, fresh: T): T => {
      fresh.set(old);
      return fresh;
    };
    this.times = wider(this.times, new Float64Array(slots));
    this.orders = wider(this.orders, new Float64Array(slots));
    this.kinds = wider(this.kinds, new Uint8Array(slots));
    this.firsts = wider(this.firsts, new Int32Array(slots));
    this.seconds = wider(this.seconds, new Int32Array(slots));
    this.heap = wider(this.heap, new Int32Array(slots));
  }

  private rise(from: number, slot: number): void {
    let at = from;
    while (at > 0) {
      const parent = ((at - 1) / children) | 0;
      const above = this.heap[parent] as number;
      if (!this.isBefore(slot, above)) break;
      this.heap[at] = above;
      at = parent;
    }
    this.heap[at] = slot;
  }

  private sink(slot: number): void {
    let at = 0;
    for (;;) {
      const best = this.firstChild(at);
      if (best < 0 || !this.isBefore(this.heap[best] as number, slot)) break;
      this.heap[at] = this.heap[best] as number;
      at = best;
    }
    this.heap[at] = slot;
  }

  /** The position of the child that is due first, or -1. */
  private firstChild(parent: number): number {
    const from = parent * children + 1;
    if (from >= this.used) return -1;
    const to = Math.min(from + children, this.used);
    let best = from;
    for (let child = from + 1; child < to; child++) {
      if (this.isBefore(this.heap[child] as number, this.heap[best] as number)) best = child;
    }
    return best;
  }

  private isBefore(a: number, b: number): boolean {
    const [timeA, timeB] = [this.times[a] as number, this.times[b] as number];
    return timeA < timeB || (timeA === timeB && (this.orders[a] as number) < (this.orders[b] as number));
  }
}
