/** What a member remembers over a restart: opaque bytes, and never worth refusing to start for. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { HivemindError } from '../error.ts';
import { diskFailure } from './disk-failure.ts';
import { type RecordFileKind, readRecordFile, writeRecordFile } from './record-file.ts';

const snapshotFile: RecordFileKind = { magic: 'HIVESNAP', version: 1, noun: 'the snapshot of a member' };
const snapshotName = 'member.snapshot';

export interface SnapshotReading {
  /** Missing when there is no snapshot, or none that can be read. */
  readonly bytes?: Uint8Array;
  /** Says what was done about a snapshot that cannot be read. */
  readonly repair?: string;
}

/**
 * The snapshot in a folder. One that is damaged, or of another version, is moved aside and counts as missing.
 *
 * @throws HivemindError `disk-failed`
 */
export async function readSnapshot(folder: string): Promise<SnapshotReading> {
  const path = join(folder, snapshotName);
  try {
    const bytes = await readRecordFile(path, snapshotFile);
    return bytes === undefined ? {} : { bytes };
  } catch (thrown) {
    const isUnreadable =
      thrown instanceof HivemindError && (thrown.code === 'data-corrupt' || thrown.code === 'data-format');
    if (!isUnreadable) throw thrown;
    return { repair: await moveAside(path, thrown.message) };
  }
}

/**
 * The snapshot in a folder, which may be another node's, in use by it: nothing of it is changed.
 *
 * @returns nothing when there is none
 * @throws HivemindError `data-corrupt`, `data-format`, `disk-failed`
 */
export async function peekSnapshot(folder: string): Promise<Uint8Array | undefined> {
  return await readRecordFile(join(folder, snapshotName), snapshotFile);
}

/**
 * Replaces the snapshot; resolves when it is durable. Write one at a time: of two at once either may win.
 *
 * @throws HivemindError `disk-failed`
 */
export async function writeSnapshot(folder: string, bytes: Uint8Array): Promise<void> {
  await writeRecordFile(join(folder, snapshotName), snapshotFile, bytes);
}

/** Moves it aside for good: its owner does not belong any more. */
export async function retireSnapshot(folder: string): Promise<void> {
  const path = join(folder, snapshotName);
  await rename(path, `${path}.removed`).catch(() => {});
}

async function moveAside(path: string, reason: string): Promise<string> {
  const damaged = `${path}.damaged`;
  try {
    await rename(path, damaged);
  } catch (thrown) {
    throw diskFailure(path, thrown);
  }
  return `Moved an unreadable snapshot to ${damaged} and go on without it: ${reason}`;
}
