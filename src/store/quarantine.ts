/**
 * What becomes of a damaged log: its files are set aside, and a marker says until further notice that this node
 * may have lost what it promised to keep. The marker is the file `quarantined`:
 * ```
 * magic "HIVEQUAR" · u16 version · u48 term · u32 voted for · u32 length, the sentence · u32 CRC-32 of all this
 * ```
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter, concatBytes, equalBytes, fromUtf8, utf8 } from '../bytes.ts';
import type { FileSystem } from '../seam/file-system.ts';
import type { HardState } from '../seam/log-store.ts';
import { unfinishedSuffix } from './log-snapshot.ts';
import type { LogDamage } from './wal-reader.ts';

export interface QuarantineMarker {
  readonly sentence: string;
  /** The latest of which the files that were set aside tell. */
  readonly hardState: HardState;
}

export const quarantineVersion = 1;
/** The name of the marker. */
export const quarantineMarkerName = 'quarantined';
const magic = utf8('HIVEQUAR');
const crcBytes = 4;

/** What the marker says, if there is one. One that cannot be read still marks. */
export function readQuarantine(files: FileSystem, folder: string): QuarantineMarker | undefined {
  if (!files.list(folder).includes(quarantineMarkerName)) return undefined;
  const path = join(folder, quarantineMarkerName);
  return decodeMarker(files.read(path)) ?? { sentence: unreadable(path), hardState: { term: 0, votedFor: 0 } };
}

/** Returns when the marker is durable. */
export function markQuarantined(files: FileSystem, folder: string, marker: QuarantineMarker): void {
  writeWhole(files, join(folder, quarantineMarkerName), encodeMarker(marker));
  files.syncFolder(folder);
}

/** Returns when the marker is gone for good. */
export function liftQuarantine(files: FileSystem, folder: string): void {
  files.remove(join(folder, quarantineMarkerName));
  files.syncFolder(folder);
}

/**
 * Moves damaged files into a folder of their own, and puts the sound beginning of the first one in its place. The
 * marker comes before, and the last segment first: so a process that dies on the way leaves a log whose damage is
 * still there to be found.
 *
 * @returns the name of the folder
 */
export function setAside(files: FileSystem, folder: string, { names, remainder, sequence }: LogDamage): string {
  const name = `quarantine-${sequence.toString(16).padStart(8, '0')}`;
  const aside = join(folder, name);
  files.makeFolder(aside);
  for (const moved of names) {
    if (moved === remainder?.name) writeUnfinished(files, join(folder, moved), remainder.bytes);
    files.rename(join(folder, moved), join(aside, moved));
    files.syncFolder(aside);
    files.syncFolder(folder);
  }
  if (remainder !== undefined) {
    const path = join(folder, remainder.name);
    files.rename(path + unfinishedSuffix, path);
    files.syncFolder(folder);
  }
  return name;
}

function writeWhole(files: FileSystem, path: string, bytes: Uint8Array): void {
  writeUnfinished(files, path, bytes);
  files.rename(path + unfinishedSuffix, path);
}

function writeUnfinished(files: FileSystem, path: string, bytes: Uint8Array): void {
  const file = files.create(path + unfinishedSuffix);
  try {
    file.write(bytes, 0);
    file.sync();
  } finally {
    file.close();
  }
}

function encodeMarker({ sentence, hardState }: QuarantineMarker): Uint8Array {
  const fields = new ByteWriter().raw(magic).u16(quarantineVersion).u48(hardState.term).u32(hardState.votedFor);
  const covered = fields.blob(utf8(sentence)).finish();
  return concatBytes(covered, new ByteWriter().u32(crc32(covered)).finish());
}

function decodeMarker(bytes: Uint8Array): QuarantineMarker | undefined {
  const reader = new ByteReader(bytes);
  const isOurs = equalBytes(reader.raw(magic.length), magic) && reader.u16() === quarantineVersion;
  const hardState = { term: reader.u48(), votedFor: reader.u32() };
  const sentence = fromUtf8(reader.blob());
  const covered = bytes.subarray(0, Math.max(0, bytes.length - crcBytes));
  if (!isOurs || reader.u32() !== crc32(covered) || !reader.done || sentence === undefined) return undefined;
  return { sentence, hardState };
}

function unreadable(path: string): string {
  return `The event log was damaged once, and ${path}, which told how, cannot be read.`;
}
