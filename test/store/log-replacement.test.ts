/** A snapshot takes the place of a whole log, and a crash at any moment leaves the one or the other. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { concatBytes, toHex, utf8 } from '../../src/bytes.ts';
import type { LogEntry, LogSnapshot, StoredLog } from '../../src/seam/log-store.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { PowerFailure, SimFileSystem } from '../../src/sim/sim-file-system.ts';
import { peekLog, replaceLog } from '../../src/store/log-replacement.ts';
import { encodeLogSnapshot, logSnapshotNames, saveLogSnapshot } from '../../src/store/log-snapshot.ts';
import { markQuarantined } from '../../src/store/quarantine.ts';
import { decodeSavedSnapshot, encodeSavedSnapshot, type SavedSnapshot } from '../../src/store/saved-snapshot.ts';
import { WalWriter } from '../../src/store/wal-writer.ts';

const folder = '/log';
const oldState = { term: 3, votedFor: 2 };
const entries: readonly LogEntry[] = [1, 2, 3, 4, 5].map((index) => {
  return { index, term: index < 3 ? 1 : 3, kind: 'command', payload: utf8(`entry ${index}`) };
});

const snapshot: LogSnapshot = {
  index: 5_000,
  term: 2_000,
  chain: new Uint8Array(32).fill(9),
  configuration: utf8('who votes'),
  state: new Uint8Array(70_000).fill(4),
};
const hardState = { term: 2_000, votedFor: 0 };

/** A log of five entries behind an older snapshot of the second. */
function machine(seed = 1): SimFileSystem {
  const files = new SimFileSystem(seededRandom(seed));
  const writer = new WalWriter({ files, folder, spareBytes: 64 });
  writer.load();
  writer.write({ hardState: oldState, entries });
  writer.close();
  return files;
}

function load(files: SimFileSystem): StoredLog {
  const writer = new WalWriter({ files, folder });
  const stored = writer.load();
  writer.close();
  return stored;
}

function assertNew(stored: Omit<StoredLog, 'repairs'>): void {
  assert.deepEqual([stored.entries.length, stored.snapshot?.index, stored.damage], [0, snapshot.index, undefined]);
  assert.equal(toHex(stored.snapshot?.chain ?? new Uint8Array()), toHex(snapshot.chain));
  assert.deepEqual(stored.hardState, hardState);
}

describe('a log that a snapshot replaces', () => {
  test('is the snapshot alone afterwards, goes on behind it, and what it was stays in a folder beside', () => {
    const files = machine();
    const aside = replaceLog(files, folder, { hardState, snapshot });
    assert.equal(aside, '/log/before-recovery-0000000000001388');
    assertNew(peekLog(files, folder));
    const writer = new WalWriter({ files, folder });
    assertNew(writer.load());
    writer.write({ entries: [{ index: 5_001, term: 2_001, kind: 'opening', payload: new Uint8Array(0) }] });
    writer.close();
    assert.equal(load(files).entries[0]?.index, 5_001);
    const before = peekLog(files, aside ?? '');
    assert.deepEqual([before.entries.length, before.hardState], [5, oldState]);
  });

  test('is the old one or the new one whenever the power fails, and is replaced when it is tried again', () => {
    const seen = { old: 0, new: 0 };
    for (let after = 0; ; after++) {
      const files = machine(after);
      files.failPowerAfter(after);
      let isOver = false;
      try {
        replaceLog(files, folder, { hardState, snapshot });
        isOver = true;
      } catch (thrown) {
        assert(thrown instanceof PowerFailure, String(thrown));
      }
      files.crash();
      const stored = peekLog(files, folder);
      if (stored.snapshot === undefined) {
        seen.old++;
        assert.deepEqual([stored.entries.map(({ index }) => index), stored.damage], [[1, 2, 3, 4, 5], undefined]);
        assert(!isOver, 'what was said to be done is done');
      } else {
        seen.new++;
        assertNew(stored);
      }
      replaceLog(files, folder, { hardState, snapshot });
      files.crash();
      assertNew(load(files));
      if (isOver) break;
    }
    assert(seen.old > 5 && seen.new > 3, JSON.stringify(seen));
  });

  test('leaves a quarantine: what was lost is given up', () => {
    const files = machine();
    markQuarantined(files, folder, { sentence: 'Something was damaged.', hardState: { term: 7, votedFor: 1 } });
    assert.equal(peekLog(files, folder).damage, 'Something was damaged.');
    assert.deepEqual(peekLog(files, folder).hardState, { term: 7, votedFor: 1 });
    replaceLog(files, folder, { hardState, snapshot });
    assertNew(load(files));
  });

  test('keeps no older snapshot beside: that is of another log, and must never stand in', () => {
    const files = machine();
    saveLogSnapshot(files, folder, { ...snapshot, index: 2, term: 1 });
    const aside = replaceLog(files, folder, { hardState, snapshot });
    assert.deepEqual(logSnapshotNames(files.list(folder)), ['log-0000000000001388.snapshot']);
    assert.deepEqual(logSnapshotNames(files.list(aside ?? '')), ['log-0000000000000002.snapshot']);
  });

  test('may be none yet', () => {
    const files = new SimFileSystem(seededRandom(1));
    assert.equal(replaceLog(files, folder, { hardState, snapshot }), undefined);
    assertNew(load(files));
  });
});

describe('a log that is looked at', () => {
  test('is not changed, and damage in it is told', () => {
    const files = machine();
    const { changes } = files;
    assert.equal(peekLog(files, folder).entries.length, 5);
    const [segment = ''] = files.list(folder);
    files.rot(`${folder}/${segment}`, 100, 1);
    assert.throws(() => peekLog(files, folder), { code: 'data-corrupt' });
    assert.equal(files.changes, changes);
  });
});

describe('a saved snapshot', () => {
  const saved: SavedSnapshot = { genesis: utf8('a genesis'), savedAt: 1_767_312_000_000, snapshot };
  const bytes = encodeSavedSnapshot(saved);

  test('reads back as it was', () => {
    const read = decodeSavedSnapshot(bytes);
    assert(typeof read !== 'string');
    assert.deepEqual([read.savedAt, read.snapshot.index, read.snapshot.term], [saved.savedAt, 5_000, 2_000]);
    assert.equal(toHex(read.genesis), toHex(saved.genesis));
    assert.equal(toHex(read.snapshot.state), toHex(snapshot.state));
  });

  test('that is another file, of another version, cut, longer or changed is told apart', () => {
    assert.equal(decodeSavedSnapshot(concatBytes(...encodeLogSnapshot(snapshot))), 'foreign');
    assert.equal(decodeSavedSnapshot(new Uint8Array(0)), 'foreign');
    const later = Uint8Array.from(bytes);
    later[9] = 2;
    assert.equal(decodeSavedSnapshot(later), 'other-version');
    for (let at = 10; at < bytes.length; at += at < 200 ? 1 : 997) {
      const altered = Uint8Array.from(bytes);
      altered[at] = (altered[at] ?? 0) ^ 1;
      assert.equal(decodeSavedSnapshot(altered), 'damaged', `byte ${at}`);
      assert.equal(decodeSavedSnapshot(bytes.subarray(0, at)), 'damaged', `cut at ${at}`);
    }
    assert.equal(decodeSavedSnapshot(concatBytes(bytes, Uint8Array.of(0))), 'damaged');
  });
});
