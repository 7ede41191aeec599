import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeNumber } from '../../src/identity.ts';
import { batchHoldMaxMs, batchHoldMs, casesMax, Jury, reportLeaseMs } from '../../src/swim/jury.ts';

const seven = [1, 2, 3, 4, 5, 6, 7];
const hundred = Array.from({ length: 100 }, (_, position) => position + 1);
const everybody = (): readonly NodeNumber[] => hundred;
const noIncarnations = (): number => 0;

function juryWith(reports: Readonly<Record<number, readonly NodeNumber[]>>, now = 0): Jury {
  const jury = new Jury(everybody);
  for (const [subject, reporters] of Object.entries(reports)) {
    for (const from of reporters) jury.report(from, Number(subject), 0, now);
  }
  return jury;
}

/** The verdicts after the longest hold. */
function verdictsOf(jury: Jury, live: readonly NodeNumber[] = seven, now = 0): NodeNumber[] {
  assert.deepEqual(jury.verdicts(now, live, noIncarnations), []);
  return jury.verdicts(now + batchHoldMaxMs, live, noIncarnations).map(({ number }) => number);
}

test('a majority of the live members other than the subject convicts, one fewer does not', () => {
  assert.deepEqual(verdictsOf(juryWith({ 7: [1, 2, 3, 4] })), [7]);
  assert.deepEqual(verdictsOf(juryWith({ 7: [1, 2, 3] })), []);
  assert.deepEqual(verdictsOf(juryWith({ 3: [1, 2] }), [1, 2, 3]), [3]);
  assert.deepEqual(verdictsOf(juryWith({ 3: [1] }), [1, 2, 3]), []);
  assert.deepEqual(verdictsOf(juryWith({ 2: [1] }), [1, 2]), [2]);
});

test('reports by the subject, by those who are down and by strangers do not count', () => {
  assert.deepEqual(verdictsOf(juryWith({ 7: [1, 2, 3, 7] })), []);
  assert.deepEqual(verdictsOf(juryWith({ 7: [1, 2, 3, 99] })), []);
  assert.deepEqual(verdictsOf(juryWith({ 5: [1, 6, 7] }), [1, 2, 3, 4, 5]), []);
  assert.deepEqual(verdictsOf(juryWith({ 99: seven })), [], 'nor do reports about strangers');
});

test('a report counts for its lease, and only for the incarnation that is known', () => {
  const jury = juryWith({ 7: [1, 2, 3] });
  jury.report(4, 7, 0, reportLeaseMs);
  assert.ok(jury.hasMajority(7, 0, seven, reportLeaseMs));
  assert.ok(!jury.hasMajority(7, 0, seven, reportLeaseMs + 1));
  assert.ok(!jury.hasMajority(7, 1, seven, reportLeaseMs));
  assert.deepEqual(verdictsOf(jury, seven, reportLeaseMs + 1), []);
});

test('whoever is convicted drops out of the jury before the next one is judged', () => {
  // Without 7, whom the most report, 6 has three reports of five: still a majority.
  assert.deepEqual(verdictsOf(juryWith({ 7: [1, 2, 3, 4, 5], 6: [1, 2, 3, 7] })), [7, 6]);
  // Here one of three was 7's own.
  assert.deepEqual(verdictsOf(juryWith({ 7: [1, 2, 3, 4, 5], 6: [1, 2, 7] })), [7]);
  // Two who report each other do not both fall by it.
  assert.deepEqual(verdictsOf(juryWith({ 1: [2], 2: [1] }), [1, 2]), [1]);
});

test('those who are down make the majority of the rest smaller within one batch', () => {
  // 6 has three reports of six, and then three of five.
  assert.deepEqual(verdictsOf(juryWith({ 7: [1, 2, 3, 4], 6: [1, 2, 3] })), [7, 6]);
});

test('a verdict is held for a batch, and longer while somebody else is accused by three', () => {
  const jury = juryWith({ 7: [1, 2, 3, 4] });
  for (const from of [1, 2, 3]) jury.accuse(from, 6, 0);
  assert.equal(jury.nextVerdictAt(), 0);
  assert.deepEqual(jury.verdicts(0, seven, noIncarnations), []);
  assert.equal(jury.nextVerdictAt(), batchHoldMaxMs);
  assert.deepEqual(jury.verdicts(batchHoldMs, seven, noIncarnations), []);

  for (const from of [1, 2, 3, 4]) jury.report(from, 6, 0, 400);
  const batch = jury.verdicts(400, seven, noIncarnations);
  assert.deepEqual(batch.map(({ number }) => number).sort(), [6, 7]);
  assert.equal(jury.nextVerdictAt(), Number.POSITIVE_INFINITY);
});

test('the hold ends after a second, and two accusers do not cause it', () => {
  const held = juryWith({ 7: [1, 2, 3, 4] });
  for (const from of [1, 2, 3]) held.accuse(from, 6, 0);
  held.verdicts(0, seven, noIncarnations);
  assert.deepEqual(held.verdicts(batchHoldMaxMs, seven, noIncarnations), [{ number: 7, incarnation: 0 }]);

  const free = juryWith({ 7: [1, 2, 3, 4] });
  for (const from of [1, 2]) free.accuse(from, 6, 0);
  free.verdicts(0, seven, noIncarnations);
  assert.deepEqual(free.verdicts(batchHoldMs, seven, noIncarnations), [{ number: 7, incarnation: 0 }]);
});

test('until the pane has published a verdict, further reports bring it again', () => {
  const jury = juryWith({ 7: [1, 2, 3, 4] });
  assert.deepEqual(verdictsOf(jury), [7]);
  assert.deepEqual(jury.verdicts(1_200, seven, noIncarnations), []);
  for (const from of [1, 2, 3, 4]) jury.report(from, 7, 0, 1_300);
  assert.deepEqual(verdictsOf(jury, seven, 1_300), [7]);
});

test('made-up subjects fill the jury only until it sits', () => {
  const jury = new Jury(everybody);
  for (let subject = 100; subject < 101 + casesMax; subject++) jury.report(1, subject, 0, 0);
  assert.equal(jury.dropped, 1);
  jury.verdicts(0, seven, noIncarnations);
  for (const from of [1, 2, 3, 4]) jury.report(from, 7, 0, 0);
  assert.deepEqual(verdictsOf(jury), [7]);
});
