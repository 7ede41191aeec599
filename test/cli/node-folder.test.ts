import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NodeFolder } from '../../cli/agent/node-folder.ts';
import { readSnapshot } from '../../src/store/snapshot-file.ts';
import { tinyDisk } from '../store/tiny-disk.ts';

test('what a node has to remember waits for room while the disk is full, and ends no process', async (t) => {
  const path = await tinyDisk(t);
  if (path === undefined) return;
  const folder = new NodeFolder(path);
  const filler = join(path, 'filler');
  assert.throws(() => writeFileSync(filler, Buffer.alloc(300_000)), /ENOSPC/);
  const bytes = Buffer.alloc(50_000, 7);
  let isRemembered = false;
  const told: boolean[] = [];
  const remembered = folder
    .remember(bytes, (isFull) => told.push(isFull))
    .then(() => {
      isRemembered = true;
    });
  await sleep(300);
  assert(!isRemembered, 'it waits');
  rmSync(filler);
  // The wait itself keeps no process alive.
  const alive = setTimeout(() => {}, 20_000);
  await remembered;
  clearTimeout(alive);
  assert.deepEqual(told, [true, false]);
  assert.deepEqual((await readSnapshot(path)).bytes, new Uint8Array(bytes));
});
