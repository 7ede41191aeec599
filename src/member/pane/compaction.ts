/** When the event log is cut short: a snapshot of the applied state takes the place of the entries before it. */
import type { LogIndex } from '../../identity.ts';
import type { KeptFrom } from '../../seam/engine.ts';
import { chainStart, type LogEntry, type LogSnapshot } from '../../seam/log-store.ts';

/** Entries between two snapshots by default: they bound what a start has to read and to apply. */
export const snapshotEveryEntries = 8_192;
/** … and bytes of their payloads. */
export const snapshotEveryBytes: number = 16 * 1_024 * 1_024;

export interface CompactionStep {
  readonly snapshot: LogSnapshot;
  /** Entries below it are not needed any more. */
  readonly keepFrom: LogIndex;
}

/** The entries behind the snapshot before the newest stay: for readers, and for control nodes that lag a little. */
export class Compaction {
  private kept: KeptFrom;
  private newestTaken: LogSnapshot | undefined;
  private underWay: CompactionStep | undefined;
  private bytes = 0;
  private readonly everyEntries: number;

  /** @param newest the snapshot that the log was opened with */
  constructor(newest: LogSnapshot | undefined, everyEntries: number) {
    this.newestTaken = newest;
    this.everyEntries = everyEntries;
    this.kept = beginningBehind(newest);
  }

  get firstKept(): KeptFrom {
    return this.kept;
  }

  get newest(): LogSnapshot | undefined {
    return this.newestTaken;
  }

  onApplied(entry: LogEntry): void {
    this.bytes += entry.payload.length;
  }

  isDue(appliedIndex: LogIndex): boolean {
    if (this.underWay !== undefined) return false;
    return appliedIndex - (this.newestTaken?.index ?? 0) >= this.everyEntries || this.bytes >= snapshotEveryBytes;
  }

  /** Begins with this snapshot of what is applied now. */
  begin(snapshot: LogSnapshot): CompactionStep {
    this.bytes = 0;
    this.underWay = { snapshot, keepFrom: beginningBehind(this.newestTaken).index };
    return this.underWay;
  }

  /** It is durable. */
  end(): CompactionStep | undefined {
    const ended = this.underWay;
    this.underWay = undefined;
    if (ended === undefined || ended.snapshot.index <= (this.newestTaken?.index ?? 0)) return undefined;
    this.kept = beginningBehind(this.newestTaken);
    this.newestTaken = ended.snapshot;
    return ended;
  }

  /** A leader's snapshot has taken the place of the log. */
  onRestored(snapshot: LogSnapshot): void {
    this.newestTaken = snapshot;
    this.kept = beginningBehind(snapshot);
    this.bytes = 0;
  }
}

function beginningBehind(snapshot: LogSnapshot | undefined): KeptFrom {
  return snapshot === undefined
    ? { index: 1, chain: chainStart }
    : { index: snapshot.index + 1, chain: snapshot.chain };
}
