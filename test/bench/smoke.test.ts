import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadBenches, measure, smokeEffort } from '../../bench/bench.ts';

const benches = await loadBenches();

test('there are benches, each with a name of its own', () => {
  assert(benches.length > 0);
  assert.equal(new Set(benches.map(({ name }) => name)).size, benches.length);
});

for (const bench of benches) {
  test(`the bench ${bench.name} runs`, async () => {
    const measurements = await measure(bench, smokeEffort);
    assert(measurements.length > 0);
    for (const { task, operationsPerSecond, against, speedRatio } of measurements) {
      assert(operationsPerSecond > 0, task);
      assert.equal(speedRatio === undefined, against === undefined, `${task} has nothing to compare with`);
    }
  });
}

test('a datagram is at least three times smaller than JSON (HM-32)', async () => {
  const codec = benches.find(({ name }) => name === 'codec') ?? assert.fail('no bench of the codec');
  const encoded = (await measure(codec, smokeEffort)).find(({ task }) => task === 'encode');
  assert((encoded?.sizeRatio ?? 0) >= 3, `${encoded?.sizeRatio}`);
});
