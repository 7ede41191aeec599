import { performance } from 'node:perf_hooks';
import type { Clock } from '../seam/clock.ts';

/** What setTimeout can wait at most; it fires at once for anything longer. */
const timeoutMsMax = 2 ** 31 - 1;

/**
 * The system's clock in whole milliseconds, like a simulated one, so that a difference of two times fits where a
 * message has an integer. A timer never fires before `now()` has reached its time, which setTimeout may.
 */
export const systemClock: Clock = {
  now,
  wallNow: () => Date.now(),
  after(delayMs, fire) {
    const dueMs = now() + delayMs;
    let timer: NodeJS.Timeout;
    const wait = (leftMs: number): void => {
      timer = setTimeout(check, Math.min(Math.ceil(leftMs), timeoutMsMax));
    };
    const check = (): void => {
      const leftMs = dueMs - now();
      if (leftMs > 0) wait(leftMs);
      else fire();
    };
    wait(delayMs);
    return () => clearTimeout(timer);
  },
};

function now(): number {
  return Math.trunc(performance.now());
}
