/** Joining and leaving, on whole simulated clusters. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RoleDeclaration } from '../../src/certificate/join-request.ts';
import type { JoinToken } from '../../src/certificate/token.ts';
import type { ErrorCode } from '../../src/error.ts';
import { acceptAdmission, prepareJoin } from '../../src/member/joining.ts';
import { simulationBeganAt } from '../../src/sim/sim-clock.ts';
import type { SimCluster } from '../../src/sim/sim-cluster.ts';
import { calmLink } from '../../src/sim/sim-network.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { becomesWhole, dns, host, knowledgeOf, membersOf, nodeOf, seenBy, wholeCluster } from './scene.ts';

function joinThrough(cluster: SimCluster, through: string): SimNode {
  const joiner = cluster.add({ name: 'late', roles: [host] });
  joiner.start([nodeOf(cluster, through).endpoint]);
  becomesWhole(cluster);
  return joiner;
}

describe('a node joins', () => {
  const cluster = wholeCluster();

  test('through a control node that does not lead, and everybody sees it (HM-18, HM-21)', () => {
    const follower = cluster.control.find((node) => node !== cluster.leader);
    const joiner = joinThrough(cluster, follower?.name ?? '');
    assert.equal(joiner.number, 7);
    for (const node of membersOf(cluster)) assert(seenBy(node).includes('late'), node.name);
  });

  test('through any other member, which asks the pane and admits nobody itself (HM-13, HM-18)', () => {
    const another = wholeCluster({ seed: 2 });
    const joiner = joinThrough(another, 'm1');
    assert.deepEqual([...seenBy(joiner)].sort(), ['c1', 'c2', 'c3', 'late', 'm1', 'm2', 'm3']);
  });

  test('in three stages that can be seen: admitted, digest, gossiped (HM-19 to HM-21)', () => {
    const late = nodeOf(cluster, 'late');
    const { leader } = cluster;
    const decided = leader?.events.flatMap((event) => (event.kind === 'decided' ? [event.what] : [])) ?? [];
    assert.deepEqual(decided.slice(-2), ['begin-admission', 'complete-admission']);
    const met = late.events.flatMap((event) => (event.kind === 'joined' ? [event.name] : []));
    assert.deepEqual([...met].sort(), ['c1', 'c2', 'c3', 'm1', 'm2', 'm3']);
    const heardOf = nodeOf(cluster, 'm1').events.some((event) => event.kind === 'joined' && event.name === 'late');
    assert(heardOf);
  });

  test('again with the same key after its answer was lost, as the same number, and uses its token once', () => {
    const another = wholeCluster({ seed: 3 });
    const joiner = another.add({ name: 'late', roles: [host] });
    joiner.start([nodeOf(another, 'm1').endpoint]);
    another.run(8);
    another.network.cutOneWay('m1', 'late');
    another.run(5_000);
    assert.equal(joiner.member, undefined);
    assert(another.control.every((node) => seenBy(node).includes('late')));
    another.network.heal();
    becomesWhole(another);
    assert.equal(joiner.number, 7);
    assert.deepEqual(
      [...(another.leader?.member?.pane?.state.tokens.values() ?? [])].map((token) => token.uses),
      [4],
    );
  });
});

test('a join that is asked for again while it is under way gets the same certificate each time', () => {
  const cluster = wholeCluster();
  const { leader, token, network } = cluster;
  assert(leader !== undefined);
  for (let each = 0; each < 6; each++) {
    const joiner = cluster.add({ name: `late-${each}`, roles: [host] });
    joiner.start([]);
    const { name, roles, signingKey, exchangeKey, endpoint } = joiner;
    const wish = { name, roles, signingKey, exchangeKey, token, endpoints: [endpoint], at: joiner.time.wall };
    const attempt = prepareJoin(wish);
    const told: string[] = [];
    const ask = (): void =>
      joiner.streams.ask({ endpoints: [leader.endpoint], number: 0 }, attempt.request, 9_000, (outcome) =>
        told.push(outcome.ok ? `${acceptAdmission(outcome.body, attempt, wish).number}` : outcome.error.message),
      );
    ask();
    joiner.later(1, ask);
    // The answer of the joiner's own address is late for one of the two.
    joiner.later(2 + (each % 4), () => {
      network.faults = { ...calmLink, delayMs: 300 };
    });
    joiner.later(4 + (each % 5), () => {
      network.faults = calmLink;
    });
    cluster.run(10_000);
    assert.deepEqual(told, Array(2).fill(`${7 + each}`), name);
    joiner.crash();
  }
});

interface Denial {
  readonly why: string;
  readonly code: ErrorCode;
  readonly name?: string;
  readonly roles?: readonly RoleDeclaration[];
  readonly token?: (cluster: SimCluster) => JoinToken;
}

const dnsOnlySeed = new Uint8Array(32).fill(7);
const denials: readonly Denial[] = [
  { why: 'its token is unknown', code: 'token-invalid', token: (cluster) => cluster.tokenFrom(new Uint8Array(32)) },
  { why: 'its name is taken', code: 'name-taken', name: 'm2' },
  {
    why: 'its token is for another role',
    code: 'roles-not-allowed',
    token: (cluster) => cluster.tokenFrom(dnsOnlySeed),
  },
  { why: 'it asks for the control role', code: 'roles-not-allowed', roles: [{ ...host, name: 'control' }] },
  { why: 'it declares a role otherwise', code: 'refused', roles: [{ ...dns, consumes: [] }] },
  { why: 'it has no role', code: 'roles-not-allowed', roles: [] },
];

describe('a denied join leaves no trace in any member, and the caller gets the reason (HM-22)', () => {
  const cluster = wholeCluster();
  const { publicKey } = cluster.tokenFrom(dnsOnlySeed).key;
  const notAfter = simulationBeganAt + 3_600_000;
  cluster.ask(nodeOf(cluster, 'c1'), { kind: 'create-token', publicKey, roles: ['dns'], notAfter, usesMax: 0 });
  // Until everybody has heard everybody's own word of where it is.
  cluster.run(60_000);

  for (const through of ['c1', 'm1']) {
    for (const { why, code, name = 'late', roles = [host], token = () => cluster.token } of denials) {
      test(`asked through ${through}: ${why}`, () => {
        const before = membersOf(cluster).map(knowledgeOf);
        const joiner = cluster.add({ name, roles, token: token(cluster) });
        joiner.start([nodeOf(cluster, through).endpoint]);
        cluster.run(6_000);
        assert.equal(joiner.joinError?.code, code);
        assert.equal(joiner.member, undefined);
        joiner.crash();
        cluster.run(1_000);
        assert.deepEqual(membersOf(cluster).map(knowledgeOf), before);
      });
    }
  }
});

describe('without a quorum', () => {
  test('a join is refused, and members are the same everywhere (HM-9)', () => {
    const cluster = wholeCluster();
    nodeOf(cluster, 'c1').crash();
    nodeOf(cluster, 'c2').crash();
    cluster.run(10_000);
    const before = membersOf(cluster).map(seenBy);
    const joiner = cluster.add({ name: 'late', roles: [host] });
    joiner.start([nodeOf(cluster, 'm1').endpoint]);
    cluster.run(30_000);
    assert.equal(joiner.joinError?.code, 'no-quorum');
    assert.deepEqual(membersOf(cluster).map(seenBy), before);
    cluster.start();
    becomesWhole(cluster);
    assert.equal(joiner.number, 7);
  });

  test('a leave stays pending, over a restart too, and is carried out later (HM-10)', () => {
    const cluster = wholeCluster();
    const leaver = nodeOf(cluster, 'm1');
    nodeOf(cluster, 'c1').crash();
    nodeOf(cluster, 'c2').crash();
    cluster.run(5_000);
    leaver.act((member, at) => member.leave(() => {}, at));
    cluster.run(15_000);
    leaver.crash();
    cluster.start([leaver]);
    cluster.run(5_000);
    assert.equal(leaver.member?.isLeaving, true);
    for (const node of membersOf(cluster)) assert(seenBy(node).includes('m1'), node.name);
    cluster.start([nodeOf(cluster, 'c1')]);
    assert(cluster.runUntil(() => leaver.hasLeft, 30_000));
    cluster.start();
    becomesWhole(cluster);
    for (const node of membersOf(cluster)) assert(!seenBy(node).includes('m1'), node.name);
  });
});

describe('a removed member', () => {
  test('is told so, and everybody learns it', () => {
    const cluster = wholeCluster();
    cluster.ask(nodeOf(cluster, 'm3'), { kind: 'remove', number: nodeOf(cluster, 'm1').number });
    assert(cluster.runUntil(() => nodeOf(cluster, 'm1').hasLeft, 5_000));
    becomesWhole(cluster);
    for (const node of membersOf(cluster)) assert(!seenBy(node).includes('m1'), node.name);
  });

  test('stays out when it was away and returns with its old certificate, and learns why', () => {
    const cluster = wholeCluster();
    const gone = nodeOf(cluster, 'm1');
    gone.crash();
    cluster.ask(nodeOf(cluster, 'm3'), { kind: 'remove', number: gone.number });
    cluster.run(5_000);
    gone.start(cluster.endpoints);
    cluster.run(20_000);
    for (const node of membersOf(cluster)) if (node !== gone) assert(!seenBy(node).includes('m1'), node.name);
    assert(gone.hasLeft);
  });
});
