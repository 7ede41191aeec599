/** The node's clock, lent to one start of one role. */
import type { MonotonicMs, WallMs } from '../identity.ts';
import type { CancelTimer, Clock } from '../seam/clock.ts';

/** A callback that throws breaks the role and not the node; what is left when the role has ended never fires. */
export class RoleClock implements Clock {
  private readonly clock: Clock;
  private readonly onThrown: (thrown: unknown) => void;
  private readonly timers = new Set<CancelTimer>();
  private isClosed = false;

  constructor(clock: Clock, onThrown: (thrown: unknown) => void) {
    this.clock = clock;
    this.onThrown = onThrown;
  }

  now(): MonotonicMs {
    return this.clock.now();
  }

  wallNow(): WallMs {
    return this.clock.wallNow();
  }

  after(delayMs: number, fire: () => void): CancelTimer {
    if (this.isClosed) return () => {};
    const stop = this.clock.after(delayMs, () => {
      this.timers.delete(cancel);
      try {
        fire();
      } catch (thrown) {
        this.onThrown(thrown);
      }
    });
    const cancel = (): void => {
      this.timers.delete(cancel);
      stop();
    };
    this.timers.add(cancel);
    return cancel;
  }

  close(): void {
    this.isClosed = true;
    for (const cancel of this.timers) cancel();
  }
}
