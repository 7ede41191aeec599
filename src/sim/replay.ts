/** `npm run sim -- SEED [COUNT]`: replays one seed, or runs COUNT seeds from it on. */
import { InvariantViolation } from './invariant-violation.ts';
import { LivenessFailure, runSeed } from './seed-run.ts';

const [first = '1', count = '1'] = process.argv.slice(2);
const from = Number(first);
const most = Number(count);
if (!Number.isSafeInteger(from) || !Number.isSafeInteger(most) || from < 0 || most < 1) {
  console.error('usage: npm run sim -- SEED [COUNT], both whole numbers');
  process.exit(2);
}

let failures = 0;
for (let seed = from; seed < from + most; seed++) {
  try {
    console.log(JSON.stringify(runSeed(seed)));
  } catch (thrown) {
    failures++;
    // Anything else is the program that went wrong itself: its kind is told, and where.
    const isBrokenPromise = thrown instanceof InvariantViolation || thrown instanceof LivenessFailure;
    console.error(`${isBrokenPromise ? thrown.message : thrown}\nreplay: npm run sim -- ${seed}`);
    if ((most === 1 || !isBrokenPromise) && thrown instanceof Error) console.error(thrown.stack);
  }
}
if (failures > 0) {
  console.error(`${failures} of ${most} seeds failed`);
  process.exit(1);
}
