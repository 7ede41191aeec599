import { assert } from '../src/assert.ts';
import { utf8 } from '../src/bytes.ts';
import type { MonotonicMs, NodeNumber } from '../src/identity.ts';
import { seededRandom } from '../src/seam/random.ts';
import { Places, Rings } from '../src/swim/rings.ts';
import { swimDefaults } from '../src/swim/settings.ts';
import { membersOf, sliceOf } from '../src/swim/slice.ts';
import { Swim, type SwimEffect } from '../src/swim/swim.ts';
import { type Bench, type BenchTask, benchSeed } from './bench.ts';

const cluster = utf8('bench');
const prober: NodeNumber = 1;
/** A small cluster, and the largest in which a view is everybody. */
const memberCounts = [10, 128];
/** Here a view is a slice. */
const largeCount = 10_000;

/** One member that probes, at rest: all others answer at once. */
class Neighbourhood {
  private readonly swim: Swim;
  private readonly peer: Swim;
  private now: MonotonicMs = 0;

  constructor(swim: Swim) {
    this.swim = swim;
    this.peer = newSwim(2, new Places(cluster));
    this.peer.setMember(prober, 0, 'alive', 0);
  }

  /** One probe period of the prober: whatever is due, and every answer to it. */
  round(): void {
    const end = this.now + swimDefaults.probePeriodMs;
    for (let at = this.swim.nextTickAt(); at <= end; at = this.swim.nextTickAt()) {
      this.now = Math.max(this.now, at);
      this.answer(this.swim.tick(this.now));
    }
    this.now = end;
  }

  private answer(effects: readonly SwimEffect[]): void {
    for (const effect of effects) {
      assert(effect.kind !== 'event', 'nothing happens in a healthy neighbourhood');
      if (effect.kind === 'dial') this.answer(this.swim.onDialled(effect.to, 'accepted', this.now));
      if (effect.kind !== 'send') continue;
      for (const message of effect.messages) {
        for (const answer of this.peer.receive(prober, message, this.now)) this.deliver(effect.to, answer);
      }
    }
  }

  private deliver(from: NodeNumber, effect: SwimEffect): void {
    if (effect.kind !== 'send') return;
    for (const message of effect.messages) this.answer(this.swim.receive(from, message, this.now));
  }
}

function newSwim(self: NodeNumber, places: Places): Swim {
  return new Swim({ self, settings: swimDefaults, random: seededRandom(benchSeed + self), cluster, now: 0, places });
}

function upTo(count: number): NodeNumber[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function ringsOf(count: number): Rings {
  const rings = new Rings(new Places(cluster));
  for (const number of upTo(count)) rings.add(number);
  return rings;
}

function completeMember(count: number): Swim {
  const swim = newSwim(prober, new Places(cluster));
  for (const number of upTo(count)) swim.setMember(number, 0, 'alive', 0);
  return swim;
}

function slicedMember(rings: Rings): Swim {
  const swim = newSwim(prober, rings.places);
  const slice = sliceOf(rings, prober, { control: [1, 2, 3], required: [] });
  swim.setSlice(slice);
  swim.setClusterSize(rings.size);
  for (const number of membersOf(slice)) swim.setMember(number, 0, 'alive', 0);
  return swim;
}

function probing(name: string, swim: Swim): BenchTask {
  const neighbourhood = new Neighbourhood(swim);
  return { name, run: () => neighbourhood.round() };
}

function answering(name: string, swim: Swim): BenchTask {
  const [from = 0] = swim.slice.observers;
  return { name, run: () => swim.receive(from, { kind: 'ping', nonce: 7 }, 0) };
}

/** What the pane does for each join. */
function joining(rings: Rings): readonly BenchTask[] {
  let joined = rings.size;
  return [
    {
      name: `a join and a leave on the rings of ${largeCount}`,
      run: () => {
        rings.add(++joined);
        rings.observersOf(joined);
        rings.remove(joined);
      },
    },
    {
      name: `the slice of one among ${largeCount}`,
      run: () => sliceOf(rings, prober, { control: [1, 2, 3], required: [] }),
    },
  ];
}

const bench: Bench = {
  name: 'swim',
  about: "one probe period of one member (both ends' work, no network), an answer, a join",
  tasks: () => [
    ...memberCounts.map((size) => probing(`probe among ${size}`, completeMember(size))),
    probing(`probe among ${largeCount}`, slicedMember(ringsOf(largeCount))),
    answering(`answer a ping among ${largeCount}`, slicedMember(ringsOf(largeCount))),
    ...joining(ringsOf(largeCount)),
  ],
};

export default bench;
