import type { MonotonicMs } from '../identity.ts';

const secondMs = 1_000;

/** So many a second, counted in whole seconds from the first one taken. */
export class RateLimit {
  private readonly perSecond: number;
  private startedMs = Number.NEGATIVE_INFINITY;
  private taken = 0;

  constructor(perSecond: number) {
    this.perSecond = perSecond;
  }

  /** Whether there is one left; it is then taken. */
  take(now: MonotonicMs): boolean {
    if (now - this.startedMs >= secondMs) {
      this.startedMs = now;
      this.taken = 0;
    }
    return ++this.taken <= this.perSecond;
  }
}
