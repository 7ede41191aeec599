/** The secret keys of a node, in a file that only its owner may read. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ByteReader, concatBytes } from '../bytes.ts';
import { seedBytes } from '../crypto.ts';
import { HivemindError } from '../error.ts';
import type { Random } from '../seam/random.ts';
import { makeFolder } from './folder.ts';
import { createRecordFile, type RecordFileKind, readRecordFile } from './record-file.ts';

/** What all of a node's keys follow from; who has them is the node. */
export interface NodeSeeds {
  /** Ed25519: its public key is the node's identity. */
  readonly signingSeed: Uint8Array;
  /** X25519: for the keys between two members. */
  readonly exchangeSeed: Uint8Array;
}

const keyFile: RecordFileKind = { magic: 'HIVEKEY\0', version: 1, noun: 'the key file of a node' };
/** Permission bits of group and others. */
const strangersMode = 0o077;

/**
 * Draws keys and stores them with mode 0600, together with the folder if that is missing.
 *
 * @throws HivemindError `already-initialised` when there are keys: they are never overwritten; `disk-failed`
 */
export async function createKeys(path: string, random: Random): Promise<NodeSeeds> {
  const seeds = { signingSeed: random.bytes(seedBytes), exchangeSeed: random.bytes(seedBytes) };
  makeFolder(dirname(path));
  await createRecordFile(path, keyFile, concatBytes(seeds.signingSeed, seeds.exchangeSeed));
  return seeds;
}

/**
 * The stored keys, or nothing when there are none yet.
 *
 * @throws HivemindError `key-invalid` when others may read the file; `data-format`, `data-corrupt`, `disk-failed`
 */
export async function loadKeys(path: string): Promise<NodeSeeds | undefined> {
  await refuseSharedFile(path);
  const body = await readRecordFile(path, keyFile);
  if (body === undefined) return undefined;
  const reader = new ByteReader(body);
  const seeds = { signingSeed: reader.raw(seedBytes), exchangeSeed: reader.raw(seedBytes) };
  if (!reader.done) throw new HivemindError('key-invalid', `${path} does not hold two keys; restore it from a copy.`);
  return seeds;
}

async function refuseSharedFile(path: string): Promise<void> {
  // Where there is nothing to look at, reading says why.
  const mode = await stat(path).then(
    (found) => found.mode,
    () => 0,
  );
  if ((mode & strangersMode) === 0) return;
  throw new HivemindError('key-invalid', `${path} can be used by other users; run: chmod 600 ${path}`);
}
