import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
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
  let onTold = (): void => {};
  const wasTold = new Promise<void>((resolve) => {
    onTold = resolve;
  });
  const remembering = async (): Promise<void> => {
    await folder.remember(bytes, (isFull) => {
      told.push(isFull);
      onTold();
    });
    isRemembered = true;
  };
  // The wait itself keeps no process alive.
  const alive = setTimeout(() => {}, 20_000);
  t.after(() => clearTimeout(alive));
  const remembered = remembering();
  await Promise.race([wasTold, remembered]);
  assert.deepEqual(told, [true]);
  assert(!isRemembered, 'it waits');
  rmSync(filler);
  await remembered;
  assert.deepEqual(told, [true, false]);
  assert.deepEqual((await readSnapshot(path)).bytes, new Uint8Array(bytes));
});
