/**
 * Reads the folder of a write-ahead log: finds the newest snapshot, the segments that go on from there, and what
 * is damaged. It changes nothing.
 */
import { join } from 'node:path';
import { equalBytes } from '../bytes.ts';
import { HivemindError } from '../error.ts';
import type { LogIndex, Term } from '../identity.ts';
import type { FileSystem } from '../seam/file-system.ts';
import { chainStart, type HardState, type LogEntry, type LogSnapshot } from '../seam/log-store.ts';
import { LogChain } from './log-chain.ts';
import { decodeLogSnapshot, indexOfLogSnapshot, logSnapshotNames, logSnapshotVersion } from './log-snapshot.ts';
import {
  decodeSegmentHeader,
  type SegmentHeader,
  salvageRecords,
  segmentHeaderBytes,
  walVersion,
} from './wal-record.ts';
import { laterHardState, type SegmentProblem, type SegmentReading, WalReplay } from './wal-replay.ts';

/** A segment on disk. */
export interface SegmentFile {
  readonly name: string;
  readonly sequence: number;
  readonly firstIndex: LogIndex;
}

/** The last segment of a log, to which the next record goes. */
export interface OpenSegment {
  readonly validBytes: number;
  /** The length of the file, with the room behind the records. */
  readonly fileBytes: number;
  readonly isTorn: boolean;
  readonly lastRecord: { readonly offset: number; readonly bytes: Uint8Array } | undefined;
}

/** What cannot be trusted, and what of it can. */
export interface LogDamage {
  /** What is wrong and where, as a sentence without its end. */
  readonly what: string;
  /** The segment at which it begins; 0 for a snapshot. */
  readonly sequence: number;
  /** The damaged files and all segments behind them, the last one first. */
  readonly names: readonly string[];
  /** The sound beginning of the first segment among them, if it has one. */
  readonly remainder?: { readonly name: string; readonly bytes: Uint8Array };
  /** The latest of which any record tells, those in `names` included. */
  readonly hardState: HardState;
}

export interface SoundLog {
  readonly kind: 'sound';
  readonly hardState: HardState;
  readonly snapshot?: LogSnapshot;
  readonly entries: readonly LogEntry[];
  readonly chain: LogChain;
  /** Those whose entries are in `entries`, in order. */
  readonly segments: readonly SegmentFile[];
  /** The last of them. */
  readonly open: OpenSegment | undefined;
  /** What the next segment is called. */
  readonly nextSequence: number;
  /** Files that nothing needs any more. */
  readonly obsolete: readonly string[];
  readonly repairs: readonly string[];
}

export type LogReading = SoundLog | { readonly kind: 'damaged'; readonly damage: LogDamage };

const segmentName = /^wal-([0-9a-f]{8,12})-([0-9a-f]{16})\.log$/;

/** Sequence before index, because an index comes again when entries are replaced. */
export function segmentFileName(sequence: number, firstIndex: LogIndex): string {
  return `wal-${sequence.toString(16).padStart(8, '0')}-${firstIndex.toString(16).padStart(16, '0')}.log`;
}

export function isSegmentName(name: string): boolean {
  return segmentName.test(name);
}

/**
 * A last record that is not whole, with nothing valid behind it, is a torn write and not damage: at most one
 * record is ever on its way to the disk.
 *
 * @throws HivemindError `data-format` for files of another version
 */
export function readLog(files: FileSystem, folder: string): LogReading {
  const names = files.list(folder);
  const snapshots = readSnapshots(files, folder, logSnapshotNames(names));
  const segments = names.filter(isSegmentName).map((name) => readHeader(files, folder, name));
  return new LogReader(files, folder, snapshots, segments).read();
}

// — snapshots —

interface Snapshots {
  readonly newest: LogSnapshot | undefined;
  /** Newer ones that cannot be read. */
  readonly damaged: readonly { readonly name: string; readonly what: string }[];
}

function readSnapshots(files: FileSystem, folder: string, names: readonly string[]): Snapshots {
  const damaged: { name: string; what: string }[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const reading = decodeLogSnapshot(files.read(path));
    if (reading.kind === 'other-version') throw otherVersion(path, reading.version, logSnapshotVersion);
    if (reading.kind === 'snapshot') return { newest: reading.snapshot, damaged };
    damaged.push({ name, what: `${path} is damaged at byte ${reading.offset}` });
  }
  return { newest: undefined, damaged };
}

// — segments —

interface HeadedSegment {
  readonly name: string;
  /** Nothing when it is damaged. */
  readonly header: SegmentHeader | undefined;
}

function readHeader(files: FileSystem, folder: string, name: string): HeadedSegment {
  const path = join(folder, name);
  const reading = decodeSegmentHeader(files.read(path, segmentHeaderBytes));
  if (reading.kind === 'other-version') throw otherVersion(path, reading.version, walVersion);
  return { name, header: reading.kind === 'header' ? reading.header : undefined };
}

function otherVersion(path: string, found: number, known: number): HivemindError {
  const sentence = `${path} has format version ${found}, and this program reads ${known}; `;
  return new HivemindError('data-format', `${sentence}start the version of hivemind that wrote it.`);
}

/** Where the entries that are not in a snapshot begin. */
interface Anchor {
  readonly index: LogIndex;
  readonly term: Term;
  readonly chain: Uint8Array;
}

class LogReader {
  private readonly files: FileSystem;
  private readonly folder: string;
  private readonly snapshots: Snapshots;
  private readonly segments: readonly HeadedSegment[];
  private readonly anchor: Anchor;
  /** The last segment that suffices with the snapshot: damage before it costs nothing. -1 without one. */
  private readonly sufficient: number;
  private replay = new WalReplay();
  /** The segments from here on have been played. */
  private from = 0;
  private last: PlayedSegment | undefined;
  private readonly repairs: string[] = [];

  constructor(files: FileSystem, folder: string, snapshots: Snapshots, segments: readonly HeadedSegment[]) {
    this.files = files;
    this.folder = folder;
    this.snapshots = snapshots;
    this.segments = segments;
    this.anchor = snapshots.newest ?? { index: 0, term: 0, chain: chainStart };
    const last = [...segments].reverse().findIndex((segment) => this.suffices(segment));
    this.sufficient = last < 0 ? -1 : segments.length - 1 - last;
  }

  read(): LogReading {
    const damage = this.damageFrom(this.playAll() ?? this.snapshotMismatch());
    if (damage !== undefined) return { kind: 'damaged', damage };
    // Where a leader's snapshot was on its way to replace the log, and the process died, it stands alone.
    const goesOn = this.goesOn();
    const kept = this.segments.slice(goesOn ? this.from : this.segments.length);
    const outdated = this.segments.slice(0, this.segments.length - kept.length).map(({ name }) => name);
    const { newest, damaged } = this.snapshots;
    for (const { what } of damaged) this.repairs.push(`${what}; went back to the one before it, and removed it.`);
    return {
      kind: 'sound',
      hardState: this.replay.hardState,
      ...(newest !== undefined && { snapshot: newest }),
      entries: goesOn ? this.replay.entries : [],
      chain: goesOn ? this.replay.chain : chainFrom(this.anchor),
      segments: kept.map(({ name, header }) => ({ ...(header as SegmentHeader), name })),
      open: kept.length > 0 ? this.openSegment() : undefined,
      nextSequence: sequenceOf(this.segments.at(-1)?.name ?? '') + 1,
      obsolete: [...outdated, ...damaged.map(({ name }) => name)],
      repairs: this.repairs,
    };
  }

  private suffices({ header }: HeadedSegment): boolean {
    return header !== undefined && header.firstIndex <= this.anchor.index + 1;
  }

  /** Plays the segments up to the first damage that matters. */
  private playAll(): Damaged | undefined {
    for (let position = 0; position < this.segments.length; position++) {
      const problem = this.playOne(position);
      if (problem === undefined) continue;
      // A segment that contradicts those before it can stand for itself, if it suffices.
      const next = problem.isContradiction ? position : position + 1;
      if (next > this.sufficient) return this.damagedAt(position, problem);
      this.startOver(next, problem);
      position = next - 1;
    }
    return undefined;
  }

  private playOne(position: number): SegmentProblem | undefined {
    const { name, header } = this.segments[position] as HeadedSegment;
    this.last = undefined;
    if (header === undefined) {
      return { offset: 0, what: 'the header of the segment is damaged', isContradiction: false };
    }
    if (position === 0 && this.sufficient < 0) {
      const [before, after] = [header.firstIndex - 1, this.anchor.index + 1];
      return { offset: 0, what: `entries ${after} to ${before}, before it, are missing`, isContradiction: true };
    }
    const bytes = this.files.read(join(this.folder, name));
    const reading = this.replay.play(header, bytes, position === this.segments.length - 1);
    this.last = { reading, bytes };
    return reading.problem;
  }

  private startOver(position: number, { what }: SegmentProblem): void {
    const { hardState } = this.replay;
    this.replay = new WalReplay();
    this.replay.hardState = hardState;
    this.from = position;
    const count = `${position} ${position === 1 ? 'segment' : 'segments'}`;
    this.repairs.push(`Removed ${count} of the event log that the snapshot made needless: ${what}.`);
  }

  private damagedAt(position: number, problem: SegmentProblem): Damaged {
    const { name } = this.segments[position] as HeadedSegment;
    const what = `${join(this.folder, name)} is damaged at byte ${problem.offset}: ${problem.what}`;
    const validBytes = this.last?.reading.validBytes ?? 0;
    const bytes = this.last?.bytes.subarray(0, validBytes);
    return { position, what, ...(bytes !== undefined && validBytes > 0 && { remainder: { name, bytes } }) };
  }

  /** The same entry under another hash: one of the two is not what was written. */
  private snapshotMismatch(): Damaged | undefined {
    const { index, term } = this.anchor;
    const link = this.replay.chain.at(index);
    if (this.segments.length === 0 || link === undefined || this.goesOn()) return undefined;
    if (link.term !== undefined && link.term !== term) return undefined;
    const what = `The hash chain of the event log in ${this.folder} is not that of its snapshot at entry ${index}`;
    return { position: 0, what };
  }

  /** Whether the log holds the very entry at which the snapshot was taken. */
  private goesOn(): boolean {
    const link = this.replay.chain.at(this.anchor.index);
    return link !== undefined && equalBytes(link.hash, this.anchor.chain);
  }

  /** The last one, which was played, or its damage would have been told before. */
  private openSegment(): OpenSegment {
    const { bytes, reading } = this.last as PlayedSegment;
    const { validBytes, isTorn, lastRecord } = reading;
    const record = lastRecord && { offset: lastRecord.offset, bytes: bytes.subarray(lastRecord.offset, validBytes) };
    if (isTorn) this.repairs.push(tornSentence((this.segments.at(-1) as HeadedSegment).name, validBytes));
    return { validBytes, fileBytes: bytes.length, isTorn, lastRecord: record };
  }

  // — damage —

  private damageFrom(damaged: Damaged | undefined): LogDamage | undefined {
    const lost = this.lostWithSnapshot();
    const what = lost ?? damaged?.what;
    if (what === undefined) return undefined;
    const position = damaged?.position ?? this.segments.length;
    const aside = this.segments.slice(position).reverse();
    const snapshots = lost === undefined ? [] : this.snapshots.damaged;
    return {
      what,
      sequence: sequenceOf(this.segments[position]?.name ?? ''),
      names: [...aside, ...snapshots].map(({ name }) => name),
      ...(damaged?.remainder !== undefined && { remainder: damaged.remainder }),
      // Term and vote were promised to others, wherever they stand.
      hardState: aside.flatMap((segment) => this.hardStatesIn(segment)).reduce(laterHardState, this.replay.hardState),
    };
  }

  /** Says so when the log does not hold what a damaged snapshot stood for. */
  private lostWithSnapshot(): string | undefined {
    const [newest] = this.snapshots.damaged;
    if (newest === undefined) return undefined;
    const isMade = this.goesOn() && this.replay.chain.lastIndex >= indexOfLogSnapshot(newest.name);
    return isMade ? undefined : `${newest.what}, and the log does not reach back to an older one`;
  }

  private hardStatesIn({ name, header }: HeadedSegment): readonly HardState[] {
    const bytes = this.files.read(join(this.folder, name));
    const records = salvageRecords(bytes, sequenceOf(name), segmentHeaderBytes);
    const items = records.flatMap((record) => record.items);
    const found = items.flatMap((item) => (item.kind === 'hard-state' ? [item.hardState] : []));
    return header === undefined ? found : [header.hardState, ...found];
  }
}

interface PlayedSegment {
  readonly reading: SegmentReading;
  readonly bytes: Uint8Array;
}

interface Damaged {
  /** Of the first segment that is set aside. */
  readonly position: number;
  readonly what: string;
  readonly remainder?: { readonly name: string; readonly bytes: Uint8Array };
}

function tornSentence(name: string, validBytes: number): string {
  const why = 'the last record is not whole, as a crash in the middle of a write leaves it';
  return `Cut off ${name} at byte ${validBytes}: ${why}.`;
}

function sequenceOf(name: string): number {
  return Number.parseInt(segmentName.exec(name)?.[1] ?? '0', 16);
}

function chainFrom({ index, term, chain }: Anchor): LogChain {
  const made = new LogChain();
  made.restart(index, { term, hash: chain });
  return made;
}
