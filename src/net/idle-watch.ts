import type { MonotonicMs } from '../identity.ts';
import type { CancelTimer, Clock } from '../seam/clock.ts';

/** Calls `close` once nothing has used a connection for `idleMs`, by one timer that is set anew only when it fires. */
export class IdleWatch {
  private readonly clock: Clock;
  private readonly idleMs: number;
  private readonly isBusy: () => boolean;
  private readonly close: () => void;
  private usedAt: MonotonicMs;
  private cancel: CancelTimer;

  constructor(clock: Clock, idleMs: number, isBusy: () => boolean, close: () => void) {
    this.clock = clock;
    this.idleMs = idleMs;
    this.isBusy = isBusy;
    this.close = close;
    this.usedAt = clock.now();
    this.cancel = clock.after(idleMs, () => this.onTimer());
  }

  touch(): void {
    this.usedAt = this.clock.now();
  }

  stop(): void {
    this.cancel();
  }

  private onTimer(): void {
    if (this.isBusy()) this.touch();
    const leftMs = this.usedAt + this.idleMs - this.clock.now();
    if (leftMs <= 0) this.close();
    else this.cancel = this.clock.after(leftMs, () => this.onTimer());
  }
}
