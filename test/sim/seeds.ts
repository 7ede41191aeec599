import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSeed } from '../../src/sim/seed-run.ts';

/** One test for each seed from `first` to `last`; a failure says how to replay it. */
export function testSeeds(first: number, last: number): void {
  for (let seed = first; seed <= last; seed++) {
    test(`seed ${seed} keeps every promise through its faults, and comes together again`, () => {
      try {
        runSeed(seed);
      } catch (thrown) {
        const what = thrown instanceof Error ? thrown.message : String(thrown);
        assert.fail(`seed ${seed}: ${what}\nreplay: npm run sim -- ${seed}`);
      }
    });
  }
}
