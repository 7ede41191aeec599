import assert from 'node:assert/strict';
import { it } from 'node:test';
import { memoryLogStore } from '../../src/store/memory-log.ts';
import { entriesFrom, inWords, logStoreConformance } from '../conformance/log-store.ts';

logStoreConformance('the memory log', async () => {
  const store = memoryLogStore();
  return { store, reopen: async () => store, dispose: () => store.close() };
});

it('the memory log forgets at a crash what had not been acknowledged, and nothing else', async () => {
  const unfinished: (() => void)[] = [];
  const store = memoryLogStore((done) => unfinished.push(done));
  await store.load();
  const first = store.write({ hardState: { term: 1, votedFor: 2 }, entries: entriesFrom(1, 2, 1) });
  unfinished.shift()?.();
  await first;
  let acknowledged = false;
  store.write({ entries: entriesFrom(3, 1, 1) }).then(
    () => {
      acknowledged = true;
    },
    () => {},
  );
  store.crash();
  unfinished.shift()?.();
  const log = await store.load();
  assert.deepEqual(inWords(log.entries), inWords(entriesFrom(1, 2, 1)));
  assert.deepEqual(log.hardState, { term: 1, votedFor: 2 });
  assert.equal(acknowledged, false);
});
