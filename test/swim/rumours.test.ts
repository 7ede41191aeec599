/** The small pieces: precedence, rounds, rumours. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/bytes.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { incarnationJumpMax, type Standing, type Weight, weigh } from '../../src/swim/precedence.ts';
import { ProbeRound } from '../../src/swim/round.ts';
import {
  entriesPerGossipMax,
  gossipBytesMax,
  Rumours,
  recentForMs,
  recentMax,
  rumourBytesMax,
} from '../../src/swim/rumours.ts';

test('precedence is by incarnation, then by status, alive before down', () => {
  const statuses = ['alive', 'down'] as const;
  const steps = [-17, -16, -1, 0, 1, 16, 17];
  for (const known of statuses) {
    for (const said of statuses) {
      for (const step of steps) {
        const expected = (): Weight => {
          if (step > incarnationJumpMax) return 'implausible';
          if (step !== 0) return step > 0 ? 'news' : 'stale';
          if (said === known) return 'same';
          return said === 'down' ? 'news' : 'stale';
        };
        const weight = weigh({ incarnation: 20 + step, status: said }, { incarnation: 20, status: known });
        assert.equal(weight, expected(), `${said} ${step} against ${known}`);
      }
    }
  }
  assert.equal(weigh({ incarnation: 1_000, status: 'down' }, undefined), 'news');
});

test('of any two different plausible standings exactly one is news to the other', () => {
  const standings: Standing[] = [0, 1, 2, 16].flatMap((incarnation) =>
    (['alive', 'down'] as const).map((status) => ({ incarnation, status })),
  );
  for (const a of standings) {
    for (const b of standings) {
      const weights = [weigh(a, b), weigh(b, a)].sort();
      assert.deepEqual(weights, a === b ? ['same', 'same'] : ['news', 'stale']);
    }
  }
});

test('a round probes each subject once, also those who came in the middle, and skips who is not wanted', () => {
  const round = new ProbeRound(seededRandom(1));
  const next = (subjects: readonly number[], isWanted: (number: number) => boolean = () => true): number | undefined =>
    round.next(subjects, isWanted);
  assert.deepEqual([2, 3, 4].map(() => next([2, 3, 4])).sort(), [2, 3, 4]);
  const started = next([2, 3, 4]);
  round.insert(5);
  assert.deepEqual([started, next([]), next([]), next([])].sort(), [2, 3, 4, 5]);
  assert.equal(next([]), undefined);
  assert.equal(
    next([2, 3, 4], (number) => number === 3),
    3,
  );
});

test('a thing is told so often, newest first, and the first sends do not count', () => {
  const rumours = new Rumours();
  rumours.addRumour(utf8('old'), 2, 0);
  rumours.addRumour(utf8('new'), 2, 0);
  const texts = (freshOnes: boolean): string[] | undefined =>
    rumours.compose(freshOnes)?.rumours.map((bytes) => Buffer.from(bytes).toString());
  assert.deepEqual(texts(true), ['old', 'new']);
  assert.deepEqual(texts(true), ['old', 'new']);
  rumours.settle();
  assert.deepEqual(texts(false), ['new', 'old']);
  assert.deepEqual(texts(false), ['new', 'old']);
  assert.equal(texts(false), undefined);
  assert.ok(rumours.isEmpty);
});

test('a newer update takes the place of an older one, and no content is queued twice', () => {
  const rumours = new Rumours();
  assert.equal(rumours.addUpdate({ number: 4, incarnation: 0, status: 'alive' }, 5), true);
  assert.equal(rumours.addUpdate({ number: 4, incarnation: 0, status: 'down' }, 5), true);
  assert.equal(rumours.addUpdate({ number: 4, incarnation: 0, status: 'down' }, 5), false);
  assert.equal(rumours.hear(utf8('x')), true);
  assert.equal(rumours.hear(utf8('x')), false);
  rumours.addRumour(utf8('x'), 5, 0);
  rumours.addRumour(utf8('x'), 5, 0);
  assert.equal(rumours.compose(false)?.rumours.length, 1);
  assert.deepEqual(rumours.compose(false)?.updates, [{ number: 4, incarnation: 0, status: 'down' }]);
  rumours.dropUpdate(4);
  assert.deepEqual(rumours.compose(false)?.updates, []);
});

test('one parcel holds what fits, and the largest rumour fits', () => {
  const rumours = new Rumours();
  rumours.addRumour(new Uint8Array(rumourBytesMax), 1, 0);
  assert.equal(rumours.compose(false)?.rumours.length, 1);
  for (let number = 1; number <= 200; number++) rumours.addUpdate({ number, incarnation: 0, status: 'alive' }, 1);
  assert.equal(rumours.compose(false)?.updates.length, entriesPerGossipMax);
  for (let count = 0; count < 10; count++) rumours.addRumour(utf8(`${count}`.repeat(300)), 1, 0);
  const bytes = rumours.compose(false)?.rumours.reduce((sum, rumour) => sum + rumour.length, 0) ?? 0;
  assert.ok(bytes > 0 && bytes <= gossipBytesMax);
});

test('what was heard in the last minute, at most 64 rumours, is told again to whoever missed it', () => {
  const rumours = new Rumours();
  rumours.addRumour(utf8('long ago'), 1, 0);
  for (let count = 0; count < recentMax + 1; count++) rumours.addRumour(utf8(`${count} `.repeat(50)), 1, 10_000);
  const texts = (now: number): string[] =>
    rumours.composeRecent(now).flatMap((gossip) => gossip.rumours.map((bytes) => Buffer.from(bytes).toString()));
  assert.equal(texts(10_000).length, recentMax);
  assert.ok(texts(10_000)[0]?.startsWith('1 '), 'the oldest made room');
  for (const { rumours: parcel } of rumours.composeRecent(10_000)) {
    assert.ok(parcel.reduce((sum, bytes) => sum + bytes.length, 0) <= gossipBytesMax);
  }
  assert.equal(texts(10_000 + recentForMs).length, recentMax);
  assert.deepEqual(texts(10_001 + recentForMs), []);
});
