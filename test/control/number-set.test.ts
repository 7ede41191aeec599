/** Sets of numbers as bytes: the removed ones, which everybody remembers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decodeNumbers, encodeNumbers, numbersMax } from '../../src/control/number-set.ts';
import { nodeNumberMax } from '../../src/identity.ts';

const range = (from: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, each) => from + each);
const decoded = (...bytes: readonly number[]): readonly number[] | undefined =>
  decodeNumbers(Uint8Array.from(bytes), 4);

describe('a set of numbers', () => {
  test('comes back as it was', () => {
    const edges = [
      1,
      127,
      128,
      255,
      256,
      16_383,
      16_384,
      2 ** 21,
      2 ** 28 - 1,
      2 ** 31,
      nodeNumberMax - 1,
      nodeNumberMax,
    ];
    for (const numbers of [[], [1], [nodeNumberMax], edges, range(70_000, 1_000)]) {
      assert.deepEqual(decodeNumbers(encodeNumbers(numbers), numbers.length), numbers);
    }
    const anySet = fc.uniqueArray(fc.integer({ min: 1, max: nodeNumberMax }), { maxLength: 50 });
    fc.assert(
      fc.property(anySet, (numbers) => {
        const ascending = numbers.sort((a, b) => a - b);
        assert.deepEqual(decodeNumbers(encodeNumbers(ascending), 50), ascending);
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  test('takes a byte for each number that is near the one before', () => {
    assert.equal(encodeNumbers(range(1, numbersMax)).length, numbersMax);
    assert.equal(encodeNumbers(range(1, 1_000).map((each) => each * 127)).length, 1_000);
    assert.equal(encodeNumbers([nodeNumberMax]).length, 5);
    assert.equal(decodeNumbers(encodeNumbers(range(1, numbersMax)), numbersMax)?.length, numbersMax);
  });

  test('is of our own making in ascending order, each number once', () => {
    for (const wrong of [[2, 1], [1, 1], [0], [nodeNumberMax + 1]]) {
      assert.throws(() => encodeNumbers(wrong), /ascending order/);
    }
  });
});

describe("a set in a peer's bytes", () => {
  test('is nothing when it is cut, too long, doubled or beyond what a number can be', () => {
    assert.deepEqual(decoded(5, 0x80, 0x01), [5, 133]);
    const wrong: readonly (readonly number[])[] = [
      [0],
      [5, 0],
      [0x80],
      [5, 0xff],
      [0x81, 0x00],
      [0x80, 0x80, 0x00],
      [0x80, 0x80, 0x80, 0x80, 0x10],
      [0xff, 0xff, 0xff, 0xff, 0x0f, 1],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
      [1, 1, 1, 1, 1],
    ];
    for (const bytes of wrong) assert.equal(decoded(...bytes), undefined, bytes.join());
    assert.deepEqual(decoded(0xff, 0xff, 0xff, 0xff, 0x0f), [nodeNumberMax]);
    assert.equal(decodeNumbers(encodeNumbers([1]), 0), undefined);
  });

  test('has one encoding: whatever is read is written the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
        const numbers = decodeNumbers(bytes, 24);
        if (numbers !== undefined) assert.deepEqual(encodeNumbers(numbers), bytes);
      }),
      { seed: 4, numRuns: 2_000 },
    );
  });
});
