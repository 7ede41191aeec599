/** One failure detector, step by step: messages and times in, effects out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/bytes.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { downProbePeriodMs, observersToldMax } from '../../src/swim/detector.ts';
import type { SwimEffect, SwimEvent } from '../../src/swim/effect.ts';
import type { SwimMessage } from '../../src/swim/message.ts';
import { noncesMax } from '../../src/swim/nonces.ts';
import { rumourBytesMax, rumoursMax } from '../../src/swim/rumours.ts';
import { swimDefaults } from '../../src/swim/settings.ts';
import { Swim } from '../../src/swim/swim.ts';
import { encodeDatagramBody } from '../../src/wire/datagram.ts';

/** A detector numbered 1 among `size` members, of which nobody answers unless the test does. */
class Bench {
  readonly swim: Swim;
  readonly controlNodes: readonly NodeNumber[];
  now = 0;

  constructor(size: number, controlNodes: readonly NodeNumber[] = [2]) {
    this.controlNodes = controlNodes;
    const random = seededRandom(1);
    this.swim = new Swim({ self: 1, settings: swimDefaults, random, cluster: utf8('bench'), now: 0 });
    for (let number = 2; number <= size; number++) this.swim.setMember(number, 0, 'alive', 0);
    this.swim.setControlNodes(controlNodes);
  }

  /** Ticks whenever the detector wants to, until `untilMs`. */
  advance(untilMs: number): readonly SwimEffect[] {
    const effects: SwimEffect[] = [];
    while (this.swim.nextTickAt() <= untilMs) {
      this.now = Math.max(this.now, this.swim.nextTickAt());
      effects.push(...this.swim.tick(this.now));
    }
    this.now = untilMs;
    return effects;
  }

  receive(from: NodeNumber, message: SwimMessage): readonly SwimEffect[] {
    return this.swim.receive(from, message, this.now);
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
  const report: SwimMessage = { kind: 'report', subject: 2, incarnation: 0 };
  assert.deepEqual(control.receive(3, report), [{ kind: 'testimony', from: 3, message: report }]);
  const own = control.advance(10_000).flatMap((effect) => (effect.kind === 'testimony' ? [effect] : []));
  assert.deepEqual(
    [...new Set(own.map(({ from, message }) => `${from} ${message.kind}`))],
    ['1 accusation', '1 report'],
  );
  assert.deepEqual(new Bench(3, [2]).receive(3, report), []);
});

test('a silence asks and tells at most ten others', () => {
  const bench = new Bench(60);
  const { subject } = bench.firstPing();
  const effects = bench.advance(bench.now + 500);
  const asked = sent(effects, 'probe-request').filter(({ message }) => message.subject === subject);
  assert.equal(asked.length, observersToldMax);
});

test('a node that doubts itself waits longer and probes less', () => {
  const bench = new Bench(2);
  const { subject, nonce } = bench.firstPing();
  bench.advance(bench.now + 600);
  bench.receive(subject, { kind: 'ack', nonce, incarnation: 0 });
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
  assert.ok(datagrams > 1_000);
});

test('every table has an end, and reaching it is counted', () => {
  const bench = new Bench(128);
  bench.advance(90_000);
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
