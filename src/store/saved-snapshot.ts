/**
 * A snapshot of a cluster as a file to be kept elsewhere: what `hivemind snapshot save` writes. All integers are
 * big-endian.
 * ```
 * magic "HIVESAVE" · u16 version · u48 time · u32 length, the genesis · u32 CRC-32 of all this
 * a snapshot as beside the event log (log-snapshot.ts), to the end
 * ```
 */
import { readFile, stat } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter, concatBytes, equalBytes, utf8 } from '../bytes.ts';
import { HivemindError } from '../error.ts';
import type { WallMs } from '../identity.ts';
import { systemCode } from '../seam/file-system.ts';
import type { LogSnapshot } from '../seam/log-store.ts';
import { createFileAtomically } from './atomic-file.ts';
import { diskFailure } from './disk-failure.ts';
import { decodeLogSnapshot, encodeLogSnapshot } from './log-snapshot.ts';

export interface SavedSnapshot {
  /** As its hash is taken; it means nothing here. At most 8,192 bytes. */
  readonly genesis: Uint8Array;
  readonly savedAt: WallMs;
  readonly snapshot: LogSnapshot;
}

export const savedSnapshotVersion = 1;
/** A state of 256 MiB, the most that control nodes send each other, and what stands around it. */
export const savedSnapshotBytesMax: number = 257 * 1_024 * 1_024;
const magic = utf8('HIVESAVE');
const genesisBytesMax = 8_192;

/** @throws HivemindError `already-initialised` when the file exists: none is ever overwritten; `disk-failed` */
export async function writeSavedSnapshot(path: string, saved: SavedSnapshot): Promise<void> {
  await createFileAtomically(path, encodeSavedSnapshot(saved));
}

/** @throws HivemindError `not-found`, `data-format`, `data-corrupt`, `disk-failed` */
export async function readSavedSnapshot(path: string): Promise<SavedSnapshot> {
  const saved = decodeSavedSnapshot(await readBounded(path));
  if (saved === 'foreign') {
    throw new HivemindError('data-format', `${path} is no saved snapshot; name a file that \`snapshot save\` wrote.`);
  }
  if (saved === 'other-version') {
    const sentence = `${path} was saved by another version of hivemind; use that one.`;
    throw new HivemindError('data-format', sentence);
  }
  if (saved === 'damaged') throw new HivemindError('data-corrupt', `${path} is damaged; use another copy of it.`);
  return saved;
}

export function encodeSavedSnapshot({ genesis, savedAt, snapshot }: SavedSnapshot): Uint8Array {
  const fields = new ByteWriter().raw(magic).u16(savedSnapshotVersion).u48(savedAt);
  const covered = fields.blob(genesis).finish();
  return concatBytes(covered, new ByteWriter().u32(crc32(covered)).finish(), ...encodeLogSnapshot(snapshot));
}

export function decodeSavedSnapshot(bytes: Uint8Array): SavedSnapshot | 'foreign' | 'other-version' | 'damaged' {
  const reader = new ByteReader(bytes);
  if (!equalBytes(reader.raw(magic.length), magic)) return 'foreign';
  if (reader.u16() !== savedSnapshotVersion) return 'other-version';
  const savedAt = reader.u48();
  const length = reader.u32();
  const genesis = reader.raw(Math.min(length, genesisBytesMax));
  const coveredBytes = magic.length + 2 + 6 + 4 + genesis.length;
  if (reader.u32() !== crc32(bytes.subarray(0, coveredBytes))) return 'damaged';
  const reading = decodeLogSnapshot(bytes.subarray(coveredBytes + 4));
  if (reading.kind === 'other-version') return 'other-version';
  if (reading.kind === 'damaged') return 'damaged';
  return { genesis, savedAt, snapshot: reading.snapshot };
}

async function readBounded(path: string): Promise<Uint8Array> {
  const { size } = await stat(path).catch((thrown: unknown) => unreadable(path, thrown));
  if (size > savedSnapshotBytesMax) {
    throw new HivemindError('data-format', `${path} is larger than any saved snapshot; name the right file.`);
  }
  return await readFile(path).catch((thrown: unknown) => unreadable(path, thrown));
}

function unreadable(path: string, thrown: unknown): never {
  if (systemCode(thrown) === 'ENOENT') throw new HivemindError('not-found', `There is no file ${path}.`);
  throw diskFailure(path, thrown);
}
