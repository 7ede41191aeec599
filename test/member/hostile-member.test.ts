/** What one compromised member, with its keys and its place in the cluster, cannot do to the others. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { signingKeyFrom } from '../../src/crypto.ts';
import type { LogIndex } from '../../src/identity.ts';
import type { RaftMessage } from '../../src/raft/message.ts';
import { simulationBeganAt } from '../../src/sim/sim-clock.ts';
import { SimCluster } from '../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { encodeCommand } from '../../src/wire/command.ts';
import type { PaneAsk } from '../../src/wire/peer-message.ts';
import { encodePost } from '../../src/wire/peer-message.ts';
import { becomesWhole, membersOf, nodeOf, wholeCluster } from './scene.ts';

function statusesOf(cluster: SimCluster, subject: number): readonly string[] {
  return membersOf(cluster).map(({ name, member }) => {
    const { status, incarnation } = member?.membership.swim.publishedOf(subject) ?? {};
    return `${name} ${status}@${incarnation}`;
  });
}

/** Says `updates` to everybody, as gossip. */
function gossip(
  cluster: SimCluster,
  liar: SimNode,
  updates: readonly { number: number; incarnation: number; status: 'alive' | 'down' }[],
): void {
  const others = membersOf(cluster).filter((node) => node !== liar);
  liar.act((member, at) => {
    for (const { number } of others) member.line.send(number, [{ kind: 'gossip', updates, rumours: [] }], at);
  });
}

describe('a compromised member', () => {
  test('cannot hold a living one down by gossip: control nodes do not listen, and correct the rest', () => {
    const cluster = wholeCluster({ members: 5 });
    const [liar, victim] = [nodeOf(cluster, 'm1'), nodeOf(cluster, 'm2')];
    const before = cluster.control.map(({ member }) => member?.pane?.state.appliedIndex);
    gossip(cluster, liar, [{ number: victim.number, incarnation: 0, status: 'down' }]);
    cluster.run(1_000);
    for (const { member, name } of cluster.control) {
      assert.equal(member?.membership.swim.publishedOf(victim.number)?.status, 'alive', name);
    }
    cluster.run(40_000);
    const honest = statusesOf(cluster, victim.number).filter((text) => !text.startsWith('m1 '));
    assert(
      honest.every((text) => text.endsWith('alive@0')),
      honest.join(', '),
    );
    const after = cluster.control.map(({ member }) => member?.pane?.state.appliedIndex);
    assert.deepEqual(after, before, 'its protest costs no entries');
  });

  test('cannot fill the jury’s docket with accusations of its own making: who dies is convicted all the same', () => {
    const cluster = wholeCluster({ members: 5 });
    const [liar, victim] = [nodeOf(cluster, 'm1'), nodeOf(cluster, 'm2')];
    const lie = (): void => {
      liar.act((member, at) => {
        for (let page = 0; page < 70; page++) {
          const messages = Array.from({ length: 60 }, (_, each) => {
            const subject = 1_000 + page * 60 + each;
            return { kind: 'accusation', subject, incarnation: 0, unansweredMs: 9_000, nonce: each } as const;
          });
          for (const { number } of cluster.control) member.line.send(number, messages, at);
        }
      });
    };
    lie();
    victim.crash();
    const isConvicted = (): boolean =>
      cluster.control.every(({ member }) => member?.membership.swim.publishedOf(victim.number)?.status === 'down');
    for (let second = 0; second < 15 && !isConvicted(); second++) {
      cluster.run(1_000);
      lie();
    }
    assert(isConvicted());
  });

  test('cannot declare roles or raise incarnations in its answers to facts', () => {
    const cluster = wholeCluster();
    const [liar, other] = [nodeOf(cluster, 'm1'), nodeOf(cluster, 'm2')];
    const junk = { name: 'junk', requires: [], bootstrapFrom: [], consumes: ['host'] };
    other.act((member, at) => {
      const victim = member.membership.factsOf(nodeOf(cluster, 'm3').number);
      assert(victim !== undefined);
      const raised = { ...victim, incarnation: 0xffff_ff00 };
      member.membership.merge({ members: [raised], declarations: [junk] }, liar.number, at);
      assert(!member.directory.declarations.has('junk'));
      assert.equal(member.membership.swim.publishedOf(victim.number)?.incarnation, victim.incarnation);
    });
    becomesWhole(cluster);
  });

  test('cannot speak for others: only control nodes pass on what somebody asked of the pane', () => {
    const cluster = wholeCluster();
    const [asker, through] = [nodeOf(cluster, 'm1'), nodeOf(cluster, 'm2')];
    let refused: string | undefined;
    asker.act((member, at) =>
      member.askMember(
        through.number,
        {
          kind: 'ask-pane',
          from: nodeOf(cluster, 'm3').number,
          ask: { kind: 'return', incarnation: 1, uptimeMs: 0 },
          hops: 0,
        },
        { write: (value) => value, read: (value) => value },
        5_000,
        (outcome) => (refused = outcome.ok ? 'answered' : outcome.error.code),
        at,
      ),
    );
    cluster.run(10_000);
    assert.equal(refused, 'not-found');
  });
});

describe('what stands already', () => {
  const decide = (cluster: SimCluster, ask: PaneAsk): LogIndex | string | undefined => {
    let decided: LogIndex | string | undefined;
    const leader = cluster.control.find((node) => node.member?.pane?.leads) as SimNode;
    leader.act((member, at) =>
      member.ask(ask, (outcome) => (decided = outcome.ok ? outcome.value : outcome.error.code), at),
    );
    cluster.run(3_000);
    return decided;
  };

  test('is answered as done when it is asked for again, because the first answer may be lost', () => {
    const cluster = wholeCluster();
    const notAfter = nodeOf(cluster, 'c1').time.wall + 60_000;
    const token: PaneAsk = {
      kind: 'create-token',
      publicKey: new Uint8Array(32).fill(7),
      roles: [],
      notAfter,
      usesMax: 1,
    };
    assert(Number(decide(cluster, token)) > 0);
    assert.equal(decide(cluster, token), 0);
    const removal: PaneAsk = { kind: 'remove', number: nodeOf(cluster, 'm1').number };
    assert(Number(decide(cluster, removal)) > 0);
    assert.equal(decide(cluster, removal), 0);
  });
});

describe('a control node that lost entries it had helped to commit', () => {
  test('does not start, because its vote could lose them for all', () => {
    const cluster = wholeCluster();
    cluster.run(5_000);
    const node = nodeOf(cluster, 'c2');
    node.crash();
    node.disk.load = () => ({ hardState: { term: 1, votedFor: 0 }, entries: [], repairs: [] });
    node.start([]);
    assert.equal(node.failure?.code, 'data-corrupt');
  });

  test('does not start either when its log is gone before it knew of any commit', () => {
    const cluster = new SimCluster({ seed: 1, controlNodes: 3, members: 0 });
    const node = nodeOf(cluster, 'c2');
    cluster.start([node]);
    cluster.run(3_000);
    node.crash();
    node.start([]);
    assert(node.running, 'with a log that holds no entry it does');
    node.crash();
    node.disk.wipe();
    node.start([]);
    assert.equal(node.failure?.code, 'data-corrupt');
  });
});

describe('a member whose datagrams do not arrive', () => {
  test('stays alive by its streams, and those who observe it name the blocked port, seed 1', () => {
    const cluster = wholeCluster({ members: 4 });
    const deaf = nodeOf(cluster, 'm1');
    const { network } = cluster;
    const datagram = network.datagram.bind(network);
    network.datagram = (from, to, arrive) =>
      from === deaf.name || to === deaf.name ? undefined : datagram(from, to, arrive);
    const warned = (kind: 'datagrams-blocked' | 'datagrams-open'): boolean =>
      cluster.nodes.some(({ events }) => events.some((event) => event.kind === kind && event.number === deaf.number));
    const entries = cluster.control[0]?.member?.pane?.state.appliedIndex;
    cluster.run(60_000);
    assert(warned('datagrams-blocked'));
    assert.equal(cluster.control[0]?.member?.pane?.state.appliedIndex, entries);
    network.datagram = datagram;
    becomesWhole(cluster, 60_000);
    assert(warned('datagrams-open'));
  });
});

describe('a node with the role control that nobody promoted', () => {
  test('cannot lead: what it says as a leader reaches no log', () => {
    const cluster = wholeCluster({ members: 1 });
    const seed = new Uint8Array(32).fill(7);
    const { publicKey } = signingKeyFrom(seed);
    const notAfter = simulationBeganAt + 3_600_000;
    const token = { kind: 'create-token', publicKey, notAfter, usesMax: 0 } as const;
    let isMade = false;
    cluster.ask(nodeOf(cluster, 'm1'), { ...token, roles: ['control'] }, ({ ok }) => {
      isMade = ok;
    });
    assert(cluster.runUntil(() => isMade, 30_000));
    const learner = { name: 'control', requires: [], bootstrapFrom: [], consumes: [] };
    const liar = cluster.add({ name: 'liar', roles: [learner], token: cluster.tokenFrom(seed) });
    cluster.start([liar]);
    becomesWhole(cluster);
    const raft = cluster.leader?.member?.pane?.engine.raft;
    assert(raft !== undefined);
    const { term, lastIndex } = raft;
    const payload = encodeCommand({ ...token, roles: [], at: 1, publicKey: new Uint8Array(32).fill(9) });
    const message: RaftMessage = {
      kind: 'append-request',
      term: term + 1,
      previousIndex: lastIndex,
      previousTerm: raft.termAt(lastIndex) ?? 0,
      commitIndex: lastIndex + 1,
      round: 1,
      lossSeen: 0,
      entries: [{ index: lastIndex + 1, term: term + 1, kind: 'command', payload }],
    };
    const honest = cluster.control.filter((node) => node !== liar);
    // From its own hand the simulator would not let it pass.
    const body = encodePost({ kind: 'raft', message, wall: simulationBeganAt });
    for (const node of honest) node.step({ kind: 'post', from: liar.asPeer(), body });
    cluster.run(3_000);
    for (const { member, name } of honest) {
      assert.equal(member?.pane?.engine.raft.term, term, name);
      assert.equal(member?.pane?.state.tokens.size, 2, name);
    }
  });
});
