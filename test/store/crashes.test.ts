/** The log on simulated files: crashes at every step, and every way in which a disk breaks its word. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StoredLog } from '../../src/seam/log-store.ts';
import { type Random, seededRandom } from '../../src/seam/random.ts';
import { PowerFailure, SimFileSystem } from '../../src/sim/sim-file-system.ts';
import { DiskFull } from '../../src/store/disk-failure.ts';
import { saveLogSnapshot } from '../../src/store/log-snapshot.ts';
import { segmentHeaderBytes } from '../../src/store/wal-record.ts';
import { removeFiles, WalWriter } from '../../src/store/wal-writer.ts';
import { entriesFrom, entryAt, inWords, logStoreConformance } from '../conformance/log-store.ts';
import { inShort, type LogAction, type LogImage, LogModel } from './log-model.ts';
import { failsWith } from './refusal.ts';
import { storeInThisThread } from './store-in-this-thread.ts';

const folder = '/log';
const seeds = 300;
const actionsMax = 25;

function writerOn(files: SimFileSystem): WalWriter {
  return new WalWriter({ files, folder, segmentBytesMax: 4_000, spareBytes: 1_000 });
}

function imageOf({ hardState, snapshot, entries }: StoredLog): LogImage {
  const snapshotIndex = snapshot?.index ?? 0;
  return { hardState, snapshotIndex, entries: inShort(entries.filter(({ index }) => index > snapshotIndex)) };
}

function perform(files: SimFileSystem, writer: WalWriter, { write, compact }: LogAction): void {
  if (write !== undefined) writer.write(write);
  if (compact === undefined) return;
  saveLogSnapshot(files, folder, compact.snapshot);
  removeFiles(files, folder, writer.forgetBelow(compact.keepFrom));
}

/** Whether it was done before the power failed. */
function outlives(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (thrown) {
    if (thrown instanceof PowerFailure) return false;
    throw thrown;
  }
}

/** A log after some actions without a fault, closed; `ever` takes all entries, those that were replaced as well. */
function writtenLog(files: SimFileSystem, random: Random, ever: Set<string> = new Set()): LogModel {
  let model = new LogModel();
  const writer = writerOn(files);
  writer.load();
  for (let action = 0; action < actionsMax; action++) {
    const drawn = model.draw(random);
    perform(files, writer, drawn);
    model = model.after(drawn).at(-1) as LogModel;
    for (const entry of inShort(drawn.write?.entries ?? [])) ever.add(entry);
  }
  writer.close();
  return model;
}

logStoreConformance('the write-ahead log on simulated files', async () => {
  const files = new SimFileSystem(seededRandom(1));
  const open = () => storeInThisThread({ files, folder, segmentBytesMax: 1_000, spareBytes: 600 });
  return { store: open(), reopen: async () => open(), dispose: async () => {} };
});

describe('a power failure', () => {
  it(`loses nothing that was acknowledged, whenever it comes (${seeds} seeds, HM-7)`, () => {
    for (let seed = 1; seed <= seeds; seed++) surviveCrashes(seed);
  });

  it('while the log is opened loses nothing either', () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const random = seededRandom(seed);
      const files = new SimFileSystem(random);
      const image = writtenLog(files, random).image();
      for (let changes = 0; changes < 4; changes++) {
        files.failPowerAfter(changes);
        outlives(() => writerOn(files).load());
        files.crash();
      }
      assert.deepEqual(imageOf(writerOn(files).load()), image, `seed ${seed}`);
    }
  });
});

describe('segments that nothing needs', () => {
  it('go in their order, and leave no gap when the power fails', () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const random = seededRandom(seed);
      const files = new SimFileSystem(random);
      writtenLog(files, random);
      const segments = files.list(folder).filter((name) => name.endsWith('.log'));
      files.failPowerAfter(random.below(2 * segments.length + 1));
      outlives(() => removeFiles(files, folder, segments));
      files.crash();
      const left = files.list(folder).filter((name) => name.endsWith('.log'));
      assert.deepEqual(left, segments.slice(segments.length - left.length), `seed ${seed}`);
    }
  });
});

function surviveCrashes(seed: number): void {
  const random = seededRandom(seed);
  const files = new SimFileSystem(random);
  let model = new LogModel();
  let writer = writerOn(files);
  writer.load();
  for (let action = 0; action < actionsMax; action++) {
    const drawn = model.draw(random);
    const stages = model.after(drawn);
    if (random.next() < 0.4) files.failPowerAfter(random.below(14));
    if (outlives(() => perform(files, writer, drawn))) model = stages.at(-1) as LogModel;
    else {
      files.crash();
      writer = writerOn(files);
      const log = writer.load();
      assert.equal(log.damage, undefined, `seed ${seed}, action ${action}`);
      const image = imageOf(log);
      const found = [...stages].reverse().find((stage) => isSame(stage.image(), image));
      if (found === undefined) assert.deepEqual(image, model.image(), `seed ${seed}, action ${action}`);
      model = found ?? model;
    }
    files.failPowerAfter(Number.POSITIVE_INFINITY);
  }
}

function isSame(a: LogImage, b: LogImage): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

describe('a bit that rots', () => {
  it(`is found, whatever it was part of, and nothing false is told (${seeds} seeds)`, () => {
    let quarantines = 0;
    for (let seed = 1; seed <= seeds; seed++) if (surviveRot(seed)) quarantines++;
    assert(quarantines > seeds / 4, `${quarantines}`);
  });
});

/** Gives whether something was lost. */
function surviveRot(seed: number): boolean {
  const random = seededRandom(seed);
  const files = new SimFileSystem(random);
  const ever = new Set<string>();
  const model = writtenLog(files, random, ever);
  const names = files.list(folder);
  const path = `${folder}/${names[random.below(names.length)]}`;
  const offset = random.below(files.read(path).length);
  files.rot(path, offset, random.below(8));
  const where = `seed ${seed}, byte ${offset} of ${path}`;
  const first = writerOn(files);
  const log = first.load();
  first.close();
  if (log.damage === undefined) {
    // From an older snapshot the same is reached by more entries.
    const entries = log.entries.filter(({ index }) => index > model.snapshotIndex);
    assert.deepEqual([log.hardState, inShort(entries)], [model.hardState, inShort(model.entries)], where);
    return false;
  }
  assert.match(log.damage, /damaged|is not that of its snapshot/, where);
  const { hardState, entries } = imageOf(log);
  assert(
    entries.every((entry) => ever.has(entry)),
    where,
  );
  assert(hardState.term <= model.hardState.term, where);
  const second = writerOn(files);
  const again = second.load();
  assert.deepEqual([again.damage, imageOf(again)], [log.damage, imageOf(log)], where);
  second.write({ entries: [entryAt((again.entries.at(-1)?.index ?? again.snapshot?.index ?? 0) + 1, 999)] });
  second.healed();
  second.close();
  const healed = writerOn(files).load();
  assert.deepEqual([healed.damage, healed.entries.length], [undefined, again.entries.length + 1], where);
  return true;
}

describe('a sync that fails', () => {
  it('ends the log, and costs nothing that was acknowledged before', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const files = new SimFileSystem(seededRandom(seed));
      const writer = writerOn(files);
      writer.load();
      writer.write({ entries: entriesFrom(1, 3, 1) });
      files.failNextSync();
      assert.throws(() => writer.write({ entries: entriesFrom(4, 1, 1) }), failsWith('disk-failed', /EIO/));
      assert.throws(() => writer.write({ entries: entriesFrom(4, 1, 1) }), failsWith('disk-failed', /EIO/));
      files.crash();
      const log = writerOn(files).load();
      assert.deepEqual(inWords(log.entries).slice(0, 3), inWords(entriesFrom(1, 3, 1)));
      assert.equal(log.damage, undefined);
    }
  });

  it('does not fool the next process, which finds the record in the memory of the kernel', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const files = new SimFileSystem(seededRandom(seed));
      const writer = writerOn(files);
      writer.load();
      writer.write({ entries: entriesFrom(1, 1, 1) });
      files.failNextSync();
      assert.throws(() => writer.write({ entries: entriesFrom(2, 1, 1) }), /EIO|disk/);
      const promised = writerOn(files).load();
      files.crash();
      assert.deepEqual(inWords(writerOn(files).load().entries), inWords(promised.entries), `seed ${seed}`);
    }
  });

  it('of a snapshot leaves the old one and the log', () => {
    const files = new SimFileSystem(seededRandom(1));
    const model = writtenLog(files, seededRandom(3));
    files.failNextSync();
    const snapshot = {
      index: 1,
      term: 1,
      chain: new Uint8Array(32),
      configuration: new Uint8Array(0),
      state: Buffer.from('x'),
    };
    assert.throws(() => saveLogSnapshot(files, folder, snapshot), /EIO/);
    files.crash();
    assert.deepEqual(imageOf(writerOn(files).load()), model.image());
  });
});

describe('a full disk', () => {
  it('refuses a write and leaves the log as it was; the same write succeeds when there is room', () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const random = seededRandom(seed);
      const files = new SimFileSystem(random);
      let model = new LogModel();
      const writer = writerOn(files);
      writer.load();
      for (let action = 0; action < actionsMax; action++) {
        const drawn = model.draw(random);
        const { usedBytes } = files;
        files.capacityBytes = usedBytes + random.below(1_200);
        try {
          perform(files, writer, drawn);
        } catch (thrown) {
          assert(thrown instanceof DiskFull || /ENOSPC/.test(String(thrown)), String(thrown));
          const isPlain = drawn.write !== undefined && drawn.write.snapshot === undefined;
          if (isPlain) assert(files.usedBytes <= usedBytes + segmentHeaderBytes, 'what did not fit is gone');
          files.capacityBytes = Number.POSITIVE_INFINITY;
          perform(files, writer, drawn);
        }
        model = model.after(drawn).at(-1) as LogModel;
      }
      files.crash();
      assert.deepEqual(imageOf(writerOn(files).load()), model.image(), `seed ${seed}`);
    }
  });
});
