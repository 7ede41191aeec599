import type { MonotonicMs, WallMs } from '../identity.ts';

/** The time of one step: the clock that decides, and the time of day for what people and files are told. */
export interface Instant {
  readonly now: MonotonicMs;
  readonly wall: WallMs;
}
