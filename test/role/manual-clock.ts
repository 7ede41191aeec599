/** Time that passes when a test says so, and lets everything finish that does not wait for time. */
import type { MonotonicMs, WallMs } from '../../src/identity.ts';
import type { CancelTimer, Clock } from '../../src/seam/clock.ts';
import { Timeline } from '../../src/sim/timeline.ts';

/** Turns of the loop that are enough for what a step of a test sets off. */
const turnsPerStep = 3;

export const wallStart: WallMs = Date.UTC(2030, 0, 1);

export async function settle(): Promise<void> {
  for (let turn = 0; turn < turnsPerStep; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export class ManualClock implements Clock {
  /** Timers that have neither fired nor been cancelled. */
  readonly pending: Set<CancelTimer> = new Set();
  private readonly timeline = new Timeline();

  now(): MonotonicMs {
    return this.timeline.now;
  }

  wallNow(): WallMs {
    return wallStart + this.timeline.now;
  }

  after(delayMs: number, fire: () => void): CancelTimer {
    const cancel = (): void => void this.pending.delete(cancel);
    this.pending.add(cancel);
    this.timeline.schedule(this.now() + delayMs, () => {
      if (this.pending.delete(cancel)) fire();
    });
    return cancel;
  }

  async advance(byMs: number): Promise<void> {
    await settle();
    let isReached = false;
    this.timeline.schedule(this.now() + byMs, () => {
      isReached = true;
    });
    while (!isReached) {
      this.timeline.step();
      await settle();
    }
  }
}
