/** Plays segments of a log one after the other, and holds each against those before it. */
import { unreachable } from '../assert.ts';
import { equalBytes } from '../bytes.ts';
import { chainHash, type HardState, type LogEntry } from '../seam/log-store.ts';
import { LogChain } from './log-chain.ts';
import { type SegmentHeader, type SegmentScan, scanRecords, type WalItem, type WalRecord } from './wal-record.ts';

/** What is wrong with a segment. */
export interface SegmentProblem {
  /** Where in it. */
  readonly offset: number;
  readonly what: string;
  /** It contradicts what came before it, and is whole in itself. */
  readonly isContradiction: boolean;
}

export interface SegmentReading {
  readonly problem?: SegmentProblem;
  /** Where the records end that could be played. */
  readonly validBytes: number;
  /** Whether the file ends in a record that was never whole. */
  readonly isTorn: boolean;
  readonly lastRecord: WalRecord | undefined;
}

/** Of two, the one that a node must not fall behind: it has the later term, or the vote in the same term. */
export function laterHardState(a: HardState, b: HardState): HardState {
  if (a.term !== b.term) return a.term > b.term ? a : b;
  return b.votedFor === 0 ? a : b;
}

/** The log as the segments played so far tell it. */
export class WalReplay {
  hardState: HardState = { term: 0, votedFor: 0 };
  entries: LogEntry[] = [];
  readonly chain: LogChain = new LogChain();
  private segments = 0;
  private lastSequence = 0;

  /** Plays what it can of a segment with this header. */
  play(header: SegmentHeader, bytes: Uint8Array, isLast: boolean): SegmentReading {
    const contradiction = this.segments === 0 ? this.begin(header) : this.contradictionOf(header);
    if (contradiction !== undefined) return unread(0, contradiction, true);
    this.segments++;
    this.lastSequence = header.sequence;
    const scan = scanRecords(bytes, header.sequence);
    for (const [position, record] of scan.records.entries()) {
      const what = this.applyAll(record.items);
      if (what === undefined) continue;
      const reading = unread(record.offset, what, false);
      return { ...reading, validBytes: record.offset, lastRecord: scan.records[position - 1] };
    }
    return readingOf(scan, isLast);
  }

  /** The first segment stands for all that were dropped before it. */
  private begin({ firstIndex, previousHash, hardState }: SegmentHeader): undefined {
    if (firstIndex > 1) this.chain.restart(firstIndex - 1, { hash: previousHash });
    this.hardState = laterHardState(this.hardState, hardState);
    return undefined;
  }

  private contradictionOf(header: SegmentHeader): string | undefined {
    const { firstIndex, previousHash, hardState, sequence } = header;
    const expected = this.lastSequence + 1;
    if (sequence !== expected) return `segment ${expected} of the log, before it, is missing`;
    const otherwise = ', unlike the segments before';
    if (firstIndex !== this.chain.lastIndex + 1) return `it begins with entry ${firstIndex}${otherwise}`;
    const hash = this.chain.last?.hash;
    if (hash === undefined || !equalBytes(previousHash, hash)) return `its hash chain is another one${otherwise}`;
    const { term, votedFor } = hardState;
    const agrees = term === this.hardState.term && votedFor === this.hardState.votedFor;
    return agrees ? undefined : `it tells of term ${term} and a vote for ${votedFor}${otherwise}`;
  }

  /** Nothing, or what is wrong with one of the items. */
  private applyAll(items: readonly WalItem[]): string | undefined {
    for (const item of items) {
      const what = this.apply(item);
      if (what !== undefined) return what;
    }
    return undefined;
  }

  private apply(item: WalItem): string | undefined {
    switch (item.kind) {
      case 'hard-state':
        if (item.hardState.term < this.hardState.term) return `term ${item.hardState.term} comes after a later one`;
        this.hardState = item.hardState;
        return undefined;
      case 'entry':
        return this.append(item.entry, item.hash);
      default:
        return unreachable(item);
    }
  }

  private append(entry: LogEntry, hash: Uint8Array): string | undefined {
    const { index, term } = entry;
    const { chain } = this;
    if (index < 1 || index > chain.lastIndex + 1) return `entry ${index} follows entry ${chain.lastIndex}`;
    // One that replaces others in a segment that was dropped: the snapshot's hash vouches for it.
    if (index < chain.firstIndex) chain.restart(index - 1, undefined);
    const previous = chain.at(index - 1);
    if (previous?.term !== undefined && term < previous.term) return `entry ${index} is of an earlier term`;
    if (previous !== undefined && !equalBytes(hash, chainHash(previous.hash, entry))) {
      return `entry ${index} does not match the hash chain`;
    }
    this.entries.length = Math.max(0, index - chain.firstIndex);
    chain.put(index, { term, hash });
    this.entries.push(entry);
    return undefined;
  }
}

function readingOf(scan: SegmentScan, isLast: boolean): SegmentReading {
  const { records, validBytes, damage } = scan;
  const isTorn = damage === 'torn' && isLast;
  const reading = { validBytes, isTorn, lastRecord: records.at(-1) };
  if (damage === 'none' || isTorn) return reading;
  const what =
    damage === 'torn' ? 'the end of the segment is damaged or missing' : 'a record is damaged that was once whole';
  return { ...reading, problem: { offset: validBytes, what, isContradiction: false } };
}

function unread(offset: number, what: string, isContradiction: boolean): SegmentReading {
  return { problem: { offset, what, isContradiction }, validBytes: 0, isTorn: false, lastRecord: undefined };
}
