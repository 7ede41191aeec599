import type { WallMs } from '../identity.ts';
import type { LogTrouble } from '../seam/log-store.ts';

/** A write under way for longer tells that the disk is slow. */
export const slowWriteMs = 500;

type Work = 'write' | 'compact';

/** Tells when work on the disk is in trouble, and when that has ended: each change once. */
export class TroubleWatch {
  private readonly tell: (trouble: LogTrouble | undefined) => void;
  private readonly troubles = new Map<Work, LogTrouble>();
  private told: LogTrouble['kind'] | undefined;
  private slowTimer: NodeJS.Timeout | undefined;

  constructor(tell: (trouble: LogTrouble | undefined) => void) {
    this.tell = tell;
  }

  /** A snapshot takes the time that it takes: only a write can be slow. */
  onWriteBegin(): void {
    const since: WallMs = Date.now();
    this.slowTimer = setTimeout(() => this.enter('write', { kind: 'slow', since }), slowWriteMs).unref();
  }

  onFull(work: Work): void {
    if (work === 'write') clearTimeout(this.slowTimer);
    if (this.troubles.get(work)?.kind !== 'full') this.enter(work, { kind: 'full', since: Date.now() });
  }

  onEnd(work: Work): void {
    if (work === 'write') clearTimeout(this.slowTimer);
    this.troubles.delete(work);
    this.report();
  }

  private enter(work: Work, trouble: LogTrouble): void {
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
