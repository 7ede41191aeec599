/** The time of the log is the leader's; a leader whose clock is wrong must not spoil it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SimCluster } from '../../src/sim/sim-cluster.ts';
import { calmLink } from '../../src/sim/sim-network.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { host, nodeOf, seenBy, wholeCluster } from './scene.ts';

const yearMs = 365 * 86_400_000;

function logTimes(cluster: SimCluster): readonly number[] {
  return cluster.control.map(({ member }) => member?.pane?.state.at ?? 0);
}

function leaderOf(cluster: SimCluster): SimNode {
  const { leader } = cluster;
  assert(leader !== undefined, 'somebody leads');
  return leader;
}

for (const [where, offMs] of [
  ['a year ahead', yearMs],
  ['an hour behind', -3_600_000],
] as const) {
  describe(`a leader whose clock jumps to ${where}`, () => {
    const cluster = wholeCluster({ members: 1 });
    const wrong = leaderOf(cluster);
    wrong.clock.wallOffsetMs = offMs;

    test('dates nothing, says so, and hands the lead over', () => {
      let refusal = '';
      const token = { kind: 'create-token', publicKey: new Uint8Array(32).fill(7), roles: [], usesMax: 0 } as const;
      cluster.ask(wrong, { ...token, notAfter: wrong.time.wall + yearMs }, (outcome) => {
        refusal = outcome.ok ? 'decided' : outcome.error.message;
      });
      cluster.run(20);
      assert.match(refusal, /clock of this control node is \d+ s (ahead of|behind) the others'; set it/);
      assert(
        cluster.runUntil(() => cluster.leader !== undefined && cluster.leader !== wrong, 5_000),
        'another leads',
      );
      cluster.run(2_000);
      assert(
        wrong.events.some((event) => event.kind === 'clock' && Math.abs(event.offByMs - offMs) < 1_000),
        'the event says by how much',
      );
    });

    test('and a member that asks it to leave does so under the next leader', () => {
      const other = wholeCluster({ members: 2 });
      const leaver = nodeOf(other, 'm2');
      leaderOf(other).clock.wallOffsetMs = offMs;
      leaver.act((member, at) => member.leave(() => {}, at));
      const belongs = (): boolean => other.leader?.member?.pane?.state.members.has(leaver.number) !== false;
      assert(
        other.runUntil(() => !belongs(), 20_000),
        'it is removed',
      );
    });

    test('and joins go on, by the time of those who agree', () => {
      const joiner = cluster.add({ name: 'late', roles: [host] });
      joiner.start([nodeOf(cluster, 'm1').endpoint]);
      assert(
        cluster.runUntil(() => joiner.member !== undefined, 20_000),
        joiner.joinError?.message ?? 'not admitted',
      );
      const right = nodeOf(cluster, 'm1').time.wall;
      for (const at of logTimes(cluster)) assert(Math.abs(at - right) < 60_000, `${at - right}`);
    });
  });
}

for (const offMs of [-86_400_000, 30 * yearMs]) {
  test(`a control node whose clock is off by ${offMs / 86_400_000} days knows all members (seed 2839)`, () => {
    const cluster = wholeCluster({ members: 1 });
    const wrong = cluster.control.find((node) => node !== cluster.leader) as SimNode;
    wrong.clock.wallOffsetMs = offMs;
    const joiner = cluster.add({ name: 'late', roles: [host] });
    joiner.start([nodeOf(cluster, 'm1').endpoint]);
    assert(cluster.runUntil(() => joiner.member !== undefined, 20_000));
    const isShown = (): boolean => seenBy(wrong).includes('late');
    assert(cluster.runUntil(isShown, 2_000));
    wrong.crash();
    cluster.run(1_000);
    wrong.start([]);
    assert(cluster.runUntil(isShown, 2_000), 'after a restart');
  });
}

test('of two control nodes whose clocks differ nobody can tell which is right: the leader goes on', () => {
  const cluster = wholeCluster({ controlNodes: 2, members: 1 });
  const leader = leaderOf(cluster);
  leader.clock.wallOffsetMs = 3_600_000;
  cluster.run(5_000);
  assert.equal(cluster.leader, leader);
});

test('it is seen by streams as well, where no datagram passes', () => {
  const cluster = wholeCluster({ members: 0 });
  cluster.network.faults = { ...calmLink, loss: 1 };
  cluster.run(15_000);
  const wrong = leaderOf(cluster);
  wrong.clock.wallOffsetMs = yearMs;
  assert(
    cluster.runUntil(() => cluster.leader !== undefined && cluster.leader !== wrong, 5_000),
    'another leads',
  );
});
