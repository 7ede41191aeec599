/** The control pane and the failure detector together, on whole simulated clusters. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ErrorCode } from '../../../src/error.ts';
import type { SimCluster } from '../../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../../src/sim/sim-node.ts';
import { decodeCommand } from '../../../src/wire/command.ts';
import { becomesWhole, membersOf, nodeOf, wholeCluster } from '../scene.ts';

function states(cluster: SimCluster): readonly string[] {
  return membersOf(cluster).map(({ name, member }) => `${name} ${member?.client.pane.state}`);
}

function statusAt(node: SimNode, subject: SimNode): string | undefined {
  return node.member?.membership.swim.statusOf(subject.number)?.status;
}

function committedAt(node: SimNode): number {
  return node.member?.pane?.state.appliedIndex ?? 0;
}

describe('degraded', () => {
  for (const seed of [1, 2, 3, 4]) {
    test(`is said by every node within 5 s of a lost quorum, until it returns (HM-6), seed ${seed}`, () => {
      const cluster = wholeCluster({ seed, members: 5 });
      cluster.run(cluster.random.below(10_000));
      const lostAt = cluster.control[0]?.time.wall ?? 0;
      nodeOf(cluster, 'c1').crash();
      nodeOf(cluster, 'c3').crash();
      cluster.run(5_000);
      for (const node of membersOf(cluster)) {
        const { state, since } = node.member?.client.pane ?? {};
        assert.equal(state, 'no-quorum', node.name);
        assert((since ?? 0) >= lostAt - 1_000 && (since ?? 0) <= lostAt + 5_000, `${node.name} since ${since}`);
      }
      cluster.start();
      becomesWhole(cluster);
    });

    test(`is told apart from a pane that nobody reaches (HM-6), seed ${seed}`, () => {
      const cluster = wholeCluster({ seed, members: 5 });
      cluster.run(cluster.random.below(10_000));
      for (const node of cluster.control) node.crash();
      cluster.run(5_000);
      assert.deepEqual(
        states(cluster),
        ['m1', 'm2', 'm3', 'm4', 'm5'].map((name) => `${name} no-pane`),
      );
      cluster.start();
      becomesWhole(cluster);
    });
  }

  test('is what the minority side of a partition says, and the majority goes on', () => {
    const cluster = wholeCluster({ members: 4 });
    const [majority, minority] = [
      ['c2', 'c3', 'm1', 'm2'],
      ['c1', 'm3', 'm4'],
    ] as const;
    cluster.network.partition(majority, minority);
    cluster.run(5_000);
    assert.deepEqual(states(cluster), [
      'c1 no-quorum',
      'c2 healthy',
      'c3 healthy',
      'm1 healthy',
      'm2 healthy',
      'm3 no-quorum',
      'm4 no-quorum',
    ]);
  });
});

describe('a minority', () => {
  test('commits nothing, even with the old leader in it, and shows nobody what it wrote down (HM-8)', () => {
    const cluster = wholeCluster();
    const { leader } = cluster;
    assert(leader !== undefined);
    const others = cluster.nodes.filter((node) => node !== leader);
    const before = committedAt(leader);
    cluster.network.partition(
      [leader.name],
      others.map((node) => node.name),
    );
    let refused: ErrorCode | undefined;
    const number = nodeOf(cluster, 'm1').number;
    cluster.ask(leader, { kind: 'remove', number }, (outcome) => {
      refused = outcome.ok ? undefined : outcome.error.code;
    });
    cluster.run(1);
    assert.equal(leader.member?.pane?.engine.raft.lastIndex, before + 1);
    assert.equal(leader.member.pane.log.committed(1, 1_000).length, before);
    cluster.run(20_000);
    assert.equal(refused, 'unknown-outcome');
    assert.equal(committedAt(leader), before);
    assert(leader.member.directory.get(number) !== undefined);
    assert(others.some((node) => committedAt(node) > before));
    cluster.network.heal();
    becomesWhole(cluster);
  });
});

describe('a dead host', () => {
  for (const seed of [1, 2, 3]) {
    test(`is convicted everywhere in less than 15 s, and returns by itself (HM-14), seed ${seed}`, () => {
      const cluster = wholeCluster({ seed });
      const dead = nodeOf(cluster, 'm1');
      dead.crash();
      const isConvicted = (): boolean => membersOf(cluster).every((node) => statusAt(node, dead) === 'down');
      assert(cluster.runUntil(isConvicted, 15_000));
      for (const node of membersOf(cluster)) {
        assert(node.events.some((event) => event.kind === 'down' && !event.hint && event.number === dead.number));
      }
      cluster.start([dead]);
      becomesWhole(cluster, 15_000);
      assert.equal(dead.member?.membership.swim.ownIncarnation, 1);
    });
  }

  test('that two of five others cannot reach is convicted by nobody', () => {
    const cluster = wholeCluster({ seed: 5 });
    const [subject, ...cut] = [nodeOf(cluster, 'm1'), nodeOf(cluster, 'm2'), nodeOf(cluster, 'c1')];
    cluster.network.partition(
      [subject.name],
      cut.map((node) => node.name),
    );
    cluster.run(30_000);
    for (const node of cluster.control) {
      const log = node.member?.pane?.log.committed(1, 1_000) ?? [];
      const kinds = log.map(({ kind, payload }) => (kind === 'command' ? decodeCommand(payload)?.kind : kind));
      assert(!kinds.includes('convict'), node.name);
    }
    assert.equal(statusAt(nodeOf(cluster, 'm2'), subject), 'suspect');
  });

  test('whose address another node took gets none of its traffic, and neither does the other', () => {
    const cluster = wholeCluster();
    const dead = nodeOf(cluster, 'm1');
    cluster.run(5_000);
    dead.crash();
    const intruder = cluster.add({ name: 'other', roles: dead.roles, endpoint: dead.endpoint });
    intruder.start([nodeOf(cluster, 'c1').endpoint]);
    const isSettled = (): boolean =>
      membersOf(cluster).every((node) => node === intruder || statusAt(node, dead) === 'down');
    assert(cluster.runUntil(isSettled, 15_000));
    assert.equal(intruder.number, 7);
    assert.equal(intruder.member?.line.malformed, 0);
    for (const node of membersOf(cluster)) {
      assert.equal(node.member?.directory.numberOf(dead.signingKey.publicKey), dead.number);
      if (node !== intruder) assert.equal(statusAt(node, intruder), 'alive', node.name);
    }
    assert(!intruder.events.some((event) => event.kind === 'restarted' && event.number === dead.number));
  });
});

describe('a proposal', () => {
  test('that no control node could read back is refused, and stops none of them', () => {
    const cluster = wholeCluster();
    const leader = cluster.control.find((node) => node.member?.pane?.leads) as SimNode;
    const before = committedAt(leader);
    let refused: ErrorCode | undefined;
    const token = {
      publicKey: new Uint8Array(32),
      roles: ['Not A Label'],
      notAfter: leader.time.wall + 1_000,
      usesMax: 1,
    };
    leader.act((member, at) =>
      member.ask(
        { kind: 'create-token', ...token },
        (outcome) => (refused = outcome.ok ? undefined : outcome.error.code),
        at,
      ),
    );
    cluster.run(5_000);
    assert.equal(refused, 'usage');
    assert.equal(committedAt(leader), before);
    assert(cluster.control.every((node) => node.running));
  });
});
