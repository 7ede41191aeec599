/** Logs whose checksums are right and whose contents are not: made by hand, as no writer makes them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { HivemindError } from '../../src/error.ts';
import { chainHash, chainStart, type HardState, type LogEntry, type StoredLog } from '../../src/seam/log-store.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { SimFileSystem } from '../../src/sim/sim-file-system.ts';
import { saveLogSnapshot } from '../../src/store/log-snapshot.ts';
import { readLog, segmentFileName } from '../../src/store/wal-reader.ts';
import { encodeRecord, encodeSegmentHeader, type WalItem } from '../../src/store/wal-record.ts';
import { WalWriter } from '../../src/store/wal-writer.ts';
import { entryAt } from '../conformance/log-store.ts';

const folder = '/log';
const nobody: HardState = { term: 0, votedFor: 0 };

interface Segment {
  readonly sequence: number;
  readonly firstIndex?: number;
  readonly previousHash?: Uint8Array;
  readonly hardState?: HardState;
  readonly records?: readonly (readonly WalItem[])[];
}

function put(files: SimFileSystem, path: string, bytes: Uint8Array): void {
  const file = files.create(path);
  file.write(bytes, 0);
  file.sync();
  files.syncFolder(folder);
}

function logOf(...segments: readonly Segment[]): SimFileSystem {
  const files = new SimFileSystem(seededRandom(1));
  for (const { sequence, firstIndex = 1, previousHash = chainStart, hardState = nobody, records = [] } of segments) {
    let bytes = Buffer.from(encodeSegmentHeader({ sequence, firstIndex, previousHash, hardState }));
    for (const items of records)
      bytes = Buffer.concat([bytes, encodeRecord(items, { sequence, offset: bytes.length })]);
    put(files, `${folder}/${segmentFileName(sequence, firstIndex)}`, bytes);
  }
  return files;
}

function item(entry: LogEntry, previous: Uint8Array): WalItem {
  return { kind: 'entry', entry, hash: chainHash(previous, entry) };
}

function hardStateItem(term: number, votedFor: number): WalItem {
  return { kind: 'hard-state', hardState: { term, votedFor } };
}

function loaded(files: SimFileSystem): StoredLog {
  return new WalWriter({ files, folder }).load();
}

const [one, two] = [entryAt(1, 5), entryAt(2, 5)];
const first = item(one, chainStart);
const hashOfOne = chainHash(chainStart, one);
const second = item(two, hashOfOne);
const full = { sequence: 1, records: [[hardStateItem(5, 2), first]] };
const following = { sequence: 2, firstIndex: 2, previousHash: hashOfOne, hardState: { term: 5, votedFor: 2 } };

describe('a log whose checksums are right', () => {
  it('is sound when all agrees', () => {
    const log = loaded(logOf(full, { ...following, records: [[second]] }));
    assert.deepEqual([log.entries.length, log.hardState, log.damage], [2, { term: 5, votedFor: 2 }, undefined]);
  });

  const damages: readonly (readonly [name: string, what: RegExp, segments: readonly Segment[]])[] = [
    [
      'an entry leaves a gap',
      /entry 3 follows entry 1/,
      [{ sequence: 1, records: [[first], [item(entryAt(3, 5), chainStart)]] }],
    ],
    [
      'an entry has no place',
      /entry 0 follows entry 0/,
      [{ sequence: 1, records: [[item(entryAt(0, 5), chainStart)]] }],
    ],
    [
      'an entry is not in the chain',
      /entry 2 does not match the hash chain/,
      [{ sequence: 1, records: [[first], [item(two, chainStart)]] }],
    ],
    [
      'an entry goes back in terms',
      /entry 2 is of an earlier term/,
      [{ sequence: 1, records: [[first], [item(entryAt(2, 4), hashOfOne)]] }],
    ],
    [
      'a term comes again',
      /term 4 comes after a later one/,
      [{ ...full, records: [...full.records, [hardStateItem(4, 1)]] }],
    ],
    ['a segment begins elsewhere', /it begins with entry 3, unlike/, [full, { ...following, firstIndex: 3 }]],
    [
      'a segment has another chain',
      /its hash chain is another one, unlike/,
      [full, { ...following, previousHash: chainStart }],
    ],
    [
      'a segment has another vote',
      /it tells of term 5 and a vote for 3/,
      [full, { ...following, hardState: { term: 5, votedFor: 3 } }],
    ],
    ['a segment is missing', /segment 2 of the log, before it, is missing/, [full, { ...following, sequence: 3 }]],
    ['the first segment is missing', /entries 1 to 1, before it, are missing/, [following]],
  ];
  for (const [name, what, segments] of damages) {
    it(`is damaged when ${name}, keeps what was sound, and remembers the latest term`, () => {
      const files = logOf(...segments);
      const log = loaded(files);
      assert.match(log.damage ?? 'none', what);
      assert(log.entries.every(({ index }) => index === 1));
      assert(log.hardState.term === 5 || segments.every(({ records = [] }) => records.flat().every(isEntry)));
      assert(files.list(folder).some((file) => file.startsWith('quarantine-')));
    });
  }

  it('keeps a vote that only a segment behind the damage tells of', () => {
    const later = { ...following, sequence: 3, records: [[hardStateItem(9, 4)]] };
    const files = logOf(full, later);
    assert.deepEqual(loaded(files).hardState, { term: 9, votedFor: 4 });
    assert.deepEqual(loaded(files).hardState, { term: 9, votedFor: 4 });
  });

  it('may have begun in a segment that is gone, where a snapshot vouches for the rest', () => {
    const replaced = item(entryAt(3, 6), Buffer.alloc(32, 1));
    const files = logOf({ sequence: 4, firstIndex: 5, previousHash: Buffer.alloc(32, 2), records: [[replaced]] });
    const { hash } = replaced as Extract<WalItem, { kind: 'entry' }>;
    const nothing = new Uint8Array(0);
    saveLogSnapshot(files, folder, {
      index: 4,
      term: 6,
      chain: chainHash(hash, entryAt(4, 6)),
      configuration: nothing,
      state: nothing,
    });
    const appended = encodeRecord([item(entryAt(4, 6), hash)], {
      sequence: 4,
      offset: files.read(`${folder}/${segmentFileName(4, 5)}`).length,
    });
    const file = files.open(`${folder}/${segmentFileName(4, 5)}`);
    file.write(appended, files.read(`${folder}/${segmentFileName(4, 5)}`).length);
    const log = loaded(files);
    assert.deepEqual([log.entries.map(({ index }) => index), log.snapshot?.index, log.damage], [[3, 4], 4, undefined]);
  });
});

function isEntry(each: WalItem): boolean {
  return each.kind === 'entry';
}

describe('files of another version', () => {
  const refused = (what: RegExp) => (thrown: unknown) =>
    thrown instanceof HivemindError && thrown.code === 'data-format' && what.test(thrown.message);

  it('are refused untouched: a segment', () => {
    const files = logOf(full);
    const path = `${folder}/${segmentFileName(1, 1)}`;
    const bytes = Buffer.from(files.read(path));
    bytes.writeUInt16BE(9, 8);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 64)), 64);
    put(files, path, bytes);
    assert.throws(
      () => readLog(files, folder),
      refused(/has format version 9, and this program reads 4; start the version/),
    );
    assert.throws(() => loaded(files), refused(/version 9/));
  });

  it('are refused untouched: a snapshot', () => {
    const files = logOf(full);
    const nothing = new Uint8Array(0);
    saveLogSnapshot(files, folder, { index: 1, term: 5, chain: hashOfOne, configuration: nothing, state: nothing });
    const path = `${folder}/log-0000000000000001.snapshot`;
    const bytes = Buffer.from(files.read(path));
    bytes.writeUInt16BE(9, 8);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
    put(files, path, bytes);
    assert.throws(
      () => readLog(files, folder),
      refused(/has format version 9, and this program reads 1; start the version/),
    );
  });
});

describe('the marker of a damaged log', () => {
  it('still marks when it cannot be read', () => {
    const files = logOf(full);
    put(files, `${folder}/quarantined`, Buffer.from('what?'));
    assert.match(
      loaded(files).damage ?? '',
      /was damaged once, and \/log\/quarantined, which told how, cannot be read/,
    );
    put(files, `${folder}/quarantined`, new Uint8Array(0));
    assert.notEqual(loaded(files).damage, undefined);
  });

  it('keeps its first sentence when more is found to be damaged', () => {
    const files = logOf(full, { ...following, sequence: 3 });
    const { damage } = loaded(files);
    files.rot(`${folder}/${segmentFileName(1, 1)}`, 3, 3);
    assert.equal(loaded(files).damage, damage);
    assert.deepEqual(loaded(files).hardState, { term: 5, votedFor: 2 });
  });
});
