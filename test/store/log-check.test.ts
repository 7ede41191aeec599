import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { chainHash, chainStart, type LogSnapshot } from '../../src/seam/log-store.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { SimFileSystem } from '../../src/sim/sim-file-system.ts';
import { localFileSystem } from '../../src/store/local-file-system.ts';
import { checkLog } from '../../src/store/log-check.ts';
import { logSnapshotFileName, saveLogSnapshot } from '../../src/store/log-snapshot.ts';
import { WalWriter } from '../../src/store/wal-writer.ts';
import { entriesFrom } from '../conformance/log-store.ts';
import { failsWith } from './refusal.ts';

const folder = '/log';
const options = { folder, segmentBytesMax: 500, spareBytes: 0 };

/** Entries 1 to 40 of term 1, and snapshots at these. */
function written(...snapshotIndexes: readonly number[]): SimFileSystem {
  const files = new SimFileSystem(seededRandom(1));
  const writer = new WalWriter({ files, ...options });
  writer.load();
  const entries = entriesFrom(1, 40, 1);
  for (let at = 0; at < 40; at += 4) {
    writer.write({ hardState: { term: at + 1, votedFor: 1 }, entries: entries.slice(at, at + 4) });
  }
  for (const index of snapshotIndexes) {
    const chain = entries.slice(0, index).reduce(chainHash, chainStart);
    saveLogSnapshot(files, folder, snapshotOf({ index, chain }));
  }
  writer.close();
  return files;
}

function snapshotOf(known: Partial<LogSnapshot>): LogSnapshot {
  const nothing = new Uint8Array(0);
  return { index: 1, term: 1, chain: chainStart, configuration: nothing, state: Buffer.from('state'), ...known };
}

function segmentsOf(files: SimFileSystem): readonly string[] {
  return files.list(folder).filter((name) => name.endsWith('.log'));
}

describe('the check of a log', () => {
  it('counts what is there', () => {
    const files = written(10, 20);
    const { segments, ...check } = checkLog(files, folder);
    assert.equal(segments, segmentsOf(files).length);
    assert.deepEqual(check, {
      firstIndex: 1,
      lastIndex: 40,
      lastTerm: 1,
      entries: 40,
      snapshots: 2,
      snapshotIndex: 20,
      hardState: { term: 37, votedFor: 1 },
      repairs: [],
    });
  });

  it('counts nothing where only a vote was written so far', () => {
    const files = new SimFileSystem(seededRandom(1));
    const writer = new WalWriter({ files, ...options });
    writer.load();
    writer.write({ hardState: { term: 2, votedFor: 3 }, entries: [] });
    writer.close();
    assert.deepEqual(checkLog(files, folder), {
      firstIndex: 0,
      lastIndex: 0,
      lastTerm: 0,
      entries: 0,
      segments: 1,
      snapshots: 0,
      snapshotIndex: 0,
      hardState: { term: 2, votedFor: 3 },
      repairs: [],
    });
  });

  it('finds each bit that is wrong, in segments and in snapshots, and changes nothing', () => {
    const names = written(10, 20).list(folder);
    for (const name of names) {
      const bytes = written(10, 20).read(`${folder}/${name}`).length;
      for (let offset = 0; offset < bytes; offset += 61) {
        const files = written(10, 20);
        files.rot(`${folder}/${name}`, offset, offset % 8);
        const { changes } = files;
        const isTornAtEnd = (): boolean => checkLog(files, folder).repairs.length > 0;
        const found = failsWith('data-corrupt', /damaged at byte \d+.*; start the node, which/);
        if (name.startsWith('wal-') && name === segmentsOf(files).at(-1)) {
          // What is left of the length of a last record tells nothing.
          try {
            assert(isTornAtEnd(), `byte ${offset} of ${name}`);
          } catch (thrown) {
            found(thrown);
          }
        } else if (name.startsWith('wal-') && isNeedless(name, files)) assert(isTornAtEnd(), name);
        else assert.throws(() => checkLog(files, folder), found, `byte ${offset} of ${name}`);
        assert.equal(files.changes, changes);
      }
    }
  });

  it('tells of a missing segment, a missing snapshot, and one of another log', () => {
    const gap = written();
    gap.remove(`${folder}/${segmentsOf(gap)[2]}`);
    assert.throws(
      () => checkLog(gap, folder),
      failsWith('data-corrupt', /segment 3 of the log, before it, is missing/),
    );
    const headless = written(30);
    headless.remove(`${folder}/${segmentsOf(headless)[0]}`);
    headless.remove(`${folder}/${logSnapshotFileName(30)}`);
    assert.throws(
      () => checkLog(headless, folder),
      failsWith('data-corrupt', /entries 1 to \d+, before it, are missing/),
    );
    const foreign = written();
    saveLogSnapshot(foreign, folder, snapshotOf({ index: 5, chain: Buffer.alloc(32, 1) }));
    assert.throws(() => checkLog(foreign, folder), failsWith('data-corrupt', /is not that of its snapshot at entry 5/));
  });

  it('tells of a damaged snapshot for which nothing stands in', () => {
    const files = written(30);
    for (const name of segmentsOf(files).slice(0, 3)) files.remove(`${folder}/${name}`);
    assert.equal(checkLog(files, folder).snapshotIndex, 30);
    files.rot(`${folder}/${logSnapshotFileName(30)}`, 70, 1);
    assert.throws(() => checkLog(files, folder), failsWith('data-corrupt', /does not reach back to an older one/));
    const writer = new WalWriter({ files, ...options });
    const { damage, entries } = writer.load();
    assert.match(damage ?? '', /snapshot is damaged at byte/);
    assert.equal(entries.length, 0);
    writer.close();
    assert.throws(() => checkLog(files, folder), failsWith('data-corrupt', /snapshot is damaged at byte/));
  });

  it('tells of a damaged snapshot that went farther than the log, of which all is kept', () => {
    const files = written();
    saveLogSnapshot(files, folder, snapshotOf({ index: 50, chain: Buffer.alloc(32, 1) }));
    const segments = segmentsOf(files);
    files.rot(`${folder}/${logSnapshotFileName(50)}`, 70, 1);
    assert.throws(() => checkLog(files, folder), failsWith('data-corrupt', /does not reach back to an older one/));
    const { damage, entries, hardState } = new WalWriter({ files, ...options }).load();
    assert.match(damage ?? '', /snapshot is damaged at byte/);
    assert.deepEqual([entries.length, hardState], [40, { term: 37, votedFor: 1 }]);
    assert.deepEqual(segmentsOf(files), segments);
    assert.deepEqual(files.list(`${folder}/quarantine-00000000`), [logSnapshotFileName(50)]);
  });

  it('goes back to an older snapshot while the log reaches back to it', () => {
    const files = written(10, 20);
    files.rot(`${folder}/${logSnapshotFileName(20)}`, 70, 1);
    const log = new WalWriter({ files, ...options }).load();
    assert.deepEqual([log.snapshot?.index, log.entries.length, log.damage], [10, 40, undefined]);
    assert.match(log.repairs.join(), /snapshot is damaged at byte \d+; went back to the one before it/);
    assert(!files.list(folder).includes(logSnapshotFileName(20)));
  });

  it('passes over damage in a segment that a snapshot made needless', () => {
    const files = written(30);
    files.rot(`${folder}/${segmentsOf(files)[0]}`, 100, 1);
    const log = new WalWriter({ files, ...options }).load();
    assert.equal(log.damage, undefined);
    assert.match(log.repairs.join(), /^Removed 1 segment of the event log that the snapshot made needless/);
    assert.equal(log.entries.at(-1)?.index, 40);
  });

  it('says that there is no log', () => {
    const nowhere = failsWith('not-found', /holds no event log; name the data folder of a control node/);
    assert.throws(() => checkLog(new SimFileSystem(seededRandom(1)), folder), nowhere);
    assert.throws(() => checkLog(localFileSystem, '/no/such/folder'), nowhere);
    assert.throws(() => checkLog(localFileSystem, import.meta.filename), nowhere);
  });

  it('names what the operating system refuses', () => {
    const refused = failsWith('disk-failed', /the operating system reports/);
    assert.throws(() => checkLog(localFileSystem, `/${'x'.repeat(300)}`), refused);
    const made = mkdtempSync(join(tmpdir(), 'hivemind-check-'));
    mkdirSync(join(made, 'wal-00000001-0000000000000001.log'));
    assert.throws(() => checkLog(localFileSystem, made), refused);
    rmSync(made, { recursive: true });
  });
});

/** Whether the snapshot and a later segment suffice. */
function isNeedless(name: string, files: SimFileSystem): boolean {
  const next = segmentsOf(files)[segmentsOf(files).indexOf(name) + 1];
  return next !== undefined && Number.parseInt(next.split('-')[2] as string, 16) <= 21;
}
