/** A control node starts with a log of which its disk lost a part in the middle. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SimNode } from '../../../src/sim/sim-node.ts';
import { becomesWhole, nodeOf, wholeCluster } from '../scene.ts';

const folder = '/log';
const neverCommitted = Buffer.from('an entry that no majority ever had');

/** Appends an entry that its leader could send to this node alone before it died. */
function appendAlone({ disk }: SimNode): void {
  const { entries, hardState } = disk.load();
  const index = (entries.at(-1)?.index ?? 0) + 1;
  disk.begin({ entries: [{ index, term: hardState.term, kind: 'command', payload: neverCommitted }] });
  disk.confirm();
}

/** Turns a bit of the record behind that entry's. */
function damageBehindIt({ disk }: SimNode): void {
  const found = disk.files
    .list(folder)
    .map((name) => ({ path: `${folder}/${name}`, bytes: Buffer.from(disk.files.read(`${folder}/${name}`)) }))
    .find(({ bytes }) => bytes.includes(neverCommitted));
  assert(found !== undefined);
  const recordBytesMin = 40;
  disk.rotAt(found.path, found.bytes.indexOf(neverCommitted) + neverCommitted.length + recordBytesMin, 3);
}

test('what damage has left of a log is not taken for committed: a later leader may have replaced it', () => {
  const cluster = wholeCluster({ members: 0 });
  const { leader } = cluster;
  const damaged = cluster.control.find((node) => node !== leader);
  const other = cluster.control.find((node) => node !== leader && node !== damaged);
  assert(leader !== undefined && damaged !== undefined && other !== undefined);
  damaged.crash();
  appendAlone(damaged);
  leader.act((member, at) => member.pane?.engine.transfer(other.number, at));
  assert(cluster.runUntil(() => other.member?.pane?.leads === true, 10_000));
  cluster.start([damaged]);
  becomesWhole(cluster);
  cluster.run(20_000);
  damaged.crash();
  damageBehindIt(damaged);
  cluster.network.partition([damaged.name], [leader.name, other.name]);
  cluster.start([damaged]);
  assert.equal(damaged.member?.pane?.engine.raft.isQuarantined, true, 'the damage is seen');
  assert.equal(damaged.member?.pane?.state.appliedIndex, 0);
  cluster.network.heal();
  becomesWhole(cluster);
  const appliedAt = (node: SimNode): number => node.member?.pane?.state.appliedIndex ?? 0;
  assert(cluster.runUntil(() => appliedAt(damaged) === appliedAt(nodeOf(cluster, other.name)), 10_000));
});
