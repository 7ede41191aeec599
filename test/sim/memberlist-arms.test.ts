/** The arms that hivemind is compared with: that they do what SWIM, Lifeguard and memberlist are described to do. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '../../src/seam/random.ts';
import type { Arm, ArmNode } from '../../src/sim/crowd/arm.ts';
import { Crowd } from '../../src/sim/crowd/crowd.ts';
import { lifeguardArm, lifeguardTable, memberlistArm, swimArm } from '../../src/sim/crowd/memberlist-arm.ts';
import {
  type MemberlistMessage,
  type MemberlistPacket,
  messageBytes,
  packetBytes,
  roomBeside,
  tableBytes,
} from '../../src/sim/crowd/memberlist-message.ts';
import { MemberlistNews } from '../../src/sim/crowd/memberlist-news.ts';
import { MemberlistRoster } from '../../src/sim/crowd/memberlist-roster.ts';
import { pushPullEveryMs, retransmitLimit, suspicionWindow } from '../../src/sim/crowd/memberlist-settings.ts';
import { MemberlistSuspicion } from '../../src/sim/crowd/memberlist-suspicion.ts';

const arms = [swimArm, lifeguardArm];
const nothing = { localHealthProbe: false, localHealthSuspicion: false, buddy: false };

/** Members 17 … 17 + count − 1 end in one way or another; what the crowd then knows of it after a minute. */
function endSome(arm: Arm, how: 'vanish' | 'kill', { nodes, count, seed }: Record<'nodes' | 'count' | 'seed', number>) {
  const crowd = new Crowd({ arm, nodes, seed });
  const ended = Array.from({ length: count }, (_, index) => 17 + index);
  crowd.at(5_000 + seed * 100, () => {
    crowd[how](ended);
    crowd.truth.markFaulty(ended);
    const others = crowd.numbers.filter((number) => !ended.includes(number));
    crowd.truth.expectDown(ended, () => others, crowd.now);
  });
  crowd.runUntil(65_000);
  return crowd;
}

/** One of 64 hears nothing for so long; what is said of it meanwhile passes it by. */
function deafen(arm: Arm, forMs: number, seed: number): Crowd {
  const crowd = new Crowd({ arm, nodes: 64, seed });
  crowd.at(5_000, () => crowd.links.setIngressLoss(9, 1));
  crowd.at(5_000 + forMs, () => crowd.links.setIngressLoss(9, 0));
  crowd.runUntil(40_000);
  return crowd;
}

/** One member whose surroundings the test plays: what it sends is kept, and nothing answers by itself. */
class Solo {
  readonly sent: { to: number; packet: MemberlistPacket; bytes: number }[] = [];
  readonly dials: { to: number; token: unknown }[] = [];
  readonly beliefs: string[] = [];
  readonly node: ArmNode;
  now = 0;

  constructor(arm: Arm, members: number) {
    const world = {
      random: seededRandom(1),
      send: (from: number, to: number, packet: unknown, bytes: number) => {
        if (from === 1) this.sent.push({ to, packet: packet as MemberlistPacket, bytes });
      },
      dial: (from: number, to: number, token: unknown) => {
        if (from === 1) this.dials.push({ to, token });
      },
      believe: (observer: number, subject: number, belief: string) => {
        if (observer === 1) this.beliefs.push(`${subject} ${belief}`);
      },
    };
    this.node = arm.found(members, world, () => 0)[0] as ArmNode;
  }

  /** Lets time pass until the member sends such a message, and says when, to whom and what. */
  next(kind: MemberlistMessage['kind'], withinMs = 60_000) {
    const until = this.now + withinMs;
    for (const from = this.sent.length; ; ) {
      for (const { to, packet } of this.sent.slice(from)) {
        const message = packet.find((each) => each.kind === kind);
        if (message !== undefined) return { at: this.now, to, message, packet };
      }
      assert(this.node.nextTickAt() <= until, `no ${kind} was sent`);
      this.tick();
    }
  }

  tick(): void {
    this.now = Math.max(this.now, this.node.nextTickAt());
    this.node.tick(this.now);
  }

  run(ms: number): void {
    const until = this.now + ms;
    while (this.node.nextTickAt() <= until) this.tick();
    this.now = until;
  }

  hear(from: number, ...packet: MemberlistPacket): void {
    this.node.receive(from, packet, this.now);
  }
}

function seqOf(message: MemberlistMessage): number {
  assert('seq' in message);
  return message.seq;
}

describe('a vanished machine of 64', () => {
  for (const arm of arms) {
    test(`is down at every other member of the ${arm().name} arm after about nine to thirteen seconds`, () => {
      for (let seed = 1; seed <= 6; seed++) {
        const { truth } = endSome(arm(), 'vanish', { nodes: 64, count: 1, seed });
        const [fault] = truth.faultCases;
        assert(fault?.detectedAfterMs !== undefined && fault.knownAfterMs !== undefined, 'somebody never knew');
        const { leastMs } = suspicionWindow(64);
        assert(fault.detectedAfterMs > leastMs, `detected after ${fault.detectedAfterMs} ms, within the window`);
        assert(fault.knownAfterMs > 8_000 && fault.knownAfterMs < 14_000, `all knew after ${fault.knownAfterMs} ms`);
        assert.equal(truth.falseDowns, 0);
      }
    });
  }
});

describe('many at once', () => {
  test('40 % of the processes that are killed are down everywhere, and nobody else is', () => {
    for (const arm of arms) {
      const { truth } = endSome(arm(), 'kill', { nodes: 60, count: 24, seed: 3 });
      assert.equal(truth.faultCases.filter(({ knownAfterMs }) => knownAfterMs !== undefined).length, 24);
      assert.equal(truth.falseDowns, 0);
    }
  });

  test('of forty that join through three at once each comes to know all', () => {
    const crowd = new Crowd({ arm: lifeguardArm(), nodes: 3, seed: 2 });
    crowd.at(1_000, () => {
      for (let joiner = 0; joiner < 40; joiner++) crowd.join([1, 2, 3]);
    });
    crowd.runUntil(30_000);
    assert.deepEqual(new Set(crowd.numbers.map((number) => crowd.viewSizeOf(number))), new Set([43]));
    assert.equal(crowd.truth.falseDownsAnywhere, 0);
  });
});

describe('a living member', () => {
  for (const arm of arms) {
    test(`that hears nothing for a moment refutes what the ${arm().name} arm suspects, and is down nowhere`, () => {
      for (let seed = 1; seed <= 4; seed++) {
        const { suspicions, falseDownsAnywhere } = deafen(arm(), 1_500, seed).truth;
        assert(suspicions > 20, `only ${suspicions} suspected it`);
        assert.equal(falseDownsAnywhere, 0);
      }
    });
  }

  test('outdoes the incarnation by which it was suspected or called dead', () => {
    const solo = new Solo(swimArm(), 4);
    solo.hear(2, { kind: 'suspect', subject: 1, incarnation: 1, accuser: 2 });
    assert.deepEqual(solo.next('alive').message, { kind: 'alive', subject: 1, incarnation: 2 });
    solo.hear(3, { kind: 'dead', subject: 1, incarnation: 7, accuser: 3 });
    assert.deepEqual(solo.next('alive').message, { kind: 'alive', subject: 1, incarnation: 8 });
  });

  test('that was killed and comes back as a new process is alive again everywhere', () => {
    const crowd = endSome(lifeguardArm(), 'kill', { nodes: 32, count: 1, seed: 2 });
    crowd.at(66_000, () => {
      crowd.restart([17], [1, 2]);
      crowd.truth.markHealthy([17]);
    });
    crowd.runUntil(80_000);
    assert.equal(crowd.truth.wrongPairs, 0);
    assert.deepEqual(new Set(crowd.numbers.map((number) => crowd.viewSizeOf(number))), new Set([32]));
  });

  test('that comes back before it was missed outdoes what is said of its earlier process', () => {
    const crowd = new Crowd({ arm: lifeguardArm(), nodes: 32, seed: 4 });
    crowd.at(5_000, () => crowd.kill([17]));
    crowd.at(9_000, () => crowd.restart([17], [1, 2]));
    crowd.runUntil(40_000);
    assert.equal(crowd.truth.falseDownsAnywhere, 0);
  });
});

describe('what is said of others', () => {
  const suspected = (incarnation: number, accuser: number): MemberlistMessage =>
    ({ kind: 'suspect', subject: 3, incarnation, accuser }) as const;

  test('counts by incarnation: an older suspicion changes nothing, a refuted one is over', () => {
    const solo = new Solo(swimArm(), 5);
    solo.hear(2, { kind: 'alive', subject: 3, incarnation: 5 });
    solo.hear(2, suspected(4, 2), { kind: 'dead', subject: 3, incarnation: 4, accuser: 2 });
    assert.deepEqual(solo.beliefs, []);
    solo.hear(2, suspected(5, 2));
    solo.hear(4, { kind: 'alive', subject: 3, incarnation: 5 });
    assert.deepEqual(solo.beliefs, ['3 suspect']);
    solo.hear(4, { kind: 'alive', subject: 3, incarnation: 6 });
    assert.deepEqual(solo.beliefs, ['3 suspect', '3 alive']);
  });

  test('brings down whom nobody cleared when the window is over, and only a later life brings back', () => {
    const solo = new Solo(swimArm(), 5);
    solo.hear(2, suspected(1, 2));
    solo.run(suspicionWindow(5).leastMs - 1);
    assert(!solo.beliefs.includes('3 down'));
    solo.run(1_000);
    assert(solo.beliefs.includes('3 down'));
    solo.hear(4, { kind: 'alive', subject: 3, incarnation: 1 }, suspected(2, 4));
    assert(!solo.beliefs.includes('3 alive'));
    solo.hear(4, { kind: 'alive', subject: 3, incarnation: 2 });
    assert(solo.beliefs.includes('3 alive'));
  });
});

describe('a probe without an answer', () => {
  test('asks three others and tries a stream after half a second, and suspects after one', () => {
    const solo = new Solo(swimArm(), 8);
    const ping = solo.next('ping');
    const request = solo.next('ping-request');
    assert.equal(request.at - ping.at, 500);
    const asked = solo.sent.filter(({ packet }) => packet.some(({ kind }) => kind === 'ping-request'));
    assert.equal(asked.length, 3);
    assert(asked.every(({ to }) => to !== ping.to));
    assert.deepEqual(solo.dials, [{ to: ping.to, token: { kind: 'probe', seq: seqOf(ping.message) } }]);
    solo.run(500);
    assert.deepEqual(solo.beliefs, [`${ping.to} suspect`]);
  });

  test('raises no suspicion when the stream is answered, or a late ack comes by another', () => {
    for (const answer of ['stream', 'ack'] as const) {
      const solo = new Solo(swimArm(), 8);
      const { to, message } = solo.next('ping');
      solo.run(600);
      if (answer === 'ack') solo.hear(5, { kind: 'ack', seq: seqOf(message) });
      else solo.node.onDialled(to, { kind: 'probe', seq: seqOf(message) }, 'accepted', solo.now);
      solo.run(500);
      assert.deepEqual(solo.beliefs, [], answer);
    }
  });

  test('on behalf of another is passed back when it comes, and owned up to when it does not', () => {
    const solo = new Solo(lifeguardArm(), 8);
    solo.hear(2, { kind: 'ping-request', seq: 70, target: 3, nack: true });
    const ping = solo.sent.at(-1);
    assert.equal(ping?.to, 3);
    solo.hear(3, { kind: 'ack', seq: seqOf(ping.packet[0] as MemberlistMessage) });
    assert.deepEqual(solo.sent.at(-1)?.packet[0], { kind: 'ack', seq: 70 });
    solo.hear(2, { kind: 'ping-request', seq: 71, target: 3, nack: true });
    const nack = solo.next('nack', 400);
    assert.deepEqual([nack.to, nack.message], [2, { kind: 'nack', seq: 71 }]);
  });
});

describe("Lifeguard's components (Dadgar 2018, §IV)", () => {
  /** Milliseconds from the first probe, which nobody answers, to the next. */
  function pauseAfterMiss(arm: Arm, nacks: number): number {
    const solo = new Solo(arm, 8);
    const { at, message } = solo.next('ping');
    solo.run(600);
    for (let helper = 0; helper < nacks; helper++) solo.hear(5, { kind: 'nack', seq: seqOf(message) });
    solo.next('ping');
    const second = solo.next('ping');
    return second.at - at;
  }

  test('local health: who misses its own helpers waits longer, and whose helpers answered does not', () => {
    const arm = (): Arm => memberlistArm({ name: 'lifeguard', ...nothing, localHealthProbe: true });
    assert.equal(pauseAfterMiss(swimArm(), 0), 2_000);
    assert.equal(pauseAfterMiss(arm(), 3), 2_000);
    assert.equal(pauseAfterMiss(arm(), 0), 1_000 + 4 * 1_000);
  });

  test('local health on suspicion: each further accuser shortens the window, down to the least', () => {
    const start = { incarnation: 1, accuser: 1, now: 0 };
    const suspicion = new MemberlistSuspicion(start, { members: 100, shrinks: true });
    const { leastMs, mostMs } = suspicionWindow(100);
    assert.deepEqual([leastMs, mostMs], [8_000, 48_000]);
    assert.equal(suspicion.dueAt, mostMs);
    assert.deepEqual(
      [suspicion.confirm(1), suspicion.dueAt],
      [false, mostMs],
      'the first accuser does not count twice',
    );
    assert.equal(suspicion.confirm(2), true);
    assert.equal(suspicion.dueAt, 28_000);
    assert.equal(suspicion.confirm(3), true);
    assert.equal(suspicion.confirm(4), true);
    assert.equal(suspicion.dueAt, leastMs);
    assert.equal(suspicion.confirm(5), false, 'a fourth is not passed on');
  });

  test('the window is the least one without the component, and where too few could confirm', () => {
    for (const cluster of [
      { members: 100, shrinks: false },
      { members: 4, shrinks: true },
    ]) {
      const suspicion = new MemberlistSuspicion({ incarnation: 1, accuser: 1, now: 0 }, cluster);
      assert.equal(suspicion.dueAt, suspicionWindow(cluster.members).leastMs);
      assert.equal(suspicion.confirm(2), false);
    }
  });

  test('buddy: a suspect hears of the suspicion with the next ping', () => {
    for (const [arm, tells] of [
      [swimArm(), false],
      [memberlistArm({ name: 'lifeguard', ...nothing, buddy: true }), true],
    ] as const) {
      const solo = new Solo(arm, 2);
      solo.hear(2, { kind: 'suspect', subject: 2, incarnation: 1, accuser: 2 });
      const ping = solo.next('ping');
      assert.equal(ping.packet[1]?.kind === 'suspect' && ping.packet[1].accuser === 1, tells);
    }
  });

  test('buddy: whom the gossip about itself passed by hears of it in time', () => {
    const downs = (buddy: boolean): number => {
      const of = (seed: number): number =>
        deafen(memberlistArm({ name: 'lifeguard', ...nothing, buddy }), 4_000, seed).truth.falseDownsAnywhere;
      return [1, 2, 3, 4, 5, 6].map(of).reduce((sum, count) => sum + count);
    };
    assert(downs(true) * 10 < downs(false), `${downs(true)} with it, ${downs(false)} without`);
  });

  test('each one brings down fewer healthy members than SWIM alone does when a quarter of 64 read late', () => {
    const outcome = lifeguardTable.map(({ row, ...components }) => {
      let [falseDowns, suspicions] = [0, 0];
      for (let seed = 1; seed <= 4; seed++) {
        const arm = memberlistArm({ name: 'lifeguard', ...components });
        const crowd = new Crowd({ arm, nodes: 64, seed, links: { loss: 0.05 } });
        const slow = crowd.numbers.filter((number) => number % 4 === 0);
        crowd.slowDown(slow);
        crowd.truth.markFaulty(slow);
        crowd.runUntil(60_000);
        falseDowns += crowd.truth.falseDowns;
        suspicions += crowd.truth.suspicions;
      }
      return { row, falseDowns, suspicions };
    });
    const [swim, onProbes, onSuspicion, buddy, lifeguard] = outcome;
    assert(swim && onProbes && onSuspicion && buddy && lifeguard);
    const table = JSON.stringify(outcome);
    assert(swim.falseDowns > 10, table);
    for (const component of [onProbes, onSuspicion, buddy]) assert(component.falseDowns < swim.falseDowns, table);
    assert(lifeguard.falseDowns <= 1, table);
    assert(onProbes.suspicions < 0.6 * swim.suspicions, table);
    assert(lifeguard.suspicions < 0.6 * swim.suspicions, table);
  });
});

describe('news', () => {
  const alive = (subject: number, incarnation = 1) => ({ kind: 'alive', subject, incarnation }) as const;

  test('goes out as often as the limit says, least sent and newest first, and gives way to newer news', () => {
    const news = new MemberlistNews();
    for (const subject of [1, 2, 3]) news.add(alive(subject));
    const room = 2 * (messageBytes(alive(1)) + 2);
    const subjects = (): readonly number[] => news.take(room, 2).map(({ subject }) => subject);
    assert.deepEqual(subjects(), [3, 2]);
    news.add(alive(2, 2));
    assert.deepEqual(subjects(), [2, 1]);
    assert.deepEqual([...subjects(), ...subjects()].toSorted(), [1, 2, 3]);
    assert.equal(news.size, 0);
  });

  test('that nobody gets to send does not pile up', () => {
    const news = new MemberlistNews();
    for (let round = 0; round < 1_000; round++) news.add(alive(1 + (round % 5), round));
    assert.equal(news.size, 5);
    assert.deepEqual(
      news.take(1_000, 8).map(({ incarnation }) => incarnation),
      [999, 998, 997, 996, 995],
    );
  });
});

describe('a membership list', () => {
  test('gives each other member once in a round, newcomers included', () => {
    const roster = new MemberlistRoster(1, 4, seededRandom(1));
    for (const number of [2, 3, 4, 900]) roster.set(number, 'alive', 1, 0);
    for (let round = 0; round < 3; round++) {
      const probed = [1, 2, 3, 4].map(() => roster.nextSubject(0));
      assert.deepEqual(new Set(probed), new Set([2, 3, 4, 900]));
    }
  });

  test('leaves the down ones out, and forgets them half a minute later at the end of a round', () => {
    const roster = new MemberlistRoster(1, 4, seededRandom(1));
    for (const number of [2, 3, 4]) roster.set(number, 'alive', 1, 0);
    roster.set(3, 'down', 1, 1_000);
    const round = (now: number) => new Set([roster.nextSubject(now), roster.nextSubject(now)]);
    assert.deepEqual(round(2_000), new Set([2, 4]));
    assert.deepEqual([roster.size, roster.isWorthTelling(3, 30_999)], [4, true]);
    for (let lap = 0; lap < 3; lap++) round(31_000);
    assert.deepEqual([roster.size, roster.standingOf(3)], [3, 'unknown']);
  });

  test('with everybody down has nobody to probe', () => {
    const roster = new MemberlistRoster(1, 2, seededRandom(1));
    assert.equal(roster.nextSubject(0), undefined);
    roster.set(2, 'down', 1, 0);
    assert.equal(roster.nextSubject(0), undefined);
    assert.deepEqual(
      roster.draw(3, () => true),
      [2],
    );
  });
});

describe('the LAN settings', () => {
  test('scale with the cluster as documented', () => {
    assert.deepEqual(
      [1, 10, 1_000].map((members) => suspicionWindow(members).leastMs),
      [4_000, 4_000, 12_000],
    );
    assert.deepEqual([9, 10, 99, 1_000].map(retransmitLimit), [4, 8, 8, 16]);
    assert.deepEqual(
      [32, 33, 1_000, 10_000, 100_000].map((members) => pushPullEveryMs(members) / 1_000),
      [30, 60, 180, 300, 390],
    );
  });

  test('keep a packet within 1,400 bytes, and fill it with news', () => {
    const solo = new Solo(swimArm(), 100);
    const gossip = Array.from({ length: 98 }, (_, index) => ({
      kind: 'suspect' as const,
      subject: 2 + index,
      incarnation: 1,
      accuser: 100,
    }));
    solo.hear(100, ...gossip, { kind: 'ping', seq: 9 });
    const ack = solo.sent.at(-1);
    assert.equal(ack?.packet[0]?.kind, 'ack');
    assert(ack.bytes <= 1_400 && ack.bytes > 1_300, `${ack.bytes} bytes`);
    assert.equal(ack.bytes, packetBytes(ack.packet));
    assert(roomBeside(ack.packet) >= 0);
  });

  test('give messages the lengths of their msgpack maps', () => {
    const lengths = [
      { kind: 'ping', seq: 1 } as const,
      { kind: 'ack', seq: 1 } as const,
      { kind: 'alive', subject: 2, incarnation: 1 } as const,
      { kind: 'suspect', subject: 2, incarnation: 1, accuser: 3 } as const,
    ].map(messageBytes);
    assert.deepEqual(lengths, [79, 20, 66, 47]);
    assert.equal(tableBytes(1_000) - tableBytes(0), 72_000);
  });

  test('cost at rest what was measured elsewhere: two packets a second, and tables in proportion to the list', () => {
    const perSecond = [50, 200].map((nodes) => {
      const crowd = new Crowd({ arm: lifeguardArm(), nodes, seed: 1 });
      crowd.runUntil(120_000);
      const { datagrams, datagramBytes, streamBytes } = crowd.traffic;
      return [datagrams, datagramBytes, streamBytes].map((sum) => sum / nodes / 120);
    });
    for (const [datagrams = 0, datagramBytes = 0] of perSecond) {
      assert(datagrams > 2 && datagrams < 2.5, `${datagrams} packets`);
      assert(datagramBytes > 80 && datagramBytes < 200, `${datagramBytes} bytes`);
    }
    const [small = 0, large = 0] = perSecond.map(([, , streamBytes]) => streamBytes ?? 0);
    assert(large > 1.5 * small && large < 2.5 * small, `tables: ${small} and ${large} bytes`);
  });
});

describe('a seed', () => {
  test('gives the same run each time, and another one another run', () => {
    const run = (seed: number): unknown => {
      const { truth, traffic } = endSome(lifeguardArm(), 'vanish', { nodes: 40, count: 2, seed });
      return [truth.faultCases, truth.suspicions, { ...traffic }];
    };
    assert.deepEqual(run(8), run(8));
    assert.notDeepEqual(run(8), run(9));
  });
});
