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
  salvageRecords,
  scanRecords,
  segmentHeaderBytes,
  type WalItem,
  walVersion,
} from '../../src/store/wal-record.ts';

const sequence = 2;
const header = { sequence, firstIndex: 7, previousHash: chainStart, hardState: { term: 3, votedFor: 9 } };
const headerBytes = encodeSegmentHeader(header);

function entryItem(index: number, payload: Uint8Array): WalItem {
  return { kind: 'entry', entry: { index, term: 1, kind: 'command', payload }, hash: new Uint8Array(32).fill(index) };
}

/** A segment of these records. */
function segmentOf(records: readonly (readonly WalItem[])[]): Buffer {
  let segment = Buffer.from(headerBytes);
  for (const items of records) {
    segment = Buffer.concat([segment, encodeRecord(items, { sequence, offset: segment.length })]);
  }
  return segment;
}

const small = (index: number): WalItem[] => [entryItem(index, Buffer.from(`payload ${index}`))];
const two = segmentOf([small(1), small(2)]);
const secondOffset = segmentOf([small(1)]).length;

/** Where sectors begin behind `from` and before `to`. */
function boundsWithin(from: number, to: number): readonly number[] {
  const first = Math.floor(from / 512) + 1;
  return Array.from({ length: Math.max(0, Math.ceil(to / 512) - first) }, (_, at) => (first + at) * 512);
}

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

  it('tells another version from damage', () => {
    const later = flipped(headerBytes, 9, 0);
    new DataView(later.buffer).setUint32(segmentHeaderBytes - 4, crc32(later.subarray(0, segmentHeaderBytes - 4)));
    assert.deepEqual(decodeSegmentHeader(later), { kind: 'other-version', version: walVersion ^ 1 });
    assert.deepEqual(decodeSegmentHeader(flipped(headerBytes, 9, 0)), { kind: 'damaged' });
    assert.deepEqual(decodeSegmentHeader(Buffer.from('PK\x03\x04')), { kind: 'damaged' });
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
        const scan = scanRecords(segmentOf(written), sequence);
        assert.equal(scan.damage, 'none');
        assert.deepEqual(
          scan.records.map((record) => record.items),
          written,
        );
      }),
    );
  });

  it('end where the last one is cut, at any byte', () => {
    for (let length = secondOffset + 1; length < two.length; length++) {
      const scan = scanRecords(two.subarray(0, length), sequence);
      assert.deepEqual([scan.damage, scan.validBytes, scan.records.length], ['torn', secondOffset, 1]);
    }
  });

  it('are corrupt when any bit is wrong and a valid one follows, the length included', () => {
    for (let at = headerBytes.length; at < secondOffset; at++) {
      for (let bit = 0; bit < 8; bit++) assert.equal(scanRecords(flipped(two, at, bit), sequence).damage, 'corrupt');
    }
  });

  it('are corrupt when a bit is wrong in the last one, every sector of which is there', () => {
    const roomy = Buffer.concat([two, Buffer.alloc(2_048)]);
    for (let at = secondOffset; at < two.length; at++) {
      for (let bit = 0; bit < 8; bit++) assert.equal(scanRecords(flipped(roomy, at, bit), sequence).damage, 'corrupt');
    }
  });

  it('are corrupt when the last one is whole and its length is any other', () => {
    const roomy = Buffer.concat([two, Buffer.alloc(2_048)]);
    for (const length of [0, 1, 0xc000_0000, 0xc000_0400, 0xffff_ffff]) {
      roomy.writeUInt32BE(length, secondOffset);
      assert.equal(scanRecords(roomy, sequence).damage, 'corrupt');
    }
  });

  it('neither begin nor end in a zero, so that every sector of one shows', () => {
    const ends = encodeRecord([{ kind: 'hard-state', hardState: { term: 1, votedFor: 256 } }], {
      sequence,
      offset: 68,
    });
    assert.notEqual(ends[0], 0);
    assert.notEqual(ends.at(-1), 0);
  });

  it('are torn when a sector of the last one was never written', () => {
    const large = segmentOf([small(1), [entryItem(2, Buffer.alloc(3_000, 7))]]);
    for (let at = 512; at + 512 < large.length; at += 512) {
      const torn = Buffer.from(large).fill(0, at, at + 512);
      assert.deepEqual([scanRecords(torn, sequence).damage, at], ['torn', at]);
    }
    const headless = Buffer.from(large).fill(0, secondOffset, 512);
    assert.equal(scanRecords(headless, sequence).damage, 'torn');
  });

  it('are torn or not there when any sectors of the last one were not written, wherever they begin and end', () => {
    const last: WalItem[] = [entryItem(2, Buffer.alloc(500, 7))];
    for (let filler = 0; filler < 512; filler++) {
      const before = segmentOf([[entryItem(1, Buffer.alloc(filler, 7))]]);
      const segment = Buffer.concat([before, encodeRecord(last, { sequence, offset: before.length })]);
      const bounds = [before.length, ...boundsWithin(before.length, segment.length), segment.length];
      for (let written = 0; written < 2 ** (bounds.length - 1) - 1; written++) {
        const left = Buffer.concat([segment, Buffer.alloc(512)]);
        bounds.slice(1).forEach((end, at) => {
          if ((written & (1 << at)) === 0) left.fill(0, bounds[at], end);
        });
        assert.equal(scanRecords(left, sequence).damage, written === 0 ? 'none' : 'torn', `${bounds}: ${written}`);
      }
    }
  });

  // Of the first, a sector may have as little as a byte: a turned bit must not make it look unwritten.
  for (const firstBytes of [1, 2, 3, 4, 5, 7, 8, 9]) {
    const filler = (bytes: number): WalItem[] => [entryItem(1, Buffer.alloc(bytes, 7))];
    const lacked = 1_024 - firstBytes - segmentOf([filler(0)]).length;
    const segment = Buffer.concat([segmentOf([filler(lacked), small(2)]), Buffer.alloc(512)]);
    const offset = 1_024 - firstBytes;

    it(`are corrupt when a bit of the last one's first sector, ${firstBytes} bytes, turns`, () => {
      for (let at = offset; at < 1_024; at++) {
        for (let bit = 0; bit < 8; bit++)
          assert.equal(scanRecords(flipped(segment, at, bit), sequence).damage, 'corrupt');
      }
    });
  }

  it('end in zeros without damage: room that was made ahead', () => {
    const scan = scanRecords(Buffer.concat([two, Buffer.alloc(4096)]), sequence);
    assert.deepEqual([scan.damage, scan.records.length, scan.validBytes], ['none', 2, two.length]);
  });

  it('count only where they were written: no payload poses as a record', () => {
    const posing = entryItem(1, encodeRecord(small(2), { sequence, offset: 0 }));
    const segment = segmentOf([[posing]]);
    assert.equal(scanRecords(segment.subarray(0, segment.length - 1), sequence).damage, 'torn');
    assert.equal(scanRecords(two, sequence + 1).records.length, 0);
  });

  /** A segment of one record, with one byte of its payload replaced, under a right checksum. */
  function forged(item: WalItem, offset: number, byte: number): Buffer {
    const segment = segmentOf([[item]]);
    assert.equal(scanRecords(segment, sequence).damage, 'none');
    const at = headerBytes.length;
    segment[at + 8 + offset] = byte;
    const place = Buffer.from('000000000002000000000000', 'hex');
    place.writeUIntBE(at, 6, 6);
    segment.writeUInt32BE(crc32(segment.subarray(at + 8, -1), crc32(place)), at + 4);
    return segment;
  }
  const noSuchItem = forged({ kind: 'hard-state', hardState: { term: 1, votedFor: 1 } }, 0, 3);
  const noSuchKind = forged(entryItem(1, Buffer.from('x')), 13, 9);

  it('are corrupt when one holds nonsense under a right checksum', () => {
    assert.equal(scanRecords(noSuchItem, sequence).damage, 'corrupt');
    assert.equal(scanRecords(noSuchKind, sequence).damage, 'corrupt');
  });

  it('of which one holds nonsense are salvaged, and that one as empty', () => {
    const offset = headerBytes.length;
    assert.deepEqual(salvageRecords(noSuchKind, sequence, offset), [{ offset, items: [] }]);
  });

  it('are salvaged behind a broken one', () => {
    const broken = flipped(two, headerBytes.length + 20, 3);
    assert.deepEqual(
      salvageRecords(broken, sequence, headerBytes.length).map(({ offset }) => offset),
      [secondOffset],
    );
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
