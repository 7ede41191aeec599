import { assert } from '../assert.ts';
import type { LogIndex, Term } from '../identity.ts';
import type { LogEntry, LogSnapshot, LogWrite } from '../seam/log-store.ts';
import { ConfigurationHistory, decodeConfiguration, type RaftConfiguration } from './configuration.ts';

/** What a disk held of a log. */
export interface StoredLogParts {
  readonly snapshot: LogSnapshot | undefined;
  /** Consecutive; they begin at or below the snapshot's index + 1, or at 1 without one. */
  readonly entries: readonly LogEntry[];
  /** As of the snapshot, or of the genesis without one. */
  readonly configuration: RaftConfiguration;
}

/**
 * One voter's log in memory, and how far it has got on the way: handed to the disk (`written`), safe there
 * (`durable`), agreed by a majority (`committed`), handed to whoever applies it (`delivered`).
 *
 * What a snapshot holds may be forgotten: the log then begins behind its *base*, of which the term is known still.
 * Some entries that a snapshot holds are kept all the same, because a slow follower takes them rather than it.
 */
export class RaftLog {
  readonly configurations: ConfigurationHistory;
  /** Those behind the base. */
  private entries: LogEntry[] = [];
  /** Payload bytes up to each index; position 0 stands for the base. */
  private bytesUpTo: number[] = [0];
  private base: LogIndex = 0;
  private baseTerm: Term = 0;
  private newestSnapshot: LogSnapshot | undefined;
  /** The newest snapshot came from a leader, in the place of the log, and is not on its way to the disk yet. */
  private snapshotIsUnwritten = false;
  private written: LogIndex;
  private durable: LogIndex;
  private committed: LogIndex;
  private delivered: LogIndex;

  /** All this is on disk already. */
  constructor(stored: StoredLogParts) {
    const { snapshot, configuration } = stored;
    const snapshotIndex = snapshot?.index ?? 0;
    this.newestSnapshot = snapshot;
    this.configurations = new ConfigurationHistory(snapshotIndex, configuration);
    const { index, term, behind } = layOut(stored);
    this.base = index;
    this.baseTerm = term;
    this.append(behind);
    this.written = this.lastIndex;
    this.durable = this.lastIndex;
    this.committed = snapshotIndex;
    this.delivered = snapshotIndex;
  }

  /** The first entry that is held; one beyond the last when there is none. */
  get firstIndex(): LogIndex {
    return this.base + 1;
  }

  get lastIndex(): LogIndex {
    return this.base + this.entries.length;
  }

  get lastTerm(): Term {
    return this.entries.at(-1)?.term ?? this.baseTerm;
  }

  get durableIndex(): LogIndex {
    return this.durable;
  }

  get commitIndex(): LogIndex {
    return this.committed;
  }

  get deliveredIndex(): LogIndex {
    return this.delivered;
  }

  /** What a follower gets whose next entry is forgotten. */
  get snapshot(): LogSnapshot | undefined {
    return this.newestSnapshot;
  }

  /** By which this voter goes: the newest one of the log. */
  get configuration(): RaftConfiguration {
    return this.configurations.newest;
  }

  get uncommittedBytes(): number {
    return this.bytesBetween(this.committed, this.lastIndex);
  }

  /** 0 before the first entry; nothing beyond the last, nor for what is forgotten. */
  termAt(index: LogIndex): Term | undefined {
    return index === this.base ? this.baseTerm : this.entries[index - this.base - 1]?.term;
  }

  /** At most `most` entries, the first one at `index`; none when that one is forgotten. */
  from(index: LogIndex, most: number): readonly LogEntry[] {
    const start = index - this.firstIndex;
    return start < 0 ? [] : this.entries.slice(start, start + most);
  }

  /** What fits one message: at least one entry, if there is one. */
  batchFrom(index: LogIndex, entriesMax: number, bytesMax: number): readonly LogEntry[] {
    let last = Math.min(index + entriesMax - 1, this.lastIndex);
    while (last > index && this.bytesBetween(index - 1, last) > bytesMax) last--;
    return this.from(index, last - index + 1);
  }

  /** Is a log that ends like this at least as complete as ours (§5.4.1)? */
  isNoNewerThan(lastTerm: Term, lastIndex: LogIndex): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** Whether our log and a leader's agree up to here. What is forgotten was committed: every leader's log has it. */
  agreesAt(index: LogIndex, term: Term): boolean {
    return index < this.base || this.termAt(index) === term;
  }

  append(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, 'log entries follow one another');
      this.bytesUpTo.push((this.bytesUpTo.at(-1) as number) + entry.payload.length);
      this.entries.push(entry);
      // What a snapshot holds, it says itself: the entries kept from before it are history.
      if (entry.kind === 'configuration' && entry.index > this.configurations.newestIndex) this.adopt(entry);
    }
  }

  /** The first of these entries that stands against one of ours with another term. */
  conflictWith(entries: readonly LogEntry[]): LogIndex | undefined {
    const isHeld = (index: LogIndex): boolean => index >= this.base && index <= this.lastIndex;
    return entries.find(({ index, term }) => isHeld(index) && this.termAt(index) !== term)?.index;
  }

  /**
   * Takes a leader's entries. What we have beyond them stays unless a term conflicts: the request may be an
   * old one, and we may have acknowledged what came after it.
   */
  merge(entries: readonly LogEntry[]): void {
    const conflict = this.conflictWith(entries);
    if (conflict !== undefined) this.truncateFrom(conflict);
    this.append(entries.filter(({ index }) => index > this.lastIndex));
  }

  /**
   * Where a leader should try next after our log did not fit (previousIndex, previousTerm): before the whole
   * run of our term there, and before all terms that leader cannot have had by then. So it takes one
   * exchange per conflicting term, not per entry; and what is committed never needs to be sent again.
   */
  backOff(previousIndex: LogIndex, previousTerm: Term): LogIndex {
    if (previousIndex > this.lastIndex) return this.lastIndex;
    const conflicting = this.termAt(previousIndex) as Term;
    let index = previousIndex;
    while (index > this.committed && fallsAway(this.termAt(index) as Term, conflicting, previousTerm)) index--;
    return index;
  }

  /** Commits up to `index`, never back. */
  commitTo(index: LogIndex): void {
    assert(index <= this.lastIndex, 'only what is in the log is committed');
    this.committed = Math.max(this.committed, index);
  }

  /** A snapshot of what was delivered is durable: forgets what is below `keepFrom`. An older one changes nothing. */
  compact(snapshot: LogSnapshot, keepFrom: LogIndex): void {
    assert(snapshot.index <= this.delivered, 'a snapshot holds what was applied');
    assert(keepFrom <= snapshot.index + 1, 'what no snapshot holds is kept');
    if (snapshot.index <= (this.newestSnapshot?.index ?? 0)) return;
    this.newestSnapshot = snapshot;
    this.configurations.forgetBefore(snapshot.index);
    const forgotten = Math.max(0, keepFrom - this.firstIndex);
    this.baseTerm = this.termAt(this.base + forgotten) as Term;
    this.base += forgotten;
    this.entries.splice(0, forgotten);
    this.bytesUpTo.splice(0, forgotten);
  }

  /** Begins anew behind a leader's snapshot, which holds more than is committed here and not what lies beyond. */
  restart(snapshot: LogSnapshot, configuration: RaftConfiguration): void {
    assert(snapshot.index > this.committed, 'what is committed stays');
    this.newestSnapshot = snapshot;
    this.snapshotIsUnwritten = true;
    this.configurations.restart(snapshot.index, configuration);
    this.base = snapshot.index;
    this.baseTerm = snapshot.term;
    this.entries = [];
    this.bytesUpTo = [0];
    this.committed = snapshot.index;
    // A write in flight ends with the log of before: nothing of this one is durable by it.
    this.written = 0;
    this.durable = 0;
  }

  get hasUnwritten(): boolean {
    return this.snapshotIsUnwritten || this.written < this.lastIndex;
  }

  /** What the disk does not have yet; from now on it counts as written. */
  takeUnwritten(): Pick<LogWrite, 'snapshot' | 'entries'> {
    const entries = this.entries.slice(Math.max(0, this.written - this.base));
    const snapshot = this.snapshotIsUnwritten ? this.newestSnapshot : undefined;
    this.snapshotIsUnwritten = false;
    this.written = this.lastIndex;
    return { snapshot, entries };
  }

  /** The one write in flight has ended: all that was written, and not replaced since, is safe. */
  markDurable(): void {
    this.durable = this.written;
  }

  /** A leader's snapshot, once it is safe here: it takes the place of all that was delivered. */
  takeRestore(): LogSnapshot | undefined {
    if (this.delivered >= this.base || this.durable < this.base) return undefined;
    this.delivered = this.base;
    return this.newestSnapshot;
  }

  /** The next entries that are committed and safe here, each given once. */
  takeCommitted(most: number): readonly LogEntry[] {
    // Between them and what was delivered lies a snapshot that is not durable yet.
    if (this.delivered < this.base) return [];
    const last = Math.min(this.committed, this.durable, this.delivered + most);
    const taken = this.entries.slice(this.delivered - this.base, Math.max(0, last - this.base));
    this.delivered = Math.max(this.delivered, last);
    return taken;
  }

  private adopt({ index, payload }: LogEntry): void {
    const configuration = decodeConfiguration(payload);
    assert(configuration !== undefined, 'a configuration was read before it got into the log');
    this.configurations.adopt(index, configuration);
  }

  private truncateFrom(index: LogIndex): void {
    assert(index > this.committed, 'a committed entry stays');
    this.entries.length = index - this.base - 1;
    this.bytesUpTo.length = index - this.base;
    this.written = Math.min(this.written, index - 1);
    this.durable = Math.min(this.durable, index - 1);
    this.configurations.takeBackFrom(index);
  }

  private bytesBetween(after: LogIndex, to: LogIndex): number {
    return (this.bytesUpTo[to - this.base] as number) - (this.bytesUpTo[after - this.base] as number);
  }
}

/**
 * Where the log begins, and what of the stored entries lies behind. Entries that do not reach the snapshot are
 * history; of the first one kept from before it the predecessor's term is unknown, so it serves as the base.
 */
function layOut({ snapshot, entries }: StoredLogParts): {
  readonly index: LogIndex;
  readonly term: Term;
  readonly behind: readonly LogEntry[];
} {
  const [first] = entries;
  if (snapshot === undefined || first?.index === 1) {
    const reaches = snapshot === undefined || entries[snapshot.index - 1]?.term === snapshot.term;
    if (reaches) return { index: 0, term: 0, behind: entries };
  }
  assert(snapshot !== undefined, 'a log begins at 1 or with a snapshot');
  const { index, term } = snapshot;
  if (first?.index === index + 1) return { index, term, behind: entries };
  if (first === undefined || entries[index - first.index]?.term !== term) return { index, term, behind: [] };
  return { index: first.index, term: first.term, behind: entries.slice(1) };
}

function fallsAway(term: Term, conflicting: Term, previousTerm: Term): boolean {
  return term === conflicting || term > previousTerm;
}
