/** What is kept for `hivemind events`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventRing, eventListenersMax, eventsKeptMax } from '../../src/node/event-ring.ts';
import type { LocalEvent } from '../../src/node/local-api.ts';

const event = (each: number): LocalEvent => ({
  at: '2026-01-02T00:00:00.000Z',
  kind: 'left',
  detail: { number: each },
});
const numbers = (events: readonly LocalEvent[]): readonly unknown[] => events.map(({ detail }) => detail.number);

test(`the last ${eventsKeptMax} are kept, in their order, however many came`, () => {
  for (const count of [0, 3, eventsKeptMax, eventsKeptMax + 1, 2 * eventsKeptMax + 7]) {
    const ring = new EventRing();
    for (let each = 1; each <= count; each++) ring.add(event(each));
    const kept = Array.from({ length: Math.min(count, eventsKeptMax) }, (_, at) => count - at).reverse();
    assert.deepEqual(numbers(ring.last(count + 1)), kept);
    assert.deepEqual(numbers(ring.last(2)), kept.slice(-2));
    assert.deepEqual(ring.last(0), []);
  }
});

test('whoever listens is told each one until it stops; beyond a limit nobody may', () => {
  const ring = new EventRing();
  const heard: LocalEvent[] = [];
  const stop = ring.listen((each) => heard.push(each));
  ring.add(event(1));
  stop?.();
  ring.add(event(2));
  assert.deepEqual(numbers(heard), [1]);
  for (let each = 0; each < eventListenersMax; each++) assert(ring.listen(() => {}) !== undefined);
  assert.equal(
    ring.listen(() => {}),
    undefined,
  );
});
