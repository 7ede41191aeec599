/** Files that are there as a whole or not at all, whatever happens meanwhile. */
import { randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HivemindError } from '../error.ts';
import { systemCode } from '../seam/file-system.ts';
import { DiskFull, diskFailure, isDiskFull } from './disk-failure.ts';

/**
 * Puts a file in the place of the old one, if there is one; resolves when it is durable.
 *
 * @param mode permissions, less what the umask forbids; by default only the owner reads and writes it
 * @throws HivemindError `disk-failed`, a `DiskFull` where there is no room; the old file is whole then, or the new one
 */
export async function writeFileAtomically(path: string, bytes: Uint8Array, mode: number = 0o600): Promise<void> {
  await throughTemporary(path, bytes, mode, (temporary) => rename(temporary, path));
}

/**
 * The same for a file that must not be there yet: unlike a rename, a link never replaces what is there.
 *
 * @throws HivemindError `already-initialised` when it is; `disk-failed`
 */
export async function createFileAtomically(path: string, bytes: Uint8Array, mode: number = 0o600): Promise<void> {
  await throughTemporary(path, bytes, mode, (temporary) => link(temporary, path));
}

async function throughTemporary(
  path: string,
  bytes: Uint8Array,
  mode: number,
  publish: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.unfinished`;
  try {
    await writeDurably(temporary, bytes, mode);
    await publish(temporary);
    await syncFolderOf(path);
  } catch (thrown) {
    if (systemCode(thrown) === 'EEXIST') throw alreadyThere(path, thrown);
    throw isDiskFull(thrown) ? new DiskFull(path, thrown) : diskFailure(path, thrown);
  } finally {
    // Whatever keeps it from being removed, what was said above is what matters.
    await rm(temporary, { force: true }).catch(() => {});
  }
}

async function writeDurably(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function alreadyThere(path: string, thrown: unknown): HivemindError {
  return new HivemindError('already-initialised', `${path} exists already; move it away if it is not needed.`, thrown);
}
