/** How a member learns of amendments, and what packets cannot do to it that anybody may have sent. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { concatBytes } from '../../../src/bytes.ts';
import { signLocator } from '../../../src/certificate/locator.ts';
import type { Epoch, NodeNumber } from '../../../src/identity.ts';
import { seekPeriodMs } from '../../../src/member/client/charter-search.ts';
import { writeCredential } from '../../../src/member/directory.ts';
import type { MemberEffect } from '../../../src/member/effect.ts';
import { clusterTagBytes, encodeHeader } from '../../../src/session/header.ts';
import { epochGraceMs } from '../../../src/session/sessions.ts';
import type { SimCluster } from '../../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../../src/sim/sim-node.ts';
import { decodeRequest } from '../../../src/wire/peer-message.ts';
import { signingKey } from '../../certificate/cluster.ts';
import { becomesWhole, membersOf, nodeOf, wholeCluster } from '../scene.ts';

/** A packet that no key sealed, with the number of a member in its header. */
function spoof(victim: SimNode, epoch: Epoch, number: NodeNumber): void {
  const cluster = victim.member?.directory.cluster ?? assert.fail();
  const clusterTag = cluster.subarray(0, clusterTagBytes);
  const bytes = concatBytes(encodeHeader({ kind: 'data', clusterTag, epoch, number, counter: 7 }), new Uint8Array(60));
  victim.step({ kind: 'datagram', from: { host: '192.0.2.66', port: 7100 }, bytes });
}

/** Spoofs ten times a second for so long, by each of these numbers in turn. */
function spoofFor(cluster: SimCluster, victim: SimNode, ms: number, numbers: readonly NodeNumber[]): void {
  for (let passed = 0; passed < ms; passed += 100) {
    spoof(victim, 9, numbers[(passed / 100) % numbers.length] as NodeNumber);
    cluster.run(100);
  }
}

function advanceEpoch(cluster: SimCluster): void {
  let isDecided = false;
  cluster.ask(nodeOf(cluster, 'm2'), { kind: 'amend', change: { kind: 'epoch' } }, ({ ok }) => {
    isDecided = ok;
  });
  assert(cluster.runUntil(() => isDecided, 10_000));
}

describe('packets that anybody may have sent, of an epoch to come', () => {
  const asked: NodeNumber[] = [];
  const onStep = (node: SimNode, effects: readonly MemberEffect[]): void => {
    if (node.name !== 'm1') return;
    for (const effect of effects) {
      if (effect.kind === 'request' && decodeRequest(effect.body)?.kind === 'charter') asked.push(effect.to.number);
    }
  };

  test('cost one question in ten seconds, to a control node, whomever they name', () => {
    const cluster = wholeCluster({ members: 5, onStep });
    const everybody = cluster.nodes.map(({ number }) => number);
    spoofFor(cluster, nodeOf(cluster, 'm1'), 60_000, everybody);
    assert(asked.length >= 1 && asked.length <= 7, `${asked.length} questions`);
    assert(
      asked.every((number) => number <= 3),
      asked.join(),
    );
  });

  test('cost one question to each control node in that time, and one more, when none of these answers', () => {
    const cluster = wholeCluster({ members: 5, onStep });
    for (const node of cluster.control) node.crash();
    cluster.run(20_000);
    asked.length = 0;
    const everybody = cluster.nodes.map(({ number }) => number);
    spoofFor(cluster, nodeOf(cluster, 'm1'), 60_000, everybody);
    for (const number of everybody.slice(0, 3)) {
      assert(asked.filter((each) => each === number).length <= 6, `${number}: ${asked.join()}`);
    }
    assert(asked.filter((number) => number > 3).length <= 6, asked.join());
    assert(!asked.includes(nodeOf(cluster, 'm1').number), 'never to itself');
  });

  test('do not delay the news of an epoch that does begin', () => {
    const cluster = wholeCluster({ members: 5 });
    const [victim, dead] = [nodeOf(cluster, 'm1'), nodeOf(cluster, 'm5')];
    dead.crash();
    cluster.run(10_000);
    spoofFor(cluster, victim, 5_000, [dead.number]);
    advanceEpoch(cluster);
    for (let passed = 0; passed < 2_000 && victim.member?.epoch === 1; passed += 50) {
      spoof(victim, 9, dead.number);
      cluster.run(50);
    }
    assert.equal(victim.member?.epoch, 2);
  });
});

test('strangers that come and never answer keep nobody from looking for a later charter', () => {
  let isCounting = false;
  const sought = { anywhere: 0, strangers: 0 };
  const onStep = (node: SimNode, effects: readonly MemberEffect[]): void => {
    if (node.name !== 'm1' || !isCounting) return;
    for (const effect of effects) {
      if (effect.kind !== 'request' || effect.to.number !== 0) continue;
      if (decodeRequest(effect.body)?.kind === 'charter') sought[effect.to.publicKey ? 'strangers' : 'anywhere']++;
    }
  };
  const cluster = wholeCluster({ members: 5, onStep });
  for (const node of cluster.control) node.crash();
  cluster.run(20_000);
  const [victim, mute] = [nodeOf(cluster, 'm1'), nodeOf(cluster, 'm5')];
  mute.stop();
  const key = signingKey(0x66);
  const credential = writeCredential(undefined, signLocator(key, cluster.genesis.cluster, 1, [mute.endpoint]));
  isCounting = true;
  for (let passed = 0; passed < 60_000; passed += 100) {
    victim.member?.identify(key.publicKey, 900, credential, victim.time);
    cluster.run(100);
  }
  assert(sought.strangers >= 10, `${sought.strangers} strangers were asked`);
  assert(sought.anywhere >= 60_000 / (1.5 * seekPeriodMs), `only ${sought.anywhere} others were`);
});

describe('the epoch before the present one', () => {
  /** Whether packets of it are looked at, which no key need have sealed for that. */
  function hears(node: SimNode, epoch: Epoch): boolean {
    const drops = (): number => node.member?.line.sessions.dropped()['other-epoch'] ?? 0;
    const before = drops();
    spoof(node, epoch, node.number === 1 ? 2 : 1);
    return drops() === before;
  }

  test('is heard for a minute by whoever was there, and by nobody who comes back long after (HM-12)', () => {
    const cluster = wholeCluster({ members: 4 });
    const away = [nodeOf(cluster, 'm3'), nodeOf(cluster, 'c3')];
    for (const node of away) node.crash();
    advanceEpoch(cluster);
    cluster.run(epochGraceMs / 2);
    for (const node of membersOf(cluster)) assert(hears(node, 1), node.name);
    cluster.run(10 * epochGraceMs);
    for (const name of ['m1', 'c1', 'c2']) {
      nodeOf(cluster, name).crash();
      cluster.run(1_000);
      nodeOf(cluster, name).start([]);
    }
    for (const node of away) node.start([]);
    becomesWhole(cluster, 60_000);
    for (const node of membersOf(cluster)) {
      assert.equal(node.member?.epoch, 2);
      assert(!hears(node, 1), node.name);
    }
  });
});
