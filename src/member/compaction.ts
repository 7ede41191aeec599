/** When the event log is cut short: a snapshot of the applied state takes the place of the entries before it. */
import type { LogIndex } from '../identity.ts';
import { chainStart, type LogEntry, type LogSnapshot } from '../seam/log-store.ts';

/** Entries between two snapshots by default: they bound what a start has to read and to apply. */
export const snapshotEveryEntries = 8_192;
/** … and bytes of their payloads. */
export const snapshotEveryBytes: number = 16 * 1_024 * 1_024;

/** Where the log begins that readers are shown. */
export interface FirstKept {
  readonly index: LogIndex;
  /** The hash chain before it. */
  readonly chain: Uint8Array;
}

export interface CompactionStep {
  readonly snapshot: LogSnapshot;
  /** Entries below it are not needed any more. */
  readonly keepFrom: LogIndex;
}

/** The entries behind the snapshot before the newest stay: for readers, and for control nodes that lag a little. */
export class Compaction {
  private kept: FirstKept;
  private newest: LogSnapshot | undefined;
  private underWay: CompactionStep | undefined;
  private bytes = 0;
  private readonly everyEntries: number;

  /** @param newest the snapshot that the log was opened with */
  constructor(newest: LogSnapshot | undefined, everyEntries: number) {
    this.newest = newest;
    this.everyEntries = everyEntries;
    this.kept = beginningBehind(newest);
  }

  get firstKept(): FirstKept {
    return this.kept;
  }

  onApplied(entry: LogEntry): void {
    this.bytes += entry.payload.length;
  }

  isDue(appliedIndex: LogIndex): boolean {
    if (this.underWay !== undefined) return false;
    return appliedIndex - (this.newest?.index ?? 0) >= this.everyEntries || this.bytes >= snapshotEveryBytes;
  }

  /** Begins with this snapshot of what is applied now. */
  begin(snapshot: LogSnapshot): CompactionStep {
    this.bytes = 0;
    this.underWay = { snapshot, keepFrom: beginningBehind(this.newest).index };
    return this.underWay;
  }

  /** It is durable. */
  end(): CompactionStep | undefined {
    const ended = this.underWay;
    this.underWay = undefined;
    if (ended === undefined || ended.snapshot.index <= (this.newest?.index ?? 0)) return undefined;
    this.kept = beginningBehind(this.newest);
    this.newest = ended.snapshot;
    return ended;
  }

  /** A leader's snapshot has taken the place of the log. */
  onRestored(snapshot: LogSnapshot): void {
    this.newest = snapshot;
    this.kept = beginningBehind(snapshot);
    this.bytes = 0;
  }
}

function beginningBehind(snapshot: LogSnapshot | undefined): FirstKept {
  return snapshot === undefined
    ? { index: 1, chain: chainStart }
    : { index: snapshot.index + 1, chain: snapshot.chain };
}
