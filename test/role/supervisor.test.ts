import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HivemindError } from '../../src/error.ts';
import { wallText } from '../../src/identity.ts';
import { type RoleContext, roleStartMs, roleStopMs } from '../../src/role/contract.ts';
import { metricNamesMax } from '../../src/role/meter.ts';
import { factsBytesMax } from '../../src/role/role-run.ts';
import { restartForgottenMs, restartMsMax, restartMsMin } from '../../src/role/runner.ts';
import { settle, wallStart } from './manual-clock.ts';
import { memberOf } from './memory-host.ts';
import { type Definition, Diary, Node, withJitter } from './stage.ts';

const never = new Promise<never>(() => {});

describe('The roles of a node', () => {
  test('HM-1: start one after another in the order given, and stop in reverse', async () => {
    const diary = new Diary();
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const slow = diary.role('b', {
      async start(context) {
        await gate;
        return await diary.role('b').start(context);
      },
    });
    const node = await new Node(diary.role('a'), slow, diary.role('c')).start();
    assert.equal(node.states, 'a running, b starting, c waiting');
    assert.match(node.reasonOf('c') ?? '', /its turn/);
    open();
    await settle();
    assert.equal(node.states, 'a running, b running, c running');
    await node.supervisor.stop();
    assert.equal(node.states, 'a stopped, b stopped, c stopped');
    assert.deepEqual(diary.lines, ['a starts', 'b starts', 'c starts', 'c stops', 'b stops', 'a stops']);
    assert.deepEqual(
      node.told.filter((line) => line.startsWith('b')),
      ['b starting', 'b running', 'b stopped'],
    );
    assert.equal(node.clock.pending.size, 0);
    assert.equal(node.host.listeners.size, 0);
  });

  test('stop once, however often they are told to, and also when they were never started', async () => {
    const diary = new Diary();
    const node = new Node(diary.role('a'), diary.role('b'));
    await Promise.all([node.supervisor.stop(), node.supervisor.stop()]);
    await node.start();
    assert.equal(node.states, 'a stopped, b stopped');
    assert.deepEqual(diary.lines, []);
  });

  test('are each named once, are sixteen at most, and declare themselves rightly', () => {
    const { role } = new Diary();
    const refusal = (...roles: readonly Definition[]): unknown => {
      try {
        return new Node(...roles);
      } catch (thrown) {
        return thrown instanceof HivemindError ? `${thrown.code}: ${thrown.message}` : thrown;
      }
    };
    assert.equal(refusal(role('a'), role('b'), role('a')), 'usage: The role "a" is given twice; name it once.');
    assert.match(String(refusal(...Array.from({ length: 17 }, (_, at) => role(`r${at}`)))), /^usage: .* 16 roles/);
    assert.match(String(refusal(role('a', { requires: ['a'] }))), /^role-failed: .*"a".*wait for itself/);
  });

  test('show since when they are as they are, and what they say of themselves', async () => {
    const facts: Readonly<Record<string, () => unknown>> = {
      a: () => ({ port: 53, nothing: undefined }),
      b: () => {
        throw new Error('confused');
      },
      c: () => ({ text: 'x'.repeat(factsBytesMax) }),
    };
    const roles = Object.entries(facts).map(([name, status]): Definition => {
      return { name, start: async () => ({ stop: async () => {}, status: status as () => Record<string, unknown> }) };
    });
    const node = new Node(...roles);
    await node.clock.advance(5_000);
    await node.start();
    const [a, b, c] = node.supervisor.statuses();
    assert.deepEqual(a, {
      name: 'a',
      state: 'running',
      since: wallText(wallStart + 5_000),
      restarts: 0,
      facts: { port: 53 },
    });
    assert.match(String(b?.facts?.error), /confused/);
    assert.match(String(c?.facts?.error), /may take 262144/);
    await node.supervisor.stop();
    assert.equal(node.supervisor.statuses()[0]?.facts, undefined);
  });

  test('keep their measurements over restarts, within a limit', async () => {
    const diary = new Diary();
    const node = await new Node(diary.role('a')).start();
    diary.context.metrics.count('answers_total', 2);
    diary.context.fail(new Error('broke'));
    await node.clock.advance(withJitter(restartMsMin));
    const { metrics } = diary.context;
    metrics.count('answers_total');
    metrics.gauge('open_connections', 7);
    metrics.gauge('not a name', 1);
    assert.deepEqual(node.supervisor.metrics().get('a'), {
      counters: { answers_total: 3 },
      gauges: { open_connections: 7 },
    });
    for (let at = 0; at < metricNamesMax; at++) metrics.count(`name_${at}`);
    const { counters, gauges } = node.supervisor.metrics().get('a') ?? assert.fail();
    assert.equal(Object.keys(counters).length + Object.keys(gauges).length, metricNamesMax);
    await node.supervisor.stop();
  });
});

describe('A role that fails', () => {
  test('at its start is tried again after 1, 2, 4 … 60 s, while the others run', async () => {
    const diary = new Diary();
    const starts: number[] = [];
    const node = new Node(
      diary.role('a', {
        start() {
          starts.push(node.clock.now());
          throw new Error('the port is taken');
        },
      }),
      diary.role('b'),
    );
    await node.start();
    assert.equal(node.states, 'a failed, b running');
    assert.equal(node.reasonOf('a'), 'the port is taken');
    await node.clock.advance(300_000);
    const expected = [1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1_000);
    for (const [at, delayMs] of expected.entries()) {
      const waitedMs = (starts[at + 1] ?? 0) - (starts[at] ?? 0);
      assert.ok(Math.abs(waitedMs - delayMs) <= delayMs * 0.1 + 1, `restart ${at + 1} after ${waitedMs} ms`);
    }
    assert.ok(
      starts.some((at, index) => index > 0 && (at - (starts[index - 1] ?? 0)) % 1_000 !== 0),
      'with jitter',
    );
    assert.equal(node.restartsOf('a'), starts.length - 1);
    assert.deepEqual(node.host.events.find(({ name }) => name === 'failed')?.detail.reason, 'the port is taken');
    await node.supervisor.stop();
    assert.equal(node.states, 'a stopped, b stopped');
    assert.equal(node.clock.pending.size, 0);
    assert.deepEqual(diary.lines, ['b starts', 'b stops']);
  });

  test('while it runs is stopped first, once, and then started again', async () => {
    const diary = new Diary();
    const node = await new Node(diary.role('a'), diary.role('b')).start();
    const context = diary.contexts[0] as RoleContext<unknown>;
    context.fail(new Error('nginx has ended'));
    context.fail(new Error('and so have I'));
    await settle();
    assert.equal(node.states, 'a failed, b running');
    assert.equal(node.reasonOf('a'), 'nginx has ended');
    assert.ok(context.signal.aborted);
    await node.clock.advance(withJitter(restartMsMin));
    assert.equal(node.states, 'a running, b running');
    assert.equal(node.reasonOf('a'), undefined);
    assert.equal(node.restartsOf('a'), 1);
    assert.deepEqual(diary.lines, ['a starts', 'b starts', 'a stops', 'a starts']);
    await node.supervisor.stop();
  });

  test('after a minute of running is forgiven what it did before', async () => {
    const diary = new Diary();
    const node = await new Node(diary.role('a')).start();
    const failAndWait = async (): Promise<number> => {
      diary.context.fail(new Error('again'));
      await settle();
      return Number(node.host.events.findLast(({ name }) => name === 'failed')?.detail.restartMs);
    };
    const delays = [await failAndWait()];
    await node.clock.advance(restartMsMax * 1.2);
    delays.push(await failAndWait());
    await node.clock.advance(withJitter(restartMsMin));
    delays.push(await failAndWait());
    await node.clock.advance(withJitter(2 * restartMsMin) + restartForgottenMs / 2);
    delays.push(await failAndWait());
    assert.deepEqual(
      delays.map((delayMs) => Math.round(delayMs / 1_000)),
      [1, 1, 2, 4],
    );
    await node.supervisor.stop();
  });

  test('before it has started counts as a start that failed, even when it throws nothing', async () => {
    const node = await new Node({
      name: 'a',
      async start(context) {
        context.fail(new Error('the socket broke'));
        return { stop: async () => {} };
      },
    }).start();
    assert.equal(node.states, 'a failed');
    assert.equal(node.reasonOf('a'), 'the socket broke');
    await node.supervisor.stop();
  });

  test('to give something to stop it by is told what to do', async () => {
    const node = await new Node({ name: 'a', start: async () => undefined as never }).start();
    assert.match(node.reasonOf('a') ?? '', /return \{ async stop\(\) \{ … \} \}/);
    await node.supervisor.stop();
  });
});

describe('The time limits', () => {
  test('a role that does not start in time is failed, and what comes of it later is stopped', async () => {
    const diary = new Diary();
    let wake = (): void => {};
    const slow = diary.role('a', {
      async start(context) {
        if (diary.contexts.length === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        return await diary.role('a').start(context);
      },
    });
    const node = await new Node(slow, diary.role('b')).start();
    await node.clock.advance(roleStartMs - 1);
    assert.equal(node.states, 'a starting, b waiting');
    await node.clock.advance(1);
    assert.equal(node.states, 'a failed, b running');
    assert.equal(node.reasonOf('a'), 'It did not start within 30 s.');
    await node.clock.advance(roleStopMs);
    wake();
    await settle();
    assert.deepEqual(diary.lines, ['b starts', 'a starts', 'a stops'], 'the late one does not stay');
    await node.clock.advance(withJitter(restartMsMin));
    assert.equal(node.states, 'a running, b running');
    await node.supervisor.stop();
  });

  test('a role that does not stop in time is left to itself, said so, and the others are still stopped', async () => {
    const diary = new Diary();
    const stuck: Definition = { name: 'b', start: async () => ({ stop: () => never }) };
    const broken: Definition = { name: 'c', start: async () => ({ stop: () => Promise.reject(new Error('no')) }) };
    const node = await new Node(diary.role('a'), stuck, broken).start();
    const stopped = node.supervisor.stop();
    await node.clock.advance(roleStopMs - 1);
    assert.equal(node.states, 'a running, b running, c stopped');
    await node.clock.advance(1);
    await stopped;
    assert.equal(node.states, 'a stopped, b stopped, c stopped');
    assert.equal(node.reasonOf('b'), 'It did not stop within 10 s and is left to itself.');
    assert.equal(node.reasonOf('c'), 'It failed to stop: no');
    assert.equal(
      node.host.events.find(({ role, name }) => role === 'b' && name === 'stopped')?.detail.reason,
      node.reasonOf('b'),
    );
  });

  test('a role that is starting hears of the stop, and is not waited for longer than for any other', async () => {
    let signal: AbortSignal | undefined;
    const node = await new Node({
      name: 'a',
      start(context) {
        signal = context.signal;
        return never;
      },
    }).start();
    const stopped = node.supervisor.stop();
    await settle();
    assert.ok(signal?.aborted);
    await node.clock.advance(roleStopMs);
    await stopped;
    assert.equal(node.states, 'a stopped');
    assert.equal(node.clock.pending.size, 0);
  });
});

describe('What a role needs before it starts', () => {
  test('HM-16: a role waits until a living member performs what it requires, and holds up no other role', async () => {
    const diary = new Diary();
    const node = new Node(diary.role('a', { requires: ['host', 'b'] }), diary.role('b'));
    node.host.meet({ ...memberOf(2, 'two', 'host'), health: 'down' });
    await node.start();
    assert.equal(node.states, 'a waiting, b running');
    assert.equal(node.reasonOf('a'), 'requires host: no living member performs it');
    node.host.meet(memberOf(3, 'three', 'dns'));
    await settle();
    assert.equal(node.states, 'a waiting, b running');
    node.host.setHealth(2, 'suspect');
    await settle();
    assert.equal(node.states, 'a running, b running');
    node.host.setHealth(2, 'down');
    await settle();
    assert.equal(node.states, 'a running, b running', 'it is a condition for the start only');
    assert.deepEqual(
      node.told.filter((line) => line.startsWith('a')),
      ['a waiting', 'a starting', 'a running'],
    );
    await node.supervisor.stop();
  });

  test('a role that waits can be stopped', async () => {
    const diary = new Diary();
    const node = await new Node(diary.role('a', { requires: ['x', 'y'] })).start();
    assert.equal(node.reasonOf('a'), 'requires x, y: no living member performs them');
    await node.supervisor.stop();
    assert.equal(node.states, 'a stopped');
    assert.equal(node.host.listeners.size, 0);
    assert.deepEqual(diary.lines, []);
  });

  test('its configs are fetched before its first start, and only then', async () => {
    const diary = new Diary();
    const node = new Node(diary.role('a', { consumes: ['host'] }), diary.role('b'));
    let arrive = (): void => {};
    node.host.bootstrapping = () =>
      new Promise((resolve) => {
        arrive = resolve;
      });
    await node.start();
    assert.deepEqual(diary.lines, []);
    assert.equal(node.states, 'a starting, b waiting');
    node.host.publishFrom(1, 'host', 'value');
    arrive();
    await settle();
    assert.deepEqual(diary.lines, ['a starts', 'b starts']);
    const [first] = diary.contexts;
    assert.deepEqual(
      first?.configs('host').map(({ value }) => value),
      ['value'],
    );
    first?.fail(new Error('broke'));
    await node.clock.advance(withJitter(restartMsMin));
    assert.equal(node.restartsOf('a'), 1);
    assert.deepEqual(node.host.bootstraps, ['a'], 'b consumes nothing');
    await node.supervisor.stop();
  });

  test('a bootstrap that fails is tried again, one that hangs holds up neither others nor the stop', async () => {
    const diary = new Diary();
    const node = new Node(diary.role('a', { consumes: ['host'] }), diary.role('b'));
    node.host.bootstrapping = () => Promise.reject(new HivemindError('address-unreachable', 'Nobody answers.'));
    await node.start();
    assert.equal(node.reasonOf('a'), 'Nobody answers.');
    node.host.bootstrapping = () => never;
    await node.clock.advance(withJitter(restartMsMin));
    assert.deepEqual(node.host.bootstraps, ['a', 'a']);
    await node.supervisor.stop();
    assert.equal(node.states, 'a stopped, b stopped');

    const hanging = new Node(diary.role('a', { consumes: ['host'] }), diary.role('b'));
    hanging.host.bootstrapping = () => never;
    await hanging.start();
    await hanging.clock.advance(roleStartMs);
    assert.equal(hanging.states, 'a starting, b running');
    await hanging.supervisor.stop();
  });
});
