import type { MonotonicMs, WallMs } from '../identity.ts';

/** Stops a timer; stopping one twice, or one that has fired, does nothing. */
export type CancelTimer = () => void;

export interface Clock {
  /** Never goes back; the only time that decisions are made by. */
  now(): MonotonicMs;
  /** The time of day: for people and for what outlives a process. It may jump. */
  wallNow(): WallMs;
  /** Calls `fire` once, `delayMs` from now (0 or more). */
  after(delayMs: number, fire: () => void): CancelTimer;
}
