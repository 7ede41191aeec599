/**
 * When to reload: after a quiet moment, though not after endless waiting, and with a pause between two, because every
 * reload leaves old workers behind.
 */
import type { MonotonicMs } from '../../src/identity.ts';
import type { CancelTimer, Clock } from '../../src/seam/clock.ts';

export const quietMs = 300;
export const waitMaxMs = 3000;
export const betweenReloadsMs = 2000;

export interface Changes {
  readonly firstAt: MonotonicMs;
  readonly lastAt: MonotonicMs;
}

export function dueAt(changes: Changes, lastReloadAt: MonotonicMs): MonotonicMs {
  const settledAt = Math.min(changes.lastAt + quietMs, changes.firstAt + waitMaxMs);
  return Math.max(settledAt, lastReloadAt + betweenReloadsMs);
}

/** Turns any number of changes into few runs, one at a time. */
export class Pace {
  private readonly clock: Clock;
  private readonly run: () => Promise<boolean>;
  private changes: Changes | undefined;
  private lastReloadAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  private cancelTimer: CancelTimer = () => {};
  private running: Promise<void> | undefined;
  private isStopped = false;

  /** `run` says whether it reloaded; it must not reject. */
  constructor(clock: Clock, run: () => Promise<boolean>) {
    this.clock = clock;
    this.run = run;
  }

  get isRunning(): boolean {
    return this.running !== undefined;
  }

  /** A reload elsewhere: the next one keeps its distance. */
  reloaded(): void {
    this.lastReloadAt = this.clock.now();
  }

  changed(): void {
    if (this.isStopped) return;
    const now = this.clock.now();
    this.changes = { firstAt: this.changes?.firstAt ?? now, lastAt: now };
    this.schedule();
  }

  /** Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.cancelTimer();
    await this.running;
  }

  private schedule(): void {
    this.cancelTimer();
    if (this.changes === undefined || this.running !== undefined || this.isStopped) return;
    const delayMs = Math.max(0, dueAt(this.changes, this.lastReloadAt) - this.clock.now());
    this.cancelTimer = this.clock.after(delayMs, () => this.start());
  }

  private start(): void {
    this.changes = undefined;
    this.running = this.runOnce();
  }

  private async runOnce(): Promise<void> {
    if (await this.run()) this.reloaded();
    this.running = undefined;
    this.schedule();
  }
}
