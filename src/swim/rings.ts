/**
 * Who watches whom (Rapid, Suresh 2018 §4.1, with distinct observers). On each of ten rings the members stand in an
 * order that nobody can choose; a member's observer on a ring is the first one before it that no earlier ring gave
 * it. So each has `min(10, N−1)` observers and about as many subjects, and whoever knows the members knows all pairs.
 */
import { assert } from '../assert.ts';
import { ByteWriter } from '../bytes.ts';
import { sha256 } from '../crypto.ts';
import type { NodeNumber } from '../identity.ts';

export const ringsMax = 10;
/** Up to so many members a view is everybody. */
export const viewMax = 128;
/** Members whose places are remembered; beyond, the one that was asked for first is worked out again. */
export const placesMax = 262_144;
/** Places on a ring: 24 bits each, so that all ten come from one hash. */
export const ringLength = 0x100_0000;
const placeBytes = 3;

/** Where each member stands on the rings. Members of one process may share it. */
export class Places {
  private readonly cluster: Uint8Array;
  private readonly known = new Map<NodeNumber, Uint32Array>();

  constructor(cluster: Uint8Array) {
    this.cluster = cluster;
  }

  /** Ten places, one for each ring. */
  of(number: NodeNumber): Uint32Array {
    const known = this.known.get(number);
    if (known !== undefined) return known;
    const places = placesOf(number, this.cluster);
    const [oldest] = this.known.size >= placesMax ? this.known.keys() : [];
    if (oldest !== undefined) this.known.delete(oldest);
    this.known.set(number, places);
    return places;
  }

  forget(number: NodeNumber): void {
    this.known.delete(number);
  }
}

/** All members that are known, in the order of every ring. */
export class Rings {
  /** Counts the changes: what was derived from an equal version still holds. */
  version = 0;
  readonly places: Places;
  private readonly members = new Set<NodeNumber>();
  private readonly rings: readonly Ring[] = Array.from({ length: ringsMax }, () => new Ring());
  /** Members that stand on no ring yet: many are put in order at once, as at a start. */
  private readonly unplaced = new Set<NodeNumber>();
  private readonly observers = new Map<NodeNumber, readonly NodeNumber[]>();

  constructor(places: Places) {
    this.places = places;
  }

  get size(): number {
    return this.members.size;
  }

  has(number: NodeNumber): boolean {
    return this.members.has(number);
  }

  add(number: NodeNumber): void {
    if (this.members.has(number)) return;
    this.members.add(number);
    this.unplaced.add(number);
    this.onChange();
  }

  remove(number: NodeNumber): void {
    if (!this.members.delete(number)) return;
    if (!this.unplaced.delete(number)) {
      const places = this.places.of(number);
      this.rings.forEach((ring, index) => {
        ring.remove(places[index] as number, number);
      });
    }
    this.places.forget(number);
    this.onChange();
  }

  /**
   * Who probes `subject`, in the order of the rings: the first one is its *first observer*. For a number that is no
   * member: who would.
   */
  observersOf(subject: NodeNumber): readonly NodeNumber[] {
    const known = this.observers.get(subject);
    if (known !== undefined) return known;
    const chosen = this.chooseFor(subject);
    if (this.members.has(subject)) this.observers.set(subject, chosen);
    return chosen;
  }

  /** Whom `observer` probes, ascending. */
  subjectsOf(observer: NodeNumber): readonly NodeNumber[] {
    if (this.size === 0) return [];
    this.place();
    const places = this.places.of(observer);
    const candidates = new Set<NodeNumber>();
    // On ring r at most r of those before a subject were chosen already, so it is one of the next r + 1.
    this.rings.forEach((ring, index) => {
      const at = ring.indexOf(places[index] as number, observer);
      for (let step = 0; step <= index + 1; step++) candidates.add(ring.at(at + step));
    });
    candidates.delete(observer);
    return [...candidates].filter((number) => this.observersOf(number).includes(observer)).sort((a, b) => a - b);
  }

  /** On each ring the member behind the place opposite to this one's: random, and lasting until one joins there. */
  oppositesOf(number: NodeNumber): readonly NodeNumber[] {
    if (this.size === 0) return [];
    this.place();
    const places = this.places.of(number);
    const opposites = this.rings.map((ring, index) => {
      const opposite = ((places[index] as number) + ringLength / 2) % ringLength;
      return ring.at(ring.indexOf(opposite, 0));
    });
    return [...new Set(opposites)].filter((each) => each !== number);
  }

  /** All others, as they follow a member on the first ring. */
  *following(number: NodeNumber): Generator<NodeNumber> {
    this.place();
    const [ring] = this.rings;
    if (ring === undefined || this.size === 0) return;
    const start = ring.indexOf(this.places.of(number)[0] as number, number);
    for (let step = 0; step < this.size; step++) {
      const each = ring.at(start + step);
      if (each !== number) yield each;
    }
  }

  private chooseFor(subject: NodeNumber): readonly NodeNumber[] {
    this.place();
    const places = this.places.of(subject);
    const wanted = Math.min(ringsMax, this.size - (this.has(subject) ? 1 : 0));
    const chosen: NodeNumber[] = [];
    for (let index = 0; index < wanted; index++) {
      const ring = this.rings[index] as Ring;
      let at = ring.indexOf(places[index] as number, subject);
      let candidate: NodeNumber;
      do candidate = ring.at(--at);
      while (candidate === subject || chosen.includes(candidate));
      chosen.push(candidate);
    }
    return chosen;
  }

  private place(): void {
    if (this.unplaced.size === 0) return;
    this.rings.forEach((ring, index) => {
      ring.insert([...this.unplaced].map((number) => ({ number, place: this.places.of(number)[index] as number })));
    });
    this.unplaced.clear();
  }

  private onChange(): void {
    this.version++;
    this.observers.clear();
  }
}

/** The same choice among a few, in the order of the rings: exact when they include all true observers of `subject`. */
export function chooseObservers(
  places: Places,
  subject: NodeNumber,
  candidates: readonly NodeNumber[],
): readonly NodeNumber[] {
  const home = places.of(subject);
  const left = candidates.filter((number) => number !== subject);
  const chosen: NodeNumber[] = [];
  for (let ring = 0; ring < ringsMax && left.length > 0; ring++) {
    let nearest = 0;
    let fewest = Number.POSITIVE_INFINITY;
    left.forEach((candidate, index) => {
      const steps = stepsBack(subject, home[ring] as number, candidate, places.of(candidate)[ring] as number);
      // Of two at one place the higher number stands behind the lower.
      if (steps > fewest || (steps === fewest && candidate < (left[nearest] as number))) return;
      nearest = index;
      fewest = steps;
    });
    chosen.push(...left.splice(nearest, 1));
  }
  return chosen;
}

/** How far one goes back on a ring from `subject` to `candidate`. At one place the lower number stands before. */
export function stepsBack(subject: NodeNumber, home: number, candidate: NodeNumber, place: number): number {
  const steps = (home - place + ringLength) % ringLength;
  return steps === 0 && candidate > subject ? ringLength : steps;
}

function placesOf(number: NodeNumber, cluster: Uint8Array): Uint32Array {
  const hash = sha256(new ByteWriter('hivemind/ring/1').bytes(cluster).u32(number).finish());
  return Uint32Array.from({ length: ringsMax }, (_, ring) => {
    const [high, middle, low] = hash.subarray(ring * placeBytes, (ring + 1) * placeBytes);
    return ((high as number) << 16) | ((middle as number) << 8) | (low as number);
  });
}

interface Standpoint {
  readonly place: number;
  readonly number: NodeNumber;
}

/** Beyond so many newcomers at once the whole ring is sorted anew. */
const insertionsMax = 16;

/** One ring: numbers by place, and at the same place by number. Two arrays, because a search reads places alone. */
class Ring {
  private places: number[] = [];
  private numbers: NodeNumber[] = [];

  /** How many stand before: its own index, if it is there. */
  indexOf(place: number, number: NodeNumber): number {
    let [low, high] = [0, this.places.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.isBefore(middle, place, number)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Who stands at an index; it goes round. */
  at(index: number): NodeNumber {
    const { length } = this.numbers;
    const number = this.numbers[((index % length) + length) % length];
    assert(number !== undefined, 'only a ring with members is walked');
    return number;
  }

  insert(newcomers: readonly Standpoint[]): void {
    if (newcomers.length > insertionsMax) {
      this.sort(newcomers);
      return;
    }
    for (const { place, number } of newcomers) {
      const index = this.indexOf(place, number);
      this.places.splice(index, 0, place);
      this.numbers.splice(index, 0, number);
    }
  }

  remove(place: number, number: NodeNumber): void {
    const index = this.indexOf(place, number);
    this.places.splice(index, 1);
    this.numbers.splice(index, 1);
  }

  private sort(newcomers: readonly Standpoint[]): void {
    const standing = this.numbers.map((number, index) => ({ number, place: this.places[index] as number }));
    const all = [...standing, ...newcomers].sort((a, b) => a.place - b.place || a.number - b.number);
    this.places = all.map(({ place }) => place);
    this.numbers = all.map(({ number }) => number);
  }

  private isBefore(index: number, place: number, number: NodeNumber): boolean {
    const standing = this.places[index] as number;
    return standing === place ? (this.numbers[index] as number) < number : standing < place;
  }
}
