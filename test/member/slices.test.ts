/** A cluster larger than a full view: every member keeps its slice, and the pane knows the whole. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { utf8 } from '../../src/bytes.ts';
import { guestsMax } from '../../src/member/membership.ts';
import type { SimCluster } from '../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { reserveMax, membersOf as slicedMembersOf } from '../../src/swim/slice.ts';
import { becomesWhole, membersOf, nodeOf, wholeCluster } from './scene.ts';

/** Beyond 128, so that slices are used; as few as that leaves, because each member is a whole one. */
const size = 134;
const plain = { name: 'plain', requires: [], bootstrapFrom: [], consumes: [] };

function largeCluster(): SimCluster {
  const cluster = wholeCluster({ members: 0 });
  for (let each = 1; each <= size - 3; each++) {
    const node = cluster.add({ name: `p${each}`, roles: [plain] });
    cluster.start([node]);
    if (each % 25 === 0) cluster.run(1_000);
  }
  becomesWhole(cluster, 60_000);
  return cluster;
}

function others(cluster: SimCluster): readonly SimNode[] {
  return membersOf(cluster).filter((node) => node.member?.pane === undefined);
}

describe('in a cluster of 134', () => {
  const cluster = largeCluster();

  test('each member but the control nodes keeps a slice, and knows how large the whole is (HM-15)', () => {
    const rings = cluster.leader?.member?.membership.swim.rings ?? assert.fail('there is no leader');
    for (const { member } of others(cluster)) {
      assert(member !== undefined && !member.membership.isComplete);
      assert.equal(member.membership.size, size);
      const { subjects, observers, reserve, control } = member.membership.swim.slice;
      assert.equal(observers.length, 10);
      assert.deepEqual(
        subjects.map(({ number }) => number),
        rings.subjectsOf(member.number),
      );
      for (const subject of subjects) {
        const all = [...subject.observers, member.number].sort((a, b) => a - b);
        assert.deepEqual(
          all,
          [...rings.observersOf(subject.number)].sort((a, b) => a - b),
        );
      }
      assert(reserve.length >= 5 && reserve.length <= reserveMax);
      assert.equal(control.length, 3);
      // Beside those who came to it by themselves, and are forgotten when there are too many.
      const inView = slicedMembersOf(member.membership.swim.slice).length + 1;
      assert(inView < 130 && member.directory.list().length <= inView + guestsMax);
    }
    for (const { member } of cluster.control) assert.equal(member?.directory.list().length, size);
  });

  test('whoever observes somebody is known to it as its observer', () => {
    for (const { member } of others(cluster)) {
      for (const subject of member?.membership.swim.slice.subjects ?? []) {
        const watched = cluster.nodes.find(({ number }) => number === subject.number)?.member;
        const observers = watched?.pane === undefined ? watched?.membership.swim.slice.observers : undefined;
        if (observers !== undefined) assert(observers.includes(member?.number ?? 0));
      }
    }
  });

  test('each member finds any other by its name, and nobody by a name that none has', () => {
    const [asker] = others(cluster) as [SimNode];
    const known = asker.member?.directory;
    const strange = others(cluster).find(({ name }) => known?.byName(name) === undefined);
    const found: (number | undefined)[] = [];
    for (const name of [strange?.name ?? '', 'c2', 'nobody']) {
      asker.act((member, at) => member.finder.byName(name, (number) => found.push(number), at));
      cluster.run(1_000);
    }
    assert.deepEqual(found, [strange?.number, nodeOf(cluster, 'c2').number, undefined]);
    assert.equal(known?.byName(strange?.name ?? '')?.number, strange?.number, 'and it knows it from now on');
  });

  test('an event reaches every member once (HM-31)', () => {
    const sender = nodeOf(cluster, 'p7');
    sender.act((member, at) => assert.equal(member.sendEvent('deploy', utf8('v42'), at), undefined));
    cluster.run(5_000);
    for (const { name, events } of membersOf(cluster)) {
      const heard = events.filter((event) => event.kind === 'user-event' && event.event === 'deploy');
      assert.deepEqual([name, heard.length], [name, 1]);
    }
  });

  test('a crash is convicted by its observers, and known to all who keep it, within 10 s (HM-14)', () => {
    const dead = nodeOf(cluster, 'p20');
    const { number } = dead;
    dead.crash();
    const keepers = (): readonly SimNode[] =>
      membersOf(cluster).filter(({ member }) => member?.membership.swim.publishedOf(number) !== undefined);
    const known = (): boolean =>
      keepers().every(({ member }) => member?.membership.swim.publishedOf(number)?.status === 'down');
    assert(keepers().length > 10);
    assert(cluster.runUntil(known, 10_000));
    assert.equal(
      others(cluster).some(({ member }) => member?.membership.swim.publishedOf(1)?.status === 'down'),
      false,
    );
    dead.start([]);
    becomesWhole(cluster, 60_000);
  });

  test('who leaves is out of every view, and its number stays out everywhere', () => {
    const leaver = nodeOf(cluster, 'p30');
    const { number } = leaver;
    leaver.act((member, at) => member.leave(() => {}, at));
    assert(cluster.runUntil(() => leaver.hasLeft, 10_000));
    becomesWhole(cluster, 60_000);
    for (const { member, hasLeft } of membersOf(cluster)) {
      if (hasLeft) continue;
      assert(member?.directory.removed.has(number));
      assert.equal(member?.membership.swim.slice.observers.includes(number), false);
    }
  });
});
