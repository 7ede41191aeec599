import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { chainStart, type LogEntry } from '../../src/seam/log-store.ts';
import {
  decodeSegmentHeader,
  encodeRecord,
  encodeSegmentHeader,
  entryBatches,
  recordBytesMax,
  scanRecords,
  segmentHeaderBytes,
  type WalItem,
} from '../../src/store/wal-record.ts';

const header = { sequence: 2, firstIndex: 7, previousHash: chainStart, hardState: { term: 3, votedFor: 9 } };
const headerBytes = encodeSegmentHeader(header);

function entryItem(index: number, payload: Uint8Array): WalItem {
  return { kind: 'entry', entry: { index, term: 1, kind: 'command', payload }, hash: new Uint8Array(32).fill(index) };
}

const small = (index: number): Uint8Array => encodeRecord([entryItem(index, Buffer.from(`payload ${index}`))]);

function flipped(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] as number) ^ (1 << bit);
  return copy;
}

describe('the header of a segment', () => {
  it('is read as it was written', () => {
    assert.equal(headerBytes.length, segmentHeaderBytes);
    const reading = decodeSegmentHeader(headerBytes);
    assert.equal(reading.kind, 'header');
    assert.deepEqual(reading.kind === 'header' && { ...reading.header, previousHash: chainStart }, header);
  });

  it('is never taken for one when a bit is flipped or a byte missing', () => {
    for (let at = 0; at < headerBytes.length; at++) {
      assert.notEqual(decodeSegmentHeader(flipped(headerBytes, at, at % 8)).kind, 'header');
      assert.notEqual(decodeSegmentHeader(headerBytes.subarray(0, at)).kind, 'header');
    }
  });

  it('tells another version and another kind of file from damage', () => {
    assert.deepEqual(decodeSegmentHeader(flipped(headerBytes, 9, 1)), { kind: 'other-version', version: 3 });
    assert.deepEqual(decodeSegmentHeader(Buffer.from('PK\x03\x04')), { kind: 'foreign' });
    assert.deepEqual(decodeSegmentHeader(flipped(headerBytes, 20, 0)), { kind: 'damaged' });
  });
});

describe('the records of a segment', () => {
  it('are read as they were written, whatever they hold', () => {
    const hardState = fc
      .tuple(fc.maxSafeNat(), fc.nat())
      .map(([term, votedFor]) => ({ term: term % 2 ** 48, votedFor }));
    const item = fc.oneof(
      hardState.map((state): WalItem => ({ kind: 'hard-state', hardState: state })),
      fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 300 })).map(([index, payload]) => entryItem(index, payload)),
    );
    const records = fc.array(fc.array(item, { minLength: 1, maxLength: 6 }), { maxLength: 6 });
    fc.assert(
      fc.property(records, (written) => {
        const scan = scanRecords(Buffer.concat([headerBytes, ...written.map(encodeRecord)]));
        assert.equal(scan.damage, 'none');
        assert.deepEqual(
          scan.records.map((record) => record.items),
          written,
        );
      }),
    );
  });

  it('end where the last one is cut, at any byte', () => {
    const whole = Buffer.concat([headerBytes, small(1), small(2)]);
    const lastOffset = headerBytes.length + small(1).length;
    for (let length = lastOffset + 1; length < whole.length; length++) {
      const scan = scanRecords(whole.subarray(0, length));
      assert.deepEqual([scan.damage, scan.validBytes, scan.records.length], ['torn', lastOffset, 1]);
    }
  });

  it('are corrupt when any bit is wrong and a valid one follows, the length included', () => {
    const whole = Buffer.concat([headerBytes, small(1), small(2)]);
    for (let at = headerBytes.length; at < headerBytes.length + small(1).length; at++) {
      for (let bit = 0; bit < 8; bit++) assert.equal(scanRecords(flipped(whole, at, bit)).damage, 'corrupt');
    }
  });

  it('are torn when a bit is wrong in the last one', () => {
    const whole = Buffer.concat([headerBytes, small(1), small(2)]);
    for (let at = headerBytes.length + small(1).length; at < whole.length; at++) {
      assert.equal(scanRecords(flipped(whole, at, at % 8)).damage, 'torn');
    }
  });

  it('are not made of zeros, which a file system may leave at the end', () => {
    const scan = scanRecords(Buffer.concat([headerBytes, small(1), Buffer.alloc(4096)]));
    assert.deepEqual([scan.damage, scan.records.length], ['torn', 1]);
  });

  it('are corrupt when one holds nonsense under a right checksum', () => {
    const unknown = encodeRecord([{ kind: 'hard-state', hardState: { term: 1, votedFor: 1 } }]);
    assert.equal(scanRecords(Buffer.concat([headerBytes, unknown])).damage, 'none');
    const nonsense = Buffer.from('0000000121da4b3103', 'hex');
    nonsense.writeUInt32BE(crc32(nonsense.subarray(8)), 4);
    assert.equal(scanRecords(Buffer.concat([headerBytes, nonsense])).damage, 'corrupt');
  });
});

describe('entries', () => {
  it('are split so that each batch fits into a record', () => {
    const entries = Array.from({ length: 5 }, (_, at) => entryOf(at + 1, 7 * 1024 * 1024));
    const batches = entryBatches(entries);
    assert.deepEqual(
      batches.map((batch) => batch.map(({ index }) => index)),
      [[1, 2], [3, 4], [5]],
    );
    assert.deepEqual(entryBatches([]), [[]]);
  });

  it('that fit into no record are refused', () => {
    assert.throws(() => entryBatches([entryOf(1, recordBytesMax)]), /fits into a record/);
  });
});

function entryOf(index: number, payloadBytes: number): LogEntry {
  return { index, term: 1, kind: 'command', payload: new Uint8Array(payloadBytes) };
}
