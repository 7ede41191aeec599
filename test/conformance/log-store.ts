/** What every LogStore must do. Call it from a test file of each implementation. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogEntry, LogStore, StoredLog } from '../../src/seam/log-store.ts';

export interface LogStoreBench {
  /** A store over an empty log, not loaded yet. */
  readonly store: LogStore;
  /** A store over what the first one left, which has been closed; not loaded yet. */
  reopen(): Promise<LogStore>;
  /** Ends all and removes it. */
  dispose(): Promise<void>;
}

export function entryAt(index: number, term: number, text: string = `entry ${index} of term ${term}`): LogEntry {
  return { index, term, kind: 'command', payload: Buffer.from(text) };
}

export function entriesFrom(first: number, count: number, term: number): readonly LogEntry[] {
  return Array.from({ length: count }, (_, offset) => entryAt(first + offset, term));
}

/** Entries as plain text, for comparisons: a payload may come back as any kind of Uint8Array. */
export function inWords(entries: readonly LogEntry[]): readonly string[] {
  return entries.map(({ index, term, payload }) => `${index}/${term} ${Buffer.from(payload).toString()}`);
}

export function logStoreConformance(name: string, open: () => Promise<LogStoreBench>): void {
  const withBench = async (check: (bench: LogStoreBench) => Promise<void>): Promise<void> => {
    const bench = await open();
    try {
      await check(bench);
    } finally {
      await bench.dispose();
    }
  };
  const reload = async ({ store, reopen }: LogStoreBench): Promise<StoredLog> => {
    await store.close();
    return await (await reopen()).load();
  };

  describe(`${name} is a log store: it`, () => {
    it('begins empty, in term 0, with no vote', () =>
      withBench(async ({ store }) => {
        assert.deepEqual(await store.load(), { hardState: { term: 0, votedFor: 0 }, entries: [], repairs: [] });
      }));

    it('gives back what was written (HM-7)', () =>
      withBench(async (bench) => {
        await bench.store.load();
        const entries = entriesFrom(1, 5, 1);
        await bench.store.write({ hardState: { term: 1, votedFor: 3 }, entries: entries.slice(0, 2) });
        await bench.store.write({ entries: entries.slice(2) });
        const log = await reload(bench);
        assert.deepEqual(inWords(log.entries), inWords(entries));
        assert.deepEqual(log.hardState, { term: 1, votedFor: 3 });
        assert.deepEqual(log.repairs, []);
      }));

    it('keeps the last hard state, with entries or without', () =>
      withBench(async (bench) => {
        await bench.store.load();
        await bench.store.write({ hardState: { term: 4, votedFor: 0 }, entries: [] });
        await bench.store.write({ hardState: { term: 0x1_0000_0000_00, votedFor: 0xffff_ffff }, entries: [] });
        await bench.store.write({ entries: entriesFrom(1, 1, 4) });
        assert.deepEqual((await reload(bench)).hardState, { term: 0x1_0000_0000_00, votedFor: 0xffff_ffff });
      }));

    it('replaces a suffix, and no more than that', () =>
      withBench(async (bench) => {
        await bench.store.load();
        await bench.store.write({ entries: entriesFrom(1, 10, 1) });
        await bench.store.write({ entries: entriesFrom(4, 2, 2) });
        await bench.store.write({ entries: entriesFrom(6, 1, 3) });
        const expected = [...entriesFrom(1, 3, 1), ...entriesFrom(4, 2, 2), ...entriesFrom(6, 1, 3)];
        assert.deepEqual(inWords((await reload(bench)).entries), inWords(expected));
      }));

    it('replaces everything from entry 1 on', () =>
      withBench(async (bench) => {
        await bench.store.load();
        await bench.store.write({ entries: entriesFrom(1, 3, 1) });
        await bench.store.write({ entries: entriesFrom(1, 1, 2) });
        assert.deepEqual(inWords((await reload(bench)).entries), inWords(entriesFrom(1, 1, 2)));
      }));

    it('keeps empty and large payloads, and payloads cut from a larger buffer', () =>
      withBench(async (bench) => {
        await bench.store.load();
        const large = Buffer.alloc(300_000, 'x');
        const payloads = [new Uint8Array(0), large, large.subarray(5, 12)];
        await bench.store.write({
          entries: payloads.map((payload, at) => ({ index: at + 1, term: 1, kind: 'command', payload })),
        });
        const { entries } = await reload(bench);
        assert.deepEqual(
          entries.map(({ payload }) => Buffer.compare(payload, payloads.shift() as Uint8Array)),
          [0, 0, 0],
        );
      }));

    it('goes on after it was opened again, also where a suffix is replaced', () =>
      withBench(async (bench) => {
        await bench.store.load();
        await bench.store.write({ entries: entriesFrom(1, 200, 1) });
        await bench.store.close();
        const second = await bench.reopen();
        await second.load();
        await second.write({ entries: entriesFrom(150, 20, 2) });
        await second.close();
        const third = await (await bench.reopen()).load();
        assert.deepEqual(inWords(third.entries), inWords([...entriesFrom(1, 149, 1), ...entriesFrom(150, 20, 2)]));
      }));

    it('keeps many entries in many writes, with a replaced suffix now and then', () =>
      withBench(async (bench) => {
        await bench.store.load();
        let expected: readonly LogEntry[] = [];
        for (let round = 0; round < 60; round++) {
          const first = round % 7 === 6 ? expected.length - 20 : expected.length + 1;
          const entries = entriesFrom(first, 10, round);
          await bench.store.write({ hardState: { term: round, votedFor: 1 }, entries });
          expected = [...expected.slice(0, first - 1), ...entries];
        }
        const log = await reload(bench);
        assert.deepEqual(inWords(log.entries), inWords(expected));
        assert.deepEqual(log.hardState, { term: 59, votedFor: 1 });
      }));

    it('may be closed twice, or without having been loaded', () =>
      withBench(async ({ store }) => {
        await store.close();
        await store.close();
      }));
  });
}
