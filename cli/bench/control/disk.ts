/** What the disk below the nodes' folders can do: no log is faster than it. */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { HivemindError } from '../../../src/error.ts';
import { spreadOf } from '../figure.ts';

/** File systems in memory, by the number that statfs(2) gives: tmpfs and ramfs. */
const inMemory: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);
const probes = 200;
const probeBytes = 512;

/** @throws HivemindError `refused` where an fsync costs nothing */
export async function checkDisk(folder: string): Promise<void> {
  const { type } = await statfs(folder);
  if (!inMemory.has(type)) return;
  throw new HivemindError(
    'refused',
    `${folder} is in memory, where an fsync is free; set TMPDIR to a folder on a disk.`,
  );
}

/** The median time that one append and its fdatasync take, one after the other. */
export function fdatasyncMs(folder: string): number {
  const descriptor = openSync(join(folder, 'probe'), 'w', 0o600);
  const times: number[] = [];
  const bytes = Buffer.alloc(probeBytes, 1);
  try {
    for (let probe = 0; probe < probes; probe++) {
      const beganAt = performance.now();
      writeSync(descriptor, bytes);
      fdatasyncSync(descriptor);
      times.push(performance.now() - beganAt);
    }
  } finally {
    closeSync(descriptor);
  }
  return spreadOf(times)?.median ?? 0;
}
