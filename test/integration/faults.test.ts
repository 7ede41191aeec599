/** The short form of `npm run soak:faults`: nothing acknowledged is lost by real processes under load and faults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runFaults } from './faults/fault-run.ts';
import { whyNoNetwork } from './netns-network.ts';

const skip = await whyNoNetwork();
/** The leader is killed, stopped, cut off, demoted and given a full disk; and all are killed at once. */
const seed = 2155;
const forMs = 25_000;
/** Something has to have happened for a run to say anything. */
const ackedMin = 20;
const faultsMin = 3;

test('what is acknowledged survives kills, stops, cuts, full disks and wrong clocks, once (4.9)', {
  skip,
}, async (t) => {
  const report = await runFaults({ seed, forMs, control: 3, onNews: (text) => t.diagnostic(text) });
  t.diagnostic(JSON.stringify(report.counts));
  assert.deepEqual(report.violations, [], `npm run soak:faults -- ${forMs / 60_000} ${seed} 3`);
  assert(Number(report.counts.acked) >= ackedMin, 'the load was carried');
  assert([...report.faults.values()].reduce((total, count) => total + count, 0) >= faultsMin, 'faults were done');
});
