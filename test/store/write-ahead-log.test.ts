import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HivemindError } from '../../src/error.ts';
import type { LogStore, StoredLog } from '../../src/seam/log-store.ts';
import { WalWriter } from '../../src/store/wal-writer.ts';
import { openWriteAheadLog, segmentBytesDefault } from '../../src/store/write-ahead-log.ts';
import { entriesFrom, entryAt, inWords, logStoreConformance } from '../conformance/log-store.ts';

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
  const writer = new WalWriter(folder, segmentBytesMax);
  return {
    load: async () => writer.load(),
    write: async (write) => writer.write(write),
    close: async () => writer.close(),
  };
}

conformance('the write-ahead log', (folder) => openWriteAheadLog(folder, { segmentBytesMax: 1_000 }));
conformance('a log with a segment for each record', (folder) => inThisThread(folder, 1));
conformance('a log in one segment', (folder) => inThisThread(folder, segmentBytesDefault));

/** A folder with entries 1 to 30, written three at a time, closed. */
async function writtenFolder(segmentBytesMax: number): Promise<string> {
  const folder = await temporaryFolder();
  const writer = new WalWriter(folder, segmentBytesMax);
  writer.load();
  for (let first = 1; first <= 28; first += 3) {
    writer.write({ hardState: { term: first, votedFor: 1 }, entries: entriesFrom(first, 3, first) });
  }
  writer.close();
  return folder;
}

/** Loads and closes at once, in this thread: hundreds of rounds need no thread each. */
function loadOnce(folder: string): StoredLog {
  const writer = new WalWriter(folder, 1_000_000);
  const log = writer.load();
  writer.close();
  return log;
}

async function segmentsOf(folder: string): Promise<readonly string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.log')).sort();
}

function failsWith(code: string, sentence: RegExp): (thrown: unknown) => boolean {
  return (thrown) => {
    assert(thrown instanceof HivemindError, String(thrown));
    assert.equal(thrown.code, code);
    assert.match(thrown.message, sentence);
    return true;
  };
}

describe('a damaged write-ahead log', () => {
  it('loses a torn last record and no more, wherever it was cut, and can be written on', async () => {
    const folder = await writtenFolder(1_000_000);
    const [name] = await segmentsOf(folder);
    const path = join(folder, name as string);
    const whole = await readFile(path);
    const lastBytes = recordBytesOf(entriesFrom(28, 3, 28).map(({ payload }) => payload.length));
    for (let cutBytes = 1; cutBytes <= lastBytes; cutBytes++) {
      await writeFile(path, whole.subarray(0, whole.length - cutBytes));
      const log = loadOnce(folder);
      assert.equal(log.entries.length, 27);
      assert.deepEqual(log.hardState, { term: 25, votedFor: 1 });
      assert.equal(log.repairs.length, cutBytes === lastBytes ? 0 : 1);
      assert.deepEqual(loadOnce(folder).repairs, [], 'a repair is made once');
    }
    const writer = new WalWriter(folder, 1_000_000);
    writer.load();
    writer.write({ entries: entriesFrom(28, 1, 99) });
    writer.close();
    assert.deepEqual(inWords(loadOnce(folder).entries).slice(26), [
      '27/25 entry 27 of term 25',
      inWords([entryAt(28, 99)])[0],
    ]);
    await rm(folder, { recursive: true });
  });

  it('is refused untouched when a bit is flipped before the last record', async () => {
    const folder = await writtenFolder(1_000_000);
    const path = join(folder, (await segmentsOf(folder))[0] as string);
    const whole = await readFile(path);
    for (let at = 20; at < whole.length - 400; at += 37) {
      const damaged = Buffer.from(whole);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at);
      await writeFile(path, damaged);
      assert.throws(() => loadOnce(folder), failsWith('data-corrupt', /wal-.*\.log is damaged at byte \d+: .*; move/s));
      assert.deepEqual(await readFile(path), damaged);
    }
    await rm(folder, { recursive: true });
  });

  it('counts a flipped bit in the last record as a torn write, for it looks the same', async () => {
    const folder = await writtenFolder(1_000_000);
    const path = join(folder, (await segmentsOf(folder))[0] as string);
    const damaged = await readFile(path);
    damaged.writeUInt8(damaged.readUInt8(damaged.length - 10) ^ 1, damaged.length - 10);
    await writeFile(path, damaged);
    const log = loadOnce(folder);
    assert.equal(log.entries.length, 27);
    assert.match(log.repairs.join(), /^Cut off \d+ bytes at byte \d+ of wal-.*the last record is not whole/);
    await rm(folder, { recursive: true });
  });

  it('is refused when a segment is missing, cut, exchanged, foreign or of another version', async () => {
    const damages: readonly [string, RegExp, (paths: readonly string[]) => Promise<void>][] = [
      ['data-corrupt', /segment 2 of the log, before it, is missing/, (paths) => rm(paths[1] as string)],
      ['data-corrupt', /segment 1 of the log, before it, is missing/, (paths) => rm(paths[0] as string)],
      ['data-corrupt', /the end of the segment is damaged or missing/, (paths) => truncate(paths[1] as string, 100)],
      ['data-corrupt', /at byte 0: it begins with entry/, (paths) => truncate(paths[1] as string, 68)],
      ['data-corrupt', /the header of the segment is damaged/, (paths) => truncate(paths[2] as string, 60)],
      ['data-format', /does not begin like a segment/, (paths) => writeFile(paths[1] as string, 'hello')],
      [
        'data-format',
        /format version 4097 \(byte 8\), and this program reads 1/,
        (paths) => patch(paths[0] as string, 8, 0x10),
      ],
      ['data-corrupt', /is missing/, (paths) => copyFile(paths[0] as string, paths[1] as string)],
    ];
    for (const [code, sentence, damage] of damages) {
      const folder = await writtenFolder(500);
      const paths = (await segmentsOf(folder)).map((name) => join(folder, name));
      assert(paths.length >= 4);
      await damage(paths);
      assert.throws(() => loadOnce(folder), failsWith(code, sentence));
      await rm(folder, { recursive: true });
    }
  });

  it('is refused when an older segment of an equally long log was put in its place', async () => {
    const [folder, other] = [await writtenFolder(500), await temporaryFolder()];
    const writer = new WalWriter(other, 500);
    writer.load();
    for (let first = 1; first <= 28; first += 3) {
      writer.write({ hardState: { term: first, votedFor: 1 }, entries: entriesFrom(first, 3, first + 1) });
    }
    writer.close();
    const name = (await segmentsOf(folder))[1] as string;
    await copyFile(join(other, name), join(folder, name));
    assert.throws(() => loadOnce(folder), failsWith('data-corrupt', /its hash chain is another one/));
    await rm(folder, { recursive: true });
    await rm(other, { recursive: true });
  });

  it('ignores a segment that was never finished', async () => {
    const folder = await writtenFolder(500);
    await writeFile(join(folder, 'wal-00000063-0000000000000001.log.unfinished'), 'HIVEW');
    assert.equal(loadOnce(folder).entries.length, 30);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => !name.endsWith('.log')),
      [],
    );
    await rm(folder, { recursive: true });
  });
});

async function patch(path: string, at: number, byte: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at] = byte;
  await writeFile(path, bytes);
}

/** Record head, hard state, and 50 bytes before each payload. */
function recordBytesOf(payloadBytes: readonly number[]): number {
  return payloadBytes.reduce((sum, length) => sum + 50 + length, 8 + 11);
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
      assert.deepEqual(await readdir(folder), []);
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

describe('a full disk', () => {
  it('fails the write and every later one, and costs nothing that was durable', async (t) => {
    const folder = await tinyDisk(t);
    if (folder === undefined) return;
    const log = openWriteAheadLog(join(folder, 'log'));
    await log.load();
    let stored = 0;
    const fill = async (): Promise<void> => {
      for (;;) {
        await log.write({ entries: [entryAt(stored + 1, 1, 'x'.repeat(5_000))] });
        stored++;
      }
    };
    const isFull = failsWith('disk-failed', /no space is left on the disk \(ENOSPC\); free some, then start/);
    await assert.rejects(fill(), isFull);
    await assert.rejects(log.write({ entries: [] }), isFull);
    await log.close();
    assert(stored > 5);
    assert.equal(loadOnce(join(folder, 'log')).entries.length, stored);
  });
});

/** A file system of 64 KiB, unmounted after the test; nothing, and the test skipped, where none can be mounted. */
async function tinyDisk(t: TestContext): Promise<string | undefined> {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'disk'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', join(folder, 'disk')], { stdio: 'ignore' });
  } catch {
    await rm(folder, { recursive: true });
    t.skip('mounting a small file system takes root');
    return undefined;
  }
  t.after(async () => {
    execFileSync('umount', [join(folder, 'disk')]);
    await rm(folder, { recursive: true });
  });
  return join(folder, 'disk');
}
