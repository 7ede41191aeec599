import type { WallMs } from '../identity.ts';
import type { CancelTimer, Clock } from '../seam/clock.ts';
import type { LogTrouble } from '../seam/log-store.ts';

/** A write under way for longer tells that the disk is slow. */
export const slowWriteMs = 500;

export type DiskWork = 'write' | 'compact';

/** What the watch needs of a clock. A timer of this machine's keeps no process alive. */
export type WatchClock = Pick<Clock, 'wallNow' | 'after'>;

const machineClock: WatchClock = {
  wallNow: () => Date.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs).unref();
    return () => clearTimeout(timer);
  },
};

/** Tells when work on the disk is in trouble, and when that has ended: each change once. */
export class TroubleWatch {
  private readonly tell: (trouble: LogTrouble | undefined) => void;
  private readonly troubles = new Map<DiskWork, LogTrouble>();
  private told: LogTrouble['kind'] | undefined;
  private readonly clock: WatchClock;
  private cancelSlow: CancelTimer = () => {};

  /** @param clock this machine's by default */
  constructor(tell: (trouble: LogTrouble | undefined) => void, clock: WatchClock = machineClock) {
    this.tell = tell;
    this.clock = clock;
  }

  /** A snapshot takes the time that it takes: only a write can be slow. */
  onWriteBegin(): void {
    const since: WallMs = this.clock.wallNow();
    this.cancelSlow = this.clock.after(slowWriteMs, () => this.enter('write', { kind: 'slow', since }));
  }

  onFull(work: DiskWork): void {
    if (work === 'write') this.cancelSlow();
    if (this.troubles.get(work)?.kind !== 'full') this.enter(work, { kind: 'full', since: this.clock.wallNow() });
  }

  onEnd(work: DiskWork): void {
    if (work === 'write') this.cancelSlow();
    this.troubles.delete(work);
    this.report();
  }

  private enter(work: DiskWork, trouble: LogTrouble): void {
    this.troubles.set(work, trouble);
    this.report();
  }

  /** One trouble that goes on as another one's of the same kind is no change. */
  private report(): void {
    const trouble = this.troubles.get('write') ?? this.troubles.get('compact');
    if (trouble?.kind === this.told) return;
    this.told = trouble?.kind;
    this.tell(trouble);
  }
}
