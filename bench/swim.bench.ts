import { assert } from '../src/assert.ts';
import { utf8 } from '../src/bytes.ts';
import type { MonotonicMs, NodeNumber } from '../src/identity.ts';
import { seededRandom } from '../src/seam/random.ts';
import { swimDefaults } from '../src/swim/settings.ts';
import { Swim, type SwimEffect } from '../src/swim/swim.ts';
import { type Bench, type BenchTask, benchSeed } from './bench.ts';

/** A small cluster, and a view that is as large as it gets. */
const memberCounts = [10, 128];
const prober: NodeNumber = 1;

/** One member that probes; the others only answer. */
class Neighbourhood {
  private readonly swims: ReadonlyMap<NodeNumber, Swim>;
  private now: MonotonicMs = 0;

  constructor(size: number) {
    const numbers = Array.from({ length: size }, (_, index) => index + 1);
    this.swims = new Map(numbers.map((self) => [self, newMember(self, self === prober ? numbers : [self, prober])]));
  }

  /** One probe period of the prober: whatever is due, and every answer to it. */
  round(): void {
    const swim = this.swim(prober);
    const end = this.now + swimDefaults.probePeriodMs;
    for (let at = swim.nextTickAt(); at <= end; at = swim.nextTickAt()) {
      this.now = Math.max(this.now, at);
      this.deliver(prober, swim.tick(this.now));
    }
    this.now = end;
  }

  private deliver(from: NodeNumber, effects: readonly SwimEffect[]): void {
    for (const effect of effects) {
      assert(effect.kind !== 'event', 'nothing happens in a healthy neighbourhood');
      if (effect.kind !== 'send') continue;
      for (const message of effect.messages) {
        this.deliver(effect.to, this.swim(effect.to).receive(from, message, this.now));
      }
    }
  }

  private swim(number: NodeNumber): Swim {
    const swim = this.swims.get(number);
    assert(swim !== undefined, 'members write to members');
    return swim;
  }
}

function newMember(self: NodeNumber, known: readonly NodeNumber[]): Swim {
  const random = seededRandom(benchSeed + self);
  const swim = new Swim({ self, settings: swimDefaults, random, cluster: utf8('bench'), now: 0 });
  for (const number of known) swim.setMember(number, 0, 'alive', 0);
  return swim;
}

const bench: Bench = {
  name: 'swim',
  about: "one probe period of one member, both ends' work, no network",
  tasks: () =>
    memberCounts.map((size): BenchTask => {
      const neighbourhood = new Neighbourhood(size);
      return { name: `probe among ${size}`, run: () => neighbourhood.round() };
    }),
};

export default bench;
