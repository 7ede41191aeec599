/** Wishes whose leader is lost before it told how they ended, on whole simulated clusters. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { signingKeyFrom } from '../../src/crypto.ts';
import { HivemindError } from '../../src/error.ts';
import type { LogIndex } from '../../src/identity.ts';
import { mayBeDecided, mayRepeat, settles } from '../../src/member/client/repetition.ts';
import type { Outcome } from '../../src/member/outbox.ts';
import type { SimCluster } from '../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { decodeCommand } from '../../src/wire/command.ts';
import type { PaneAsk } from '../../src/wire/peer-message.ts';
import { becomesWhole, nodeOf, wholeCluster } from './scene.ts';

const epoch: PaneAsk = { kind: 'amend', change: { kind: 'epoch' } };

function token(cluster: SimCluster): PaneAsk {
  const { publicKey } = signingKeyFrom(new Uint8Array(32).fill(7));
  const notAfter = (cluster.control[0]?.time.wall ?? 0) + 3_600_000;
  return { kind: 'create-token', publicKey, roles: [], notAfter, usesMax: 1 };
}

/** Asks by way of m1, and takes the leader away when the wish is in its log; tells what was answered in the end. */
function loseLeader(cluster: SimCluster, ask: PaneAsk, lose: (leader: SimNode) => void): Outcome<LogIndex> {
  const { leader } = cluster;
  assert(leader !== undefined, 'nobody leads');
  const lastIndex = (): LogIndex => leader.member?.pane?.engine.raft.lastIndex ?? 0;
  const before = lastIndex();
  let told: Outcome<LogIndex> | undefined;
  cluster.ask(nodeOf(cluster, 'm1'), ask, (outcome) => {
    told = outcome;
  });
  while (lastIndex() === before) cluster.run(0.5);
  lose(leader);
  cluster.runUntil(() => told !== undefined, 30_000);
  assert(told !== undefined, 'nothing is answered');
  return told;
}

function isolate(cluster: SimCluster, node: SimNode): void {
  const others = cluster.nodes.filter((each) => each !== node);
  cluster.network.partition(
    [node.name],
    others.map(({ name }) => name),
  );
}

/** How often such a command is in the log. */
function countOf(cluster: SimCluster, kind: string): number {
  const entries = cluster.leader?.member?.pane?.log.committed(1, 1_000) ?? [];
  return entries.filter((entry) => entry.kind === 'command' && decodeCommand(entry.payload)?.kind === kind).length;
}

describe('a wish whose leader is lost', () => {
  test('is asked again where that comes to the same, and is told to be decided', () => {
    const cluster = wholeCluster();
    const outcome = loseLeader(cluster, token(cluster), (leader) => isolate(cluster, leader));
    assert(outcome.ok, outcome.ok ? '' : outcome.error.message);
    cluster.network.heal();
    becomesWhole(cluster);
    assert.equal(cluster.leader?.member?.pane?.state.tokens.size, 2, 'the first one and this one');
  });

  test('is not asked again where it would be carried out twice: the asker hears that nobody knows', () => {
    const cluster = wholeCluster();
    const outcome = loseLeader(cluster, epoch, (leader) => isolate(cluster, leader));
    assert.equal(outcome.ok ? '' : outcome.error.code, 'unknown-outcome');
    cluster.network.heal();
    becomesWhole(cluster);
    assert(countOf(cluster, 'begin-amendment') <= 1, 'one epoch was begun, or none');
  });

  test('is not told to be undecided for want of a quorum: it may be decided yet', () => {
    const cluster = wholeCluster();
    const outcome = loseLeader(cluster, token(cluster), (leader) => {
      for (const node of cluster.control) if (node !== leader) node.crash();
    });
    assert.equal(outcome.ok ? '' : outcome.error.code, 'unknown-outcome');
    cluster.start();
    becomesWhole(cluster);
    assert(countOf(cluster, 'create-token') <= 1, 'it is decided once, or never');
  });
});

describe('a wish whose answer is lost', () => {
  test('is not told to be refused for the sake of what it has itself decided', () => {
    const cluster = wholeCluster();
    const { publicKey } = cluster.token.key;
    const outcome = loseLeader(cluster, { kind: 'revoke-token', publicKey }, (leader) => {
      cluster.network.partition([leader.name], ['m1']);
    });
    assert.equal(outcome.ok ? '' : outcome.error.code, 'unknown-outcome');
    assert.equal(cluster.leader?.member?.pane?.state.tokens.size, 0, 'it is revoked');
  });
});

describe('an attempt that failed', () => {
  const request = { kind: 'ask-pane', from: 4, ask: epoch, hops: 0 } as const;
  const failed = (code: HivemindError['code'], refused?: boolean): Outcome<never> => {
    const error = new HivemindError(code, 'It failed.');
    return { ok: false, error, ...(refused === undefined ? {} : { refused }) };
  };

  test('leaves open what became of a wish, unless it says that nothing was written, or nobody listened', () => {
    for (const code of ['unknown-outcome', 'time-out', 'address-unreachable'] as const) {
      assert.equal(mayBeDecided(request, failed(code)), true, code);
      assert.equal(mayBeDecided({ kind: 'read-index', hops: 0 }, failed(code)), false, `a read, ${code}`);
    }
    for (const code of ['not-leader', 'no-leader', 'busy', 'refused'] as const) {
      assert.equal(mayBeDecided(request, failed(code)), false, code);
    }
    assert.equal(mayBeDecided(request, failed('address-unreachable', true)), false);
  });

  test('is not settled by the refusal of a later one, unless the asker is out for good', () => {
    for (const code of ['busy', 'refused', 'not-found', 'usage', 'no-quorum', 'session-expired'] as const) {
      assert.equal(settles(failed(code)), false, code);
    }
    assert.equal(settles(failed('not-admitted')), true);
  });

  test('is repeated by itself for everything but a change of the charter', () => {
    assert.equal(mayRepeat(request), false);
    assert.equal(mayRepeat({ ...request, ask: { kind: 'remove', number: 4 } }), true);
    assert.equal(mayRepeat({ kind: 'digest', atLeast: 0 }), true);
  });
});
