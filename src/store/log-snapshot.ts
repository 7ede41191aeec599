/**
 * Snapshots of the replicated state beside the event log. All integers are big-endian.
 * ```
 * magic "HIVELOGS" · u16 version · u48 index · u48 term · 32 bytes chain hash
 *   · u32 length of the configuration · u32 length of the state · u32 CRC-32 of all this
 * the configuration and behind it the state, in blocks of 64 KiB, the last one shorter:
 *   up to 65,536 bytes · u32 CRC-32 of all blocks up to here, going on from that of the header
 * ```
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter, concatBytes, equalBytes, utf8 } from '../bytes.ts';
import { hashBytes } from '../crypto.ts';
import type { LogIndex } from '../identity.ts';
import type { FileSystem } from '../seam/file-system.ts';
import type { LogSnapshot } from '../seam/log-store.ts';

/** Later versions keep the length of the header, its magic, and its CRC-32. */
export const logSnapshotVersion = 1;
/** The newest ones; an older one stands in for a damaged one when the log still reaches back to it. */
export const logSnapshotsKept = 2;
/** What its name ends in while a file is not whole; one that a crash left is removed. */
export const unfinishedSuffix = '.unfinished';

const magic = utf8('HIVELOGS');
const crcBytes = 4;
const headerBytes: number = 8 + 2 + 6 + 6 + hashBytes + 4 + 4 + crcBytes;
const blockBytes = 65_536;
const snapshotName = /^log-([0-9a-f]{16})\.snapshot$/;

export function logSnapshotFileName(index: LogIndex): string {
  return `log-${index.toString(16).padStart(16, '0')}.snapshot`;
}

/** The names of the snapshots among those of a folder, the newest first. */
export function logSnapshotNames(names: readonly string[]): readonly string[] {
  return names
    .filter((name) => snapshotName.test(name))
    .sort()
    .reverse();
}

/** As its name says; 0 when it is not one of a snapshot. */
export function indexOfLogSnapshot(name: string): LogIndex {
  return Number.parseInt(snapshotName.exec(name)?.[1] ?? '0', 16);
}

/** Returns when the snapshot is durable, and has removed all but the newest ones. */
export function saveLogSnapshot(files: FileSystem, folder: string, snapshot: LogSnapshot): void {
  const path = join(folder, logSnapshotFileName(snapshot.index));
  const file = files.create(path + unfinishedSuffix);
  try {
    let offset = 0;
    for (const part of encodeLogSnapshot(snapshot)) {
      file.write(part, offset);
      offset += part.length;
    }
    file.sync();
  } catch (thrown) {
    files.remove(path + unfinishedSuffix);
    throw thrown;
  } finally {
    file.close();
  }
  files.rename(path + unfinishedSuffix, path);
  files.syncFolder(folder);
  const outdated = logSnapshotNames(files.list(folder)).slice(logSnapshotsKept);
  for (const name of outdated) files.remove(join(folder, name));
}

/** In parts, so that a large state is not copied once more. */
export function encodeLogSnapshot(snapshot: LogSnapshot): readonly Uint8Array[] {
  const { index, term, chain, configuration, state } = snapshot;
  const fields = new ByteWriter().raw(magic).u16(logSnapshotVersion).u48(index).u48(term).raw(chain);
  const covered = fields.u32(configuration.length).u32(state.length).finish();
  let crc = crc32(covered);
  const parts = [covered, checksumOf(crc)];
  const body = configuration.length === 0 ? state : concatBytes(configuration, state);
  for (let from = 0; from < body.length; from += blockBytes) {
    const block = body.subarray(from, from + blockBytes);
    crc = crc32(block, crc);
    parts.push(block, checksumOf(crc));
  }
  return parts;
}

export type LogSnapshotReading =
  | { readonly kind: 'snapshot'; readonly snapshot: LogSnapshot }
  | { readonly kind: 'other-version'; readonly version: number }
  /** At a byte of the file. */
  | { readonly kind: 'damaged'; readonly offset: number };

export function decodeLogSnapshot(bytes: Uint8Array): LogSnapshotReading {
  const covered = bytes.subarray(0, headerBytes - crcBytes);
  const reader = new ByteReader(bytes.subarray(0, headerBytes));
  const hasMagic = equalBytes(reader.raw(magic.length), magic);
  const version = reader.u16();
  const [index, term, chain] = [reader.u48(), reader.u48(), reader.raw(hashBytes)];
  const [configurationBytes, stateBytes] = [reader.u32(), reader.u32()];
  const crc = reader.u32();
  if (!hasMagic || !reader.done || crc !== crc32(covered)) return { kind: 'damaged', offset: 0 };
  if (version !== logSnapshotVersion) return { kind: 'other-version', version };
  const body = readBody(bytes, configurationBytes + stateBytes, crc);
  if (typeof body === 'number') return { kind: 'damaged', offset: body };
  const configuration = body.subarray(0, configurationBytes);
  const state = body.subarray(configurationBytes);
  return { kind: 'snapshot', snapshot: { index, term, chain, configuration, state } };
}

/** The body without its checksums, or where it is damaged. */
function readBody(file: Uint8Array, bodyBytes: number, headerCrc: number): Uint8Array | number {
  const blocks = Math.ceil(bodyBytes / blockBytes);
  const fileBytes = headerBytes + bodyBytes + blocks * crcBytes;
  if (file.length !== fileBytes) return Math.min(file.length, fileBytes);
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.length);
  const body = new Uint8Array(bodyBytes);
  let crc = headerCrc;
  for (let from = 0; from < bodyBytes; from += blockBytes) {
    const offset = headerBytes + from + (from / blockBytes) * crcBytes;
    const block = bytes.subarray(offset, offset + Math.min(blockBytes, bodyBytes - from));
    crc = crc32(block, crc);
    if (crc !== bytes.readUInt32BE(offset + block.length)) return offset;
    body.set(block, from);
  }
  return body;
}

function checksumOf(crc: number): Uint8Array {
  return new ByteWriter().u32(crc).finish();
}
