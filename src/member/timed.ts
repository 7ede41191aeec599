import type { MonotonicMs } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';

/** A part that does something by itself when its time has come. */
export interface Timed {
  tick(at: Instant): void;
  nextTickAt(): MonotonicMs;
}
