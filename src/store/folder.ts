import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { diskFailure } from './disk-failure.ts';

/**
 * Makes a folder, and those above it, that only its owner may enter, and that a power failure does not take away.
 *
 * @throws HivemindError `disk-failed`
 */
export function makeFolder(path: string): void {
  try {
    makeDurably(path);
  } catch (thrown) {
    throw diskFailure(path, thrown);
  }
}

function makeDurably(path: string): void {
  const firstMade = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (firstMade === undefined) return;
  const above = dirname(resolve(firstMade));
  for (let folder = resolve(path); folder !== above; folder = dirname(folder)) syncFolder(dirname(folder));
}

/** Makes durable which files a folder has. */
export function syncFolder(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
