/** Changing who the control nodes are: each change is signed, and whoever signs votes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { signingKeyFrom } from '../../../src/crypto.ts';
import type { HivemindError } from '../../../src/error.ts';
import type { NodeNumber } from '../../../src/identity.ts';
import type { SimCluster } from '../../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../../src/sim/sim-node.ts';
import type { PaneAsk } from '../../../src/wire/peer-message.ts';
import { becomesWhole, membersOf, nodeOf, wholeCluster } from '../scene.ts';

const tokenSeed = new Uint8Array(32).fill(0x7a);
const control = { name: 'control', requires: [], bootstrapFrom: [], consumes: [] };

/** Why it was refused, if it was. */
function asked(cluster: SimCluster, ask: PaneAsk): HivemindError | undefined {
  let refused: HivemindError | undefined;
  let isAnswered = false;
  cluster.ask(nodeOf(cluster, 'm2'), ask, (outcome) => {
    isAnswered = true;
    if (!outcome.ok) refused = outcome.error;
  });
  assert(cluster.runUntil(() => isAnswered, 30_000));
  return refused;
}

/** Joins with a token that names the role. */
function joined(cluster: SimCluster, name: string): SimNode {
  const { publicKey } = signingKeyFrom(tokenSeed);
  const notAfter = nodeOf(cluster, 'c1').time.wall + 3_600_000;
  assert.equal(
    asked(cluster, { kind: 'create-token', publicKey, roles: ['control'], notAfter, usesMax: 0 }),
    undefined,
  );
  const node = cluster.add({ name, roles: [control], token: cluster.tokenFrom(tokenSeed) });
  cluster.start([node]);
  becomesWhole(cluster);
  return node;
}

const changeTo = (cluster: SimCluster, ...numbers: readonly NodeNumber[]): PaneAsk => ({
  kind: 'amend',
  change: { kind: 'control-set', numbers, base: cluster.leader?.member?.pane?.state.charter.length ?? 0 },
});

/** Everybody holds these for the control nodes, and they are those who vote. */
function areControlNodes(cluster: SimCluster, ...numbers: readonly NodeNumber[]): void {
  const isSo = (): boolean =>
    membersOf(cluster).every(({ member }) => member?.directory.controlNumbers().join() === numbers.join()) &&
    cluster.leader?.member?.pane?.engine.raft.configuration.voters.join() === numbers.join() &&
    cluster.leader?.member?.pane?.engine.raft.configuration.outgoing.length === 0;
  assert(cluster.runUntil(isSo, 60_000), `not ${numbers.join()} everywhere`);
}

describe('a node that joins with the role control', () => {
  const cluster = wholeCluster({ members: 3 });

  test('needs a token that names it', () => {
    const node = cluster.add({ name: 'stranger', roles: [control] });
    cluster.start([node]);
    cluster.run(5_000);
    assert.equal(node.joinError?.code, 'roles-not-allowed');
    node.crash();
    node.hasLeft = true;
  });

  test('follows the log, and votes only when it is promoted', () => {
    const fourth = joined(cluster, 'c4');
    const isFollowing = (): boolean =>
      cluster.leader?.member?.pane?.engine.raft.configuration.learners.join() === `${fourth.number}`;
    assert(cluster.runUntil(isFollowing, 10_000));
    assert.deepEqual(nodeOf(cluster, 'm1').member?.directory.controlNumbers(), [1, 2, 3]);
    assert.equal(asked(cluster, changeTo(cluster, 1, 2, 3, fourth.number)), undefined);
    areControlNodes(cluster, 1, 2, 3, fourth.number);
    becomesWhole(cluster);
  });

  test('takes the place of one that is demoted, removed and gone', () => {
    const fourth = nodeOf(cluster, 'c4');
    assert.equal(asked(cluster, { kind: 'remove', number: 3 })?.code, 'refused', 'it still votes');
    assert.equal(asked(cluster, changeTo(cluster, 1, 2, fourth.number)), undefined);
    areControlNodes(cluster, 1, 2, fourth.number);
    const third = nodeOf(cluster, 'c3');
    assert.equal(asked(cluster, { kind: 'remove', number: 3 }), undefined);
    assert(cluster.runUntil(() => third.hasLeft, 30_000));
    becomesWhole(cluster);
    nodeOf(cluster, 'c1').crash();
    assert(cluster.runUntil(() => cluster.leader !== undefined && cluster.leader.name !== 'c1', 20_000));
    cluster.run(5_000);
    const late = cluster.add({ name: 'late', roles: nodeOf(cluster, 'm1').roles });
    late.start([fourth.endpoint]);
    assert(
      cluster.runUntil(() => late.member !== undefined, 30_000),
      'c2 and c4 admit without c1',
    );
    cluster.start([nodeOf(cluster, 'c1')]);
    becomesWhole(cluster);
  });

  test('is a control node after a restart of all, too', () => {
    const running = membersOf(cluster).filter(({ hasLeft }) => !hasLeft);
    for (const node of running) node.crash();
    cluster.run(1_000);
    for (const node of running) node.start([]);
    becomesWhole(cluster, 60_000);
    areControlNodes(cluster, 1, 2, nodeOf(cluster, 'c4').number);
  });

  test('hands the lead over, or takes it, when it is asked to', () => {
    for (const name of ['c4', 'c2']) {
      const { number } = nodeOf(cluster, name);
      assert.equal(asked(cluster, { kind: 'transfer', to: number }), undefined);
      assert(
        cluster.runUntil(() => cluster.leader?.name === name, 5_000),
        name,
      );
    }
    assert.equal(asked(cluster, { kind: 'transfer', to: 77 })?.code, 'refused');
  });
});

test('whoever is left of two control nodes, and asks for something before it leads, gets it then', () => {
  const cluster = wholeCluster({ controlNodes: 2, members: 1 });
  const [one, other] = cluster.control as readonly [SimNode, SimNode];
  const [leader, left] = cluster.leader === one ? [one, other] : [other, one];
  const change = { kind: 'control-set', numbers: [left.number], base: 0 } as const;
  cluster.ask(left, { kind: 'amend', change });
  assert(cluster.runUntil(() => left.member?.directory.controlNumbers().length === 1, 20_000));
  leader.crash();
  const told: string[] = [];
  cluster.ask(left, { kind: 'remove', number: leader.number }, (outcome) => {
    told.push(outcome.ok ? 'decided' : outcome.error.message);
  });
  cluster.readConsistently(left, (outcome) => told.push(outcome.ok ? 'read' : outcome.error.message));
  assert(
    cluster.runUntil(() => left.member?.pane?.leads === true, 10_000),
    'it leads',
  );
  cluster.run(1_000);
  assert.deepEqual(told.sort(), ['decided', 'read']);
});

test('a member that was away while all control nodes were exchanged finds the new ones', () => {
  const cluster = wholeCluster({ members: 3, seed: 4 });
  const [fourth, fifth] = [joined(cluster, 'c4'), joined(cluster, 'c5')];
  const away = nodeOf(cluster, 'm3');
  away.crash();
  for (const set of [
    [1, 2, fourth.number],
    [1, fourth.number, fifth.number],
  ]) {
    cluster.runUntil(() => asked(cluster, changeTo(cluster, ...set)) === undefined, 20_000);
    cluster.run(20_000);
  }
  areControlNodes(cluster, 1, fourth.number, fifth.number);
  away.start([]);
  becomesWhole(cluster, 60_000);
  areControlNodes(cluster, 1, fourth.number, fifth.number);
});

test('a control node of the genesis that signs no more belongs as before, also for whoever starts after that', () => {
  const cluster = wholeCluster({ members: 3, controlNodes: 4, seed: 5 });
  assert.equal(asked(cluster, changeTo(cluster, 1, 2, 3)), undefined);
  areControlNodes(cluster, 1, 2, 3);
  for (const name of ['c1', 'c2', 'c3']) {
    const node = nodeOf(cluster, name);
    node.crash();
    node.start([]);
    assert.notEqual(node.member?.membership.swim.statusOf(4), undefined, name);
    becomesWhole(cluster);
  }
  const fourth = nodeOf(cluster, 'c4');
  fourth.crash();
  assert(cluster.runUntil(() => cluster.leader?.member?.pane?.state.members.get(4)?.status === 'down', 30_000));
  fourth.start([]);
  becomesWhole(cluster, 60_000);
});

test('a control node that was away while another joined and took the lead follows that one', () => {
  const cluster = wholeCluster({ members: 2, controlNodes: 4, seed: 6 });
  const away = nodeOf(cluster, 'c4');
  away.crash();
  const { publicKey } = signingKeyFrom(tokenSeed);
  const notAfter = nodeOf(cluster, 'c1').time.wall + 3_600_000;
  asked(cluster, { kind: 'create-token', publicKey, roles: ['control'], notAfter, usesMax: 0 });
  const fifth = cluster.add({ name: 'c5', roles: [control], token: cluster.tokenFrom(tokenSeed) });
  cluster.start([fifth]);
  assert(
    cluster.runUntil(() => fifth.member !== undefined, 20_000),
    'c5 joins',
  );
  const isAccepted = (ask: PaneAsk): boolean => asked(cluster, ask) === undefined;
  assert(
    cluster.runUntil(() => isAccepted(changeTo(cluster, 1, 2, 3, fifth.number)), 20_000),
    'c5 signs',
  );
  const takesTheLead = (): boolean => {
    isAccepted({ kind: 'transfer', to: fifth.number });
    cluster.run(1_000);
    return cluster.leader === fifth;
  };
  assert(cluster.runUntil(takesTheLead, 20_000), 'c5 leads');
  away.start([]);
  becomesWhole(cluster, 60_000);
});
