/**
 * A set of node numbers as bytes: each as its distance from the one before, in base-128 digits with the lowest
 * first (LEB128). One set has one encoding, so hashes of it can be compared; a number that follows its neighbour
 * takes one byte.
 */
import { assert } from '../assert.ts';
import { type NodeNumber, nodeNumberMax } from '../identity.ts';

/** Numbers that a cluster gives out; those removed in an epoch are remembered by everybody. */
export const numbersMax = 100_000;

const digitBits = 7;
const digitMask = 0x7f;
const moreFollows = 0x80;
/** Base-128 digits of 2^32−1. */
const digitsMax = 5;

/** `ascending`: each number once, from 1 to 2^32−1. */
export function encodeNumbers(ascending: readonly NodeNumber[]): Uint8Array {
  const out: number[] = [];
  let last = 0;
  for (const number of ascending) {
    assert(number > last && number <= nodeNumberMax, 'a set of numbers is encoded in ascending order');
    let distance = number - last;
    for (; distance > digitMask; distance = Math.floor(distance / moreFollows)) {
      out.push((distance & digitMask) | moreFollows);
    }
    out.push(distance);
    last = number;
  }
  return Uint8Array.from(out);
}

/** The numbers in a peer's bytes, ascending; nothing unless they are the encoding of at most `most` numbers. */
export function decodeNumbers(bytes: Uint8Array, most: number): number[] | undefined {
  const numbers: number[] = [];
  let last = 0;
  for (let at = 0; at < bytes.length; ) {
    const digits = digitsAt(bytes, at);
    const number = last + distanceAt(bytes, at, digits);
    if (digits === 0 || number === last || number > nodeNumberMax || numbers.length >= most) return undefined;
    // A highest digit of 0 would be a second encoding of the same distance.
    if (digits > 1 && bytes[at + digits - 1] === 0) return undefined;
    numbers.push(number);
    last = number;
    at += digits;
  }
  return numbers;
}

/** How many digits the distance at `at` has; 0 when it does not end, or not in time. */
function digitsAt(bytes: Uint8Array, at: number): number {
  for (let digits = 1; digits <= digitsMax; digits++) {
    const byte = bytes[at + digits - 1];
    if (byte === undefined) return 0;
    if (byte < moreFollows) return digits;
  }
  return 0;
}

function distanceAt(bytes: Uint8Array, at: number, digits: number): number {
  let distance = 0;
  for (let digit = 0; digit < digits; digit++) {
    distance += ((bytes[at + digit] as number) & digitMask) * 2 ** (digitBits * digit);
  }
  return distance;
}
