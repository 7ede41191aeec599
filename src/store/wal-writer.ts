/** The write-ahead log as files, by synchronous calls: it belongs into a thread of its own. */
import { join } from 'node:path';
import { assert } from '../assert.ts';
import { concatBytes, equalBytes } from '../bytes.ts';
import { HivemindError } from '../error.ts';
import type { LogIndex } from '../identity.ts';
import type { FileSystem, FolderLock, OpenFile } from '../seam/file-system.ts';
import {
  chainHash,
  type HardState,
  type LogEntry,
  type LogSnapshot,
  type LogWrite,
  type StoredLog,
} from '../seam/log-store.ts';
import { DiskFull, diskFailure, isDiskFull } from './disk-failure.ts';
import { type ChainLink, LogChain } from './log-chain.ts';
import { saveLogSnapshot, unfinishedSuffix } from './log-snapshot.ts';
import { liftQuarantine, markQuarantined, readQuarantine, setAside } from './quarantine.ts';
import { type OpenSegment, readLog, type SegmentFile, type SoundLog, segmentFileName } from './wal-reader.ts';
import { encodeRecord, encodeSegmentHeader, entryBatches, segmentHeaderBytes, type WalItem } from './wal-record.ts';
import { laterHardState } from './wal-replay.ts';

/** A segment that reaches this size is the last one no more. */
export const segmentBytesDefault: number = 4 * 1024 * 1024;
/** How far ahead a segment is filled with zeros. */
export const spareBytesDefault: number = 256 * 1024;
/** Each time something is set aside, and what is left is read again. */
const quarantinesMax = 1_000;

export interface WalWriterOptions {
  readonly files: FileSystem;
  readonly folder: string;
  /** Bytes after which a new segment is begun; 4 MiB by default. One record may pass it. */
  readonly segmentBytesMax?: number;
  /** Bytes of zeros that are written ahead of the records; 256 KiB by default. */
  readonly spareBytes?: number;
}

interface CurrentSegment {
  readonly file: OpenFile;
  readonly sequence: number;
  /** Where the next record goes. */
  bytes: number;
  /** How long the file is. */
  fileBytes: number;
}

/**
 * Every method throws HivemindError `disk-failed` when the file system does not do what it was asked; from then on
 * nobody knows what is on disk, and every later call throws the same. A `DiskFull` is none of these: the log is
 * as it was, and the same may be tried again.
 */
export class WalWriter {
  private readonly files: FileSystem;
  private readonly folder: string;
  private readonly segmentBytesMax: number;
  private readonly spareBytes: number;
  private hardState: HardState = { term: 0, votedFor: 0 };
  private chain = new LogChain();
  private segments: SegmentFile[] = [];
  private current: CurrentSegment | undefined;
  private nextSequence = 1;
  private lock: FolderLock | undefined;
  private failure: unknown;

  constructor(options: WalWriterOptions) {
    this.files = options.files;
    this.folder = options.folder;
    this.segmentBytesMax = options.segmentBytesMax ?? segmentBytesDefault;
    this.spareBytes = options.spareBytes ?? spareBytesDefault;
  }

  /** @throws HivemindError `refused` (in use), `data-format`, `disk-failed` */
  load(): StoredLog {
    return this.guarded(() => {
      this.files.makeFolder(this.folder);
      this.lock = this.files.lock(this.folder);
      try {
        return this.open();
      } catch (thrown) {
        this.close();
        throw thrown;
      }
    });
  }

  /** Returns when all is durable. */
  write(write: LogWrite): void {
    this.guarded(() => {
      let { hardState } = write;
      if (write.snapshot !== undefined) {
        if (hardState !== undefined) this.append(hardState, []);
        hardState = undefined;
        this.install(write.snapshot);
      }
      for (const entries of entryBatches(write.entries)) {
        if (hardState !== undefined || entries.length > 0) this.append(hardState, entries);
        hardState = undefined;
      }
    });
  }

  /**
   * Once a durable snapshot covers all below `keepFrom`: gives the segments that hold nothing else. The log does not
   * need them any more, and whoever called removes them, the oldest first.
   */
  forgetBelow(keepFrom: LogIndex): readonly string[] {
    const firstKept = this.segments.findIndex((_, position) => {
      const next = this.segments[position + 1];
      return next === undefined || next.firstIndex > keepFrom;
    });
    this.chain.forgetBelow(keepFrom);
    return this.segments.splice(0, Math.max(0, firstKept)).map(({ name }) => name);
  }

  /** What was lost is here again: it returns when that is durable. */
  healed(): void {
    this.guarded(() => liftQuarantine(this.files, this.folder));
  }

  close(): void {
    this.current?.file.close();
    this.current = undefined;
    this.lock?.release();
    this.lock = undefined;
  }

  // — opening —

  private open(): StoredLog {
    for (const name of this.files.list(this.folder)) {
      if (name.endsWith(unfinishedSuffix)) this.files.remove(join(this.folder, name));
    }
    const log = this.readSound();
    const marker = readQuarantine(this.files, this.folder);
    const isNew = log.open === undefined && log.snapshot === undefined && marker === undefined;
    this.adopt(log, marker === undefined ? log.hardState : laterHardState(log.hardState, marker.hardState));
    const { snapshot, entries, repairs } = log;
    return {
      hardState: this.hardState,
      ...(snapshot !== undefined && { snapshot }),
      entries,
      repairs,
      ...(marker !== undefined && { damage: marker.sentence }),
      ...(isNew && { isNew }),
    };
  }

  /** What is damaged is set aside until the rest is sound. */
  private readSound(): SoundLog {
    for (let round = 0; round < quarantinesMax; round++) {
      const reading = readLog(this.files, this.folder);
      if (reading.kind === 'sound') return reading;
      const { damage } = reading;
      const marker = readQuarantine(this.files, this.folder);
      const hardState = laterHardState(damage.hardState, marker?.hardState ?? damage.hardState);
      markQuarantined(this.files, this.folder, { sentence: marker?.sentence ?? sentenceOf(damage.what), hardState });
      setAside(this.files, this.folder, damage);
    }
    throw new HivemindError('data-corrupt', `${this.folder} is damaged all over; restore it from a copy.`);
  }

  /**
   * Segments that nothing needs go last: until then they hold the only record of term and vote. A log has a segment
   * from the start, so that one that is lost is told from one that never was.
   */
  private adopt(log: SoundLog, hardState: HardState): void {
    this.hardState = log.hardState;
    this.chain = log.chain;
    this.segments = [...log.segments];
    this.nextSequence = log.nextSequence;
    this.files.syncFolder(this.folder);
    if (log.open !== undefined) this.reopen(log.open);
    const isBehind = hardState.term !== log.hardState.term || hardState.votedFor !== log.hardState.votedFor;
    if (isBehind) this.append(hardState, []);
    else if (log.open === undefined) this.beginSegment(this.chain.lastIndex + 1, this.lastHash());
    removeFiles(this.files, this.folder, log.obsolete);
  }

  /**
   * What was read may be in the kernel's memory only: 1. the last process wrote a record; 2. it was killed before
   * its fdatasync, or that one failed, after which Linux calls the pages clean; 3. this process reads the record
   * and promises it to others; 4. the power fails and it is gone. So the last record is written again and synced.
   */
  private reopen({ validBytes, fileBytes, isTorn, lastRecord }: OpenSegment): void {
    const { name, sequence } = this.segments.at(-1) as SegmentFile;
    const file = this.files.open(join(this.folder, name));
    this.current = { file, sequence, bytes: validBytes, fileBytes: isTorn ? validBytes : fileBytes };
    if (isTorn) file.truncate(validBytes);
    if (lastRecord !== undefined) file.write(lastRecord.bytes, lastRecord.offset);
    file.sync();
  }

  // — writing —

  private append(hardState: HardState | undefined, entries: readonly LogEntry[]): void {
    const segment = this.roomySegment();
    const items: WalItem[] = hardState === undefined ? [] : [{ kind: 'hard-state', hardState }];
    const links = this.linksOf(entries);
    entries.forEach((entry, position) => {
      items.push({ kind: 'entry', entry, hash: (links[position] as ChainLink).hash });
    });
    this.put(segment, encodeRecord(items, { sequence: segment.sequence, offset: segment.bytes }));
    this.hardState = hardState ?? this.hardState;
    entries.forEach(({ index }, position) => {
      this.chain.put(index, links[position] as ChainLink);
    });
  }

  private linksOf(entries: readonly LogEntry[]): readonly ChainLink[] {
    const [first] = entries;
    if (first === undefined) return [];
    let link = this.chain.at(first.index - 1);
    return entries.map((entry, position) => {
      assert(link !== undefined && entry.index === first.index + position, 'entries are written without a gap');
      link = { term: entry.term, hash: chainHash(link.hash, entry) };
      return link;
    });
  }

  private roomySegment(): CurrentSegment {
    const { current } = this;
    if (current !== undefined && current.bytes < this.segmentBytesMax) return current;
    return this.beginSegment(this.chain.lastIndex + 1, this.lastHash());
  }

  private put(segment: CurrentSegment, record: Uint8Array): void {
    const end = segment.bytes + record.length;
    const spare = end <= segment.fileBytes ? 0 : this.spareBehind(end);
    try {
      segment.file.write(spare === 0 ? record : concatBytes(record, new Uint8Array(spare)), segment.bytes);
    } catch (thrown) {
      if (isDiskFull(thrown)) this.cutBack(segment);
      throw thrown;
    }
    this.final(() => segment.file.syncData());
    segment.fileBytes = Math.max(segment.fileBytes, end + spare);
    segment.bytes = end;
  }

  private spareBehind(end: number): number {
    return Math.max(0, Math.min(this.spareBytes, this.segmentBytesMax - end));
  }

  /** Of a record that did not fit nothing stays. */
  private cutBack(segment: CurrentSegment): void {
    segment.file.truncate(segment.bytes);
    segment.fileBytes = segment.bytes;
  }

  /** Under another name until its header is durable, so that a segment is never without one. */
  private beginSegment(firstIndex: LogIndex, previousHash: Uint8Array): CurrentSegment {
    const { files, nextSequence: sequence, hardState } = this;
    const name = segmentFileName(sequence, firstIndex);
    const path = join(this.folder, name);
    const file = files.create(path + unfinishedSuffix);
    try {
      file.write(encodeSegmentHeader({ sequence, firstIndex, previousHash, hardState }), 0);
      this.final(() => file.sync());
      files.rename(path + unfinishedSuffix, path);
    } catch (thrown) {
      file.close();
      files.remove(path + unfinishedSuffix);
      throw thrown;
    }
    this.final(() => files.syncFolder(this.folder));
    this.current?.file.close();
    this.current = { file, sequence, bytes: segmentHeaderBytes, fileBytes: segmentHeaderBytes };
    this.segments.push({ name, sequence, firstIndex });
    this.nextSequence = sequence + 1;
    return this.current;
  }

  private install(snapshot: LogSnapshot): void {
    const { index, term, chain: hash } = snapshot;
    saveLogSnapshot(this.files, this.folder, snapshot);
    const link = this.chain.at(index);
    if (link === undefined || !equalBytes(link.hash, hash)) {
      this.beginSegment(index + 1, hash);
      this.chain.restart(index, { term, hash });
    }
    removeFiles(this.files, this.folder, this.forgetBelow(index + 1));
  }

  private lastHash(): Uint8Array {
    const link = this.chain.last;
    assert(link !== undefined, 'the last entry of a log is known');
    return link.hash;
  }

  // — failures —

  /** For what must not be tried again, whatever the reason. */
  private final(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.failure = diskFailure(this.folder, thrown);
      throw this.failure;
    }
  }

  private guarded<T>(work: () => T): T {
    if (this.failure !== undefined) throw this.failure;
    try {
      return work();
    } catch (thrown) {
      if (this.failure !== undefined) throw this.failure;
      if (isDiskFull(thrown)) throw new DiskFull(this.folder, thrown);
      this.failure = diskFailure(this.folder, thrown);
      throw this.failure;
    }
  }
}

/** The oldest first, each for good before the next: so a crash leaves no gap between two. */
export function removeFiles(files: FileSystem, folder: string, names: readonly string[]): void {
  for (const name of names) {
    files.remove(join(folder, name));
    files.syncFolder(folder);
  }
}

function sentenceOf(what: string): string {
  return (
    `${what}. What cannot be trusted was set aside; ` +
    'this control node does not vote until it has got it back from the others.'
  );
}
