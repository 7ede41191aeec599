import { assert } from '../assert.ts';
import type { LogIndex, Term } from '../identity.ts';
import type { LogEntry } from '../seam/log-store.ts';

/**
 * One voter's log in memory, and how far it has got on the way: handed to the disk (`written`), safe there
 * (`durable`), agreed by a majority (`committed`), handed to whoever applies it (`delivered`).
 */
export class RaftLog {
  private readonly entries: LogEntry[] = [];
  /** Payload bytes up to each index; position 0 stands for the empty log. */
  private readonly bytesUpTo: number[] = [0];
  private written: LogIndex;
  private durable: LogIndex;
  private committed: LogIndex = 0;
  private delivered: LogIndex = 0;

  /** `stored` is on disk already, from index 1 on. */
  constructor(stored: readonly LogEntry[]) {
    this.append(stored);
    this.written = this.lastIndex;
    this.durable = this.lastIndex;
  }

  get lastIndex(): LogIndex {
    return this.entries.length;
  }

  get lastTerm(): Term {
    return this.entries.at(-1)?.term ?? 0;
  }

  get durableIndex(): LogIndex {
    return this.durable;
  }

  get commitIndex(): LogIndex {
    return this.committed;
  }

  get uncommittedBytes(): number {
    return this.bytesBetween(this.committed, this.lastIndex);
  }

  /** 0 before the first entry, nothing beyond the last. */
  termAt(index: LogIndex): Term | undefined {
    return index === 0 ? 0 : this.entries[index - 1]?.term;
  }

  /** At most `most` entries, the first one at `index`. */
  from(index: LogIndex, most: number): readonly LogEntry[] {
    return this.entries.slice(index - 1, index - 1 + most);
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

  append(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, 'log entries follow one another');
      this.bytesUpTo.push((this.bytesUpTo[this.lastIndex] as number) + entry.payload.length);
      this.entries.push(entry);
    }
  }

  /** The first of these entries that stands against one of ours with another term. */
  conflictWith(entries: readonly LogEntry[]): LogIndex | undefined {
    return entries.find(({ index, term }) => index <= this.lastIndex && this.termAt(index) !== term)?.index;
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

  get hasUnwritten(): boolean {
    return this.written < this.lastIndex;
  }

  /** What the disk does not have yet; from now on it counts as written. */
  takeUnwritten(): readonly LogEntry[] {
    const unwritten = this.entries.slice(this.written);
    this.written = this.lastIndex;
    return unwritten;
  }

  /** The one write in flight has ended: all that was written, and not replaced since, is safe. */
  markDurable(): void {
    this.durable = this.written;
  }

  /** The next entries that are committed and safe here, each given once. */
  takeCommitted(most: number): readonly LogEntry[] {
    const last = Math.min(this.committed, this.durable, this.delivered + most);
    const taken = this.entries.slice(this.delivered, last);
    this.delivered = Math.max(this.delivered, last);
    return taken;
  }

  private truncateFrom(index: LogIndex): void {
    assert(index > this.committed, 'a committed entry stays');
    this.entries.length = index - 1;
    this.bytesUpTo.length = index;
    this.written = Math.min(this.written, index - 1);
    this.durable = Math.min(this.durable, index - 1);
  }

  private bytesBetween(after: LogIndex, to: LogIndex): number {
    return (this.bytesUpTo[to] as number) - (this.bytesUpTo[after] as number);
  }
}

function fallsAway(term: Term, conflicting: Term, previousTerm: Term): boolean {
  return term === conflicting || term > previousTerm;
}
