/** What members tell each other in their own words: events, heard once, and tags, kept by the control nodes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { utf8 } from '../../src/bytes.ts';
import { tagsRole } from '../../src/member/config-exchange.ts';
import { userEventsPerSecondMax } from '../../src/member/user-events.ts';
import { pack, unpack } from '../../src/packed.ts';
import type { SimCluster } from '../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { becomesWhole, membersOf, nodeOf, wholeCluster } from './scene.ts';

function heard({ events }: SimNode, name: string): number {
  return events.filter((event) => event.kind === 'user-event' && event.event === name).length;
}

function send(node: SimNode, name: string, payload = 'v42'): string | undefined {
  let code: string | undefined;
  node.act((member, at) => {
    code = member.sendEvent(name, utf8(payload), at)?.code;
  });
  return code;
}

describe('an event', () => {
  test('is heard once on each, also where a process started anew while it went round', () => {
    const cluster = wholeCluster({ members: 5 });
    const [sender, restarted] = [nodeOf(cluster, 'c1'), nodeOf(cluster, 'm2')];
    send(sender, 'deploy');
    cluster.run(3_000);
    restarted.crash();
    cluster.run(1_000);
    restarted.start([]);
    becomesWhole(cluster, 60_000);
    cluster.run(10_000);
    for (const node of membersOf(cluster)) assert.deepEqual([node.name, heard(node, 'deploy')], [node.name, 1]);
    send(sender, 'again');
    cluster.run(3_000);
    for (const node of membersOf(cluster)) assert.deepEqual([node.name, heard(node, 'again')], [node.name, 1]);
  });

  test('that is too large, or one too many in a second, is refused where it is sent', () => {
    const cluster = wholeCluster();
    const sender = nodeOf(cluster, 'm1');
    assert.equal(send(sender, 'large', 'x'.repeat(513)), 'refused');
    for (let sent = 0; sent < userEventsPerSecondMax; sent++) assert.equal(send(sender, `e${sent}`), undefined);
    assert.equal(send(sender, 'more'), 'busy');
    cluster.run(1_001);
    assert.equal(send(sender, 'later'), undefined);
  });
});

describe('tags', () => {
  function tag(cluster: SimCluster, node: SimNode, tags: Readonly<Record<string, string>>): void {
    let seq = 0;
    node.act((member, at) =>
      member.publish(
        tagsRole,
        pack(tags),
        (outcome) => {
          seq = outcome.ok ? outcome.value : -1;
        },
        at,
      ),
    );
    assert(cluster.runUntil(() => seq !== 0, 5_000) && seq > 0);
  }

  function tagsOf(cluster: SimCluster, asker: SimNode, owner: SimNode): unknown {
    let answer: unknown = 'nobody answered';
    asker.act((member, at) =>
      member.search.findOne(
        tagsRole,
        owner.number,
        (outcome) => {
          answer = outcome.ok ? outcome.value && unpack(outcome.value.value) : outcome.error.code;
        },
        at,
      ),
    );
    cluster.run(5_000);
    return answer;
  }

  test('of a node, far above 512 bytes, are found from any other, and a change replaces them', () => {
    const cluster = wholeCluster({ members: 4 });
    const [owner, asker] = [nodeOf(cluster, 'm1'), nodeOf(cluster, 'm4')];
    const large = { rack: 'a7', note: 'x'.repeat(4_000) };
    tag(cluster, owner, large);
    cluster.run(1_000);
    assert.deepEqual(tagsOf(cluster, asker, owner), large);
    tag(cluster, owner, { rack: 'b1' });
    cluster.run(1_000);
    assert.deepEqual(tagsOf(cluster, asker, owner), { rack: 'b1' });
    assert.equal(tagsOf(cluster, asker, nodeOf(cluster, 'm2')), undefined);
  });
});
