import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  chainHash,
  chainStart,
  type LogSnapshot,
  type LogStore,
  type LogTrouble,
  type StoredLog,
} from '../../src/seam/log-store.ts';
import { localFileSystem } from '../../src/store/local-file-system.ts';
import { logSnapshotFileName } from '../../src/store/log-snapshot.ts';
import { segmentBytesDefault, WalWriter } from '../../src/store/wal-writer.ts';
import { openWriteAheadLog } from '../../src/store/write-ahead-log.ts';
import { entriesFrom, entryAt, logStoreConformance } from '../conformance/log-store.ts';
import { failsWith } from './refusal.ts';
import { storeInThisThread } from './store-in-this-thread.ts';
import { tinyDisk } from './tiny-disk.ts';

async function temporaryFolder(): Promise<string> {
  return await mkdtemp(join(tmpdir(), 'hivemind-wal-'));
}

function conformance(name: string, openLog: (folder: string) => LogStore): void {
  logStoreConformance(name, async () => {
    const folder = await temporaryFolder();
    const stores: LogStore[] = [];
    const open = (): LogStore => {
      const store = openLog(join(folder, 'log'));
      stores.push(store);
      return store;
    };
    const dispose = async (): Promise<void> => {
      for (const store of stores) await store.close();
      await rm(folder, { recursive: true });
    };
    return { store: open(), reopen: async () => open(), dispose };
  });
}

/** The same log without its thread, which takes most of the time to start. */
function inThisThread(folder: string, segmentBytesMax: number): LogStore {
  return storeInThisThread({ files: localFileSystem, folder, segmentBytesMax });
}

conformance('the write-ahead log', (folder) => openWriteAheadLog(folder, { segmentBytesMax: 1_000 }));
conformance('a log with a segment for each record', (folder) => inThisThread(folder, 1));
conformance('a log in one segment', (folder) => inThisThread(folder, segmentBytesDefault));

/** Loads and closes at once, in this thread: hundreds of rounds need no thread each. */
function loadOnce(folder: string): StoredLog {
  const writer = new WalWriter({ files: localFileSystem, folder, segmentBytesMax: 1_000_000 });
  const log = writer.load();
  writer.close();
  return log;
}

describe('the folder of a write-ahead log', () => {
  it("is refused to a second opener, by the first one's process id, until that one closes it", async () => {
    const folder = await temporaryFolder();
    const child = spawn(process.execPath, ['--import', 'tsx', childScript, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const blocked = openWriteAheadLog(folder);
    await assert.rejects(blocked.load(), failsWith('refused', new RegExp(`in use by process ${child.pid}; stop`)));
    await blocked.close();
    child.kill('SIGKILL');
    await once(child, 'exit');
    const first = openWriteAheadLog(folder);
    await first.load();
    const second = openWriteAheadLog(folder);
    await assert.rejects(second.load(), failsWith('refused', /in use by this process itself/));
    await first.close();
    const third = openWriteAheadLog(folder);
    await third.load();
    await Promise.all([second.close(), third.close()]);
    await rm(folder, { recursive: true });
  });

  it('is not held by a dead process, by another one with its id, or by a lock that is nonsense', async () => {
    const folder = await temporaryFolder();
    const stale = [
      `hivemind-lock/1 pid ${process.ppid} start 1 boot none`,
      'hivemind-lock/1 pid 999999999 start 1',
      '',
    ];
    for (const text of stale) {
      await writeFile(join(folder, 'lock'), text);
      assert.equal(loadOnce(folder).entries.length, 0);
      assert(!(await readdir(folder)).includes('lock'));
    }
    await rm(folder, { recursive: true });
  });
});

const childScript = new URL('./append-until-killed.ts', import.meta.url).pathname;

describe('a process that is killed while it writes', () => {
  it('loses nothing that it was told is durable (HM-7)', async () => {
    const folder = await temporaryFolder();
    for (let round = 0; round < 5; round++) {
      const acknowledged = await writeUntilKilled(folder, 20 + 60 * round);
      const log = loadOnce(folder);
      assert(log.entries.length >= acknowledged, `${log.entries.length} entries, ${acknowledged} acknowledged`);
      assert.equal(log.hardState.term, log.entries.at(-1)?.term);
    }
    await rm(folder, { recursive: true });
  });
});

/** Gives the last index that the child called durable. */
async function writeUntilKilled(folder: string, lifeMs: number): Promise<number> {
  const child = spawn(process.execPath, ['--import', 'tsx', childScript, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let acknowledged = 0;
  const lines = createInterface(child.stdout).on('line', (line) => {
    acknowledged = Number(line);
  });
  await once(lines, 'line');
  await sleep(lifeMs);
  child.kill('SIGKILL');
  await Promise.all([once(lines, 'close'), once(child, 'exit')]);
  assert(acknowledged > 0);
  return acknowledged;
}

it('a write that leaves a gap ends the log, and nobody waits for ever', async () => {
  const folder = await temporaryFolder();
  const log = openWriteAheadLog(folder);
  await log.load();
  await assert.rejects(log.write({ entries: entriesFrom(2, 1, 1) }), /without a gap/);
  await assert.rejects(log.write({ entries: entriesFrom(1, 1, 1) }), /without a gap/);
  await log.close();
  await rm(folder, { recursive: true });
});

function snapshotOfOne(state: Uint8Array): LogSnapshot {
  const chain = chainHash(chainStart, entryAt(1, 1));
  return { index: 1, term: 1, chain, configuration: Buffer.from('a view of a larger buffer').subarray(2, 6), state };
}

it('a snapshot that the disk refuses ends the log', async () => {
  const folder = await temporaryFolder();
  const log = openWriteAheadLog(folder);
  await log.load();
  await log.write({ entries: entriesFrom(1, 1, 1) });
  await mkdir(join(folder, `${logSnapshotFileName(1)}.unfinished`));
  const refused = failsWith('disk-failed', /EISDIR/);
  await assert.rejects(log.compact(snapshotOfOne(Buffer.from('x')), 1), refused);
  await assert.rejects(log.write({ entries: entriesFrom(2, 1, 1) }), refused);
  await log.close();
  await rm(folder, { recursive: true });
});

describe('a full disk', () => {
  it('holds a write up and says so, until there is room, and costs nothing', { timeout: 60_000 }, async (t) => {
    const folder = await tinyDisk(t);
    if (folder === undefined) return;
    await writeFile(join(folder, 'ballast'), Buffer.alloc(100_000));
    const troubles: (LogTrouble['kind'] | undefined)[] = [];
    const onTrouble = (trouble: LogTrouble | undefined): void => {
      troubles.push(trouble?.kind);
      if (trouble?.kind === 'full') rmSync(join(folder, 'ballast'));
    };
    const log = openWriteAheadLog(join(folder, 'log'), { segmentBytesMax: 20_000, onTrouble });
    await log.load();
    for (let index = 1; troubles.length < 2; index++) {
      await log.write({ entries: [entryAt(index, 1, 'x'.repeat(5_000))] });
      if (troubles.length > 0) assert.deepEqual(troubles, ['full', undefined]);
    }
    await log.close();
    const { entries, repairs } = loadOnce(join(folder, 'log'));
    assert(entries.length > 3);
    assert.deepEqual(repairs, []);
  });

  it('holds up a snapshot as well', { timeout: 60_000 }, async (t) => {
    const folder = await tinyDisk(t);
    if (folder === undefined) return;
    const ballast = join(folder, 'ballast');
    const troubles: (LogTrouble['kind'] | undefined)[] = [];
    const onTrouble = (trouble: LogTrouble | undefined): void => {
      troubles.push(trouble?.kind);
      rmSync(ballast, { force: true });
    };
    const log = openWriteAheadLog(join(folder, 'log'), { segmentBytesMax: 5_000, onTrouble });
    await log.load();
    await log.write({ entries: entriesFrom(1, 1, 1) });
    await writeFile(ballast, Buffer.alloc(200_000));
    await log.compact(snapshotOfOne(Buffer.alloc(100_000)), 2);
    assert.deepEqual(troubles, ['full', undefined]);
    await log.close();
  });

  it('does not keep a log from being closed', { timeout: 60_000 }, async (t) => {
    const folder = await tinyDisk(t);
    if (folder === undefined) return;
    let log: LogStore | undefined;
    const closed: Promise<void>[] = [];
    const onTrouble = (): void => {
      closed.push(log?.close() ?? Promise.reject());
    };
    log = openWriteAheadLog(join(folder, 'log'), { segmentBytesMax: 20_000, onTrouble });
    await log.load();
    const fill = async (): Promise<void> => {
      for (let index = 1; ; index++) await log?.write({ entries: [entryAt(index, 1, 'x'.repeat(5_000))] });
    };
    await assert.rejects(fill(), failsWith('disk-failed', /no space is left on the disk \(ENOSPC\); free some\.$/));
    await Promise.all(closed);
  });
});
