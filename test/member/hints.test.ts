/** Without a quorum nobody is convicted: every member hears by signed hints who is down, and that it is back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ByteWriter } from '../../src/bytes.ts';
import type { NodeNumber } from '../../src/identity.ts';
import type { SimCluster } from '../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { decodeRumour, encodeRumour, type Rumour } from '../../src/wire/rumour.ts';
import { becomesWhole, membersOf, nodeOf, wholeCluster } from './scene.ts';

type HintRumour = Extract<Rumour, { kind: 'hint' }>;

const withinMs = 15_000;

/** `name status`, or `name down by hint`, as each running node sees the subject. */
function seenBy(cluster: SimCluster, { number, name: subject }: SimNode): readonly string[] {
  const others = membersOf(cluster).filter(({ name }) => name !== subject);
  return others.map(({ name, member }) => {
    const { status, hint } = member?.membership.swim.statusOf(number) ?? {};
    return hint === true ? `${name} ${status} by hint` : `${name} ${status}`;
  });
}

function allSee(cluster: SimCluster, subject: SimNode, what: string): void {
  const isSeen = (): boolean => seenBy(cluster, subject).every((text) => text.endsWith(` ${what}`));
  cluster.runUntil(isSeen, withinMs);
  assert(isSeen(), `${subject.name} is not seen as ${what}: ${seenBy(cluster, subject).join(', ')}`);
}

function loseQuorum(cluster: SimCluster): void {
  for (const name of ['c1', 'c3']) nodeOf(cluster, name).crash();
  const knows = ({ member }: SimNode): boolean => member?.client.pane.state === 'no-quorum';
  assert(cluster.runUntil(() => membersOf(cluster).every(knows), withinMs));
}

function regainQuorum(cluster: SimCluster): void {
  for (const name of ['c1', 'c3']) nodeOf(cluster, name).start([]);
  const knows = ({ member }: SimNode): boolean => member?.client.pane.state === 'healthy';
  assert(cluster.runUntil(() => membersOf(cluster).every(knows), withinMs));
}

describe('in a cluster of twenty that lost its quorum', () => {
  const cluster = wholeCluster({ members: 17 });
  const host = nodeOf(cluster, 'm5');
  const { number } = host;
  const entries = (): number | undefined => nodeOf(cluster, 'c2').member?.pane?.state.appliedIndex;

  test('every member, also those who do not observe it, shows a crashed host as down by hint', () => {
    loseQuorum(cluster);
    host.crash();
    allSee(cluster, host, 'down by hint');
    const rings = nodeOf(cluster, 'c2').member?.membership.swim.rings;
    assert.equal(rings?.observersOf(number).length, 10);
    assert.equal(membersOf(cluster).length, 17);
    for (const { name, events } of membersOf(cluster)) {
      const told = events.filter((event) => event.kind === 'down' && event.number === number);
      assert.deepEqual([name, told.length], [name, 1]);
    }
  });

  test('and none does when it is started again', () => {
    host.start([]);
    allSee(cluster, host, 'alive');
    cluster.run(withinMs);
    allSee(cluster, host, 'alive');
  });

  test('a quorum that is back convicts who is dead, and lets the others live', () => {
    const other = nodeOf(cluster, 'm6');
    host.crash();
    other.crash();
    allSee(cluster, host, 'down by hint');
    allSee(cluster, other, 'down by hint');
    const before = entries();
    assert.equal(membersOf(cluster).length, 16);
    other.start([]);
    allSee(cluster, other, 'alive');
    assert.equal(entries(), before);
    regainQuorum(cluster);
    allSee(cluster, host, 'down');
    allSee(cluster, other, 'alive');
    const published = membersOf(cluster).map(({ member }) => member?.membership.swim.publishedOf(number)?.status);
    assert(published.every((status) => status === 'down'));
    host.start([]);
    becomesWhole(cluster);
  });

  test('a host that crashes together with the control nodes is known to be down as well', () => {
    for (const name of ['c1', 'c2', 'c3', host.name]) nodeOf(cluster, name).crash();
    const isShown = (): boolean => seenBy(cluster, host).every((text) => text.endsWith(' down by hint'));
    assert(cluster.runUntil(isShown, 3 * withinMs), seenBy(cluster, host).join(', '));
  });
});

/** What an observer signs; written down here once more, because other versions must agree on it. */
function signed(cluster: SimCluster, by: SimNode, hint: Omit<HintRumour, 'kind' | 'signature'>): Uint8Array {
  const out = new ByteWriter('hivemind/hint/1').raw(cluster.genesis.cluster).u32(hint.number).u32(hint.incarnation);
  const bytes = out
    .u32(hint.by)
    .u48(hint.at)
    .u8(hint.isDown ? 1 : 0)
    .finish();
  return encodeRumour({ kind: 'hint', ...hint, signature: by.signingKey.sign(bytes) });
}

describe('a hint that is not right', () => {
  const cluster = wholeCluster({ members: 17 });
  const victim = nodeOf(cluster, 'm2');
  const { number } = victim;
  const rings = nodeOf(cluster, 'c2').member?.membership.swim.rings ?? assert.fail('c2 does not run');
  const byNumber = (wanted: NodeNumber): SimNode =>
    cluster.nodes.find((node) => node.number === wanted) ?? assert.fail(`there is no ${wanted}`);
  // All, so that they would make a majority.
  const observers = rings.observersOf(number).map(byNumber);
  const strangers = cluster.nodes.filter((node) => node !== victim && !observers.includes(node));
  const liar = strangers.find((node) => node.name.startsWith('m')) ?? assert.fail('m2 is observed by all');
  const wall = (): number => liar.time.wall;
  const passedOn: string[] = [];
  for (const { name, member } of membersOf(cluster)) {
    const swim = member?.membership.swim ?? assert.fail();
    const passOn = swim.passOn.bind(swim);
    swim.passOn = (rumour, now) => {
      if (hintsSent.has(Buffer.from(rumour).toString('hex'))) passedOn.push(name);
      passOn(rumour, now);
    };
  }
  const hintsSent = new Set<string>();

  /** Says these things to all the others, and waits until everything settled. */
  const spread = (rumours: readonly Uint8Array[]): void => {
    passedOn.length = 0;
    hintsSent.clear();
    for (const rumour of rumours) hintsSent.add(Buffer.from(rumour).toString('hex'));
    const others = membersOf(cluster).filter((node) => node !== liar);
    liar.act((member, at) => {
      for (const rumour of rumours) {
        for (const other of others) {
          member.line.send(other.number, [{ kind: 'gossip', updates: [], rumours: [rumour] }], at);
        }
      }
    });
    cluster.run(300);
  };
  const countsNowhere = (): void => {
    const seen = seenBy(cluster, victim);
    assert(
      seen.every((text) => text.endsWith(' alive')),
      seen.join(', '),
    );
    assert.deepEqual(passedOn, []);
  };
  const hintBy = (node: SimNode, at: number, isDown = true): Omit<HintRumour, 'kind' | 'signature'> => ({
    number,
    incarnation: 0,
    by: node.number,
    at,
    isDown,
  });
  const rightAt = (at: number, isDown = true): readonly Uint8Array[] =>
    observers.map((node) => signed(cluster, node, hintBy(node, at, isDown)));

  test('because there is a quorum, counts nowhere and is not passed on', () => {
    spread(rightAt(wall()));
    countsNowhere();
  });

  test('because somebody else signed it, or changed it, counts nowhere and is not passed on', () => {
    loseQuorum(cluster);
    spread(observers.map((node) => signed(cluster, liar, hintBy(node, wall()))));
    countsNowhere();
    spread(
      rightAt(wall(), false).map((bytes) => encodeRumour({ ...(decodeRumour(bytes) as HintRumour), isDown: true })),
    );
    countsNowhere();
  });

  test('because it comes from no observer, counts nowhere and is not passed on', () => {
    assert(strangers.length >= 6);
    spread(strangers.map((node) => signed(cluster, node, hintBy(node, wall()))));
    countsNowhere();
    spread([signed(cluster, victim, hintBy(victim, wall()))]);
    countsNowhere();
    const unknown = observers.map((node) => signed(cluster, node, { ...hintBy(node, wall()), number: 77 }));
    spread(unknown);
    countsNowhere();
  });

  test('because it is minutes old, or minutes ahead, counts nowhere and is not passed on', () => {
    for (const awayMs of [-300_500, 300_500]) {
      spread(rightAt(wall() + awayMs));
      countsNowhere();
    }
  });

  test('and one that is right counts, until its subject is heard; after a later one no older one does', () => {
    const at = wall();
    spread(rightAt(at));
    const heard: string[] = [];
    for (const { name, events, member } of strangers) {
      if (member === undefined || name === liar.name) continue;
      const told = events.filter((event) => 'number' in event && event.number === number).map(({ kind }) => kind);
      const last = told.filter((kind) => kind === 'down' || kind === 'refuted').slice(-2);
      assert(last.includes('down'), `${name}: ${told.join()}`);
      if (last.at(-1) === 'refuted') heard.push(name);
    }
    assert(heard.length > 0, 'whoever hears the subject believes it');
    assert(passedOn.length > 100);
    spread(rightAt(at + 2, false));
    assert(passedOn.length > 100);
    spread(rightAt(at + 1));
    countsNowhere();
  });

  test('and the observers themselves believe what they find', () => {
    for (const { name, events } of observers) {
      assert(!events.some((event) => event.kind === 'down' && event.number === number), name);
    }
  });
});
