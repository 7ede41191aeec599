/** Epochs in whole clusters: everybody follows, who was away bootstraps anew, who was removed stays out. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HivemindError } from '../../src/error.ts';
import { epochGraceMs } from '../../src/session/sessions.ts';
import type { SimCluster } from '../../src/sim/sim-cluster.ts';
import { becomesWhole, membersOf, nodeOf, seenBy, wholeCluster } from './scene.ts';

const epochsAt = (cluster: SimCluster): readonly (number | undefined)[] =>
  membersOf(cluster).map(({ member }) => member?.epoch);

/** Asks for the next epoch at a member that is no control node; why it was refused, if it was. */
function advance(cluster: SimCluster): HivemindError | undefined {
  let refused: HivemindError | undefined;
  let isAnswered = false;
  cluster.ask(nodeOf(cluster, 'm2'), { kind: 'amend', change: { kind: 'epoch' } }, (outcome) => {
    isAnswered = true;
    if (!outcome.ok) refused = outcome.error;
  });
  assert(cluster.runUntil(() => isAnswered, 10_000));
  return refused;
}

function follows(cluster: SimCluster, epoch: number): void {
  const isThere = (): boolean => epochsAt(cluster).every((each) => each === epoch);
  assert(cluster.runUntil(isThere, epochGraceMs), `epochs are ${epochsAt(cluster).join()}`);
}

describe('when the epoch advances (HM-11)', () => {
  const cluster = wholeCluster({ members: 5 });
  const removed = nodeOf(cluster, 'm5');

  test('everybody follows within the grace, and nobody is held for down meanwhile', () => {
    cluster.ask(nodeOf(cluster, 'm2'), { kind: 'remove', number: removed.number });
    assert(cluster.runUntil(() => removed.hasLeft, 20_000));
    assert.equal(advance(cluster), undefined);
    follows(cluster, 2);
    cluster.run(epochGraceMs + 10_000);
    for (const { name, events } of membersOf(cluster)) {
      assert(!events.some((event) => event.kind === 'down'), name);
      assert.equal(events.filter((event) => event.kind === 'amended').length, removed.name === name ? 0 : 1, name);
    }
    assert(membersOf(cluster).every(({ member }) => member?.line.sessions.dropped()['other-epoch'] === 0));
  });

  test('what was removed before is forgotten, by the pane and by every member', () => {
    for (const { name, member } of membersOf(cluster)) {
      assert.equal(member?.directory.removed.size, 0, name);
      assert.equal(member?.pane?.state.removed.size ?? 0, 0, name);
    }
  });

  test('who was removed before stays out all the same, with the certificate that it has', () => {
    removed.hasLeft = false;
    removed.start([]);
    cluster.run(30_000);
    for (const node of membersOf(cluster)) if (node !== removed) assert(!seenBy(node).includes('m5'), node.name);
    assert(removed.hasLeft, 'and learns it');
  });

  test('who joins is of the new epoch, and knows those of the old one', () => {
    const late = cluster.add({ name: 'late', roles: nodeOf(cluster, 'm1').roles });
    cluster.start([late]);
    becomesWhole(cluster);
    assert.equal(late.member?.epoch, 2);
    for (const name of ['c1', 'm1', 'm4', 'late']) assert(seenBy(late).includes(name), name);
    assert(late.number > removed.number, 'no number is given out twice');
  });

  test('a restarted member and a restarted control node are of the epoch that they left', () => {
    for (const name of ['m1', 'c2', 'late']) {
      const node = nodeOf(cluster, name);
      node.crash();
      cluster.run(500);
      node.start([]);
    }
    becomesWhole(cluster);
    follows(cluster, 2);
  });
});

describe('a member that was stopped while the epoch advanced (HM-12)', () => {
  for (const times of [1, 2]) {
    test(`by ${times}, bootstraps by itself and is in`, () => {
      const cluster = wholeCluster({ members: 4, seed: times });
      const away = nodeOf(cluster, 'm3');
      away.crash();
      cluster.ask(nodeOf(cluster, 'm2'), { kind: 'remove', number: nodeOf(cluster, 'm4').number });
      assert(cluster.runUntil(() => nodeOf(cluster, 'm4').hasLeft, 20_000));
      for (let each = 0; each < times; each++) {
        assert.equal(advance(cluster), undefined);
        cluster.run(epochGraceMs);
      }
      assert(!membersOf(cluster).includes(away));
      away.start([]);
      becomesWhole(cluster);
      assert.equal(away.member?.epoch, 1 + times);
      assert(!seenBy(away).includes('m4'), 'what it remembered of the old epoch is dropped');
    });
  }
});

test('without a quorum no epoch begins', () => {
  const cluster = wholeCluster();
  for (const name of ['c1', 'c2']) nodeOf(cluster, name).crash();
  cluster.run(10_000);
  let refused: HivemindError | undefined;
  cluster.ask(nodeOf(cluster, 'm2'), { kind: 'amend', change: { kind: 'epoch' } }, (outcome) => {
    if (!outcome.ok) refused = outcome.error;
  });
  cluster.run(30_000);
  assert.equal(refused?.code, 'no-quorum');
  assert(epochsAt(cluster).every((each) => each === 1));
});
