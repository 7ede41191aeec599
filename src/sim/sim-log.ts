/**
 * What stands between a simulated process and its disk: each piece of work takes its time, waits while the disk hangs,
 * is tried again while it is full, and ends the process when it fails, all as the threads of production do.
 */
import { HivemindError } from '../error.ts';
import type { LogIndex, MonotonicMs } from '../identity.ts';
import type { LogSnapshot, LogTrouble, LogWrite } from '../seam/log-store.ts';
import { DiskFull } from '../store/disk-failure.ts';
import { type DiskWork, TroubleWatch, type WatchClock } from '../store/trouble-watch.ts';
import { fullRetryMs } from '../store/write-ahead-log.ts';
import type { SimDisk } from './sim-disk.ts';

/** How often whoever waits for a hanging disk looks whether it still hangs. */
const hangLookMs = 20;

export interface SimLogParts {
  readonly disk: SimDisk;
  /** Of one process: its timers die with it. */
  readonly clock: WatchClock;
  /** How long the disk takes this time. */
  readonly tookMs: () => MonotonicMs;
  readonly onTrouble: (trouble: LogTrouble | undefined) => void;
  /** The process must end: nobody knows what is on the disk. */
  readonly onFailure: (reason: HivemindError) => void;
}

export class SimLog {
  private readonly parts: SimLogParts;
  private readonly trouble: TroubleWatch;

  constructor(parts: SimLogParts) {
    this.parts = parts;
    this.trouble = new TroubleWatch(parts.onTrouble, parts.clock);
  }

  write(write: LogWrite, then: () => void): void {
    const { disk } = this.parts;
    disk.begin(write);
    this.trouble.onWriteBegin();
    this.perform('write', () => disk.confirm(), then);
  }

  compact(snapshot: LogSnapshot, keepFrom: LogIndex, then: () => void): void {
    const { disk } = this.parts;
    disk.beginCompaction(snapshot, keepFrom);
    this.perform('compact', () => disk.compact(), then);
  }

  private perform(kind: DiskWork, work: () => void, then: () => void): void {
    this.parts.clock.after(this.parts.tookMs(), () => this.attempt(kind, work, then));
  }

  private attempt(kind: DiskWork, work: () => void, then: () => void): void {
    const { disk, clock } = this.parts;
    const again = (delayMs: MonotonicMs): void => {
      clock.after(delayMs, () => this.attempt(kind, work, then));
    };
    if (disk.files.syncHangs) {
      again(hangLookMs);
      return;
    }
    try {
      work();
    } catch (thrown) {
      this.onRefused(kind, thrown, again);
      return;
    }
    this.trouble.onEnd(kind);
    then();
  }

  private onRefused(kind: DiskWork, thrown: unknown, again: (delayMs: MonotonicMs) => void): void {
    if (!(thrown instanceof HivemindError)) throw thrown;
    if (!(thrown instanceof DiskFull)) {
      this.parts.onFailure(thrown);
      return;
    }
    this.trouble.onFull(kind);
    again(fullRetryMs);
  }
}
