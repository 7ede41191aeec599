/** Without a quorum: what observers find out, as those hear of it who do not observe the subject themselves. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { utf8 } from '../../src/bytes.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { seededRandom } from '../../src/seam/random.ts';
import type { SwimEffect, SwimEvent } from '../../src/swim/effect.ts';
import { hintedMax, hintersMax, hintersMin } from '../../src/swim/hints.ts';
import { swimDefaults } from '../../src/swim/settings.ts';
import { membersOf, sliceOf } from '../../src/swim/slice.ts';
import { type MemberState, Swim } from '../../src/swim/swim.ts';
import { hintRepeatMs } from '../../src/swim/testimony.ts';
import { VirtualCluster } from './virtual-cluster.ts';

function withoutQuorum(size: number, seed: number): VirtualCluster {
  const cluster = new VirtualCluster(size, seed);
  cluster.paneWorks = false;
  for (const number of cluster.nodes.keys()) setQuorum(cluster, number, false);
  cluster.run(5_000);
  return cluster;
}

function setQuorum(cluster: VirtualCluster, number: NodeNumber, healthy: boolean): void {
  cluster.call(number, (swim) => {
    swim.setQuorum(healthy);
    return [];
  });
}

/** `number status hint`, as each of the others sees the subject. */
function seenBy(cluster: VirtualCluster, subject: NodeNumber): readonly string[] {
  const others = [...cluster.nodes.values()].filter(({ number }) => number !== subject);
  return others.map(({ number, swim }) => {
    const state = swim.statusOf(subject);
    return `${number} ${state?.status} ${state?.hint}`;
  });
}

function othersAll(cluster: VirtualCluster, subject: NodeNumber, what: string): readonly string[] {
  return [...cluster.nodes.keys()].filter((number) => number !== subject).map((number) => `${number} ${what}`);
}

describe('in a cluster of 30 without a quorum', () => {
  const subject = 20;
  const cluster = withoutQuorum(30, 41);
  const observers = cluster.rings.observersOf(subject);

  test('those who do not observe a silent member are told of it, once, and hold it to be down', () => {
    cluster.isLost = (from, to) => from === subject || to === subject;
    cluster.run(15_000);
    assert.deepEqual(seenBy(cluster, subject), othersAll(cluster, subject, 'down true'));
    const toldAbout = cluster.events('hinted-down').filter((event) => event.number === subject);
    assert.deepEqual(
      toldAbout.map(({ node }) => node).sort((a, b) => a - b),
      [...cluster.nodes.keys()].filter((number) => number !== subject),
    );
    assert(cluster.node(1).swim.publishedOf(subject)?.status === 'alive');
    assert(observers.length === 10 && cluster.effects('hint').every(({ node }) => observers.includes(node)));
  });

  test('the one that is cut off holds nobody to be down: its own word is not enough', () => {
    assert(
      cluster
        .node(subject)
        .swim.members()
        .every(({ status }) => status !== 'down'),
    );
  });

  test('a hint is told again, for those who did not heed it the first time', () => {
    const late = [...cluster.nodes.keys()].find((number) => number !== subject && !observers.includes(number)) ?? 0;
    setQuorum(cluster, late, true);
    assert.equal(cluster.node(late).swim.statusOf(subject)?.status, 'alive');
    cluster.run(100);
    assert(cluster.events('refuted').some((event) => event.node === late && event.number === subject));
    setQuorum(cluster, late, false);
    cluster.run(4 * hintRepeatMs);
    assert.deepEqual(
      [cluster.node(late).swim.statusOf(subject)?.status, cluster.node(late).swim.statusOf(subject)?.hint],
      ['down', true],
    );
  });

  test('when it answers its observers again they take it back, and everybody hears that too', () => {
    cluster.isLost = () => false;
    const healedAtMs = cluster.nowMs;
    cluster.run(8_000);
    assert.deepEqual(seenBy(cluster, subject), othersAll(cluster, subject, 'alive false'));
    const cleared = cluster.events('refuted').filter((event) => event.number === subject && event.atMs >= healedAtMs);
    assert.equal(new Set(cleared.map(({ node }) => node)).size, 29);
    assert.equal(cluster.effects('hint').filter(({ isDown }) => !isDown).length, 10);
  });
});

const clusterName = utf8('hints');

/** Node 1 of a cluster of so many that has lost its quorum. */
class Listener {
  readonly swim: Swim;
  private now = 0;

  constructor(size: number) {
    const random = seededRandom(7);
    this.swim = new Swim({ self: 1, settings: swimDefaults, random, cluster: clusterName, now: 0 });
    for (let number = 1; number <= size; number++) this.swim.setMember(number, 0, 'alive', 0);
    this.swim.setQuorum(false);
  }

  /** Members that this one does not observe. */
  get elsewhere(): readonly NodeNumber[] {
    const own = this.swim.rings.subjectsOf(1);
    return this.swim
      .members()
      .map(({ number }) => number)
      .filter((number) => number !== 1 && !own.includes(number));
  }

  observersOf(subject: NodeNumber): readonly NodeNumber[] {
    return this.swim.rings.observersOf(subject);
  }

  hint(by: readonly NodeNumber[], number: NodeNumber, isDown = true, incarnation = 0): readonly SwimEvent[] {
    this.now += 10;
    return by.flatMap((each) => eventsOf(this.swim.onHint(each, { number, incarnation, isDown }, this.now)));
  }

  state(number: NodeNumber): Pick<MemberState, 'status' | 'hint'> {
    const { status, hint } = this.swim.statusOf(number) ?? assert.fail(`there is no ${number}`);
    return { status, hint };
  }
}

function eventsOf(effects: readonly SwimEffect[]): readonly SwimEvent[] {
  return effects.flatMap((effect) => (effect.kind === 'event' ? [effect.event] : []));
}

const alive = { status: 'alive', hint: false };
const hinted = { status: 'down', hint: true };

describe('a member is held to be down by hint', () => {
  test('while a majority of its living observers says so at its present incarnation', () => {
    const listener = new Listener(30);
    const [subject = 0, stranger = 0] = listener.elsewhere;
    const observers = listener.observersOf(subject);
    const others = listener.elsewhere.filter((number) => number !== subject && !observers.includes(number));
    listener.hint([...others, stranger], subject);
    listener.hint(observers.slice(0, 5), subject);
    listener.hint(observers.slice(5), subject, true, 1);
    assert.deepEqual(listener.state(subject), alive, 'five of ten, and some who may not say it');

    const told = listener.hint(observers.slice(5, 7), subject);
    assert.deepEqual(told, [{ kind: 'hinted-down', number: subject, incarnation: 0 }]);
    assert.deepEqual(listener.state(subject), hinted);
    assert.equal(listener.swim.publishedOf(subject)?.status, 'alive');

    assert.deepEqual(listener.hint(observers.slice(0, 1), subject, false), [], 'six are left');
    const [cleared] = listener.hint(observers.slice(1, 2), subject, false);
    assert.deepEqual([cleared?.kind, listener.state(subject)], ['refuted', alive]);
  });

  test('by those who live: the down ones are not asked', () => {
    const listener = new Listener(30);
    const [subject = 0] = listener.elsewhere;
    const observers = listener.observersOf(subject);
    const dead = observers.slice(0, 4);
    for (const number of dead) listener.swim.setMember(number, 0, 'down', 0);
    listener.hint([...dead, ...observers.slice(4, 7)], subject);
    assert.deepEqual(listener.state(subject), alive, 'three of six');
    listener.hint(observers.slice(7, 8), subject);
    assert.deepEqual(listener.state(subject), hinted, 'four of six');
  });

  test('in a slice by three whom this node knows, and of no member more hints than observers are kept', () => {
    const all = new Listener(200);
    const [subject = 0] = all.swim.rings.oppositesOf(1);
    const slice = sliceOf(all.swim.rings, 1, { control: [], required: [] });
    const listener = new Listener(0);
    for (const number of membersOf(slice)) listener.swim.setMember(number, 0, 'alive', 0);
    listener.swim.setSlice(slice);
    const known = membersOf(slice).filter((number) => number !== subject);
    const unknown = all.elsewhere.filter((number) => listener.swim.statusOf(number) === undefined);
    listener.hint([...known.slice(0, hintersMin - 1), ...unknown.slice(0, 5)], subject);
    assert.deepEqual(listener.state(subject), alive);
    listener.hint(known.slice(0, hintersMin), subject);
    assert.deepEqual(listener.state(subject), hinted);
    listener.hint(known.slice(0, hintersMax + 5), subject);
    assert.equal(listener.swim.drops.hints, 5);
  });

  test('until it is heard, whatever it says; until it is a new process; until the pane says anything of it', () => {
    const ends: Record<string, (swim: Swim, number: NodeNumber, now: number) => readonly SwimEffect[]> = {
      heard: (swim, number, now) => swim.receive(number, { kind: 'ping', nonce: 3 }, now),
      restarted: (swim, number, now) => swim.onRestarted(number, now),
      returned: (swim, number, now) => swim.publish({ number, incarnation: 1, status: 'alive' }, now),
      corrected: (swim, number, now) => swim.correct({ number, incarnation: 2, status: 'alive' }, now),
    };
    for (const [name, end] of Object.entries(ends)) {
      const listener = new Listener(30);
      const [subject = 0] = listener.elsewhere;
      listener.hint(listener.observersOf(subject), subject);
      assert.deepEqual(listener.state(subject), hinted);
      const refuted = eventsOf(end(listener.swim, subject, 500)).filter(({ kind }) => kind === 'refuted');
      assert.equal(refuted.length, 1, name);
      assert.deepEqual(listener.state(subject), alive, name);
      listener.hint(listener.observersOf(subject).slice(0, 5), subject);
      assert.deepEqual(listener.state(subject), alive, `${name}: what was said before is forgotten`);
    }
  });

  test('and is convicted in one step, when the pane says so', () => {
    const listener = new Listener(30);
    const [subject = 0] = listener.elsewhere;
    listener.hint(listener.observersOf(subject), subject);
    const events = eventsOf(listener.swim.publish({ number: subject, incarnation: 0, status: 'down' }, 500));
    assert.deepEqual(events, [{ kind: 'down', number: subject, incarnation: 0 }]);
    assert.deepEqual(listener.state(subject), { status: 'down', hint: false });
  });

  test('and not when the quorum is back, of which the next tick tells', () => {
    const listener = new Listener(30);
    const [subject = 0] = listener.elsewhere;
    listener.hint(listener.observersOf(subject), subject);
    listener.swim.setQuorum(true);
    assert.deepEqual(listener.state(subject), alive);
    assert(listener.swim.nextTickAt() <= 10);
    const refuted = eventsOf(listener.swim.tick(20)).filter(({ kind }) => kind === 'refuted');
    assert.deepEqual(refuted, [{ kind: 'refuted', number: subject, incarnation: 0, suspectedForMs: 10 }]);
    assert.deepEqual(listener.hint(listener.observersOf(subject), subject), []);
    assert.deepEqual(listener.state(subject), alive);
  });

  test('and is not said to be refuted when the quorum convicted it before that was told', () => {
    const listener = new Listener(30);
    const [subject = 0] = listener.elsewhere;
    listener.hint(listener.observersOf(subject), subject);
    listener.swim.setQuorum(true);
    const told = [
      ...listener.swim.correct({ number: subject, incarnation: 0, status: 'down' }, 20),
      ...listener.swim.tick(20),
    ];
    assert.deepEqual(
      eventsOf(told).filter((event) => 'number' in event && event.number === subject),
      [{ kind: 'down', number: subject, incarnation: 0 }],
    );
  });

  test('never by itself, by strangers, as a stranger, or against what this node finds as its observer', () => {
    const listener = new Listener(12);
    const [own = 0] = listener.swim.rings.subjectsOf(1);
    const [subject = 0] = listener.elsewhere;
    assert.deepEqual(listener.hint(listener.observersOf(own), own), []);
    assert.deepEqual(listener.hint(listener.observersOf(1), 1), []);
    assert.deepEqual(listener.hint([subject, 500, 501, 502, 503, 504, 505, 506], subject), []);
    assert.deepEqual(listener.hint([2, 3, 4, 5], 500), []);
    assert.deepEqual(listener.state(own), alive);
  });
});

test('hints are kept of so many members; the one that was hinted at first makes room, which is counted', () => {
  const listener = new Listener(hintedMax + 30);
  const subjects = listener.elsewhere.slice(0, hintedMax + 1);
  const [first = 0] = subjects;
  listener.hint(listener.observersOf(first), first);
  assert.deepEqual(listener.state(first), hinted);
  const told = subjects
    .slice(1)
    .flatMap((subject) => listener.hint(listener.observersOf(subject).slice(0, 1), subject));
  assert.deepEqual([told.map(({ kind }) => kind), listener.swim.drops.hints], [['refuted'], 1]);
  assert.deepEqual(listener.state(first), alive);
});
