/**
 * The bytes of the write-ahead log, without any file: segments, records, and what damage means. All integers
 * are big-endian.
 *
 * A **segment** is a header, records, and zeros: room that was made ahead, so that a write changes no length and
 * its fdatasync is cheap. The header repeats what the segments before it amount to, so that they can be checked
 * against it, and dropped one day:
 * ```
 * magic "HIVEWAL\0" · u16 version · u48 sequence · u48 first index · 32 bytes hash of the entry before
 *   · u48 term · u32 voted for · u32 CRC-32 of all this
 * ```
 * A **record** is what one fdatasync makes durable, so it is there as a whole or not at all:
 * ```
 * u32 2^31 + 2^30 + length of the payload, 1 … 16 MiB · u32 CRC-32 of place and payload · payload · u8 255
 *   the payload: one item after another
 *   hard state  u8 1 · u48 term · u32 voted for
 *   entry       u8 2 · u48 index · u48 term · u8 kind · 32 bytes chain hash · u32 length, the entry's payload
 * ```
 * The place, which is not written, is u48 sequence of the segment · u48 offset in it: so a record counts only
 * where it was put, and no entry's payload can pose as one. Nothing says "truncate": an entry at or below the
 * last index replaces that one and all after it. A record neither begins nor ends in a zero, so that a sector of it
 * that was never written shows, and so does where the last one ends, whatever its length says. Two bits of its first
 * byte are always set: one that turns does not make it look like one that was never written.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../assert.ts';
import { ByteReader, ByteWriter, concatBytes, equalBytes, utf8 } from '../bytes.ts';
import { hashBytes } from '../crypto.ts';
import type { LogIndex } from '../identity.ts';
import { entryKinds, type HardState, type LogEntry } from '../seam/log-store.ts';

/** Later versions keep the length of the header, its magic, and its CRC-32. */
export const walVersion = 4;
export const segmentHeaderBytes = 68;
/** A record's payload. One write that is larger becomes several records, each synced before the next. */
export const recordBytesMax: number = 16 * 1024 * 1024;

const magic = utf8('HIVEWAL\0');
const crcBytes = 4;
const recordHeadBytes = 8;
const lengthMark = 0xc000_0000;
const endMark = 0xff;
const endMarkBytes = 1;
const placeBytes = 12;
const entryHeadBytes: number = 1 + 6 + 6 + 1 + hashBytes + 4;
const hardStateBytes = 1 + 6 + 4;
/** What a disk writes as a whole or not at all. */
const sectorBytes = 512;
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
  | { readonly kind: 'other-version'; readonly version: number }
  | { readonly kind: 'damaged' };

export function decodeSegmentHeader(segment: Uint8Array): HeaderReading {
  const covered = segment.subarray(0, segmentHeaderBytes - crcBytes);
  const reader = new ByteReader(segment.subarray(0, segmentHeaderBytes));
  const hasMagic = equalBytes(reader.raw(magic.length), magic);
  const version = reader.u16();
  const [sequence, firstIndex, previousHash] = [reader.u48(), reader.u48(), reader.raw(hashBytes)];
  const hardState = { term: reader.u48(), votedFor: reader.u32() };
  if (!hasMagic || reader.u32() !== crc32(covered) || !reader.done) return { kind: 'damaged' };
  if (version !== walVersion) return { kind: 'other-version', version };
  return { kind: 'header', header: { sequence, firstIndex, previousHash, hardState } };
}

export type WalItem =
  | { readonly kind: 'hard-state'; readonly hardState: HardState }
  | { readonly kind: 'entry'; readonly entry: LogEntry; readonly hash: Uint8Array };

/** Where a record begins: in which segment, at which byte. */
export interface RecordPlace {
  readonly sequence: number;
  readonly offset: number;
}

/** @param items at least one; the caller splits what would pass `recordBytesMax`, see `entryBatches` */
export function encodeRecord(items: readonly WalItem[], place: RecordPlace): Uint8Array {
  const payloadBytes = items.reduce((sum, item) => sum + itemBytes(item), 0);
  assert(payloadBytes > 0 && payloadBytes <= recordBytesMax, 'a record of the log holds 1 byte to 16 MiB');
  const record = Buffer.allocUnsafe(recordHeadBytes + payloadBytes + endMarkBytes);
  let at = recordHeadBytes;
  for (const item of items) at = putItem(record, at, item);
  record.writeUInt8(endMark, at);
  record.writeUInt32BE(lengthMark + payloadBytes, 0);
  record.writeUInt32BE(checksum(record.subarray(recordHeadBytes, at), place), crcBytes);
  return record;
}

function checksum(payload: Uint8Array, { sequence, offset }: RecordPlace): number {
  const place = Buffer.allocUnsafe(placeBytes);
  place.writeUIntBE(offset, place.writeUIntBE(sequence, 0, 6), 6);
  return crc32(payload, crc32(place));
}

function itemBytes(item: WalItem): number {
  return item.kind === 'hard-state' ? hardStateBytes : entryHeadBytes + item.entry.payload.length;
}

/** By hand, and not by a ByteWriter: it is done for every entry. */
function putItem(record: Buffer, from: number, item: WalItem): number {
  if (item.kind === 'hard-state') {
    const at = record.writeUIntBE(item.hardState.term, record.writeUInt8(itemNumber.hardState, from), 6);
    return record.writeUInt32BE(item.hardState.votedFor, at);
  }
  const { index, term, kind, payload } = item.entry;
  let at = record.writeUIntBE(index, record.writeUInt8(itemNumber.entry, from), 6);
  at = record.writeUInt8(entryKinds.indexOf(kind), record.writeUIntBE(term, at, 6));
  record.set(item.hash, at);
  at = record.writeUInt32BE(payload.length, at + hashBytes);
  record.set(payload, at);
  return at + payload.length;
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
   * What is wrong there. `torn`: nothing valid follows and a sector is missing, as after a crash in the middle of
   * a write. `corrupt`: a later record is valid, or this one is nonsense under a right checksum, or every sector
   * of it is there: so it was whole once.
   */
  readonly damage: 'none' | 'torn' | 'corrupt';
}

/** Reads the records behind the header of a segment. */
export function scanRecords(segment: Uint8Array, sequence: number): SegmentScan {
  const bytes = Buffer.from(segment.buffer, segment.byteOffset, segment.length);
  const records: WalRecord[] = [];
  let offset = segmentHeaderBytes;
  while (offset < bytes.length) {
    const payload = payloadAt(bytes, { sequence, offset });
    if (payload === undefined) return { records, validBytes: offset, damage: damageAt(bytes, { sequence, offset }) };
    const items = decodeItems(payload);
    if (items === undefined) return { records, validBytes: offset, damage: 'corrupt' };
    records.push({ offset, items });
    offset += recordHeadBytes + payload.length + endMarkBytes;
  }
  return { records, validBytes: offset, damage: 'none' };
}

/** Every record that can still be read from `fromOffset` on, whatever lies between them. */
export function salvageRecords(segment: Uint8Array, sequence: number, fromOffset: number): readonly WalRecord[] {
  const bytes = Buffer.from(segment.buffer, segment.byteOffset, segment.length);
  const records: WalRecord[] = [];
  let offset = nextRecordAt(bytes, { sequence, offset: fromOffset });
  while (offset !== undefined) {
    const payload = payloadAt(bytes, { sequence, offset }) as Buffer;
    records.push({ offset, items: decodeItems(payload) ?? [] });
    offset = nextRecordAt(bytes, { sequence, offset: offset + recordHeadBytes + payload.length + endMarkBytes });
  }
  return records;
}

function payloadAt(bytes: Buffer, place: RecordPlace): Buffer | undefined {
  const payloadOffset = place.offset + recordHeadBytes;
  if (payloadOffset >= bytes.length) return undefined;
  const length = bytes.readUInt32BE(place.offset) - lengthMark;
  if (length <= 0 || length > recordBytesMax || bytes[payloadOffset + length] !== endMark) return undefined;
  const payload = bytes.subarray(payloadOffset, payloadOffset + length);
  return checksum(payload, place) === bytes.readUInt32BE(place.offset + crcBytes) ? payload : undefined;
}

function damageAt(bytes: Buffer, place: RecordPlace): SegmentScan['damage'] {
  const { sequence, offset } = place;
  if (isZero(bytes.subarray(offset))) return 'none';
  if (nextRecordAt(bytes, { sequence, offset: offset + 1 }) !== undefined) return 'corrupt';
  return lacksSector(bytes, offset) && !wasWhole(bytes, place) ? 'torn' : 'corrupt';
}

/**
 * Nothing but zeros follows the last record, so its end mark shows where it ended when its length turned bad. A length
 * that a sector had for itself, and that was never written, is no bad one.
 */
function wasWhole(bytes: Buffer, place: RecordPlace): boolean {
  if (isZero(bytes.subarray(place.offset, sectorEnd(place.offset)))) return false;
  const end = bytes.findLastIndex((byte) => byte !== 0);
  const payloadOffset = place.offset + recordHeadBytes;
  if (end <= payloadOffset) return false;
  return checksum(bytes.subarray(payloadOffset, end), place) === bytes.readUInt32BE(place.offset + crcBytes);
}

/**
 * What was never written is behind the end of the file, or the zeros that were there before. A record that has
 * a whole sector of zeros of its own counts as torn, too: there is no telling.
 */
function lacksSector(bytes: Buffer, offset: number): boolean {
  if (offset + recordHeadBytes > bytes.length) return true;
  const end = offset + recordHeadBytes + (bytes.readUInt32BE(offset) & ~lengthMark) + endMarkBytes;
  if (end > bytes.length) return true;
  for (let from = offset; from < end; ) {
    const to = Math.min(sectorEnd(from), end);
    if (isZero(bytes.subarray(from, to))) return true;
    from = to;
  }
  return false;
}

function sectorEnd(offset: number): number {
  return offset - (offset % sectorBytes) + sectorBytes;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** The length of a broken record cannot be trusted, so a later one may begin at any byte. */
function nextRecordAt(bytes: Buffer, { sequence, offset: from }: RecordPlace): number | undefined {
  for (let offset = from; offset + recordHeadBytes < bytes.length; offset++) {
    const kind = bytes[offset + recordHeadBytes];
    const begins = kind === itemNumber.hardState || kind === itemNumber.entry;
    if (begins && payloadAt(bytes, { sequence, offset }) !== undefined) return offset;
  }
  return undefined;
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
