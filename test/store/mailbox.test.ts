/** Requests to a thread in memory that both share. But for the last test both ends are in one thread here. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Mailbox, mailboxBytesMax } from '../../src/store/mailbox.ts';

const farEnd = new URL('./mailbox-thread.ts', import.meta.url).href;

const bytesOf = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes);

function twoEnds(): readonly [Mailbox, Mailbox] {
  const near = new Mailbox();
  return [near, new Mailbox(near.memory)];
}

test('what lies in the box is taken for the ring that was for it, and messages for the others', () => {
  const [near, far] = twoEnds();
  near.ring();
  near.ring();
  assert(near.put(bytesOf(1, 2, 3)));
  near.ring();
  near.ring();
  assert.deepEqual(
    [far.take(), far.take(), far.take(), far.take()],
    [undefined, undefined, bytesOf(1, 2, 3), undefined],
  );
  assert(near.put(bytesOf(4)));
  near.ring();
  assert.deepEqual(far.take(), bytesOf(4));
});

test('a request keeps its bytes when the next one is put in', () => {
  const [near, far] = twoEnds();
  near.put(bytesOf(1));
  near.ring();
  const first = far.take();
  near.put(bytesOf(2));
  near.ring();
  assert.deepEqual([first, far.take()], [bytesOf(1), bytesOf(2)]);
});

test('a request as large as the box fits, and a larger one is not put in', () => {
  const [near, far] = twoEnds();
  assert(!near.put(new Uint8Array(mailboxBytesMax + 1)));
  assert(near.put(new Uint8Array(mailboxBytesMax).fill(7)));
  near.ring();
  assert.equal(far.take()?.filter((each) => each === 7).length, mailboxBytesMax);
});

test('a second request does not take the place of one that was not taken', () => {
  const [near] = twoEnds();
  near.put(bytesOf(1));
  assert.throws(() => near.put(bytesOf(2)), /one request/);
});

test('the count of rings may wrap round', () => {
  const [near, far] = twoEnds();
  const wrapping = 2 ** 31 - 2;
  new Int32Array(near.memory)[0] = wrapping;
  Object.assign(far, { taken: wrapping });
  for (const each of [1, 2, 3, 4]) {
    assert(near.put(bytesOf(each)));
    near.ring();
    assert.deepEqual(far.take(), bytesOf(each));
  }
});

test('a thread that is woken twice for one ring sleeps on', async () => {
  const near = new Mailbox();
  const thread = new Worker(
    `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(farEnd)}); });`,
    { eval: true, execArgv: [], workerData: near.memory },
  );
  const said: unknown[] = [];
  thread.on('message', (taken) => said.push(taken));
  const heard = async (count: number): Promise<void> => {
    while (said.length < count) await once(thread, 'message');
  };
  near.put(bytesOf(1));
  near.ring();
  await heard(1);
  // As where whoever rings is taken off its core between counting and calling.
  const head = new Int32Array(near.memory);
  for (let call = 0; call < 50; call++) {
    await sleep(2);
    Atomics.notify(head, 0);
  }
  near.put(bytesOf(2));
  near.ring();
  near.ring();
  await heard(3);
  assert.deepEqual(said, ['1', '2', 'nothing']);
  await thread.terminate();
});
