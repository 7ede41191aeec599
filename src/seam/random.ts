import { assert } from '../assert.ts';

/** Randomness as an argument: from the system in production, from a seed in tests and the simulator. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** A uniform integer, 0 ≤ n < limit; `limit` is at least 1. */
  below(limit: number): number;
  bytes(length: number): Uint8Array;
}

/** A new array with the same items in random order (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const pick = random.below(last + 1);
    const moved = result[last] as T;
    result[last] = result[pick] as T;
    result[pick] = moved;
  }
  return result;
}

/** The same stream for the same seed, for ever (sfc32). For tests, benches and the simulator: not for keys. */
export function seededRandom(seed: number): Random {
  let [a, b, c, counter] = [0x9e37_79b9 ^ seed, 0x243f_6a88, 0xb7e1_5162 ^ Math.floor(seed / 0x1_0000_0000), 1];
  const next32 = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  };
  for (let warmUp = 0; warmUp < 12; warmUp++) next32();
  const next = (): number => next32() / 0x1_0000_0000;
  return {
    next,
    below: (limit) => {
      assert(limit >= 1, 'a random choice has something to choose from');
      return Math.floor(next() * limit);
    },
    bytes: (length) => Uint8Array.from({ length }, () => next32() & 0xff),
  };
}
