/** The write-ahead log as files, by synchronous calls: it belongs into a thread of its own. */
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { assert } from '../assert.ts';
import {
  chainHash,
  chainStart,
  type HardState,
  type LogEntry,
  type LogWrite,
  type StoredLog,
} from '../seam/log-store.ts';
import { diskFailure } from './disk-failure.ts';
import { makeFolder, syncFolder } from './folder.ts';
import { type FolderLock, lockFolder } from './folder-lock.ts';
import { type OpenSegment, readSegments, segmentFileName } from './wal-reader.ts';
import { encodeRecord, encodeSegmentHeader, entryBatches, segmentHeaderBytes, type WalItem } from './wal-record.ts';

const unfinishedSuffix = '.unfinished';

interface Segment {
  readonly descriptor: number;
  readonly sequence: number;
  bytes: number;
}

/** Every method throws HivemindError `disk-failed` when the file system does not do what it was asked. */
export class WalWriter {
  private readonly folder: string;
  private readonly segmentBytesMax: number;
  private hardState: HardState = { term: 0, votedFor: 0 };
  /** The chain hash of each entry. */
  private hashes: Uint8Array[] = [];
  private segment: Segment | undefined;
  private lock: FolderLock | undefined;

  constructor(folder: string, segmentBytesMax: number) {
    this.folder = folder;
    this.segmentBytesMax = segmentBytesMax;
  }

  /** @throws HivemindError `refused` (in use), `data-corrupt`, `data-format`, `disk-failed` */
  load(): StoredLog {
    return this.guarded(() => {
      makeFolder(this.folder);
      this.lock = lockFolder(this.folder);
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
      let hardState = write.hardState;
      for (const entries of entryBatches(write.entries)) {
        if (hardState !== undefined || entries.length > 0) this.append(hardState, entries);
        hardState = undefined;
      }
    });
  }

  close(): void {
    this.guarded(() => {
      if (this.segment !== undefined) closeSync(this.segment.descriptor);
      this.segment = undefined;
      this.lock?.release();
      this.lock = undefined;
    });
  }

  private open(): StoredLog {
    for (const name of readdirSync(this.folder)) {
      if (name.endsWith(unfinishedSuffix)) rmSync(join(this.folder, name));
    }
    const { hardState, entries, hashes, last } = readSegments(this.folder);
    this.hardState = hardState;
    this.hashes = [...hashes];
    if (last !== undefined) this.reopen(last);
    syncFolder(this.folder);
    return { hardState, entries, repairs: last === undefined ? [] : repairsOf(last) };
  }

  /**
   * What was read may be in the kernel's memory only: 1. the last process wrote a record; 2. it was killed before
   * its fdatasync, or that one failed, after which Linux calls the pages clean; 3. this process reads the record
   * and promises it to others; 4. the power fails and it is gone. So the last record is written again and synced.
   */
  private reopen(last: OpenSegment): void {
    const descriptor = openSync(last.path, 'r+');
    this.segment = { descriptor, sequence: last.sequence, bytes: last.validBytes };
    if (last.tornBytes > 0) ftruncateSync(descriptor, last.validBytes);
    if (last.lastRecord !== undefined) writeAll(descriptor, last.lastRecord.bytes, last.lastRecord.offset);
    fsyncSync(descriptor);
  }

  private append(hardState: HardState | undefined, entries: readonly LogEntry[]): void {
    if (this.segment === undefined || this.segment.bytes >= this.segmentBytesMax) this.beginSegment();
    const segment = this.segment as Segment;
    const items: WalItem[] = hardState === undefined ? [] : [{ kind: 'hard-state', hardState }];
    this.hardState = hardState ?? this.hardState;
    for (const entry of entries) items.push({ kind: 'entry', entry, hash: this.extendChain(entry) });
    const record = encodeRecord(items);
    writeAll(segment.descriptor, record, segment.bytes);
    fdatasyncSync(segment.descriptor);
    segment.bytes += record.length;
  }

  private extendChain(entry: LogEntry): Uint8Array {
    assert(entry.index >= 1 && entry.index <= this.hashes.length + 1, 'entries are written without a gap');
    this.hashes.length = entry.index - 1;
    const hash = chainHash(this.hashes.at(-1) ?? chainStart, entry);
    this.hashes.push(hash);
    return hash;
  }

  /** Under another name until its header is durable, so that a segment is never without one. */
  private beginSegment(): void {
    const sequence = (this.segment?.sequence ?? 0) + 1;
    const firstIndex = this.hashes.length + 1;
    const path = join(this.folder, segmentFileName(sequence, firstIndex));
    const previousHash = this.hashes.at(-1) ?? chainStart;
    const descriptor = openSync(path + unfinishedSuffix, 'w', 0o600);
    writeAll(descriptor, encodeSegmentHeader({ sequence, firstIndex, previousHash, hardState: this.hardState }), 0);
    fsyncSync(descriptor);
    renameSync(path + unfinishedSuffix, path);
    syncFolder(this.folder);
    if (this.segment !== undefined) closeSync(this.segment.descriptor);
    this.segment = { descriptor, sequence, bytes: segmentHeaderBytes };
  }

  private guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      throw diskFailure(this.folder, thrown);
    }
  }
}

function repairsOf(last: OpenSegment): readonly string[] {
  if (last.tornBytes === 0) return [];
  return [
    `Cut off ${last.tornBytes} bytes at byte ${last.validBytes} of ${basename(last.path)}: ` +
      'the last record is not whole, as a crash in the middle of a write leaves it.',
  ];
}

function writeAll(descriptor: number, bytes: Uint8Array, offset: number): void {
  let written = 0;
  while (written < bytes.length) {
    written += writeSync(descriptor, bytes, written, bytes.length - written, offset + written);
  }
}
