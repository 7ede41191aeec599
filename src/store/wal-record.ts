/**
 * The bytes of the write-ahead log, without any file: segments, records, and what damage means. All integers
 * are big-endian.
 *
 * A **segment** is a header and records. Its header repeats what the segments before it amount to, so that they
 * can be checked against it, and dropped one day:
 * ```
 * magic "HIVEWAL\0" · u16 version · u48 sequence · u48 first index · 32 bytes hash of the entry before
 *   · u48 term · u32 voted for · u32 CRC-32 of all this
 * ```
 * A **record** is what one fdatasync makes durable, so it is there as a whole or not at all:
 * ```
 * u32 length of the payload, 1 … 16 MiB · u32 CRC-32 of the payload · payload: one item after another
 *   hard state  u8 1 · u48 term · u32 voted for
 *   entry       u8 2 · u48 index · u48 term · u8 kind · 32 bytes chain hash · u32 length, the entry's payload
 * ```
 * Nothing says "truncate": an entry at or below the last index replaces that one and all after it.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../assert.ts';
import { ByteReader, ByteWriter, concatBytes, equalBytes, utf8 } from '../bytes.ts';
import { hashBytes } from '../crypto.ts';
import type { LogIndex } from '../identity.ts';
import { entryKinds, type HardState, type LogEntry } from '../seam/log-store.ts';

export const walVersion = 1;
export const segmentHeaderBytes = 68;
/** A record's payload. One write that is larger becomes several records, each synced before the next. */
export const recordBytesMax: number = 16 * 1024 * 1024;

const magic = utf8('HIVEWAL\0');
const crcBytes = 4;
const recordHeadBytes = 8;
const entryHeadBytes: number = 1 + 6 + 6 + 1 + hashBytes + 4;
const hardStateBytes = 1 + 6 + 4;
/** The largest payload of one entry, so that it fits into a record beside a hard state. */
export const entryPayloadBytesMax: number = recordBytesMax - entryHeadBytes - hardStateBytes;

/** Numbers on disk; retired ones stay listed. */
const itemNumber = { hardState: 1, entry: 2 } as const;

export interface SegmentHeader {
  /** Counts the segments of a log, from 1. */
  readonly sequence: number;
  /** The index that the next new entry had when this segment was begun. */
  readonly firstIndex: LogIndex;
  /** The chain hash of the entry before it. */
  readonly previousHash: Uint8Array;
  readonly hardState: HardState;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const fields = new ByteWriter().raw(magic).u16(walVersion).u48(header.sequence).u48(header.firstIndex);
  fields.raw(header.previousHash).u48(header.hardState.term).u32(header.hardState.votedFor);
  const covered = fields.finish();
  return concatBytes(covered, new ByteWriter().u32(crc32(covered)).finish());
}

export type HeaderReading =
  | { readonly kind: 'header'; readonly header: SegmentHeader }
  | { readonly kind: 'foreign' }
  | { readonly kind: 'other-version'; readonly version: number }
  | { readonly kind: 'damaged' };

export function decodeSegmentHeader(segment: Uint8Array): HeaderReading {
  const covered = segment.subarray(0, segmentHeaderBytes - crcBytes);
  const reader = new ByteReader(segment.subarray(0, segmentHeaderBytes));
  if (!equalBytes(reader.raw(magic.length), magic)) return { kind: 'foreign' };
  const version = reader.u16();
  if (version !== walVersion) return { kind: 'other-version', version };
  const [sequence, firstIndex, previousHash] = [reader.u48(), reader.u48(), reader.raw(hashBytes)];
  const hardState = { term: reader.u48(), votedFor: reader.u32() };
  if (reader.u32() !== crc32(covered) || !reader.done) return { kind: 'damaged' };
  return { kind: 'header', header: { sequence, firstIndex, previousHash, hardState } };
}

export type WalItem =
  | { readonly kind: 'hard-state'; readonly hardState: HardState }
  | { readonly kind: 'entry'; readonly entry: LogEntry; readonly hash: Uint8Array };

/** @param items at least one; the caller splits what would pass `recordBytesMax`, see `entryBatches` */
export function encodeRecord(items: readonly WalItem[]): Uint8Array {
  const payload = concatBytes(...items.map(encodeItem));
  assert(payload.length > 0 && payload.length <= recordBytesMax, 'a record of the log holds 1 byte to 16 MiB');
  return concatBytes(new ByteWriter().u32(payload.length).u32(crc32(payload)).finish(), payload);
}

function encodeItem(item: WalItem): Uint8Array {
  if (item.kind === 'hard-state') {
    return new ByteWriter().u8(itemNumber.hardState).u48(item.hardState.term).u32(item.hardState.votedFor).finish();
  }
  const { index, term, kind, payload } = item.entry;
  const head = new ByteWriter().u8(itemNumber.entry).u48(index).u48(term).u8(entryKinds.indexOf(kind));
  return head.raw(item.hash).blob(payload).finish();
}

/** Splits entries so that each batch fits into one record, with room for a hard state; at least one batch. */
export function entryBatches(entries: readonly LogEntry[]): readonly (readonly LogEntry[])[] {
  let batch: LogEntry[] = [];
  let batchBytes = hardStateBytes;
  const batches = [batch];
  for (const entry of entries) {
    assert(entry.payload.length <= entryPayloadBytesMax, 'an entry of the log fits into a record');
    const entryBytes = entryHeadBytes + entry.payload.length;
    if (batchBytes + entryBytes > recordBytesMax) {
      batch = [];
      batches.push(batch);
      batchBytes = hardStateBytes;
    }
    batch.push(entry);
    batchBytes += entryBytes;
  }
  return batches;
}

export interface WalRecord {
  /** Where it begins in its segment. */
  readonly offset: number;
  readonly items: readonly WalItem[];
}

export interface SegmentScan {
  readonly records: readonly WalRecord[];
  /** Where the valid records end. */
  readonly validBytes: number;
  /**
   * What is wrong there. `torn`: nothing valid follows, as after a crash in the middle of a write. `corrupt`:
   * a later record is valid or this one is nonsense under a right checksum, so it was whole once.
   */
  readonly damage: 'none' | 'torn' | 'corrupt';
}

/** Reads the records behind the header of a segment. */
export function scanRecords(segment: Uint8Array): SegmentScan {
  const bytes = Buffer.from(segment.buffer, segment.byteOffset, segment.length);
  const records: WalRecord[] = [];
  let offset = segmentHeaderBytes;
  while (offset < bytes.length) {
    const payload = payloadAt(bytes, offset);
    if (payload === undefined) {
      return { records, validBytes: offset, damage: hasRecordAfter(bytes, offset) ? 'corrupt' : 'torn' };
    }
    const items = decodeItems(payload);
    if (items === undefined) return { records, validBytes: offset, damage: 'corrupt' };
    records.push({ offset, items });
    offset += recordHeadBytes + payload.length;
  }
  return { records, validBytes: offset, damage: 'none' };
}

function payloadAt(bytes: Buffer, offset: number): Buffer | undefined {
  const payloadOffset = offset + recordHeadBytes;
  if (payloadOffset >= bytes.length) return undefined;
  const length = bytes.readUInt32BE(offset);
  if (length === 0 || length > recordBytesMax || payloadOffset + length > bytes.length) return undefined;
  const payload = bytes.subarray(payloadOffset, payloadOffset + length);
  return crc32(payload) === bytes.readUInt32BE(offset + crcBytes) ? payload : undefined;
}

/** The length of a broken record cannot be trusted, so a later one may begin at any byte. */
function hasRecordAfter(bytes: Buffer, brokenOffset: number): boolean {
  for (let offset = brokenOffset + 1; offset + recordHeadBytes < bytes.length; offset++) {
    const kind = bytes[offset + recordHeadBytes];
    const begins = kind === itemNumber.hardState || kind === itemNumber.entry;
    if (begins && payloadAt(bytes, offset) !== undefined) return true;
  }
  return false;
}

function decodeItems(payload: Uint8Array): readonly WalItem[] | undefined {
  const reader = new ByteReader(payload);
  const items: WalItem[] = [];
  while (!reader.done) {
    const item = decodeItem(reader);
    if (item === undefined) return undefined;
    items.push(item);
  }
  return items;
}

/** A reader that ran out gives zeros, and no item has the number 0: so a cut item ends the loop above. */
function decodeItem(reader: ByteReader): WalItem | undefined {
  switch (reader.u8()) {
    case itemNumber.hardState:
      return { kind: 'hard-state', hardState: { term: reader.u48(), votedFor: reader.u32() } };
    case itemNumber.entry: {
      const [index, term, kind, hash] = [reader.u48(), reader.u48(), entryKinds[reader.u8()], reader.raw(hashBytes)];
      if (kind === undefined) return undefined;
      return { kind: 'entry', entry: { index, term, kind, payload: reader.blob() }, hash };
    }
    default:
      return undefined;
  }
}
