/** Faults that are done to a stub, because what they may not do to a cluster is to be seen one by one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from './fault.ts';
import { Mischief, type Victim } from './mischief.ts';

/** No agent answers there: whatever is asked for is refused. */
const nowhere = '/nonexistent/agent.sock';

function victimNamed(name: string, hasClocks = true): { readonly cluster: Victim; readonly done: readonly string[] } {
  const done: string[] = [];
  const note = (what: string): void => void done.push(what);
  const cluster: Victim = {
    control: [name],
    residents: [name],
    spares: ['x1'],
    running: [name],
    hasClocks,
    socketOf: () => nowhere,
    kill: async (each) => note(`kill ${each}`),
    start: (each) => note(`start ${each}`),
    signal: (each, signal) => note(`${signal} ${each}`),
    setClock: (each) => note(`clock ${each}`),
    disk: (each) => ({ fill: () => note(`fill ${each}`), free: () => note(`free ${each}`) }),
    network: { lose: () => () => {}, silence: () => () => {} },
  };
  return { cluster, done };
}

const kill: Fault = { kind: 'kill', whom: 'any', pick: 1, lastsMs: 0 };
const cut: Fault = { kind: 'cut', how: 'deaf', pick: 1, lastsMs: 1 };

test('a cut that ends frees no node that another lane still has killed', async () => {
  const { cluster, done } = victimNamed('c1');
  let die = (): void => {};
  const death = new Promise<void>((resolve) => {
    die = resolve;
  });
  const slow: Victim = { ...cluster, kill: (each) => cluster.kill(each).then(() => death) };
  const mischief = new Mischief(slow, () => {});
  const first = mischief.carryOut(kill);
  while (done.length === 0) await new Promise(setImmediate);
  await mischief.carryOut(cut);
  await mischief.carryOut(cut);
  await mischief.carryOut(kill);
  assert.deepEqual(done, ['kill c1'], 'it is killed once while it is down');
  die();
  await first;
  assert.deepEqual(done, ['kill c1', 'start c1']);
  await mischief.carryOut(kill);
  assert.deepEqual(done.slice(2), ['kill c1', 'start c1'], 'it is free again');
  assert.deepEqual(Object.fromEntries(mischief.counts), { kill: 2, cut: 2 });
});

test('two lanes that look at the same time do not kill the same node', async () => {
  const { cluster, done } = victimNamed('c1');
  const mischief = new Mischief(cluster, () => {});
  await Promise.all([mischief.carryOut(kill), mischief.carryOut(kill)]);
  assert.deepEqual(done, ['kill c1', 'start c1']);
});

test('a fault counts once it is undone, and not before', async () => {
  const { cluster, done } = victimNamed('c1');
  const mischief = new Mischief(cluster, () => {});
  const under = mischief.carryOut({ kind: 'full disk', whom: 'control', pick: 1, lastsMs: 100 });
  while (done.length === 0) await new Promise(setImmediate);
  assert.deepEqual([...mischief.counts], []);
  await under;
  assert.deepEqual(done, ['fill c1', 'free c1']);
  assert.deepEqual([...mischief.counts], [['full disk', 1]]);
});

test('what nobody grants, and clocks where there are none to set, are told and not counted', async () => {
  const { cluster, done } = victimNamed('c1', false);
  const said: string[] = [];
  const mischief = new Mischief(cluster, (text) => said.push(text));
  await mischief.carryOut({ kind: 'transfer', pick: 1, lastsMs: 0 });
  await mischief.carryOut({ kind: 'epoch', pick: 1, lastsMs: 0 });
  await mischief.carryOut({ kind: 'clock', whom: 'any', seconds: 5, pick: 1, lastsMs: 0 });
  assert.deepEqual([...mischief.counts], []);
  assert.deepEqual(done, []);
  assert.equal(said.filter((text) => text.startsWith('refused: ')).length, 3, said.join('\n'));
  assert(!mischief.kinds.includes('clock'));
});
