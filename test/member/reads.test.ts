/** Consistent reads on whole simulated clusters: they miss nothing that was decided before they were asked for. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { utf8 } from '../../src/bytes.ts';
import type { LogIndex } from '../../src/identity.ts';
import type { Outcome } from '../../src/member/outbox.ts';
import { readersMax, readWaitMs } from '../../src/member/pane/pane-reads.ts';
import type { PaneReply } from '../../src/member/pane/pane-reply.ts';
import { readPatience } from '../../src/member/reads.ts';
import type { SimCluster } from '../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { decodeCommand } from '../../src/wire/command.ts';
import { becomesWhole, membersOf, nodeOf, seenBy, wholeCluster } from './scene.ts';

const sessionOf = (name: string): Uint8Array => utf8(name.padEnd(8, '.').slice(0, 8));

/** Puts a note into the log by way of `node`, and waits for its index. */
function decide(cluster: SimCluster, node: SimNode, text: string): LogIndex {
  let index = 0;
  const note = { kind: 'note', text: utf8(text), session: sessionOf(text), since: 0, sequence: 1 } as const;
  cluster.ask(node, note, (outcome) => {
    if (outcome.ok) index = outcome.value;
  });
  assert(
    cluster.runUntil(() => index > 0, 20_000),
    `${text} is not decided`,
  );
  return index;
}

/** What a consistent read through `node` told, and after how long. */
function read(cluster: SimCluster, node: SimNode, limitMs = 20_000): { outcome: Outcome<LogIndex>; tookMs: number } {
  const beganAt = cluster.timeline.now;
  let told: { outcome: Outcome<LogIndex>; tookMs: number } | undefined;
  cluster.readConsistently(node, (outcome) => {
    told = { outcome, tookMs: cluster.timeline.now - beganAt };
  });
  cluster.runUntil(() => told !== undefined, limitMs);
  assert(told !== undefined, `${node.name} did not answer within ${limitMs} ms`);
  return told;
}

function leaderOf(cluster: SimCluster): SimNode {
  const { leader } = cluster;
  assert(leader !== undefined, 'nobody leads');
  return leader;
}

function othersThan(cluster: SimCluster, node: SimNode): readonly SimNode[] {
  return cluster.nodes.filter((each) => each !== node);
}

/** Cuts one node off from all others. */
function isolate(cluster: SimCluster, node: SimNode): void {
  cluster.network.partition(
    [node.name],
    othersThan(cluster, node).map(({ name }) => name),
  );
}

/** The leader is cut off and does not know it yet, and another one has decided something. */
function replacedLeader(): { cluster: SimCluster; deposed: SimNode; index: LogIndex } {
  const cluster = wholeCluster();
  const deposed = leaderOf(cluster);
  isolate(cluster, deposed);
  assert(
    cluster.runUntil(() => cluster.leader !== undefined && cluster.leader !== deposed, 10_000),
    'no other leader',
  );
  return { cluster, deposed, index: decide(cluster, nodeOf(cluster, 'm1'), 'new lead') };
}

describe('a consistent read (CS-16)', () => {
  test('by way of any node knows what was decided just now by way of another', () => {
    const cluster = wholeCluster();
    for (const writer of membersOf(cluster)) {
      const index = decide(cluster, writer, `by ${writer.name}`);
      for (const reader of membersOf(cluster)) {
        const { outcome } = read(cluster, reader);
        assert(outcome.ok, `${reader.name} is refused`);
        assert(outcome.value >= index, `${reader.name} reads ${outcome.value} after ${index}`);
      }
    }
  });

  test('on a control node has applied what it names; on others the log is read to there', () => {
    const cluster = wholeCluster();
    const index = decide(cluster, nodeOf(cluster, 'c1'), 'this');
    for (const name of ['c1', 'c2', 'c3', 'm1']) {
      const texts: string[] = [];
      nodeOf(cluster, name).act((member, at) =>
        member.reads.index((outcome, later) => {
          assert(outcome.ok, `${name} is refused`);
          member.reads.log(
            { from: index, most: 1, atLeast: outcome.value },
            (page) => {
              for (const { payload } of page.ok ? page.value.entries : []) {
                const command = decodeCommand(payload);
                if (command?.kind === 'note') texts.push(Buffer.from(command.text).toString());
              }
            },
            later,
          );
        }, at),
      );
      cluster.run(3_000);
      assert.deepEqual(texts, ['this'], name);
    }
  });

  test('of the members shows who was removed this moment to be gone', () => {
    const cluster = wholeCluster({ members: 4 });
    const [gone, reader] = [nodeOf(cluster, 'm1'), nodeOf(cluster, 'm4')];
    // No gossip, no answer of the pane that it does not ask for: it would find out some seconds later.
    let index = 0;
    cluster.ask(nodeOf(cluster, 'm2'), { kind: 'remove', number: gone.number }, (outcome) => {
      if (outcome.ok) index = outcome.value;
    });
    while (index === 0) cluster.run(1);
    const { outcome } = read(cluster, reader);
    assert(outcome.ok && outcome.value >= index, 'it is served');
    assert(!seenBy(reader).includes(gone.name), 'it still shows the removed one');
  });

  test('at a leader that was replaced and is cut off is refused, and knows all once it is back', () => {
    const { cluster, deposed, index } = replacedLeader();
    const { outcome } = read(cluster, deposed);
    assert(!outcome.ok, 'it reads though it is cut off');
    assert.equal(outcome.error.code, 'no-quorum');
    cluster.network.heal();
    const { outcome: later } = read(cluster, deposed);
    assert(later.ok && later.value >= index, `it reads ${later.ok ? later.value : later.error.message}`);
  });

  test('asked of a leader in the moment of its return waits for what it missed', () => {
    const { cluster, deposed, index } = replacedLeader();
    cluster.network.heal();
    const { outcome } = read(cluster, deposed);
    assert(outcome.ok && outcome.value >= index, `it reads ${outcome.ok ? outcome.value : outcome.error.message}`);
    assert((deposed.member?.pane?.state.appliedIndex ?? 0) >= index, 'it has not applied what it names');
  });
});

describe('a control node that lacks what a reader needs', () => {
  test('waits for it a moment, and then says that another one may have it', () => {
    const cluster = wholeCluster();
    const follower = cluster.control.find((node) => node !== cluster.leader) as SimNode;
    const last = follower.member?.pane?.state.appliedIndex ?? 0;
    const told: string[] = [];
    follower.act((member, at) => {
      const hear = (name: string) => (reply: PaneReply<LogIndex>) => {
        told.push(`${name}: ${reply.ok ? reply.value : reply.error.code}`);
      };
      member.pane?.reads.reached(last, hear('there'), at);
      member.pane?.reads.reached(last + 1, hear('next'), at);
      member.pane?.reads.reached(last + 1_000, hear('never'), at);
    });
    assert.deepEqual(told, [`there: ${last}`]);
    decide(cluster, nodeOf(cluster, 'm1'), 'next');
    cluster.run(readWaitMs);
    assert.deepEqual(told, [`there: ${last}`, `next: ${last + 1}`, 'never: time-out']);
  });

  test('lets so many wait and no more', () => {
    const cluster = wholeCluster();
    const codes: string[] = [];
    nodeOf(cluster, 'c1').act((member, at) => {
      for (let count = 0; count <= readersMax; count++) {
        member.pane?.reads.reached(1_000_000, (reply) => codes.push(reply.ok ? '' : reply.error.code), at);
      }
    });
    assert.deepEqual(codes, ['busy']);
    cluster.run(readWaitMs + 100);
    assert.equal(codes.filter((code) => code === 'time-out').length, readersMax);
  });
});

describe('without a majority (CS-17)', () => {
  test('a consistent read is refused within seconds by every node, and plain reads go on', () => {
    const cluster = wholeCluster();
    const index = decide(cluster, nodeOf(cluster, 'm1'), 'before');
    const left = leaderOf(cluster);
    for (const node of cluster.control) if (node !== left) node.crash();
    for (const node of membersOf(cluster)) {
      const { outcome, tookMs } = read(cluster, node);
      assert(!outcome.ok, `${node.name} reads`);
      assert.equal(outcome.error.code, 'no-quorum', node.name);
      assert(tookMs <= readPatience.patienceMs + readPatience.attemptMs, `${node.name} took ${tookMs} ms`);
      let shown = 0;
      node.act((member, at) =>
        member.reads.log(
          { from: index, most: 1, atLeast: 0 },
          (page) => {
            shown = page.ok ? page.value.entries.length : 0;
          },
          at,
        ),
      );
      cluster.run(15_000);
      assert.equal(shown, 1, `${node.name} shows the log`);
    }
    cluster.start();
    becomesWhole(cluster);
    assert(read(cluster, nodeOf(cluster, 'm1')).outcome.ok, 'it reads again');
  });
});
