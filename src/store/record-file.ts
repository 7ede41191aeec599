/**
 * Small versioned files: one body, whole or refused.
 * ```
 * 8 bytes magic · u16 version · u32 length of the body · body · u32 CRC-32 of all before it
 * ```
 */
import { readFile, stat } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { assert } from '../assert.ts';
import { ByteReader, ByteWriter, concatBytes, equalBytes, utf8 } from '../bytes.ts';
import { HivemindError } from '../error.ts';
import { systemCode } from '../seam/file-system.ts';
import { createFileAtomically, writeFileAtomically } from './atomic-file.ts';
import { diskFailure } from './disk-failure.ts';

export const recordFileBytesMax: number = 64 * 1024 * 1024;

export interface RecordFileKind {
  /** Eight ASCII characters that no other kind of file begins with. */
  readonly magic: string;
  /** Rises whenever a body means something else. */
  readonly version: number;
  /** What the file is, for sentences: "the key of a node". */
  readonly noun: string;
}

const magicBytes = 8;
const frameBytes = 18;

/**
 * The body, or nothing when there is no such file.
 *
 * @throws HivemindError `data-format` (another kind or version), `data-corrupt`, `disk-failed`
 */
export async function readRecordFile(path: string, kind: RecordFileKind): Promise<Uint8Array | undefined> {
  const bytes = await readWhole(path, kind);
  return bytes === undefined ? undefined : decodeRecordFile(path, kind, bytes);
}

/** @throws HivemindError `disk-failed` */
export async function writeRecordFile(path: string, kind: RecordFileKind, body: Uint8Array): Promise<void> {
  await writeFileAtomically(path, encodeRecordFile(kind, body));
}

/** @throws HivemindError `already-initialised` when the file exists; `disk-failed` */
export async function createRecordFile(path: string, kind: RecordFileKind, body: Uint8Array): Promise<void> {
  await createFileAtomically(path, encodeRecordFile(kind, body));
}

function encodeRecordFile(kind: RecordFileKind, body: Uint8Array): Uint8Array {
  assert(body.length + frameBytes <= recordFileBytesMax, 'what goes into a small file is at most 64 MiB');
  const magic = utf8(kind.magic);
  assert(magic.length === magicBytes, 'the magic of a file is eight bytes');
  const covered = new ByteWriter().raw(magic).u16(kind.version).blob(body).finish();
  return concatBytes(covered, new ByteWriter().u32(crc32(covered)).finish());
}

function decodeRecordFile(path: string, kind: RecordFileKind, bytes: Uint8Array): Uint8Array {
  const reader = new ByteReader(bytes);
  if (!equalBytes(reader.raw(magicBytes), utf8(kind.magic))) throw foreign(path, kind);
  const version = reader.u16();
  if (version !== kind.version) {
    throw new HivemindError(
      'data-format',
      `${path} has format version ${version}, and this program reads ${kind.version}; ` +
        'start the version of hivemind that wrote it.',
    );
  }
  const body = reader.blob();
  const covered = bytes.subarray(0, bytes.length - 4);
  if (reader.u32() !== crc32(covered) || !reader.done) {
    throw new HivemindError('data-corrupt', `${path} is damaged; restore it from a copy.`);
  }
  return body;
}

async function readWhole(path: string, kind: RecordFileKind): Promise<Uint8Array | undefined> {
  try {
    const { size } = await stat(path);
    if (size > recordFileBytesMax) throw foreign(path, kind);
    return await readFile(path);
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw diskFailure(path, thrown);
  }
}

function foreign(path: string, kind: RecordFileKind): HivemindError {
  return new HivemindError('data-format', `${path} is not ${kind.noun}; move it away and put the right file there.`);
}
