/** Who watches whom, and which part of it one node keeps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../../src/bytes.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { type Random, seededRandom, shuffled } from '../../src/seam/random.ts';
import { Reach } from '../../src/swim/reach.ts';
import { chooseObservers, Places, Rings, ringsMax, viewMax } from '../../src/swim/rings.ts';
import { adjust, includes, membersOf, peersPerRoleMax, reserveMax, sliceOf, without } from '../../src/swim/slice.ts';

function ringsOf(members: Iterable<NodeNumber>, places: Places = new Places(utf8('c'))): Rings {
  const rings = new Rings(places);
  for (const number of members) rings.add(number);
  return rings;
}

function upTo(count: number): NodeNumber[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function some(count: number, random: Random, members: readonly NodeNumber[]): readonly NodeNumber[] {
  return shuffled(members, random).slice(0, count);
}

/** The definition, read aloud: on each ring go back from the subject to the first who was not chosen yet. */
function observersByDefinition(members: readonly NodeNumber[], subject: NodeNumber, places: Places): NodeNumber[] {
  const chosen: NodeNumber[] = [];
  for (let ring = 0; ring < ringsMax && chosen.length < members.length - 1; ring++) {
    const placeOf = (number: NodeNumber): number => places.of(number)[ring] as number;
    const order = [...members].sort((a, b) => placeOf(a) - placeOf(b) || a - b);
    let at = order.indexOf(subject);
    do at = (at + order.length - 1) % order.length;
    while (order[at] === subject || chosen.includes(order[at] as number));
    chosen.push(order[at] as number);
  }
  return chosen;
}

const memberSets: fc.Arbitrary<number[]> = fc.uniqueArray(fc.integer({ min: 1, max: 0xffff_ffff }), {
  minLength: 1,
  maxLength: 60,
});

test('each member has min(10, N−1) distinct observers, as the definition gives them', () => {
  fc.assert(
    fc.property(memberSets, (members) => {
      const rings = ringsOf(members);
      for (const subject of members) {
        const observers = rings.observersOf(subject);
        assert.equal(new Set(observers).size, Math.min(ringsMax, members.length - 1));
        assert.deepEqual(observers, observersByDefinition(members, subject, rings.places));
        assert.deepEqual(chooseObservers(rings.places, subject, members), observers);
      }
    }),
    { numRuns: 30 },
  );
});

test('one observes another exactly when that is its subject', () => {
  for (const size of [1, 2, 5, 11, 12, 60, 400]) {
    const members = upTo(size);
    const rings = ringsOf(members);
    for (const observer of members) {
      const truth = members.filter((subject) => rings.observersOf(subject).includes(observer));
      assert.deepEqual(rings.subjectsOf(observer), truth, `${observer} of ${size}`);
    }
  }
  assert.deepEqual(ringsOf([]).subjectsOf(1), []);
  assert.deepEqual(ringsOf([]).observersOf(1), []);
});

test('rings that grew and shrank equal rings made at once; of a stranger they say who would observe it', () => {
  const random = seededRandom(3);
  const rings = ringsOf(upTo(50));
  for (const number of some(30, random, upTo(50))) {
    rings.observersOf(number);
    rings.remove(number);
    rings.add(number + 100);
  }
  const members = [
    ...upTo(50).filter((number) => rings.has(number)),
    ...upTo(150).filter((n) => n > 50 && rings.has(n)),
  ];
  assert.equal(rings.size, members.length);
  const fresh = ringsOf(members);
  for (const number of members) {
    assert.deepEqual(rings.observersOf(number), fresh.observersOf(number));
    assert.deepEqual(rings.subjectsOf(number), fresh.subjectsOf(number));
  }
  const before = fresh.observersOf(999);
  fresh.add(999);
  assert.deepEqual(fresh.observersOf(999), before);
  assert.notDeepEqual(ringsOf(members, new Places(utf8('d'))).observersOf(1), rings.observersOf(1));
});

test('two at one place stand by number: among 20,000 it happens, and few candidates give what all do', () => {
  const rings = ringsOf(upTo(20_000));
  const { places } = rings;
  const byPlace = new Map<number, NodeNumber>();
  const twins = upTo(20_000).flatMap((number) => {
    const place = places.of(number)[0] as number;
    const twin = byPlace.get(place);
    byPlace.set(place, number);
    return twin === undefined ? [] : [[twin, number] as const];
  });
  assert.ok(twins.length > 0, 'places of 24 bits do collide');
  for (const [lower, higher] of twins) {
    assert.equal(rings.observersOf(higher)[0], lower);
    for (const subject of [lower, higher]) {
      const truth = rings.observersOf(subject);
      const few = [...truth, lower, higher, ...rings.oppositesOf(subject)];
      assert.deepEqual(chooseObservers(places, subject, [...new Set(few)]), truth);
    }
  }
});

test('joining and leaving ten thousand is cheap', () => {
  const rings = ringsOf(upTo(10_000));
  rings.observersOf(1);
  const startedAt = performance.now();
  for (let number = 10_001; number <= 10_200; number++) {
    rings.add(number);
    rings.observersOf(number);
    rings.remove(number - 200);
  }
  const eachMs = (performance.now() - startedAt) / 400;
  assert.ok(eachMs < 5, `${eachMs} ms`);
});

test('HM-15: a slice agrees with the rings, has what roles need, and no larger among 20,000 than among 1,000', () => {
  const largest: number[] = [];
  for (const size of [1_000, 20_000]) {
    const rings = ringsOf(upTo(size));
    const control = [1, 2, 3];
    const required = [
      { members: upTo(size).filter((each) => each % 7 === 0), isMember: (each: number) => each % 7 === 0 },
      { members: [5, 6], isMember: (each: number) => each === 5 || each === 6 },
    ];
    let most = 0;
    for (const number of some(200, seededRandom(5), upTo(size))) {
      const slice = sliceOf(rings, number, { control, required });
      assert.deepEqual(
        slice.subjects.map((subject) => subject.number),
        rings.subjectsOf(number),
      );
      for (const subject of slice.subjects) {
        const all = [...subject.observers, number].sort((a, b) => a - b);
        assert.deepEqual(
          all,
          [...rings.observersOf(subject.number)].sort((a, b) => a - b),
        );
      }
      assert.deepEqual(
        slice.observers,
        [...rings.observersOf(number)].sort((a, b) => a - b),
      );
      assert.ok(slice.reserve.length >= 7 && slice.reserve.length <= reserveMax, 'rings may meet');
      assert.deepEqual(
        slice.control,
        control.filter((each) => each !== number),
      );
      assert.ok(slice.peers.length >= peersPerRoleMax && slice.peers.length <= peersPerRoleMax + 2);
      const members = membersOf(slice);
      assert.ok(!members.includes(number));
      assert.ok(members.every((each) => includes(slice, each)));
      most = Math.max(most, members.length);
    }
    largest.push(most);
  }
  const [among1000 = 0, among20000 = 0] = largest;
  assert.ok(among20000 <= among1000 * 1.15 && among20000 < 200, `${largest}`);
});

test('a subject has the same observers, whether computed from the slice or from everybody', () => {
  const rings = ringsOf(upTo(2_000));
  for (const self of [1, 77, 1_999]) {
    const slice = sliceOf(rings, self, { control: [], required: [] });
    const view = [...membersOf(slice), self];
    for (const { number } of slice.subjects) {
      assert.deepEqual(chooseObservers(rings.places, number, view), rings.observersOf(number));
    }
    assert.deepEqual(chooseObservers(rings.places, self, view), rings.observersOf(self));
  }
});

test('a slice adjusted to each join has the true observers, loses who is lost, and wins nearly all subjects', () => {
  const self = 7;
  const needs = { control: [], required: [] };
  const places = new Places(utf8('c'));
  const rings = ringsOf(upTo(viewMax + 1), places);
  let slice = sliceOf(rings, self, needs);
  let missed = 0;
  for (let joined = viewMax + 2; joined <= 1_500; joined++) {
    const before = sliceOf(rings, self, needs);
    rings.add(joined);
    const truth = sliceOf(rings, self, needs);
    const adjusted = adjust(before, self, joined, places);
    const reach = new Reach(before, self, places);
    assert.equal(reach.covers(joined), adjusted !== undefined || includes(before, joined), `${joined} at a glance`);
    slice = adjusted ?? before;
    assert.deepEqual(slice.observers, truth.observers, `observers after ${joined}`);
    const truly = new Map(truth.subjects.map(({ number, observers }) => [number, observers]));
    for (const { number, observers } of slice.subjects) {
      assert.ok(truly.has(number), `${number} is a subject indeed after ${joined}`);
      if (number !== joined) assert.deepEqual(observers, truly.get(number));
    }
    if (slice.subjects.length < truth.subjects.length) missed++;
    assert.ok(truth.subjects.length - slice.subjects.length <= 1, 'at most the joiner is missing');
  }
  assert.ok(missed <= 3, `${missed} joiners were not recognised as subjects`);
});

test('whoever left is in no list of a slice', () => {
  const rings = ringsOf(upTo(500));
  const slice = sliceOf(rings, 9, { control: [1, 2, 3], required: [] });
  for (const gone of membersOf(slice)) assert.ok(!membersOf(without(slice, gone)).includes(gone));
});
