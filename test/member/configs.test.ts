/** How configs reach their consumers, on whole simulated clusters. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pushFanout } from '../../src/member/config-exchange.ts';
import type { MemberEffect } from '../../src/member/effect.ts';
import { decodeMemory, encodeMemory } from '../../src/member/memory.ts';
import type { SimCluster } from '../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { decodePost, decodeRequest } from '../../src/wire/peer-message.ts';
import { becomesWhole, configsAt, dns, host, nodeOf, wholeCluster } from './scene.ts';

/** Names `from>to` for each config that was pushed and each comparison that was asked for. */
class ConfigTraffic {
  readonly pushes: string[] = [];
  readonly syncs: string[] = [];

  readonly onStep = (node: SimNode, effects: readonly MemberEffect[]): void => {
    for (const effect of effects) {
      if (effect.kind === 'post' && decodePost(effect.body)?.kind === 'configs') {
        this.pushes.push(`${node.number}>${effect.to.number}`);
      }
      if (effect.kind === 'request' && decodeRequest(effect.body)?.kind === 'config-sync') {
        this.syncs.push(`${node.number}>${effect.to.number}`);
      }
    }
  };
}

function edgeCluster(traffic: ConfigTraffic, consumers: number): SimCluster {
  const cluster = wholeCluster({ members: 0, onStep: traffic.onStep });
  for (const name of ['atlas', 'boreas']) cluster.add({ name, roles: [host] });
  for (let position = 1; position <= consumers; position++) cluster.add({ name: `dns-${position}`, roles: [dns] });
  cluster.start();
  becomesWhole(cluster);
  return cluster;
}

/** Runs the bootstrap of the dns role, as its runner does when the node starts, and gives whom it asked. */
function bootstrap(cluster: SimCluster, node: SimNode): readonly string[] {
  let asked: readonly number[] | undefined;
  node.act((member, at) =>
    member.bootstrap(
      'dns',
      (outcome) => {
        asked = outcome.ok ? outcome.value : [];
      },
      at,
    ),
  );
  assert(cluster.runUntil(() => asked !== undefined, 5_000));
  return (asked ?? []).map((number) => node.member?.directory.nameOf(number) ?? '');
}

describe('an update', () => {
  const traffic = new ConfigTraffic();
  const cluster = edgeCluster(traffic, 6);
  const consumers = cluster.nodes.filter((node) => node.name.startsWith('dns-'));
  const atlas = nodeOf(cluster, 'atlas');

  test('goes from its owner to two consumers, and reaches all six (HM-2, HM-24)', () => {
    traffic.pushes.length = 0;
    cluster.publish(atlas, 'host', { git: 3000 });
    const pushed = (): number => traffic.pushes.filter((push) => push.startsWith(`${atlas.number}>`)).length;
    // Before anybody compares: who lacks it then is posted it as well.
    assert(cluster.runUntil(() => pushed() > 0, 1_000));
    assert.equal(pushed(), pushFanout);
    assert(cluster.runUntil(() => consumers.every((node) => configsAt(node).includes('atlas@1')), 15_000));
  });

  test('is passed on within a second, without waiting for a comparison (HM-3)', () => {
    cluster.publish(atlas, 'host', { git: 3001 });
    cluster.run(1_000);
    const reached = consumers.filter((node) => configsAt(node).includes('atlas@2'));
    assert(reached.length > pushFanout, `${reached.length} of 6`);
  });

  test('of the same value keeps its seq, and an older one never replaces a newer one (HM-25)', () => {
    cluster.publish(atlas, 'host', { git: 3001 });
    cluster.run(15_000);
    for (const node of consumers) assert.deepEqual(configsAt(node), ['atlas@2'], node.name);
  });

  test('reaches a consumer that was cut off while it was pushed', () => {
    const cut = nodeOf(cluster, 'dns-1');
    const others = cluster.nodes.filter((node) => node !== cut).map((node) => node.name);
    cluster.network.partition([cut.name], others);
    cluster.publish(atlas, 'host', { git: 3002 });
    cluster.run(2_000);
    assert.deepEqual(configsAt(cut), ['atlas@2']);
    cluster.network.heal();
    assert(cluster.runUntil(() => configsAt(cut).includes('atlas@3'), 20_000));
  });

  test('of a member that leaves goes with it', () => {
    atlas.act((member, at) => member.leave(() => {}, at));
    assert(cluster.runUntil(() => consumers.every((node) => configsAt(node).length === 0), 15_000));
  });
});

describe('a consumer starts', () => {
  const traffic = new ConfigTraffic();
  const cluster = edgeCluster(traffic, 1);
  for (const [name, port] of [
    ['atlas', 1],
    ['atlas', 2],
    ['boreas', 3],
  ] as const) {
    cluster.publish(nodeOf(cluster, name), 'host', { port });
    cluster.run(100);
  }

  test('cold: the first one asks every owner, and holds the map of their seqs (HM-25)', () => {
    const first = nodeOf(cluster, 'dns-1');
    assert.deepEqual([...bootstrap(cluster, first)].sort(), ['atlas', 'boreas']);
    assert.deepEqual([...configsAt(first)].sort(), ['atlas@2', 'boreas@1']);
  });

  test('warm: the next one asks its own kind, and does not contact the owners (HM-26)', () => {
    const second = cluster.add({ name: 'dns-2', roles: [dns] });
    second.start([nodeOf(cluster, 'c1').endpoint]);
    assert(cluster.runUntil(() => second.member !== undefined, 5_000));
    traffic.syncs.length = 0;
    assert.deepEqual(bootstrap(cluster, second), ['dns-1']);
    assert.deepEqual([...configsAt(second)].sort(), ['atlas@2', 'boreas@1']);
    const asked = traffic.syncs.filter((sync) => sync.startsWith(`${second.number}>`));
    assert.deepEqual([...new Set(asked)], [`${second.number}>${nodeOf(cluster, 'dns-1').number}`]);
  });
});

describe('an owner', () => {
  test('that lost what it remembered goes on from the seq that its consumers know', () => {
    const cluster = edgeCluster(new ConfigTraffic(), 2);
    const atlas = nodeOf(cluster, 'atlas');
    for (const port of [1, 2, 3]) {
      cluster.publish(atlas, 'host', { port });
      cluster.run(500);
    }
    atlas.crash();
    const { memory } = atlas.disk;
    const remembered = memory === undefined ? undefined : decodeMemory(memory);
    assert(remembered !== undefined);
    atlas.disk.keepMemory(encodeMemory({ ...remembered, configs: [] }));
    cluster.invariants.onMemoryLost(atlas);
    cluster.start([atlas]);
    cluster.run(1_000);
    cluster.publish(atlas, 'host', { port: 4 });
    assert(cluster.runUntil(() => configsAt(nodeOf(cluster, 'dns-1')).includes('atlas@4'), 15_000));
  });
});
