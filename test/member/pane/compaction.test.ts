/** The event log is cut short by snapshots: starts stay short, and who was away for long gets the state at once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toHex, utf8 } from '../../../src/bytes.ts';
import { stateHash } from '../../../src/control/state-snapshot.ts';
import type { SimCluster } from '../../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../../src/sim/sim-node.ts';
import { becomesWhole, nodeOf, wholeCluster } from '../scene.ts';

const snapshotEveryEntries = 8;

/** So many notes, one after another. */
function write(cluster: SimCluster, count: number): void {
  const writer = nodeOf(cluster, 'm1');
  const session = utf8('8 bytes.');
  const since = writer.member?.client.pane.logIndex ?? 0;
  for (let sequence = 1; sequence <= count; sequence++) {
    let isDone = false;
    cluster.ask(writer, { kind: 'note', text: utf8(`note ${sequence}`), session, since, sequence }, (outcome) => {
      assert(outcome.ok, outcome.ok ? '' : outcome.error.message);
      isDone = true;
    });
    assert(
      cluster.runUntil(() => isDone, 20_000),
      `note ${sequence}`,
    );
  }
}

function stateOf({ member }: SimNode): string {
  assert(member?.pane !== undefined);
  return `${member.pane.state.appliedIndex} ${toHex(stateHash(member.pane.state))} ${toHex(member.pane.log.chain)}`;
}

describe('a log of more entries than stay between two snapshots', () => {
  const cluster = wholeCluster({ members: 2, snapshotEveryEntries });
  const away = nodeOf(cluster, 'c3');

  test('is cut short on every control node', () => {
    away.crash();
    cluster.run(5_000);
    write(cluster, 5 * snapshotEveryEntries);
    for (const name of ['c1', 'c2']) {
      const raft = nodeOf(cluster, name).member?.pane?.engine.raft;
      assert(raft !== undefined && raft.firstIndex > 1, name);
      assert(raft.lastIndex - raft.firstIndex < 3 * snapshotEveryEntries, name);
    }
  });

  test('is not sent whole to a control node that was away: it gets the state, and then what followed', () => {
    cluster.start([away]);
    becomesWhole(cluster);
    cluster.run(5_000);
    const [one, other] = [stateOf(nodeOf(cluster, 'c1')), stateOf(away)];
    assert.equal(other, one);
    assert((away.member?.pane?.engine.raft.firstIndex ?? 0) > 1);
  });

  test('is read from its snapshot on at a start', () => {
    const before = stateOf(nodeOf(cluster, 'c1'));
    for (const node of cluster.control) node.crash();
    for (const node of cluster.control) node.start([]);
    becomesWhole(cluster);
    const appliedBefore = Number(before.split(' ')[0]);
    assert((nodeOf(cluster, 'c1').member?.pane?.state.appliedIndex ?? 0) >= appliedBefore);
    assert((nodeOf(cluster, 'c1').member?.pane?.log.page(1, 1).first ?? 0) > 1);
    assert.equal(stateOf(nodeOf(cluster, 'c3')), stateOf(nodeOf(cluster, 'c1')));
  });

  test('tells readers where it begins, and the hash chain before that', () => {
    const log = nodeOf(cluster, 'c1').member?.pane?.log;
    const page = log?.page(1, 10);
    assert(page !== undefined && page.first > 1);
    assert.equal(page.entries[0]?.index, page.first);
    assert.equal(page.chain.length, 32);
  });
});
