/** What every LogStore must do. Call it from a test file of each implementation. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toHex } from '../../src/bytes.ts';
import {
  chainHash,
  chainStart,
  type LogEntry,
  type LogSnapshot,
  type LogStore,
  type StoredLog,
} from '../../src/seam/log-store.ts';

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

/** Writes entries of term 1, a few at a time. */
async function grown(store: LogStore, count: number): Promise<readonly LogEntry[]> {
  const entries = entriesFrom(1, count, 1);
  for (let first = 0; first < count; first += 4) await store.write({ entries: entries.slice(first, first + 4) });
  return entries;
}

function snapshotAt(entries: readonly LogEntry[], index: number): LogSnapshot {
  const chain = entries.slice(0, index).reduce(chainHash, chainStart);
  return { index, term: 1, chain, configuration: Buffer.from('voters'), state: Buffer.from(`all up to ${index}`) };
}

function inFull(snapshot: LogSnapshot | undefined): object {
  const { index, term, chain, configuration, state } = snapshot ?? assert.fail('there is no snapshot');
  return { index, term, chain: toHex(chain), configuration: toHex(configuration), state: toHex(state) };
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
        const nothing = { hardState: { term: 0, votedFor: 0 }, entries: [], repairs: [], isNew: true };
        assert.deepEqual(await store.load(), nothing);
      }));

    it('is new once, even if nothing was written', () =>
      withBench(async (bench) => {
        await bench.store.load();
        assert.equal((await reload(bench)).isNew, undefined);
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

    it('goes on from a snapshot of its own, and forgets what it need not keep', () =>
      withBench(async (bench) => {
        await bench.store.load();
        const entries = await grown(bench.store, 40);
        const snapshot = snapshotAt(entries, 30);
        await bench.store.compact(snapshot, 25);
        const log = await reload(bench);
        assert.deepEqual(inFull(log.snapshot), inFull(snapshot));
        assert((log.entries[0]?.index ?? 0) <= 25, 'all from keepFrom on are kept');
        assert.deepEqual(inWords(log.entries.slice(-16)), inWords(entries.slice(-16)));
        assert.deepEqual([log.repairs, log.damage], [[], undefined]);
      }));

    it('takes a snapshot while a write is under way, and goes on behind it', () =>
      withBench(async (bench) => {
        await bench.store.load();
        const entries = await grown(bench.store, 20);
        const compacting = bench.store.compact(snapshotAt(entries, 20), 21);
        await bench.store.write({ entries: entriesFrom(21, 5, 1) });
        await compacting;
        await bench.store.write({ entries: entriesFrom(26, 5, 1) });
        const log = await reload(bench);
        assert.equal(log.snapshot?.index, 20);
        assert.deepEqual(inWords(log.entries.slice(-10)), inWords(entriesFrom(21, 10, 1)));
      }));

    it("puts a leader's snapshot in the place of a log that lacks its entry, with entries behind", () =>
      withBench(async (bench) => {
        await bench.store.load();
        const entries = await grown(bench.store, 10);
        const snapshot = { ...snapshotAt(entries, 10), index: 100, term: 5 };
        const behind = [entryAt(101, 5), entryAt(102, 6)];
        await bench.store.write({ hardState: { term: 6, votedFor: 0 }, snapshot, entries: behind });
        const log = await reload(bench);
        assert.deepEqual(inFull(log.snapshot), inFull(snapshot));
        assert.deepEqual(inWords(log.entries), inWords(behind));
        assert.deepEqual(log.hardState, { term: 6, votedFor: 0 });
      }));

    it("puts a leader's snapshot in the place of entries of another term", () =>
      withBench(async (bench) => {
        await bench.store.load();
        const entries = await grown(bench.store, 10);
        await bench.store.write({
          snapshot: { ...snapshotAt(entries, 6), term: 3, chain: Buffer.alloc(32, 9) },
          entries: [],
        });
        await bench.store.write({ entries: [entryAt(7, 3)] });
        const log = await reload(bench);
        assert.deepEqual([log.snapshot?.term, inWords(log.entries)], [3, inWords([entryAt(7, 3)])]);
      }));

    it("keeps what follows the entry at which a leader's snapshot was taken", () =>
      withBench(async (bench) => {
        await bench.store.load();
        const entries = await grown(bench.store, 10);
        await bench.store.write({ snapshot: snapshotAt(entries, 6), entries: [] });
        const log = await reload(bench);
        assert.equal(log.snapshot?.index, 6);
        assert.deepEqual(inWords(log.entries.filter(({ index }) => index > 6)), inWords(entries.slice(6)));
      }));

    it('keeps snapshots of any size, and the newest of many', () =>
      withBench(async (bench) => {
        await bench.store.load();
        const entries = await grown(bench.store, 8);
        for (const [position, stateBytes] of [0, 1, 65_527, 65_528, 65_536, 200_000].entries()) {
          const snapshot = { ...snapshotAt(entries, position + 1), state: Buffer.alloc(stateBytes, position) };
          await bench.store.compact(snapshot, 1);
        }
        const { snapshot } = await reload(bench);
        assert.deepEqual([snapshot?.index, snapshot?.state.length, snapshot?.state.at(-1)], [6, 200_000, 5]);
      }));

    it('may be told that it is healed when it never was damaged', () =>
      withBench(async (bench) => {
        await bench.store.load();
        await bench.store.healed();
        assert.equal((await reload(bench)).damage, undefined);
      }));

    it('may be closed twice, or without having been loaded', () =>
      withBench(async ({ store }) => {
        await store.close();
        await store.close();
      }));
  });
}
