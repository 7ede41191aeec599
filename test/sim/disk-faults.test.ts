/** What becomes of a whole cluster when the disk of one control node is in trouble; its invariants watch all along. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { signingKeyFrom } from '../../src/crypto.ts';
import { seededRandom } from '../../src/seam/random.ts';
import type { SimCluster } from '../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { becomesWhole, nodeOf, wholeCluster } from '../member/scene.ts';

/** The one who leads, and one of the control nodes that follow. */
function rolesIn(cluster: SimCluster): { readonly leader: SimNode; readonly follower: SimNode } {
  const { leader } = cluster;
  const follower = cluster.control.find((node) => node !== leader);
  assert(leader !== undefined && follower !== undefined);
  return { leader, follower };
}

/** Has something decided, which it asks of a member, as long as that takes. */
function decide(cluster: SimCluster, withinMs = 10_000): void {
  const asker = nodeOf(cluster, 'm1');
  const { publicKey } = signingKeyFrom(cluster.random.bytes(32));
  const ask = { kind: 'create-token', publicKey, roles: [], usesMax: 1, notAfter: asker.time.wall + 60_000 } as const;
  let isDecided = false;
  const tries = Math.ceil(withinMs / 1_000);
  for (let left = tries; left > 0 && !isDecided; left--) {
    cluster.ask(asker, ask, ({ ok }) => {
      isDecided ||= ok;
    });
    cluster.runUntil(() => isDecided, 1_000);
  }
  assert(isDecided, `not decided within ${withinMs} ms`);
}

const isSaidBy = (node: SimNode, state: 'full' | 'slow' | 'fine'): boolean =>
  node.events.some((event) => event.kind === 'log-disk' && event.state === state);

describe('a leader', () => {
  test('whose disk hangs hands the lead over, says so, and follows when it is back', () => {
    const cluster = wholeCluster({ members: 1, seed: 11 });
    const { leader } = rolesIn(cluster);
    leader.disk.files.syncHangs = true;
    decide(cluster);
    assert(cluster.leader !== undefined && cluster.leader !== leader);
    assert(isSaidBy(leader, 'slow'));
    leader.disk.files.syncHangs = false;
    assert(cluster.runUntil(() => isSaidBy(leader, 'fine'), 1_000));
    becomesWhole(cluster);
  });

  test('whose disk is full hands the lead over, says so, and has all when there is room again', () => {
    const cluster = wholeCluster({ members: 1, seed: 12 });
    const { leader } = rolesIn(cluster);
    leader.disk.files.capacityBytes = leader.disk.files.usedBytes;
    // What was made ahead has to be used up first.
    for (let round = 0; round < 12; round++) decide(cluster);
    assert(cluster.leader !== undefined && cluster.leader !== leader);
    assert(leader.running && isSaidBy(leader, 'full'));
    leader.disk.files.capacityBytes = Number.POSITIVE_INFINITY;
    const { appliedIndex } = cluster.leader.member?.pane?.state ?? {};
    assert(cluster.runUntil(() => (leader.member?.pane?.state.appliedIndex ?? 0) >= (appliedIndex ?? 0), 10_000));
  });

  test('whose fsync fails ends at once with the reason, and has kept all that it acknowledged', () => {
    const cluster = wholeCluster({ members: 1, seed: 13 });
    const { leader } = rolesIn(cluster);
    leader.disk.files.failNextSync();
    decide(cluster);
    assert.equal(leader.failure?.code, 'disk-failed');
    leader.start([]);
    becomesWhole(cluster);
  });
});

describe('a control node whose log rots', () => {
  test('votes for nobody until the others have given it back what it lost', () => {
    const cluster = wholeCluster({ members: 1, seed: 14 });
    const { follower } = rolesIn(cluster);
    for (let seed = 1; !follower.disk.isDamaged; seed++) {
      assert(follower.disk.rot(seededRandom(seed)));
      follower.crash();
      follower.start([]);
    }
    assert.equal(follower.member?.pane?.engine.raft.isQuarantined, true);
    decide(cluster);
    assert(cluster.runUntil(() => !follower.disk.isRotten, 10_000));
    cluster.control.find((node) => node !== cluster.leader && node !== follower)?.crash();
    rolesIn(cluster).leader.crash();
    assert(cluster.leader === undefined);
    for (const node of cluster.control) node.start([]);
    becomesWhole(cluster);
    decide(cluster);
  });
});
