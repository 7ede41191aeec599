/** What the leader makes of testimony: verdicts, the brake, returns. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MonotonicMs, NodeNumber } from '../../src/identity.ts';
import { recentConvictionMs } from '../../src/swim/brake.ts';
import {
  accusationLeaseMs,
  batchHoldMaxMs,
  batchHoldMs,
  brakeCheckMs,
  casesMax,
  Jury,
  lossyLeaseMs,
  reportLeaseMs,
  stuckAfterMs,
  type Verdict,
} from '../../src/swim/jury.ts';
import type { Evidence } from '../../src/swim/message.ts';
import {
  newProcessWaitMs,
  Probation,
  probationPingPeriodMs,
  probationsMax,
  returnWaitMs,
  returnWaitMsMax,
  sameProcessWaitMs,
} from '../../src/swim/probation.ts';
import { swimProfiles } from '../../src/swim/settings.ts';

function upTo(count: number): NodeNumber[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** A pane whose members all observe each other, up to ten of them the lowest numbers; nobody is down. */
class Pane {
  readonly jury: Jury;
  live: NodeNumber[];
  brakeReleased = false;
  now: MonotonicMs = 0;

  constructor(size: number, groups: readonly { name: string; members: readonly NodeNumber[] }[] = []) {
    const observersOf = (subject: NodeNumber): NodeNumber[] =>
      upTo(size)
        .filter((number) => number !== subject)
        .slice(0, 10);
    this.live = upTo(size);
    this.jury = new Jury({ observersOf, groups: () => groups });
  }

  report(subject: NodeNumber, reporters: readonly NodeNumber[], evidence: Evidence = 'silent'): this {
    for (const from of reporters) this.jury.report(from, { subject, incarnation: 0, evidence }, this.now);
    return this;
  }

  accuse(subject: NodeNumber, accusers: readonly NodeNumber[]): this {
    for (const from of accusers) this.jury.accuse(from, subject, this.now);
    return this;
  }

  sit(afterMs = 0): readonly Verdict[] {
    this.now += afterMs;
    const { brakeReleased } = this;
    return this.jury.verdicts(this.now, { live: new Set(this.live), incarnationOf: () => 0, brakeReleased });
  }

  /** Who is convicted after the longest hold. */
  verdicts(): NodeNumber[] {
    assert.deepEqual(this.sit(), []);
    return this.sit(batchHoldMaxMs).map(({ number }) => number);
  }

  /** The same, published: they are down. */
  convict(): NodeNumber[] {
    const convicted = this.verdicts();
    this.live = this.live.filter((number) => !convicted.includes(number));
    return convicted;
  }
}

test('below ten observers a majority of the live ones convicts, one fewer does not', () => {
  assert.deepEqual(new Pane(7).report(7, [1, 2, 3, 4]).verdicts(), [7]);
  assert.deepEqual(new Pane(7).report(7, [1, 2, 3]).verdicts(), []);
  assert.deepEqual(new Pane(3).report(3, [1, 2]).verdicts(), [3]);
  assert.deepEqual(new Pane(3).report(3, [1]).verdicts(), []);
  assert.deepEqual(new Pane(2).report(2, [1]).verdicts(), [2]);
});

test('with ten observers seven convict, and seven tenths of those who live', () => {
  assert.deepEqual(new Pane(20).report(20, upTo(6)).verdicts(), []);
  assert.deepEqual(new Pane(20).report(20, upTo(7)).verdicts(), [20]);
  const convictedBy = (liveObservers: number, reporters: number): boolean => {
    const pane = new Pane(20);
    pane.live = [...upTo(liveObservers), ...upTo(20).filter((number) => number > 10)];
    return pane.report(20, upTo(reporters)).verdicts().length === 1;
  };
  const least = upTo(10).map((live) => upTo(live).find((reporters) => convictedBy(live, reporters)));
  assert.deepEqual(least, [1, 2, 3, 3, 4, 5, 5, 6, 7, 7]);
  assert.ok(!convictedBy(1, 0));
});

test('reports by the subject, by the dead, by strangers and by those who do not observe it do not count', () => {
  assert.deepEqual(new Pane(7).report(7, [1, 2, 3, 7]).verdicts(), []);
  assert.deepEqual(new Pane(7).report(7, [1, 2, 3, 99]).verdicts(), []);
  const pane = new Pane(7);
  pane.live = upTo(5);
  assert.deepEqual(pane.report(5, [1, 6, 7]).verdicts(), []);
  assert.deepEqual(new Pane(7).report(99, upTo(7)).verdicts(), [], 'nor do reports about strangers');
  assert.deepEqual(new Pane(30).report(30, [1, 2, 3, 11, 12, 13, 14, 15]).verdicts(), []);
});

test('a report counts for its lease, and only for the incarnation that is known', () => {
  const pane = new Pane(7).report(7, [1, 2, 3]);
  pane.now = reportLeaseMs;
  pane.report(7, [4]);
  const live = new Set(pane.live);
  assert.ok(pane.jury.hasMajority(7, 0, live, reportLeaseMs));
  assert.ok(!pane.jury.hasMajority(7, 0, live, reportLeaseMs + 1));
  assert.ok(!pane.jury.hasMajority(7, 1, live, reportLeaseMs));
  pane.now++;
  assert.deepEqual(pane.verdicts(), []);
  for (const [name, { reportPeriodMs }] of Object.entries(swimProfiles)) {
    assert.ok(2 * reportPeriodMs < reportLeaseMs, `with ${name} one report may be lost`);
  }
});

test('a kernel’s word convicts by a majority, while silence needs seven', () => {
  assert.deepEqual(new Pane(20).report(20, upTo(5), 'refused').verdicts(), []);
  const pane = new Pane(20).report(20, upTo(6), 'refused');
  assert.deepEqual(pane.sit(), []);
  assert.deepEqual(pane.sit(batchHoldMs), [{ number: 20, incarnation: 0, evidence: 'refused' }]);
  const mixed = new Pane(20).report(20, upTo(4), 'refused').report(20, [5, 6, 7]);
  assert.equal(mixed.sit().length + mixed.sit(batchHoldMs).length, 1, 'what is refused is silent too');
});

test('lossy links convict by seven reports within a minute, apart from silences', () => {
  const pane = new Pane(20);
  for (const from of upTo(7)) {
    pane.report(20, [from], 'lossy');
    if (from < 7) assert.deepEqual(pane.sit(8_000), []);
  }
  assert.deepEqual(pane.verdicts(), [20]);
  const late = new Pane(20).report(20, [1], 'lossy');
  late.now = lossyLeaseMs + 1;
  assert.deepEqual(late.report(20, [2, 3, 4, 5, 6, 7], 'lossy').verdicts(), []);
  assert.deepEqual(new Pane(20).report(20, upTo(6), 'lossy').report(20, [7, 8, 9]).verdicts(), []);
});

test('whoever is convicted drops out of the jury before the next one is judged', () => {
  // Without 7, whom the most report, 6 has three reports of five: still a majority.
  assert.deepEqual(new Pane(7).report(7, [1, 2, 3, 4, 5]).report(6, [1, 2, 3, 7]).verdicts(), [7, 6]);
  // Here one of three was 7's own.
  assert.deepEqual(new Pane(7).report(7, [1, 2, 3, 4, 5]).report(6, [1, 2, 7]).verdicts(), [7]);
  // Two who report each other do not both fall by it.
  assert.deepEqual(new Pane(2).report(1, [2]).report(2, [1]).verdicts(), [1]);
  // 6 has three reports of six, and then three of five.
  assert.deepEqual(new Pane(7).report(7, [1, 2, 3, 4]).report(6, [1, 2, 3]).verdicts(), [7, 6]);
});

test('a docket filled with accusations that come to nothing empties itself, and a real death is judged', () => {
  const pane = new Pane(7);
  for (let subject = 100; subject < 100 + casesMax; subject++) pane.accuse(subject, [7]);
  pane.report(3, [1, 2, 4, 5, 6]);
  assert.ok(pane.jury.nextVerdictAt() < Number.POSITIVE_INFINITY);
  pane.sit(accusationLeaseMs + 1);
  assert.deepEqual(pane.report(3, [1, 2, 4, 5, 6]).verdicts(), [3]);
});

test('when most of a small cluster is dead, the living are enough to convict it', () => {
  const dead = [4, 5, 6, 7, 8, 9];
  for (const evidence of ['refused', 'silent'] as const) {
    const pane = new Pane(9);
    for (const number of dead) pane.report(number, [1, 2, 3], evidence);
    pane.brakeReleased = evidence === 'silent';
    assert.deepEqual(pane.verdicts(), [], 'at first the dead count as jurors');
    const convicted = [];
    for (let passed = 0; passed <= stuckAfterMs + 1_000; passed += 500) {
      for (const number of dead) pane.report(number, [1, 2, 3], evidence);
      convicted.push(...pane.sit(500).map(({ number }) => number));
    }
    assert.deepEqual([...new Set(convicted)].sort(), dead, evidence);
  }
});

test('a verdict is held for a batch, and longer while somebody else is accused by three', () => {
  const pane = new Pane(7).report(7, [1, 2, 3, 4]).accuse(6, [1, 2, 3]);
  assert.equal(pane.jury.nextVerdictAt(), 0);
  assert.deepEqual(pane.sit(), []);
  assert.equal(pane.jury.nextVerdictAt(), batchHoldMaxMs);
  assert.deepEqual(pane.sit(batchHoldMs), []);

  pane.report(6, [1, 2, 3, 4]);
  const batch = pane.sit(300);
  assert.deepEqual(batch.map(({ number }) => number).sort(), [6, 7]);
  assert.equal(pane.jury.nextVerdictAt(), Number.POSITIVE_INFINITY);
});

test('the hold ends after a second, and two accusers do not cause it', () => {
  const held = new Pane(7).report(7, [1, 2, 3, 4]).accuse(6, [1, 2, 3]);
  assert.deepEqual(held.verdicts(), [7]);
  const free = new Pane(7).report(7, [1, 2, 3, 4]).accuse(6, [1, 2]);
  free.sit();
  assert.deepEqual(free.sit(batchHoldMs), [{ number: 7, incarnation: 0, evidence: 'silent' }]);
});

test('until the pane has published a verdict, further reports bring it again', () => {
  const pane = new Pane(7).report(7, [1, 2, 3, 4]);
  assert.deepEqual(pane.verdicts(), [7]);
  assert.deepEqual(pane.sit(200), []);
  assert.deepEqual(pane.report(7, [1, 2, 3, 4]).verdicts(), [7]);
});

test('made-up subjects fill the jury only until it sits', () => {
  const pane = new Pane(7);
  for (let subject = 100; subject < 101 + casesMax; subject++) pane.report(subject, [7]);
  assert.equal(pane.jury.dropped, 1);
  pane.live = upTo(6);
  pane.sit();
  assert.deepEqual(pane.report(6, [1, 2, 3]).verdicts(), [6]);
});

test('when more than a quarter is accused at once nobody is convicted, until the operator says so', () => {
  const pane = new Pane(20);
  const reportAll = (): void => {
    for (const subject of [15, 16, 17, 18, 19, 20]) pane.report(subject, upTo(8));
  };
  reportAll();
  assert.deepEqual(pane.verdicts(), []);
  assert.deepEqual(pane.jury.brake, { on: true, since: 0, accused: [15, 16, 17, 18, 19, 20] });
  reportAll();
  pane.brakeReleased = true;
  assert.deepEqual(pane.verdicts(), [15, 16, 17, 18, 19, 20]);
  assert.deepEqual(pane.jury.brake, { on: false });
});

test('a quarter passes, and so do two of three, whom a share alone would freeze', () => {
  const quarter = new Pane(20);
  for (const subject of [16, 17, 18, 19, 20]) quarter.report(subject, upTo(8));
  assert.deepEqual(quarter.verdicts(), [16, 17, 18, 19, 20]);
  assert.deepEqual(new Pane(5).report(4, [1, 2, 3]).report(5, [1, 2, 3]).verdicts(), [4, 5]);
});

test('a role must not lose more than a quarter of its members either', () => {
  const dns = { name: 'dns', members: [15, 16, 17, 18, 19] };
  const pane = new Pane(40, [{ name: 'host', members: upTo(40) }, dns]);
  for (const subject of [17, 18, 19]) pane.report(subject, upTo(8));
  assert.deepEqual(pane.verdicts(), []);
  assert.ok(pane.jury.brake.on);
});

test('the brake counts accusations before the first conviction, and a slow series as one mass', () => {
  const early = new Pane(20).report(20, upTo(8));
  for (const subject of [14, 15, 16, 17, 18, 19]) early.accuse(subject, [1, 2, 3]);
  assert.deepEqual(early.verdicts(), []);

  const slow = new Pane(20);
  assert.deepEqual(slow.report(20, upTo(8)).report(19, upTo(8)).report(18, upTo(8)).convict(), [18, 19, 20]);
  slow.now += 3_000;
  for (const subject of [15, 16, 17]) slow.report(subject, upTo(8));
  assert.deepEqual(slow.verdicts(), [], 'six of twenty within ten seconds');
  slow.now += recentConvictionMs;
  for (const subject of [15, 16, 17]) slow.report(subject, upTo(8));
  assert.deepEqual(slow.verdicts(), [15, 16, 17]);
});

test('the brake lets kernel-proven deaths through and does not count them', () => {
  const crashed = [11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
  const pane = new Pane(20);
  for (const subject of crashed) pane.accuse(subject, [1, 2, 3]).report(subject, upTo(8), 'refused');
  assert.deepEqual(pane.convict(), crashed);
  const frozen = new Pane(20).report(14, upTo(8), 'refused');
  for (const subject of [15, 16, 17, 18, 19, 20]) frozen.report(subject, upTo(8));
  assert.deepEqual(frozen.verdicts(), [14]);
  assert.ok(frozen.jury.brake.on);
});

test('accusers who observe nobody accused cannot put the brake on, and it falls by itself', () => {
  const pane = new Pane(40);
  const isOn = (): boolean => pane.jury.brake.on;
  for (let subject = 20; subject <= 40; subject++) pane.accuse(subject, [11, 12, 13, 14]);
  pane.sit();
  assert.equal(isOn(), false);
  for (let subject = 20; subject <= 40; subject++) pane.accuse(subject, [1, 2, 3]);
  pane.sit();
  assert.equal(isOn(), true);
  assert.equal(pane.jury.nextVerdictAt(), pane.now + brakeCheckMs);
  pane.sit(6_000);
  assert.equal(isOn(), false);
  assert.equal(pane.jury.nextVerdictAt(), Number.POSITIVE_INFINITY);
});

test('a new process returns after half a second, the same one after five, doubled each time up to half an hour', () => {
  assert.deepEqual(
    [0, 1, 2, 30].map((returns) => returnWaitMs(true, returns)),
    [newProcessWaitMs, 1_000, 2_000, returnWaitMsMax],
  );
  assert.deepEqual(
    [0, 1, 8, 9].map((returns) => returnWaitMs(false, returns)),
    [sameProcessWaitMs, 10_000, 1_280_000, returnWaitMsMax],
  );
});

test('on probation seven of ten pings have to be answered, and a last one at the end', () => {
  for (const [answers, isThereAtTheEnd] of [
    [0, true],
    [6, true],
    [7, true],
    [10, true],
    [10, false],
  ] as const) {
    const probation = new Probation();
    probation.begin(5, sameProcessWaitMs, 0);
    let asked = 0;
    let now = 0;
    for (; now < sameProcessWaitMs; now = probation.nextTickAt()) {
      assert.deepEqual(probation.due(now), { ask: [5], passed: [], failed: [] });
      if (asked++ < answers) probation.onAnswer(5);
      assert.equal(probation.begin(5, sameProcessWaitMs, now), true, 'asking again changes nothing');
    }
    assert.equal(asked, sameProcessWaitMs / probationPingPeriodMs);
    if (answers >= 7) {
      assert.deepEqual(probation.due(now), { ask: [5], passed: [], failed: [] });
      if (isThereAtTheEnd) probation.onAnswer(5);
      else now += 1_000;
    }
    const { passed, failed } = probation.due(now);
    assert.deepEqual(answers >= 7 && isThereAtTheEnd ? passed : failed, [5], `${answers} answers`);
    assert.equal(probation.nextTickAt(), Number.POSITIVE_INFINITY);
  }
});

test('at most 1,024 are on probation', () => {
  const probation = new Probation();
  for (let number = 1; number <= probationsMax; number++) assert.ok(probation.begin(number, 500, 0));
  assert.ok(!probation.begin(probationsMax + 1, 500, 0));
  assert.equal(probation.due(0).ask.length, probationsMax);
});
