/** A saved snapshot as a file: it is written once, and whatever else is given for one is refused with its reason. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { utf8 } from '../../src/bytes.ts';
import { chainStart, type LogSnapshot } from '../../src/seam/log-store.ts';
import {
  encodeSavedSnapshot,
  readSavedSnapshot,
  savedSnapshotBytesMax,
  writeSavedSnapshot,
} from '../../src/store/saved-snapshot.ts';
import { failsWith } from './refusal.ts';
import { tinyDisk } from './tiny-disk.ts';

const snapshot: LogSnapshot = { index: 7, term: 2, chain: chainStart, configuration: utf8('c'), state: utf8('state') };
const saved = { genesis: utf8('a genesis'), savedAt: 1_767_312_000_000, snapshot };

describe('the file of a saved snapshot', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hivemind-saved-'));
  after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'kept');

  test('is read as it was written, and never overwritten', async () => {
    await writeSavedSnapshot(path, saved);
    assert.equal((await readSavedSnapshot(path)).snapshot.index, 7);
    await assert.rejects(writeSavedSnapshot(path, saved), failsWith('already-initialised', /exists already/));
  });

  test('of another version, or damaged, is refused with what to do', async () => {
    const bytes = encodeSavedSnapshot(saved);
    const later = Uint8Array.from(bytes);
    later[9] = 9;
    writeFileSync(join(folder, 'later'), later);
    await assert.rejects(readSavedSnapshot(join(folder, 'later')), failsWith('data-format', /another version/));
    writeFileSync(join(folder, 'cut'), bytes.subarray(0, -1));
    await assert.rejects(readSavedSnapshot(join(folder, 'cut')), failsWith('data-corrupt', /another copy/));
  });

  test('that is none, none at all, a folder, or larger than any is refused', async () => {
    writeFileSync(join(folder, 'other'), 'something else');
    await assert.rejects(readSavedSnapshot(join(folder, 'other')), failsWith('data-format', /no saved snapshot/));
    await assert.rejects(readSavedSnapshot(join(folder, 'absent')), failsWith('not-found', /There is no file/));
    await assert.rejects(readSavedSnapshot(folder), failsWith('disk-failed', /EISDIR/));
    truncateSync(join(folder, 'other'), savedSnapshotBytesMax + 1);
    await assert.rejects(readSavedSnapshot(join(folder, 'other')), failsWith('data-format', /larger than any/));
  });

  test('that finds no room leaves nothing behind', async (t) => {
    const disk = await tinyDisk(t);
    if (disk === undefined) return;
    const large = { ...saved, snapshot: { ...snapshot, state: new Uint8Array(400_000) } };
    await assert.rejects(writeSavedSnapshot(join(disk, 'kept'), large), failsWith('disk-failed', /no space is left/));
    await assert.rejects(readSavedSnapshot(join(disk, 'kept')), failsWith('not-found', /There is no file/));
  });
});
