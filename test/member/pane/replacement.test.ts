/** Dead control nodes give their votes to such as wait for it; and the quorum never shrinks by itself. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Command } from '../../../src/control/command.ts';
import { signingKeyFrom } from '../../../src/crypto.ts';
import type { NodeNumber } from '../../../src/identity.ts';
import { Outbox } from '../../../src/member/outbox.ts';
import { Replacement, replacePauseMs } from '../../../src/member/pane/replacement.ts';
import type { Voters } from '../../../src/member/pane/voters.ts';
import type { SimCluster, SimClusterOptions } from '../../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../../src/sim/sim-node.ts';
import type { ReplacementStatus } from '../../../src/wire/peer-message.ts';
import { becomesWhole, membersOf, nodeOf, wholeCluster } from '../scene.ts';

const tokenSeed = new Uint8Array(32).fill(0x7b);
const control = { name: 'control', requires: [], bootstrapFrom: [], consumes: [] };
const replaceControlAfterMs = 20_000;
const soonMs = replaceControlAfterMs + replacePauseMs + 30_000;

/** A cluster in which so many nodes with the role control wait, and which notes how many ever vote and sign. */
function clusterWith(
  standby: number,
  options: Partial<SimClusterOptions>,
): { cluster: SimCluster; sizes: Set<string> } {
  const sizes = new Set<string>();
  const onStep = ({ member }: SimNode): void => {
    if (member?.pane === undefined || member.pane.state.appliedIndex === 0) return;
    const { voters, outgoing } = member.pane.engine.raft.configuration;
    const signers = member.pane.state.controlNumbers.length;
    sizes.add([signers, voters.length, ...(outgoing.length > 0 ? [outgoing.length] : [])].join('/'));
  };
  const cluster = wholeCluster({ members: 2, replaceControlAfterMs, ...options, onStep });
  const { publicKey } = signingKeyFrom(tokenSeed);
  const notAfter = nodeOf(cluster, 'c1').time.wall + 3_600_000;
  cluster.ask(nodeOf(cluster, 'm1'), { kind: 'create-token', publicKey, roles: ['control'], notAfter, usesMax: 0 });
  cluster.run(2_000);
  for (let each = 1; each <= standby; each++) {
    const node = cluster.add({ name: `s${each}`, roles: [control], token: cluster.tokenFrom(tokenSeed) });
    cluster.start([node]);
    becomesWhole(cluster, 60_000);
  }
  return { cluster, sizes };
}

function areControlNodes(cluster: SimCluster, ...names: readonly string[]): boolean {
  const numbers = names.map((name) => nodeOf(cluster, name).number).sort((a, b) => a - b);
  const { voters, outgoing } = cluster.leader?.member?.pane?.engine.raft.configuration ?? {};
  const know = membersOf(cluster).every(({ member }) => member?.directory.controlNumbers().join() === numbers.join());
  return know && voters?.join() === numbers.join() && outgoing?.length === 0;
}

function replacementAt(cluster: SimCluster): ReplacementStatus | undefined {
  const leader = cluster.leader ?? assert.fail('nobody leads');
  return leader.member?.pane?.status(leader.time).replacement;
}

const replaced = (cluster: SimCluster): readonly (readonly [dead: NodeNumber, by: NodeNumber])[] =>
  cluster.nodes.flatMap(({ events }) =>
    events.flatMap((event) => (event.kind === 'control-replaced' ? [[event.number, event.by] as const] : [])),
  );

describe('with two of five control nodes dead and two that wait', () => {
  for (const seed of [1, 2, 3]) {
    test(`both are replaced, one after the other, and the quorum is of five throughout, seed ${seed}`, () => {
      const { cluster, sizes } = clusterWith(2, { seed, controlNodes: 5 });
      if (seed > 1) cluster.network.faults = { loss: 0.1, duplication: 0.02, delayMs: 1, jitterMs: 20 };
      nodeOf(cluster, 'c2').crash();
      cluster.run(15_000);
      nodeOf(cluster, 'c5').crash();
      assert(
        cluster.runUntil(() => areControlNodes(cluster, 'c1', 'c3', 'c4', 'c5', 's1'), soonMs),
        's1 for c2',
      );
      const firstAt = nodeOf(cluster, 'c1').time.now;
      assert(
        cluster.runUntil(() => areControlNodes(cluster, 'c1', 'c3', 'c4', 's1', 's2'), soonMs),
        's2 for c5',
      );
      assert(nodeOf(cluster, 'c1').time.now - firstAt > replacePauseMs - 5_000, 'after a pause');
      assert.deepEqual([...sizes].sort(), ['5/5', '5/5/5']);
      const [s1, s2] = [nodeOf(cluster, 's1').number, nodeOf(cluster, 's2').number];
      assert.deepEqual(replaced(cluster), [
        [2, s1],
        [5, s2],
      ]);
      cluster.network.faults = { loss: 0, duplication: 0, delayMs: 1, jitterMs: 1 };
      for (const name of ['c1', 'c3']) nodeOf(cluster, name).crash();
      assert(
        cluster.runUntil(() => cluster.leader !== undefined, 20_000),
        'c4, s1 and s2 are a majority',
      );
    });
  }

  test('who comes back follows the log, and waits itself', () => {
    const { cluster } = clusterWith(1, { seed: 4, controlNodes: 3 });
    nodeOf(cluster, 'c2').crash();
    assert(cluster.runUntil(() => areControlNodes(cluster, 'c1', 'c3', 's1'), soonMs));
    cluster.start([nodeOf(cluster, 'c2')]);
    becomesWhole(cluster, 60_000);
    const isFollowing = (): boolean => cluster.leader?.member?.pane?.engine.raft.configuration.learners.join() === '2';
    assert(cluster.runUntil(isFollowing, 10_000));
    nodeOf(cluster, 'c3').crash();
    assert(
      cluster.runUntil(() => areControlNodes(cluster, 'c1', 'c2', 's1'), soonMs),
      'c2 has its vote again',
    );
  });
});

describe('nobody is replaced', () => {
  test('where nobody waits, and the leader says so; then by the first who comes', () => {
    const { cluster } = clusterWith(0, { controlNodes: 3 });
    assert.equal(replacementAt(cluster), undefined);
    nodeOf(cluster, 'c3').crash();
    cluster.run(soonMs * 2);
    assert.deepEqual(replaced(cluster), []);
    const waiting = replacementAt(cluster);
    assert.equal(waiting?.number, 3);
    assert.equal(waiting.obstacle, 'no-standby');
    const node = cluster.add({ name: 's1', roles: [control], token: cluster.tokenFrom(tokenSeed) });
    cluster.start([node]);
    assert(cluster.runUntil(() => areControlNodes(cluster, 'c1', 'c2', 's1'), 60_000));
    assert.equal(replacementAt(cluster), undefined);
  });

  test('who is down for less, nor by one that is down itself', () => {
    const { cluster } = clusterWith(1, { controlNodes: 3 });
    nodeOf(cluster, 's1').crash();
    nodeOf(cluster, 'c3').crash();
    cluster.run(soonMs);
    assert.deepEqual(replaced(cluster), []);
    assert.equal(replacementAt(cluster)?.obstacle, 'no-standby');
    cluster.start([nodeOf(cluster, 'c3'), nodeOf(cluster, 's1')]);
    becomesWhole(cluster, 60_000);
    nodeOf(cluster, 'c2').crash();
    cluster.run(replaceControlAfterMs);
    const { dueAt = 0, successor } = replacementAt(cluster) ?? {};
    assert.equal(successor, nodeOf(cluster, 's1').number);
    assert(dueAt > nodeOf(cluster, 'c1').time.wall, 'the time is told before');
    cluster.start([nodeOf(cluster, 'c2')]);
    becomesWhole(cluster, 60_000);
    cluster.run(soonMs);
    assert.deepEqual(replaced(cluster), []);
  });

  test('while the brake holds: a cut network may be all that is wrong', () => {
    const { cluster } = clusterWith(1, { controlNodes: 3, members: 9 });
    nodeOf(cluster, 'c3').crash();
    cluster.run(15_000);
    const cut = ['m5', 'm6', 'm7', 'm8', 'm9'];
    cluster.network.partition(
      cut,
      cluster.nodes.map(({ name }) => name).filter((name) => !cut.includes(name)),
    );
    cluster.run(soonMs);
    assert.equal(replacementAt(cluster)?.obstacle, 'brake');
    assert.deepEqual(replaced(cluster), []);
    cluster.network.heal();
    assert(cluster.runUntil(() => areControlNodes(cluster, 'c1', 'c2', 's1'), 60_000));
  });

  test('whom the other control nodes hear, though its observers do not', () => {
    const { cluster } = clusterWith(1, { controlNodes: 3, members: 9 });
    const members = cluster.nodes.map(({ name }) => name).filter((name) => name.startsWith('m'));
    cluster.network.partition(['c3'], members);
    const obstacles = new Set<string>();
    for (let each = 0; each < 600; each++) {
      cluster.run(1_000);
      obstacles.add(replacementAt(cluster)?.obstacle ?? 'alive');
    }
    assert.deepEqual(replaced(cluster), []);
    assert(obstacles.has('back'), [...obstacles].join());
  });

  test('where it is turned off', () => {
    const { cluster } = clusterWith(1, { controlNodes: 3, replaceControlAfterMs: 0 });
    nodeOf(cluster, 'c3').crash();
    cluster.run(soonMs * 3);
    assert.deepEqual(replaced(cluster), []);
    assert.deepEqual(replacementAt(cluster)?.obstacle, 'turned-off');
  });

  test('while there is no majority: nothing is decided then', () => {
    const { cluster, sizes } = clusterWith(2, { controlNodes: 3 });
    for (const name of ['c1', 'c2']) nodeOf(cluster, name).crash();
    cluster.run(soonMs * 3);
    assert.deepEqual(replaced(cluster), []);
    assert.deepEqual([...sizes], ['3/3']);
    assert(membersOf(cluster).every(({ member }) => member?.directory.controlNumbers().join() === '1,2,3'));
  });
});

/** Looks round on its own, by the state of a cluster in which c2 and c5 are dead and one node waits. */
function lookRound(isBack: (number: NodeNumber) => boolean): { outbox: Outbox; decide: readonly (() => void)[] } {
  const { cluster } = clusterWith(1, { controlNodes: 5, replaceControlAfterMs: 0 });
  nodeOf(cluster, 'c2').crash();
  cluster.run(15_000);
  nodeOf(cluster, 'c5').crash();
  cluster.run(15_000);
  const { state } = cluster.leader?.member?.pane ?? assert.fail('nobody leads');
  const outbox = new Outbox();
  const decide: (() => void)[] = [];
  const amendmentFor: Voters['amendmentFor'] = (change, { wall }) => ({ kind: 'begin-amendment', at: wall, change });
  const propose = (_: Command, then: () => void): unknown => decide.push(then);
  const voters = { amendmentFor } as Voters;
  const parts = { state, voters, outbox, propose, isBack, isBraked: () => false, replaceAfterMs: 1 };
  const { now, wall } = nodeOf(cluster, 'c1').time;
  new Replacement(parts).lookRound(now, { now: now + soonMs, wall: wall + soonMs });
  return { outbox, decide };
}

describe('of two that are dead', () => {
  test('one that is heard all the same does not stand in the way of the other', () => {
    const { outbox, decide } = lookRound((number) => number === 2);
    for (const then of decide) then();
    const numbers = outbox
      .take()
      .map((effect) => effect.kind === 'event' && 'number' in effect.event && effect.event.number);
    assert.deepEqual(numbers, [5]);
  });

  test('none is told to be replaced before that is decided', () => {
    const { outbox, decide } = lookRound(() => false);
    assert.equal(decide.length, 1);
    assert.deepEqual(outbox.take(), []);
    decide[0]?.();
    assert.equal(outbox.take().length, 1);
  });
});
