/** Why the pane is degraded, as every node can tell: who is in touch with whom, since when, and how the rest failed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HivemindError } from '../../../src/error.ts';
import type { NodeNumber } from '../../../src/identity.ts';
import { type ContactState, type ControlContact, PaneContacts } from '../../../src/member/client/pane-contacts.ts';
import { Member } from '../../../src/member/member.ts';
import type { SimNode } from '../../../src/sim/sim-node.ts';
import { becomesWhole, nodeOf, wholeCluster } from '../scene.ts';

function contactOf(node: SimNode, number: NodeNumber): ControlContact | undefined {
  return node.member?.client.contacts.of(number);
}

const silentFor = (node: SimNode): readonly NodeNumber[] =>
  node.member?.pane?.watch.health.silent.map(({ number }) => number) ?? [];

describe('without a quorum', () => {
  test('a member knows which control node answers, and which others that one does not hear, since when (HM-6)', () => {
    const cluster = wholeCluster({ members: 3 });
    cluster.run(10_000);
    for (const name of ['c2', 'c3']) nodeOf(cluster, name).crash();
    const lostAt = nodeOf(cluster, 'm1').time.wall;
    cluster.run(10_000);
    for (const name of ['m1', 'm2', 'm3']) {
      const node = nodeOf(cluster, name);
      const { state, health } = contactOf(node, 1) ?? {};
      assert.equal(state, 'answers', name);
      assert.deepEqual(
        health?.silent.map(({ number }) => number),
        [2, 3],
      );
      for (const { since } of health?.silent ?? []) assert(since >= lostAt - 1_000 && since <= lostAt + 2_000, name);
      for (const dead of [2, 3]) {
        const contact = contactOf(node, dead);
        assert(contact?.state === 'silent' || contact?.state === 'refused', `${name}: ${contact?.state}`);
        assert(contact.triedAt > lostAt + 5_000, 'it is tried again and again');
      }
    }
  });

  test('control nodes on both sides of a cut say whom they hear, and no more when it is healed', () => {
    const cluster = wholeCluster({ members: 2, controlNodes: 5 });
    const [left, right] = [
      ['c1', 'c2', 'm1'],
      ['c3', 'c4', 'c5', 'm2'],
    ] as const;
    cluster.network.partition(left, right);
    cluster.run(10_000);
    for (const name of ['c1', 'c2']) assert.deepEqual(silentFor(nodeOf(cluster, name)), [3, 4, 5], name);
    const followers = ['c3', 'c4', 'c5'].filter((name) => nodeOf(cluster, name) !== cluster.leader);
    for (const name of followers) assert.deepEqual(silentFor(nodeOf(cluster, name)), [], `${name} hears its leader`);
    assert.deepEqual(cluster.leader === undefined ? undefined : silentFor(cluster.leader), [1, 2]);
    cluster.network.heal();
    becomesWhole(cluster, 60_000);
    cluster.run(5_000);
    for (const node of cluster.control) assert.deepEqual(silentFor(node), [], node.name);
  });
});

describe('without a pane', () => {
  test('a member knows how each control node failed: refused where its machine lives, silent where not', () => {
    const cluster = wholeCluster({ members: 2 });
    for (const node of cluster.control) node.crash();
    cluster.network.partition(['c2'], ['m1']);
    cluster.run(60_000);
    const states = [1, 2, 3].map((number) => contactOf(nodeOf(cluster, 'm1'), number)?.state);
    assert.deepEqual(states, ['refused', 'silent', 'refused']);
    cluster.start();
    cluster.network.heal();
    becomesWhole(cluster, 60_000);
    const after = [1, 2, 3].map((number) => contactOf(nodeOf(cluster, 'm1'), number)?.state);
    assert(after.includes('answers'), after.join());
  });

  test('a member that was removed knows that it is not admitted', () => {
    const cluster = wholeCluster({ members: 3 });
    const gone = nodeOf(cluster, 'm3');
    gone.crash();
    let isDecided = false;
    cluster.ask(nodeOf(cluster, 'm1'), { kind: 'remove', number: gone.number }, ({ ok }) => {
      isDecided = ok;
    });
    assert(cluster.runUntil(() => isDecided, 10_000));
    cluster.run(2_000);
    gone.start([]);
    const said = new Set<ContactState>();
    const { member } = gone;
    assert(member instanceof Member);
    const isOut = cluster.runUntil(() => {
      for (const number of [1, 2, 3]) said.add(member.client.contacts.of(number)?.state ?? 'answers');
      return gone.hasLeft;
    }, 60_000);
    assert(isOut);
    assert(said.has('not-admitted'), [...said].join());
  });
});

describe('contacts', () => {
  const at = (wall: number): { now: number; wall: number } => ({ now: wall, wall });
  const health = { state: 'healthy', since: 1, leader: 1, silent: [], voting: 'votes' } as const;

  test('say since when it is so, and keep what a stream told over the silence of datagrams', () => {
    const contacts = new PaneContacts();
    contacts.onSilence(1, at(10));
    contacts.onSilence(1, at(20));
    assert.deepEqual(contacts.of(1), { state: 'silent', since: 10, triedAt: 20, health: undefined });
    contacts.onStream(1, { ok: true, value: 0, from: {} as never }, at(30));
    contacts.onSilence(1, at(40));
    assert.deepEqual(contacts.of(1), { state: 'streams-only', since: 30, triedAt: 40, health: undefined });
    contacts.onAnswer(1, health, at(50));
    assert.deepEqual(contacts.of(1), { state: 'answers', since: 50, triedAt: 50, health });
    contacts.onStream(2, { ok: false, error: new HivemindError('time-out', 'No answer.') }, at(60));
    assert.equal(contacts.leastExplained([2, 1]), 1, 'it was asked over a stream before the other');
    assert.equal(contacts.leastExplained([2, 1, 3]), 3, 'and this one never');
    contacts.keep([2]);
    assert.equal(contacts.of(1), undefined);
  });
});
