/** Reads the segments of a write-ahead log and holds them against each other. It changes nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unreachable } from '../assert.ts';
import { equalBytes } from '../bytes.ts';
import { HivemindError } from '../error.ts';
import type { LogIndex } from '../identity.ts';
import { chainHash, chainStart, type HardState, type LogEntry } from '../seam/log-store.ts';
import { decodeSegmentHeader, type SegmentHeader, scanRecords, type WalItem, walVersion } from './wal-record.ts';

/** The last segment of a log, to which the next record goes. */
export interface OpenSegment {
  readonly path: string;
  readonly sequence: number;
  readonly validBytes: number;
  /** Bytes of a record that was cut off, behind the valid ones. */
  readonly tornBytes: number;
  readonly lastRecord: { readonly offset: number; readonly bytes: Uint8Array } | undefined;
}

export interface LogReading {
  readonly hardState: HardState;
  readonly entries: readonly LogEntry[];
  /** The chain hash of each entry. */
  readonly hashes: readonly Uint8Array[];
  /** Nothing when the log has never been written. */
  readonly last: OpenSegment | undefined;
}

const segmentName = /^wal-([0-9a-f]{8})-([0-9a-f]{16})\.log$/;

/** Sequence before index, because an index comes again when entries are replaced. */
export function segmentFileName(sequence: number, firstIndex: LogIndex): string {
  return `wal-${sequence.toString(16).padStart(8, '0')}-${firstIndex.toString(16).padStart(16, '0')}.log`;
}

/**
 * Reads all. A last record that is not whole, with nothing valid behind it, is a torn write and not damage: at
 * most one record is ever on its way to the disk. That a bit of it rotted later looks the same.
 *
 * @throws HivemindError `data-corrupt` or `data-format` for everything else
 */
export function readSegments(folder: string): LogReading {
  const names = readdirSync(folder).filter((name) => segmentName.test(name));
  const replay = new Replay();
  let last: OpenSegment | undefined;
  names.sort().forEach((name, position) => {
    last = readSegment(join(folder, name), position + 1, position === names.length - 1, replay);
  });
  return { hardState: replay.hardState, entries: replay.entries, hashes: replay.hashes, last };
}

/** The log as the segments read so far tell it. */
class Replay {
  hardState: HardState = { term: 0, votedFor: 0 };
  readonly entries: LogEntry[] = [];
  readonly hashes: Uint8Array[] = [];

  /** Nothing, or what is wrong with the item. */
  apply(item: WalItem): string | undefined {
    switch (item.kind) {
      case 'hard-state':
        this.hardState = item.hardState;
        return undefined;
      case 'entry':
        return this.append(item.entry, item.hash);
      default:
        return unreachable(item);
    }
  }

  /** Nothing, or what in the header contradicts the segments before. */
  contradiction(header: SegmentHeader): string | undefined {
    const { term, votedFor } = header.hardState;
    if (header.firstIndex !== this.entries.length + 1) return `it begins with entry ${header.firstIndex}`;
    if (!equalBytes(header.previousHash, this.hashes.at(-1) ?? chainStart)) return 'its hash chain is another one';
    const agrees = term === this.hardState.term && votedFor === this.hardState.votedFor;
    return agrees ? undefined : `it tells of term ${term} and a vote for ${votedFor}`;
  }

  private append(entry: LogEntry, hash: Uint8Array): string | undefined {
    if (entry.index < 1 || entry.index > this.entries.length + 1) {
      return `entry ${entry.index} follows entry ${this.entries.length}`;
    }
    this.entries.length = entry.index - 1;
    this.hashes.length = entry.index - 1;
    if (!equalBytes(hash, chainHash(this.hashes.at(-1) ?? chainStart, entry))) {
      return `entry ${entry.index} does not match the hash chain`;
    }
    this.entries.push(entry);
    this.hashes.push(hash);
    return undefined;
  }
}

function readSegment(path: string, sequence: number, isLast: boolean, replay: Replay): OpenSegment {
  const bytes = readFileSync(path);
  const header = readHeader(path, bytes);
  if (header.sequence !== sequence) throw corrupt(path, 0, `segment ${sequence} of the log, before it, is missing`);
  const contradiction = replay.contradiction(header);
  if (contradiction !== undefined) throw corrupt(path, 0, `${contradiction}, unlike the segments before`);
  const { records, validBytes, damage } = scanRecords(bytes);
  for (const record of records) {
    for (const item of record.items) {
      const problem = replay.apply(item);
      if (problem !== undefined) throw corrupt(path, record.offset, problem);
    }
  }
  if (damage === 'corrupt') throw corrupt(path, validBytes, 'a record is damaged that was once whole');
  if (damage === 'torn' && !isLast) throw corrupt(path, validBytes, 'the end of the segment is damaged or missing');
  const lastOffset = records.at(-1)?.offset;
  const lastRecord =
    lastOffset === undefined ? undefined : { offset: lastOffset, bytes: bytes.subarray(lastOffset, validBytes) };
  return { path, sequence, validBytes, tornBytes: bytes.length - validBytes, lastRecord };
}

function readHeader(path: string, segment: Uint8Array): SegmentHeader {
  const reading = decodeSegmentHeader(segment);
  switch (reading.kind) {
    case 'header':
      return reading.header;
    case 'foreign':
      throw new HivemindError(
        'data-format',
        `${path} does not begin like a segment of an event log (byte 0); move it out of this folder.`,
      );
    case 'other-version':
      throw new HivemindError(
        'data-format',
        `${path} has format version ${reading.version} (byte 8), and this program reads ${walVersion}; ` +
          'start the version of hivemind that wrote it.',
      );
    case 'damaged':
      throw corrupt(path, 0, 'the header of the segment is damaged');
    default:
      return unreachable(reading);
  }
}

function corrupt(path: string, offset: number, problem: string): HivemindError {
  return new HivemindError(
    'data-corrupt',
    `${path} is damaged at byte ${offset}: ${problem}. Nothing was changed; ` +
      'move the folder away and let this control node get the log from the others, or restore it from a copy.',
  );
}
