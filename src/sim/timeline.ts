/** Virtual time: what is to happen, in order. Ties are broken by the order of scheduling, so a run repeats. */
import type { MonotonicMs } from '../identity.ts';

interface Due {
  readonly at: MonotonicMs;
  readonly order: number;
  readonly happen: () => void;
}

function before(a: Due, b: Due): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** A binary heap, the earliest first. */
export class Timeline {
  now: MonotonicMs = 0;
  private readonly heap: Due[] = [];
  private scheduled = 0;

  /** Happens at `at`, or now when that has passed. */
  schedule(at: MonotonicMs, happen: () => void): void {
    this.heap.push({ at: Math.max(at, this.now), order: this.scheduled++, happen });
    this.rise(this.heap.length - 1);
  }

  /** When the next thing happens; infinite when nothing will. */
  get nextAt(): MonotonicMs {
    return this.heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Lets the next thing happen. */
  step(): void {
    const [first] = this.heap;
    if (first === undefined) return;
    const last = this.heap.pop() as Due;
    if (this.heap.length > 0) {
      this.heap[0] = last;
      this.sink(0);
    }
    this.now = first.at;
    first.happen();
  }

  private rise(from: number): void {
    let child = from;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!before(this.heap[child] as Due, this.heap[parent] as Due)) return;
      this.swap(child, parent);
      child = parent;
    }
  }

  private sink(from: number): void {
    let parent = from;
    for (;;) {
      const left = parent * 2 + 1;
      if (left >= this.heap.length) return;
      const right = left + 1;
      const hasRight = right < this.heap.length;
      const child = hasRight && before(this.heap[right] as Due, this.heap[left] as Due) ? right : left;
      if (!before(this.heap[child] as Due, this.heap[parent] as Due)) return;
      this.swap(child, parent);
      parent = child;
    }
  }

  private swap(a: number, b: number): void {
    const moved = this.heap[a] as Due;
    this.heap[a] = this.heap[b] as Due;
    this.heap[b] = moved;
  }
}
