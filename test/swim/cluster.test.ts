/** Whole clusters of failure detectors on virtual time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/bytes.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { VirtualCluster } from './virtual-cluster.ts';

function nodesOf(list: readonly { readonly node: NodeNumber }[]): NodeNumber[] {
  return [...new Set(list.map(({ node }) => node))].sort((a, b) => a - b);
}

test('at rest nobody is missed, and a member costs about one ping and one ack a second', () => {
  const cluster = new VirtualCluster(20, 1);
  // At first everybody looks at all its subjects.
  cluster.run(5_000);
  const before = cluster.datagrams;
  cluster.run(30_000);
  assert.equal(cluster.seen.length, 0);
  const perMemberAndSecond = (cluster.datagrams - before) / 20 / 30;
  assert.ok(perMemberAndSecond > 1.8 && perMemberAndSecond < 2.2, `${perMemberAndSecond} datagrams`);
});

test('HM-14: a stall shows as ping, probe-request, suspicion and refutation; a death shows as down', () => {
  const cluster = new VirtualCluster(5, 3);
  cluster.run(3_000);
  cluster.stall(5, 3_000);
  cluster.run(6_000);

  const missed = cluster.events('probe-missed').filter(({ number }) => number === 5);
  assert.ok(missed.some(({ asked }) => asked.length === 3));
  assert.ok(cluster.events('suspected').some(({ number, incarnation }) => number === 5 && incarnation === 0));
  assert.ok(cluster.events('accused-me').some(({ node }) => node === 5));
  assert.deepEqual(
    nodesOf(cluster.events('refuted').filter(({ number }) => number === 5)),
    nodesOf(cluster.events('suspected').filter(({ number }) => number === 5)),
  );
  assert.equal(cluster.events('down').length, 0);
  for (const { swim } of cluster.nodes.values()) assert.equal(swim.statusOf(5)?.status, 'alive');

  cluster.vanish(5);
  cluster.run(7_500);
  assert.deepEqual(nodesOf(cluster.events('down').filter(({ number }) => number === 5)), [1, 2, 3, 4]);
  for (const number of [1, 2, 3, 4]) assert.equal(cluster.node(number).swim.statusOf(5)?.status, 'down');
});

test('a dead member is convicted after the tolerated stall, within seven seconds for most, and eleven for all', () => {
  const detectedAfterMs: number[] = [];
  for (let seed = 1; seed <= 40; seed++) {
    const cluster = new VirtualCluster(8, seed);
    cluster.run(5_000);
    cluster.vanish(8);
    cluster.run(11_000);
    assert.deepEqual(
      cluster.convictions.map(({ number }) => number),
      [8],
      `seed ${seed}`,
    );
    detectedAfterMs.push((cluster.convictions[0]?.atMs ?? 0) - 5_000);
  }
  detectedAfterMs.sort((a, b) => a - b);
  assert.ok((detectedAfterMs[0] ?? 0) >= 3_990, `${detectedAfterMs}`);
  assert.ok((detectedAfterMs[20] ?? 0) <= 6_000, `${detectedAfterMs}`);
  assert.ok((detectedAfterMs[34] ?? 0) <= 7_000, `${detectedAfterMs}`);
});

test('two of three members convict the third', () => {
  const cluster = new VirtualCluster(3, 3);
  cluster.run(2_000);
  cluster.vanish(3);
  cluster.run(8_000);
  assert.deepEqual(nodesOf(cluster.events('down')), [1, 2]);
});

test('several that die together come out in few batches', () => {
  const cluster = new VirtualCluster(16, 4);
  cluster.run(3_000);
  for (const number of [12, 13, 14, 15]) cluster.vanish(number);
  cluster.run(9_000);
  assert.deepEqual(cluster.convictions.map(({ number }) => number).sort(), [12, 13, 14, 15]);
  assert.ok(new Set(cluster.convictions.map(({ atMs }) => atMs)).size <= 2);
});

test('a member that hangs while its kernel accepts has three times as long: 10 s pass, 30 s do not', () => {
  const cluster = new VirtualCluster(12, 31);
  cluster.run(20_000);
  cluster.stall(5, 10_000);
  cluster.run(20_000);
  assert.equal(cluster.convictions.length, 0);
  const stalledAtMs = cluster.nowMs;
  cluster.stall(5, 30_000);
  cluster.run(20_000);
  assert.deepEqual(
    cluster.convictions.map(({ number }) => number),
    [5],
  );
  const tookMs = (cluster.convictions[0]?.atMs ?? 0) - stalledAtMs;
  assert.ok(tookMs > 11_000 && tookMs < 16_000, `${tookMs} ms`);
});

test('a stall of three seconds is never reported, nor does the stalled member report anybody', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const cluster = new VirtualCluster(8, seed);
    cluster.run(4_000);
    cluster.stall(4, 3_000);
    cluster.run(10_000);
    const reports = cluster.effects('testimony').filter(({ message }) => message.kind === 'report');
    assert.deepEqual(reports, [], `seed ${seed}`);
  }
});

test('a member that wakes after half a minute doubts itself, hears of its conviction, and reports nobody', () => {
  const cluster = new VirtualCluster(8, 5);
  cluster.run(4_000);
  cluster.stall(8, 30_000);
  cluster.run(36_000);
  assert.deepEqual(
    cluster.convictions.map(({ number }) => number),
    [8],
  );
  assert.equal(cluster.effects('convicted-me').filter(({ node }) => node === 8).length, 1);
  assert.ok(cluster.events('answers-again').some(({ number }) => number === 8));
  const byIt = cluster.effects('testimony').filter(({ from, message }) => from === 8 && message.kind === 'report');
  assert.deepEqual(byIt, []);

  for (const control of [1, 2, 3]) {
    cluster.call(control, (swim, now) => swim.publish({ number: 8, incarnation: 1, status: 'alive' }, now));
  }
  cluster.run(2_000);
  assert.equal(cluster.node(8).swim.ownIncarnation, 1);
  for (const { swim } of cluster.nodes.values()) assert.equal(swim.statusOf(8)?.status, 'alive');
  assert.ok(nodesOf(cluster.events('back')).length >= 7);
});

test('20 % loss for two minutes convicts nobody, over thirty seeds', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const cluster = new VirtualCluster(8, seed, 0.2);
    cluster.run(120_000);
    assert.deepEqual(cluster.convictions, [], `seed ${seed}`);
  }
});

test('a dead member is convicted in spite of 20 % loss', () => {
  const cluster = new VirtualCluster(8, 6, 0.2);
  cluster.run(5_000);
  cluster.vanish(8);
  cluster.run(15_000);
  assert.deepEqual(
    cluster.convictions.map(({ number }) => number),
    [8],
  );
});

test('one member that hears nobody convicts nobody', () => {
  const cluster = new VirtualCluster(8, 7);
  cluster.isLost = (_from, to) => to === 8;
  cluster.paneWorks = false;
  cluster.run(30_000);
  assert.deepEqual([...new Set(cluster.convictions.map(({ number }) => number))], [8]);
});

test('an update reaches fifty members once each, and within a second', () => {
  const cluster = new VirtualCluster(50, 8, 0.05);
  cluster.call(1, (swim, now) => swim.publish({ number: 50, incarnation: 1, status: 'alive' }, now));
  cluster.call(1, (swim, now) => swim.publish({ number: 77, incarnation: 0, status: 'alive' }, now));
  cluster.run(1_000);
  const heardOf = (number: NodeNumber): NodeNumber[] =>
    cluster
      .effects('update')
      .filter(({ update }) => update.number === number)
      .map(({ node }) => node)
      .sort((a, b) => a - b);
  const others = Array.from({ length: 49 }, (_, index) => index + 2);
  assert.deepEqual(heardOf(50), others);
  assert.deepEqual(heardOf(77), others);
});

test('a rumour reaches fifty members once each, and the gossip comes to rest', () => {
  const cluster = new VirtualCluster(50, 9, 0.05);
  const rumour = utf8('a user event');
  cluster.call(7, (swim, now) => {
    assert.equal(swim.spread(rumour, now), true);
    return [];
  });
  cluster.run(1_000);
  const heard = cluster.effects('rumour');
  assert.equal(heard.length, 49);
  assert.equal(nodesOf(heard).length, 49);
  assert.ok(heard.every(({ bytes }) => Buffer.from(bytes).toString() === 'a user event'));

  cluster.isLost = () => false;
  cluster.run(20_000);
  const before = cluster.datagrams;
  cluster.run(10_000);
  assert.ok((cluster.datagrams - before) / 50 / 10 < 3);
  assert.equal(cluster.effects('rumour').length, 49);
});

test('without a quorum most observers hint at a death, and any answer clears the hint', () => {
  const cluster = new VirtualCluster(7, 10);
  cluster.paneWorks = false;
  for (const number of cluster.nodes.keys()) {
    cluster.call(number, (swim) => {
      swim.setQuorum(false);
      return [];
    });
  }
  cluster.run(5_000);
  cluster.isLost = (from, to) => from === 7 || to === 7;
  cluster.run(10_000);
  for (const number of [1, 2, 3, 4, 5, 6]) {
    const state = cluster.node(number).swim.statusOf(7);
    assert.deepEqual([state?.status, state?.hint], ['down', true], `node ${number}`);
    assert.equal(cluster.node(number).swim.publishedOf(7)?.status, 'alive');
  }
  assert.ok(
    cluster
      .node(7)
      .swim.members()
      .every(({ hint }) => !hint),
  );

  cluster.isLost = () => false;
  cluster.run(3_000);
  for (const { swim } of cluster.nodes.values()) assert.equal(swim.statusOf(7)?.status, 'alive');
});

test('the same seed gives the same run', () => {
  const traceOf = (seed: number): string => {
    const cluster = new VirtualCluster(6, seed, 0.2);
    cluster.run(20_000);
    return JSON.stringify([cluster.seen, cluster.datagrams]);
  };
  assert.equal(traceOf(11), traceOf(11));
  assert.notEqual(traceOf(11), traceOf(12));
});

test('a dead process on a living machine is convicted by its kernel within a second, everywhere', () => {
  for (const size of [3, 8, 40]) {
    const cluster = new VirtualCluster(size, 12, 0.01);
    cluster.run(30_000);
    cluster.kill(size);
    cluster.run(3_000);
    assert.deepEqual(
      cluster.convictions.map(({ number, evidence }) => [number, evidence]),
      [[size, 'refused']],
    );
    const down = cluster.events('down');
    assert.equal(down.length, size - 1);
    const lastMs = Math.max(...down.map(({ atMs }) => atMs)) - 30_000;
    assert.ok(lastMs < 1_500, `${lastMs} ms among ${size}`);
  }
});

test('ten processes that die together are convicted by one entry, without the brake', () => {
  const cluster = new VirtualCluster(30, 13, 0.01);
  cluster.run(30_000);
  const dead = [21, 22, 23, 24, 25, 26, 27, 28, 29, 30];
  for (const number of dead) cluster.kill(number);
  cluster.run(4_000);
  assert.deepEqual(cluster.convictions.map(({ number }) => number).sort(), dead);
  assert.equal(new Set(cluster.convictions.map(({ atMs }) => atMs)).size, 1);
});

test('40 % of the machines vanish: nobody is convicted before the operator says so, then all of them', () => {
  const cluster = new VirtualCluster(40, 14);
  cluster.run(5_000);
  const gone = Array.from({ length: 16 }, (_, index) => 25 + index);
  for (const number of gone) cluster.vanish(number);
  cluster.run(15_000);
  assert.deepEqual(cluster.convictions, []);
  assert.ok(cluster.jury.brake.on);
  cluster.brakeReleased = true;
  cluster.run(5_000);
  assert.deepEqual(cluster.convictions.map(({ number }) => number).sort(), gone);
});

test('a member that loses most of what it is sent is convicted, and nobody else is', () => {
  for (const seed of [15, 16, 17]) {
    const cluster = new VirtualCluster(64, seed, 0.01);
    const isLost = cluster.isLost;
    const random = seededRandom(seed);
    cluster.isLost = (from, to) => isLost(from, to) || (to === 60 && random.next() < 0.8);
    cluster.run(120_000);
    assert.deepEqual([...new Set(cluster.convictions.map(({ number }) => number))], [60], `seed ${seed}`);
  }
});

test('30 % loss on all links of 32 members convicts nobody', () => {
  for (let seed = 18; seed < 21; seed++) {
    const cluster = new VirtualCluster(32, seed, 0.3);
    cluster.run(120_000);
    assert.deepEqual(cluster.convictions, [], `seed ${seed}`);
  }
});

test('where no datagram passes, streams keep everybody alive, and each member says that datagrams are blocked', () => {
  const cluster = new VirtualCluster(8, 22);
  cluster.datagramsPass = false;
  cluster.run(180_000);
  assert.deepEqual(cluster.convictions, []);
  assert.deepEqual(nodesOf(cluster.events('datagrams-blocked')), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test('HM-15: among 400 members, each with a slice, a death is known to all who should know, at the same cost', () => {
  const cluster = new VirtualCluster(400, 23);
  cluster.run(5_000);
  const before = cluster.datagrams;
  cluster.run(20_000);
  const perMemberAndSecond = (cluster.datagrams - before) / 400 / 20;
  assert.ok(perMemberAndSecond < 2.2, `${perMemberAndSecond} datagrams`);
  const watching = [...cluster.nodes.values()].filter(({ swim }) => swim.statusOf(200) !== undefined);
  assert.ok(watching.length < 400);
  cluster.vanish(200);
  cluster.run(12_000);
  assert.deepEqual(
    cluster.convictions.map(({ number }) => number),
    [200],
  );
  for (const { swim, number } of watching) if (number !== 200) assert.equal(swim.statusOf(200)?.status, 'down');
});
