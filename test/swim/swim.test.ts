/** One failure detector, step by step: messages and times in, effects out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/bytes.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { downProbePeriodMs } from '../../src/swim/detector.ts';
import { lagToleranceMs, strangerPatienceMs } from '../../src/swim/doubt.ts';
import type { DialOutcome, SwimEffect, SwimEvent } from '../../src/swim/effect.ts';
import { acceptanceForMs, alarmPeriodMs, confirmAfterMs, knockPeriodMs, knockSpreadMs } from '../../src/swim/link.ts';
import { LossWatch, samplePeriodMs, sampleSize } from '../../src/swim/loss.ts';
import type { SwimMessage } from '../../src/swim/message.ts';
import { noncesMax } from '../../src/swim/nonces.ts';
import { Places, Rings } from '../../src/swim/rings.ts';
import { rumourBytesMax, rumoursMax } from '../../src/swim/rumours.ts';
import { swimDefaults } from '../../src/swim/settings.ts';
import { includes, membersOf, type Slice, sliceOf } from '../../src/swim/slice.ts';
import { standingAfterMs, standingSpreadMs } from '../../src/swim/stream-watch.ts';
import { Swim } from '../../src/swim/swim.ts';
import { encodeDatagramBody } from '../../src/wire/datagram.ts';

/** Before the test begins. */
const acquaintanceMs = 20_000;

/** A detector numbered 1 among `size` members, of which nobody answers unless the test does. */
class Bench {
  readonly swim: Swim;
  readonly controlNodes: readonly NodeNumber[];
  /** What the detector wanted before the test began. */
  readonly before: readonly SwimEffect[];
  now = 0;

  constructor(size: number, controlNodes: readonly NodeNumber[] = [2]) {
    this.controlNodes = controlNodes;
    const random = seededRandom(1);
    this.now = -acquaintanceMs;
    this.swim = new Swim({ self: 1, settings: swimDefaults, random, cluster: utf8('bench'), now: this.now });
    for (let number = 2; number <= size; number++) this.swim.setMember(number, 0, 'alive', this.now);
    this.swim.setControlNodes(controlNodes);
    // Everybody is heard once, by datagram alone: a stranger's silence is another matter.
    this.before = this.run(0, (effects) => effects.flatMap((effect) => this.answerPings(effect)));
  }

  /** Ticks whenever the detector wants to, until `untilMs`. */
  advance(untilMs: number): readonly SwimEffect[] {
    return this.run(untilMs, () => []);
  }

  private run(untilMs: number, answer: (effects: readonly SwimEffect[]) => readonly SwimEffect[]): SwimEffect[] {
    const effects: SwimEffect[] = [];
    while (this.swim.nextTickAt() <= untilMs) {
      this.now = Math.max(this.now, this.swim.nextTickAt());
      const some = this.swim.tick(this.now);
      effects.push(...some, ...answer(some));
    }
    this.now = untilMs;
    return effects;
  }

  receive(from: NodeNumber, message: SwimMessage): readonly SwimEffect[] {
    return this.swim.receive(from, message, this.now);
  }

  /** Answers every ping of these effects by datagram, and says that every dial was accepted. */
  answer(effects: readonly SwimEffect[]): readonly SwimEffect[] {
    return effects.flatMap((effect) => {
      if (effect.kind === 'dial') return this.swim.onDialled(effect.to, 'accepted', this.now);
      return this.answerPings(effect);
    });
  }

  private answerPings(effect: SwimEffect): readonly SwimEffect[] {
    if (effect.kind !== 'send') return [];
    return effect.messages.flatMap((message) =>
      message.kind === 'ping' ? this.receive(effect.to, { kind: 'ack', nonce: message.nonce, incarnation: 0 }) : [],
    );
  }

  /** Lets the detector run, and everybody but `silent` answer at once. */
  live(untilMs: number, silent?: NodeNumber): readonly SwimEffect[] {
    const isAnswered = (effect: SwimEffect): boolean => !('to' in effect) || effect.to !== silent;
    return this.run(untilMs, (effects) => this.answer(effects.filter(isAnswered)));
  }

  dialled(to: NodeNumber, outcome: DialOutcome): readonly SwimEffect[] {
    return this.swim.onDialled(to, outcome, this.now);
  }

  /** Waits for the first ping of the own round. */
  firstPing(): { readonly subject: NodeNumber; readonly nonce: number } {
    for (;;) {
      this.now = this.swim.nextTickAt();
      const ping = sent(this.swim.tick(this.now), 'ping')[0];
      if (ping !== undefined) return { subject: ping.to, nonce: ping.message.nonce };
    }
  }
}

function sent<K extends SwimMessage['kind']>(
  effects: readonly SwimEffect[],
  kind: K,
): { to: NodeNumber; message: Extract<SwimMessage, { kind: K }> }[] {
  return effects.flatMap((effect) =>
    effect.kind === 'send'
      ? effect.messages
          .filter((message): message is Extract<SwimMessage, { kind: K }> => message.kind === kind)
          .map((message) => ({ to: effect.to, message }))
      : [],
  );
}

function dialsOf(effects: readonly SwimEffect[], depth: 'knock' | 'ask'): NodeNumber[] {
  return effects.flatMap((effect) => (effect.kind === 'dial' && effect.depth === depth ? [effect.to] : []));
}

function evidenceOf(effects: readonly SwimEffect[]): string[] {
  return sent(effects, 'report').map(({ message }) => message.evidence);
}

function eventsOf(effects: readonly SwimEffect[]): SwimEvent[] {
  return effects.flatMap((effect) => (effect.kind === 'event' ? [effect.event] : []));
}

test('a ping is answered with its nonce and the own incarnation', () => {
  const bench = new Bench(3);
  assert.deepEqual(bench.receive(2, { kind: 'ping', nonce: 7 }), [
    { kind: 'send', to: 2, messages: [{ kind: 'ack', nonce: 7, incarnation: 0 }] },
  ]);
});

test('an unanswered probe asks the other observers at half a second and accuses at one', () => {
  const bench = new Bench(5, [2, 3]);
  const { subject } = bench.firstPing();
  const askedAt = bench.now;
  const others = [2, 3, 4, 5].filter((number) => number !== subject);

  const missed = bench.advance(askedAt + swimDefaults.probeTimeoutMs);
  assert.deepEqual(
    sent(missed, 'probe-request')
      .map(({ to }) => to)
      .sort(),
    others,
  );
  assert.equal(bench.swim.statusOf(subject)?.status, 'alive');

  const suspected = bench.advance(askedAt + swimDefaults.suspectAfterMs);
  const accusations = sent(suspected, 'accusation').filter(({ message }) => message.subject === subject);
  assert.deepEqual(accusations.map(({ to }) => to).sort(), [...others, subject].sort());
  assert.ok(accusations.every(({ message }) => message.unansweredMs === 1_000 && message.incarnation === 0));
  assert.equal(bench.swim.statusOf(subject)?.status, 'suspect');
});

test('a silence is reported to the control nodes each second once the tolerated stall has passed', () => {
  const bench = new Bench(2, [2, 3]);
  bench.firstPing();
  const askedAt = bench.now;
  bench.swim.setMember(3, 0, 'alive', bench.now);
  assert.deepEqual(sent(bench.advance(askedAt + 3_999), 'report'), []);
  const reports = sent(bench.advance(askedAt + 7_000), 'report').filter(({ message }) => message.subject === 2);
  assert.ok(reports.length >= 3 && reports.length <= 4, `${reports.length} reports`);
  assert.deepEqual([...new Set(reports.map(({ to }) => to))], [3], 'the subject itself hears no report');
  assert.equal(bench.swim.statusOf(2)?.status, 'suspect', 'nobody is down before the pane says so');
});

test('an answer clears a suspicion, however late, but only with an open nonce of that very member', () => {
  const bench = new Bench(4, [4]);
  const { subject, nonce } = bench.firstPing();
  const other = subject === 2 ? 3 : 2;
  bench.advance(bench.now + 20_000);
  bench.receive(subject, { kind: 'ack', nonce: nonce ^ 1, incarnation: 0 });
  bench.receive(other, { kind: 'ack', nonce, incarnation: 0 });
  assert.equal(bench.swim.statusOf(subject)?.status, 'suspect');

  const events = eventsOf(bench.receive(subject, { kind: 'ack', nonce, incarnation: 0 }));
  assert.equal(events[0]?.kind, 'refuted');
  assert.equal(bench.swim.statusOf(subject)?.status, 'alive');
});

test('one that was never heard is asked each second, and nobody else hears of its silence for ten seconds', () => {
  const bench = new Bench(5, [2, 3]);
  bench.swim.setMember(9, 0, 'alive', 0);
  const quiet = bench.live(strangerPatienceMs, 9);
  const pings = sent(quiet, 'ping').filter(({ to }) => to === 9);
  assert.ok(pings.length >= 9 && pings.length <= 11, `${pings.length} pings`);
  const told = (effects: readonly SwimEffect[]): number =>
    [...sent(effects, 'probe-request'), ...sent(effects, 'accusation')].filter(({ message }) => message.subject === 9)
      .length;
  assert.equal(told(quiet), 0);
  assert.equal(bench.swim.statusOf(9)?.status, 'alive');

  const loud = bench.live(strangerPatienceMs + 5_000, 9);
  assert.ok(told(loud) > 0);
  assert.deepEqual([...new Set(evidenceOf(loud))], ['silent']);
});

test('an accusation alone makes nobody suspect: its receiver probes for itself first', () => {
  const bench = new Bench(5, [2]);
  const accusation: SwimMessage = { kind: 'accusation', subject: 5, incarnation: 0, unansweredMs: 90_000, nonce: 9 };
  const effects = bench.receive(3, accusation);
  assert.equal(sent(effects, 'ping')[0]?.to, 5);
  assert.equal(bench.swim.statusOf(5)?.status, 'alive');
  assert.equal(sent(bench.receive(4, accusation), 'ping').length, 0, 'it has asked already');

  const later = bench.advance(bench.now + 2_999);
  assert.deepEqual(
    sent(later, 'report').filter(({ message }) => message.subject === 5),
    [],
    'whatever the accuser claims, this node waits for its own window',
  );
  const reports = sent(bench.advance(bench.now + 1), 'report').filter(({ message }) => message.subject === 5);
  assert.deepEqual(
    reports.map(({ to }) => to),
    [2],
  );
});

test('a probe-request makes its receiver probe at once, and ask nobody else', () => {
  const bench = new Bench(5);
  assert.equal(sent(bench.receive(3, { kind: 'probe-request', subject: 5 }), 'ping')[0]?.to, 5);
  const missed = eventsOf(bench.advance(500)).find((event) => event.kind === 'probe-missed' && event.number === 5);
  assert.deepEqual(missed, { kind: 'probe-missed', number: 5, asked: [] });
  assert.deepEqual(bench.receive(3, { kind: 'probe-request', subject: 1 }), []);
  assert.deepEqual(bench.receive(3, { kind: 'probe-request', subject: 99 }), []);
});

test('whoever is accused answers the accuser at once', () => {
  const bench = new Bench(3);
  const effects = bench.receive(3, { kind: 'accusation', subject: 1, incarnation: 0, unansweredMs: 5, nonce: 4 });
  assert.deepEqual(sent(effects, 'ack'), [{ to: 3, message: { kind: 'ack', nonce: 4, incarnation: 0 } }]);
  assert.deepEqual(eventsOf(effects), [{ kind: 'accused-me', by: 3 }]);
});

test('a control node hands accusations and reports to its jury, its own included; others do not', () => {
  const control = new Bench(3, [1]);
  const report: SwimMessage = { kind: 'report', subject: 2, incarnation: 0, evidence: 'silent' };
  assert.deepEqual(control.receive(3, report), [{ kind: 'testimony', from: 3, message: report }]);
  const own = control.advance(10_000).flatMap((effect) => (effect.kind === 'testimony' ? [effect] : []));
  assert.deepEqual(
    [...new Set(own.map(({ from, message }) => `${from} ${message.kind}`))],
    ['1 accusation', '1 report'],
  );
  assert.deepEqual(new Bench(3, [2]).receive(3, report), []);
});

test('a silence asks the nine other observers, and no more', () => {
  const bench = new Bench(60);
  const { subject } = bench.firstPing();
  const effects = bench.advance(bench.now + 500);
  const asked = sent(effects, 'probe-request').filter(({ message }) => message.subject === subject);
  const observers = bench.swim.rings.observersOf(subject);
  assert.deepEqual(
    asked.map(({ to }) => to),
    observers.filter((number) => number !== 1).sort((a, b) => a - b),
  );
  assert.equal(asked.length, 9);
});

test('a node that doubts itself waits longer and probes less', () => {
  const bench = new Bench(2);
  const { subject } = bench.firstPing();
  bench.advance(bench.now + 600);
  bench.swim.onDialled(subject, 'answered', bench.now);
  bench.firstPing();
  const askedAt = bench.now;
  assert.deepEqual(eventsOf(bench.advance(askedAt + 999)), []);
  assert.equal(eventsOf(bench.advance(askedAt + 1_000))[0]?.kind, 'probe-missed');
});

test('time in which this node did not run counts against nobody', () => {
  for (const ranForMs of [0, 600, 1_500]) {
    const bench = new Bench(2, [3]);
    const { subject, nonce } = bench.firstPing();
    bench.advance(bench.now + ranForMs);
    bench.now += 30_000;
    const woken = bench.advance(bench.now);
    assert.deepEqual(sent(woken, 'report'), [], `after ${ranForMs} ms`);
    assert.ok(new Set(eventsOf(woken).map(({ kind }) => kind)).size <= 1, 'at most one step is taken on waking');
    bench.receive(subject, { kind: 'ack', nonce, incarnation: 0 });
    assert.equal(bench.swim.statusOf(subject)?.status, 'alive');
  }
});

test('a published down holds until a higher incarnation, which also clears any suspicion', () => {
  const bench = new Bench(3);
  const down = eventsOf(bench.swim.setMember(3, 0, 'down', 10));
  assert.deepEqual(down, [{ kind: 'down', number: 3, incarnation: 0 }]);
  assert.deepEqual(bench.swim.statusOf(3), { number: 3, status: 'down', incarnation: 0, sinceMs: 10, hint: false });
  assert.deepEqual(bench.swim.setMember(3, 0, 'alive', 20), []);
  assert.equal(bench.swim.statusOf(3)?.status, 'down');
  const back = bench.swim.publish({ number: 3, incarnation: 1, status: 'alive' }, 30);
  assert.deepEqual(eventsOf(back), [{ kind: 'back', number: 3, incarnation: 1 }]);

  bench.receive(2, { kind: 'probe-request', subject: 3 });
  bench.advance(3_000);
  assert.equal(bench.swim.statusOf(3)?.status, 'suspect');
  const update = { number: 3, incarnation: 2, status: 'alive' } as const;
  const cleared = bench.receive(2, { kind: 'gossip', updates: [update], rumours: [] });
  assert.ok(eventsOf(cleared).some((event) => event.kind === 'refuted'));
  assert.equal(bench.swim.statusOf(3)?.status, 'alive');
});

test('what is down is still asked now and then, and its answer is told', () => {
  const bench = new Bench(2);
  bench.swim.setMember(2, 0, 'down', 0);
  const pings = sent(bench.advance(4 * downProbePeriodMs), 'ping');
  assert.equal(pings.length, 4);
  const nonce = pings[3]?.message.nonce ?? 0;
  assert.deepEqual(eventsOf(bench.receive(2, { kind: 'ack', nonce, incarnation: 0 })), [
    { kind: 'answers-again', number: 2, incarnation: 0 },
  ]);
  assert.equal(bench.swim.statusOf(2)?.status, 'down');
});

test('a convicted member hears so in the answer to its ping, and is told once by its own detector', () => {
  const bench = new Bench(3);
  bench.swim.setMember(3, 4, 'down', 0);
  const answer = sent(bench.receive(3, { kind: 'ping', nonce: 1 }), 'gossip');
  assert.deepEqual(answer[0]?.message.updates, [{ number: 3, incarnation: 4, status: 'down' }]);

  const gossip: SwimMessage = {
    kind: 'gossip',
    updates: [{ number: 1, incarnation: 0, status: 'down' }],
    rumours: [],
  };
  const convicted = bench.receive(2, gossip).filter(({ kind }) => kind === 'convicted-me');
  assert.deepEqual(convicted, [{ kind: 'convicted-me', incarnation: 0 }]);
  assert.deepEqual(bench.receive(3, gossip), []);
  bench.swim.setMember(1, 1, 'alive', 0);
  assert.equal(bench.swim.ownIncarnation, 1);
});

test('gossip that raises an incarnation by more than sixteen is told, not believed and not spread', () => {
  const bench = new Bench(3);
  const update = { number: 2, incarnation: 17, status: 'alive' } as const;
  const effects = bench.receive(3, { kind: 'gossip', updates: [update], rumours: [] });
  assert.deepEqual(effects, [{ kind: 'event', event: { kind: 'implausible', from: 3, update } }]);
  bench.swim.setMember(2, 17, 'alive', 0);
  assert.equal(bench.swim.statusOf(2)?.incarnation, 17, 'the pane is believed');
});

test('news about a stranger is told once, and counts when it becomes a member', () => {
  const bench = new Bench(3);
  const gossip: SwimMessage = {
    kind: 'gossip',
    updates: [{ number: 9, incarnation: 0, status: 'down' }],
    rumours: [],
  };
  assert.equal(bench.receive(2, gossip).filter(({ kind }) => kind === 'update').length, 1);
  assert.equal(bench.receive(3, gossip).filter(({ kind }) => kind === 'update').length, 0);
  assert.equal(bench.swim.statusOf(9), undefined);
  bench.swim.setMember(9, 0, 'alive', 0);
  assert.equal(bench.swim.statusOf(9)?.status, 'down');
});

test('a removed member is forgotten, and old gossip about it stays old', () => {
  const bench = new Bench(3);
  const { subject } = bench.firstPing();
  bench.swim.removeMember(subject);
  assert.equal(bench.swim.statusOf(subject), undefined);
  assert.equal(bench.swim.members().length, 2);
  const gossip: SwimMessage = {
    kind: 'gossip',
    updates: [{ number: subject, incarnation: 0, status: 'alive' }],
    rumours: [],
  };
  assert.deepEqual(bench.receive(subject === 2 ? 3 : 2, gossip), []);
  const effects = bench.advance(20_000);
  assert.ok(effects.every((effect) => effect.kind !== 'send' || effect.to !== subject));
});

test('what the pane decided spreads once, though setMember told it first', () => {
  const bench = new Bench(3);
  bench.swim.setMember(4, 0, 'alive', 0);
  bench.swim.publish({ number: 4, incarnation: 0, status: 'alive' }, 0);
  assert.equal(bench.swim.nextTickAt(), 0);
  assert.ok(sent(bench.swim.tick(0), 'gossip').length > 0);
  bench.swim.publish({ number: 4, incarnation: 0, status: 'alive' }, 1);
  assert.ok(bench.swim.nextTickAt() > 1);
});

test('every datagram fits its budget, whatever there is to say', () => {
  const bench = new Bench(120, [2, 3, 4]);
  bench.swim.setQuorum(false);
  for (let count = 0; count < 300; count++) bench.swim.spread(utf8(`rumour ${count} ${'x'.repeat(count)}`), 0);
  for (let number = 1_000; number < 1_300; number++) {
    bench.swim.publish({ number: 4_000_000_000 + number, incarnation: 16, status: 'alive' }, 0);
  }
  assert.equal(bench.swim.spread(new Uint8Array(rumourBytesMax), 0), true);
  assert.equal(bench.swim.spread(new Uint8Array(rumourBytesMax + 1), 0), false);
  let datagrams = 0;
  for (const effect of bench.advance(12_000)) {
    if (effect.kind !== 'send') continue;
    datagrams++;
    const { length } = encodeDatagramBody(effect.messages);
    assert.ok(length <= 1_340, `${length} bytes`);
  }
  assert.ok(datagrams > 500, `${datagrams} datagrams`);
});

test('every table has an end, and reaching it is counted', () => {
  const bench = new Bench(128);
  bench.advance(600_000);
  assert.ok(bench.swim.drops.nonces > 0, `more than ${noncesMax} questions are open`);
  for (let count = 0; count <= rumoursMax; count++) bench.swim.spread(utf8(`rumour ${count}`), bench.now);
  assert.equal(bench.swim.drops.rumours, 1);
  for (let number = 10_000; number < 11_100; number++) {
    const update = { number, incarnation: 0, status: 'alive' } as const;
    bench.receive(2, { kind: 'gossip', updates: [update], rumours: [] });
  }
  assert.equal(bench.swim.drops.strangers, 1_100 - 1_024);
  bench.receive(2, { kind: 'gossip', updates: [], rumours: [new Uint8Array(rumourBytesMax + 1)] });
  assert.equal(bench.swim.drops.oversizeRumours, 1);
});

// — what streams tell —

test('each subject is knocked at every 45 seconds while it answers, and a silent one each second', () => {
  const bench = new Bench(4);
  const knockedAt = new Map<NodeNumber, number[]>();
  while (bench.now < 600_000) {
    for (const to of dialsOf(bench.live(bench.now + 100, 4), 'knock')) {
      knockedAt.set(to, [...(knockedAt.get(to) ?? []), bench.now]);
    }
  }
  assert.ok((knockedAt.get(4)?.length ?? 0) >= 3, 'whether its kernel still accepts is asked');
  for (const times of [2, 3].map((number) => knockedAt.get(number) ?? [])) {
    const gaps = times.slice(1).map((time, index) => time - (times[index] as number));
    assert.ok(gaps.length >= 10, `${times}`);
    assert.ok(
      gaps.every((gap) => gap >= knockPeriodMs - 200 && gap <= knockPeriodMs + knockSpreadMs + 200),
      `${gaps}`,
    );
  }
});

test('a closed stream is told to the other observers at once, and answered by a ping and a knock', () => {
  const bench = new Bench(4);
  const effects = bench.swim.onStreamClosed(4, 0);
  assert.deepEqual(
    sent(effects, 'stream-closed').map(({ to, message }) => [to, message.subject]),
    [
      [2, 4],
      [3, 4],
    ],
  );
  assert.deepEqual(dialsOf(effects, 'knock'), [4]);
  assert.equal(sent(effects, 'ping')[0]?.to, 4);
  assert.deepEqual(bench.swim.onStreamClosed(99, 0), [], 'a stranger is not watched');
});

test('word of a closed stream counts once in two seconds, and only about a subject', () => {
  const bench = new Bench(300);
  const { subjects } = bench.swim.slice;
  const [watched = 0] = subjects.map(({ number }) => number);
  const other = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18].find(
    (number) => !subjects.some((subject) => subject.number === number),
  );
  const told = (subject: NodeNumber): NodeNumber[] =>
    dialsOf(bench.receive(20, { kind: 'stream-closed', subject }), 'knock');
  assert.deepEqual(told(watched), [watched]);
  assert.deepEqual(told(watched), []);
  bench.now += alarmPeriodMs;
  assert.deepEqual(told(watched), [watched]);
  assert.deepEqual(told(other as number), []);
});

test('only a co-observer can say that a silence began earlier: anybody else shortens nobody’s window', () => {
  const windowFor = (pick: (others: readonly NodeNumber[]) => NodeNumber): number => {
    const bench = new Bench(40, [2]);
    const [watched] = bench.swim.slice.subjects;
    assert.ok(watched !== undefined);
    const { number: subject, observers } = watched;
    const strangers = [...Array(39).keys()].map((at) => at + 2).filter((each) => !observers.includes(each));
    const from = pick([...observers, ...strangers.filter((each) => each !== subject && each !== 2)]);
    bench.live(5_000, subject);
    bench.swim.onDialled(subject, 'accepted', bench.now);
    const accusation = { kind: 'accusation', subject, incarnation: 0, unansweredMs: 60_000, nonce: 1 } as const;
    bench.receive(from, accusation);
    for (const startedAt = bench.now; bench.now < startedAt + 30_000; ) {
      if (evidenceOf(bench.live(bench.now + 100, subject)).includes('silent')) return bench.now - startedAt;
    }
    return Number.POSITIVE_INFINITY;
  };
  const [told, forged] = [
    windowFor((others) => others[0] as NodeNumber),
    windowFor((others) => others.at(-1) as NodeNumber),
  ];
  assert.ok(told + 3_000 < forged, `${told} ms and ${forged} ms`);
});

test('a missed probe knocks, and only a suspicion asks by a whole stream', () => {
  const bench = new Bench(3, [2]);
  const { subject } = bench.firstPing();
  const missed = bench.advance(bench.now + 600).filter((effect) => effect.kind === 'dial' && effect.to === subject);
  assert.ok(missed.length > 0 && missed.every((effect) => effect.kind === 'dial' && effect.depth === 'knock'));
  assert.ok(dialsOf(bench.advance(bench.now + 600), 'ask').includes(subject));
});

test('two refusals half a second apart are proof of a death, reported at once and each second', () => {
  const bench = new Bench(3, [2]);
  bench.dialled(3, 'accepted');
  bench.swim.onStreamClosed(3, bench.now);
  assert.deepEqual(evidenceOf(bench.dialled(3, 'refused')), []);
  const confirming = bench.live(confirmAfterMs, 3);
  assert.ok(dialsOf(confirming, 'knock').includes(3));
  assert.ok(sent(confirming, 'ping').some(({ to }) => to === 3));
  const proven = bench.dialled(3, 'refused');
  assert.deepEqual(evidenceOf(proven), ['refused']);
  assert.ok(eventsOf(proven).some((event) => event.kind === 'suspected' && event.number === 3));
  const later = evidenceOf(bench.live(bench.now + 3_000, 3));
  assert.ok(later.length >= 3 && later.every((evidence) => evidence === 'refused'), `${later}`);

  assert.ok(eventsOf(bench.dialled(3, 'answered')).some(({ kind }) => kind === 'refuted'));
  assert.deepEqual(evidenceOf(bench.live(bench.now + 900)), []);
});

test('a refusal proves nothing without an earlier acceptance by the same process, or with an answer in between', () => {
  const refusedTwice = (
    prepare: (bench: Bench) => void,
    between: (bench: Bench, pings: number[]) => void,
  ): string[] => {
    const bench = new Bench(3, [2]);
    prepare(bench);
    const first = bench.dialled(3, 'refused');
    const effects = [...first, ...bench.live(bench.now + confirmAfterMs, 3)];
    const nonces = sent(effects, 'ping').flatMap(({ to, message }) => (to === 3 ? [message.nonce] : []));
    between(bench, nonces);
    return evidenceOf(bench.dialled(3, 'refused'));
  };
  const nothing = (): void => {};
  const accept = (bench: Bench): void => void bench.dialled(3, 'accepted');
  assert.deepEqual(refusedTwice(accept, nothing), ['refused']);
  assert.deepEqual(refusedTwice(nothing, nothing), []);
  const acceptLongAgo = (bench: Bench): void => {
    accept(bench);
    bench.now += acceptanceForMs + 1;
  };
  assert.deepEqual(refusedTwice(acceptLongAgo, nothing), []);
  const restart = (bench: Bench): void => {
    accept(bench);
    bench.swim.onRestarted(3, bench.now);
  };
  assert.deepEqual(refusedTwice(restart, nothing), []);
  const answer = (bench: Bench, [nonce = 0]: number[]): void =>
    void bench.receive(3, { kind: 'ack', nonce, incarnation: 0 });
  assert.deepEqual(refusedTwice(accept, answer), []);
});

test('a new process ends the doubts about the old one', () => {
  const bench = new Bench(2, [3]);
  bench.advance(8_000);
  assert.equal(bench.swim.statusOf(2)?.status, 'suspect');
  const events = eventsOf(bench.swim.onRestarted(2, bench.now));
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['refuted'],
  );
});

test('who answers by stream alone is alive, and at the tenth time its datagrams are said to be blocked, once', () => {
  const bench = new Bench(2, [3]);
  const kinds: string[] = [];
  let asks = 0;
  while (bench.now < 180_000) {
    for (const effect of bench.advance(bench.now + 50)) {
      if (effect.kind === 'event') kinds.push(effect.event.kind);
      if (effect.kind !== 'dial') continue;
      asks++;
      kinds.push(...eventsOf(bench.dialled(2, 'answered')).map(({ kind }) => kind));
      if (asks === 10) assert.ok(kinds.includes('datagrams-blocked'));
      else if (asks < 10) assert.ok(!kinds.includes('datagrams-blocked'));
    }
  }
  assert.equal(kinds.filter((kind) => kind === 'datagrams-blocked').length, 1);
  assert.ok(!kinds.includes('suspected'));
  const { nonce } = bench.firstPing();
  assert.deepEqual(eventsOf(bench.receive(2, { kind: 'ack', nonce, incarnation: 0 })), [
    { kind: 'datagrams-open', number: 2 },
  ]);
});

test('whom nobody answers by datagram, and all do by stream, is blocked itself, and says so once', () => {
  const bench = new Bench(6, [2]);
  const blocked: NodeNumber[] = [];
  while (bench.now < 120_000) {
    for (const effect of bench.advance(bench.now + 50)) {
      if (effect.kind !== 'dial') continue;
      for (const event of eventsOf(bench.dialled(effect.to, 'answered'))) {
        if (event.kind === 'datagrams-blocked') blocked.push(event.number);
      }
    }
  }
  assert.deepEqual(blocked, [1]);
  const { subject, nonce } = bench.firstPing();
  const opened = eventsOf(bench.receive(subject, { kind: 'ack', nonce, incarnation: 0 }));
  assert.deepEqual(
    opened.filter(({ kind }) => kind === 'datagrams-open'),
    [{ kind: 'datagrams-open', number: 1 }],
  );
});

test('standing streams are kept with the first two observers that live, and are told again when those change', () => {
  const bench = new Bench(20);
  const held = (effects: readonly SwimEffect[]): (readonly NodeNumber[])[] =>
    effects.flatMap((effect) => (effect.kind === 'hold-streams' ? [effect.to] : []));
  const observers = bench.swim.rings.observersOf(1);
  assert.deepEqual(held(bench.before), [observers.slice(0, 2)]);
  bench.swim.setMember(observers[0] as number, 0, 'down', bench.now);
  assert.deepEqual(
    held(bench.live(bench.now + standingAfterMs - 100)),
    [],
    'not before they have been the same for a while',
  );
  assert.deepEqual(held(bench.live(bench.now + standingSpreadMs + swimDefaults.probePeriodMs)), [
    observers.slice(1, 3),
  ]);
});

// — lossy links —

/** Begins a sample of which so many probes stay unanswered, and says whether it was found lossy. */
function isFoundLossy(losses: LossWatch, pings: readonly number[], unanswered: number, stallMs = 0): boolean {
  const sent = pings.length;
  losses.begin(9, 0, 0);
  let found = false;
  while (losses.nextTickAt() < Number.POSITIVE_INFINITY) {
    const number = pings.length - sent;
    if (number > unanswered) losses.onAck(9, pings.at(-1) as number);
    found ||= losses.tick(losses.nextTickAt() + (number === 5 ? stallMs : 0), 1).length > 0;
  }
  return found;
}

function lossWatch(): { readonly losses: LossWatch; readonly pings: number[] } {
  const pings: number[] = [];
  const losses = new LossWatch(() => pings.push(pings.length), swimDefaults);
  return { losses, pings };
}

test('of ten probes seven unanswered are reported, six are not, and none where this node did not run', () => {
  const { losses, pings } = lossWatch();
  assert.equal(isFoundLossy(losses, pings, 6), false);
  assert.equal(pings.length, sampleSize);
  assert.equal(isFoundLossy(losses, pings, 7), true);
  assert.equal(isFoundLossy(losses, pings, 10, lagToleranceMs + 1), false);
});

test('whoever loses half of all probes blames a link only for nine of ten, and whoever loses all blames none', () => {
  const half = lossWatch();
  for (let count = 0; count < 200; count++) half.losses.onProbed(count % 2 === 0);
  assert.equal(isFoundLossy(half.losses, half.pings, 8), false);
  assert.equal(isFoundLossy(half.losses, half.pings, 9), true);
  const deaf = lossWatch();
  for (let count = 0; count < 200; count++) deaf.losses.onProbed(false);
  assert.equal(isFoundLossy(deaf.losses, deaf.pings, 10), false);
});

test('an answer that is slow is not lost, and an answer by stream ends the sample', () => {
  const { losses, pings } = lossWatch();
  losses.begin(9, 0, 0);
  for (let now = samplePeriodMs; now <= 5_000; now += samplePeriodMs) {
    for (const nonce of pings.slice(0, -5)) losses.onAck(9, nonce);
    assert.deepEqual(losses.tick(now, 1), [], 'each answer comes two and a half seconds late');
  }
  const bench = new Bench(2, [3]);
  bench.firstPing();
  bench.advance(bench.now + swimDefaults.probeTimeoutMs);
  bench.dialled(2, 'answered');
  const pinged = sent(bench.advance(bench.now + samplePeriodMs), 'ping');
  assert.equal(pinged.length, 1, 'only the own round goes on');
});

test('a lossy link is reported to the control nodes, once for each sample', () => {
  const bench = new Bench(3, [2]);
  const endMs = 60_000;
  const evidence: string[] = [];
  let pings = 0;
  while (bench.now < endMs) {
    const effects = bench.advance(bench.now + 10);
    evidence.push(...evidenceOf(effects));
    for (const { to, message } of sent(effects, 'ping')) {
      const isAnswered = to === 2 || ++pings % 8 === 0;
      if (isAnswered) bench.receive(to, { kind: 'ack', nonce: message.nonce, incarnation: 0 });
    }
  }
  const lossy = evidence.filter((each) => each === 'lossy').length;
  assert.ok(lossy >= 2 && lossy <= 8, `${evidence}`);
});

// — slices and gossip —

/** A member of a large cluster, by its slice. */
class SlicedBench extends Bench {
  readonly rings: Rings;
  readonly slice: Slice;

  constructor(size: number) {
    super(0, [2, 3, 4]);
    this.rings = new Rings(new Places(utf8('bench')));
    for (let number = 1; number <= size; number++) this.rings.add(number);
    this.slice = sliceOf(this.rings, 1, { control: this.controlNodes, required: [] });
    this.swim.setSlice(this.slice);
    this.swim.setClusterSize(size);
    for (const number of membersOf(this.slice)) this.swim.setMember(number, 0, 'alive', 0);
  }

  get edges(): ReadonlySet<NodeNumber> {
    return new Set([...this.slice.subjects.map(({ number }) => number), ...this.slice.observers]);
  }
}

test('HM-15: with a slice a node probes its subjects and gossips along its rings, not to control nodes as such', () => {
  const bench = new SlicedBench(2_000);
  assert.deepEqual(bench.swim.slice, bench.slice);
  const pinged = new Set(sent(bench.live(60_000), 'ping').map(({ to }) => to));
  assert.deepEqual(
    [...pinged].sort((a, b) => a - b),
    bench.slice.subjects.map(({ number }) => number),
  );
  const told = new Set<NodeNumber>();
  for (let number = 5_000; number < 5_100; number++) {
    const update = { number, incarnation: 0, status: 'alive' } as const;
    const effects = bench.receive(2, { kind: 'gossip', updates: [update], rumours: [] });
    assert.equal(effects.filter(({ kind }) => kind === 'update').length, 1, 'it is passed on, wanted or not');
    for (const { to } of sent([...effects, ...bench.live(bench.now + 300)], 'gossip')) told.add(to);
    assert.deepEqual(bench.receive(3, { kind: 'gossip', updates: [update], rumours: [] }), [], 'once');
  }
  assert.deepEqual(
    [...told].filter((to) => !bench.edges.has(to)),
    [],
  );
  assert.ok(told.size > 10);
});

test('a node wants those joiners whom its slice needs, takes them in, and forgets who left', () => {
  const bench = new SlicedBench(2_000);
  const wanted: NodeNumber[] = [];
  for (let number = 2_001; number <= 4_000; number++) if (bench.swim.wants(number)) wanted.push(number);
  assert.ok(wanted.length > 20 && wanted.length < 400, `${wanted.length} of 2,000`);
  for (const member of membersOf(bench.slice)) assert.ok(bench.swim.wants(member));
  const [joiner = 0] = wanted;
  bench.swim.setMember(joiner, 0, 'alive', 0);
  assert.ok(includes(bench.swim.slice, joiner));
  bench.swim.removeMember(joiner);
  assert.ok(!includes(bench.swim.slice, joiner));
  assert.ok(new Bench(3).swim.wants(99), 'in a complete view everybody is wanted');
});

test('a member that was silent for a while is told again what was spread meanwhile', () => {
  const bench = new Bench(3, [2]);
  bench.live(2_000);
  bench.swim.spread(utf8('an event'), bench.now);
  bench.live(bench.now + 20_000, 3);
  assert.equal(bench.swim.statusOf(3)?.status, 'suspect');
  const told = sent(bench.dialled(3, 'answered'), 'gossip').filter(({ to }) => to === 3);
  assert.deepEqual(
    told.map(({ message }) => Buffer.from(message.rumours[0] as Uint8Array).toString()),
    ['an event'],
  );

  bench.swim.setMember(3, 0, 'down', bench.now);
  const back = bench.swim.publish({ number: 3, incarnation: 1, status: 'alive' }, bench.now);
  assert.equal(
    sent(back, 'gossip').some(({ to, message }) => to === 3 && message.rumours.length === 1),
    true,
  );
});

test('the larger the cluster is said to be, the more often a thing is told', () => {
  const sendsOf = (size: number): number => {
    const bench = new Bench(4);
    bench.swim.setClusterSize(size);
    bench.swim.spread(utf8('x'), 0);
    return sent(bench.live(60_000), 'gossip').filter(({ message }) => message.rumours.length > 0).length;
  };
  assert.equal(sendsOf(1_023) - sendsOf(3), swimDefaults.retransmitFactor * (10 - 2));
});
