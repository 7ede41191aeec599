import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HivemindError } from '../../src/error.ts';
import { wallText } from '../../src/identity.ts';
import { answersAtOnceMax } from '../../src/role/context.ts';
import {
  type RoleChange,
  type RoleContext,
  type RoleDefinition,
  roleStartMs,
  roleStopMs,
} from '../../src/role/contract.ts';
import { metricNamesMax } from '../../src/role/meter.ts';
import { factsBytesMax } from '../../src/role/role-run.ts';
import { restartForgottenMs, restartMsMax, restartMsMin } from '../../src/role/runner.ts';
import { Supervisor } from '../../src/role/supervisor.ts';
import { ManualClock, settle, wallStart } from './manual-clock.ts';
import { MemoryHost, memberOf } from './memory-host.ts';

type Definition = RoleDefinition<unknown>;

const never = new Promise<never>(() => {});
const notFound = { code: 'not-found' };

/** The most that a delay may be because of its jitter, with a millisecond for rounding. */
const withJitter = (delayMs: number): number => delayMs * 1.1 + 1;

class Node {
  readonly clock: ManualClock = new ManualClock();
  readonly host: MemoryHost = new MemoryHost(memberOf(1, 'one', 'a', 'b', 'c'), this.clock);
  readonly supervisor: Supervisor;

  constructor(...definitions: readonly Definition[]) {
    const roles = definitions.map((definition) => ({ definition, settings: undefined }));
    this.supervisor = new Supervisor(this.host, roles);
  }

  async start(): Promise<this> {
    this.supervisor.start();
    await settle();
    return this;
  }

  get states(): string {
    return this.supervisor
      .statuses()
      .map((status) => `${status.name} ${status.state}`)
      .join(', ');
  }

  get told(): readonly string[] {
    return this.host.events.map(({ role, name }) => `${role} ${name}`);
  }

  reasonOf(role: string): string | undefined {
    return this.supervisor.statuses().find(({ name }) => name === role)?.reason;
  }

  restartsOf(role: string): number | undefined {
    return this.supervisor.statuses().find(({ name }) => name === role)?.restarts;
  }
}

/** A role that is well: it writes down what is asked of it, and keeps its contexts for the test. */
class Diary {
  readonly lines: string[] = [];
  readonly contexts: RoleContext<unknown>[] = [];

  role(name: string, more: Partial<Definition> = {}): Definition {
    return {
      name,
      start: async (context) => {
        this.lines.push(`${name} starts`);
        this.contexts.push(context);
        return {
          stop: async () => {
            this.lines.push(`${name} stops`);
          },
        };
      },
      ...more,
    };
  }

  /** Of the latest start. */
  get context(): RoleContext<unknown> {
    return this.contexts.at(-1) as RoleContext<unknown>;
  }
}

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
  test('a role that does not start in time is failed, the next one starts, and whatever comes late is stopped', async () => {
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

  test('a bootstrap that fails is tried again with the role, and one that hangs holds up neither others nor the stop', async () => {
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

describe('The context of a role', () => {
  test('tells it the members by role and itself as it is now', async () => {
    const diary = new Diary();
    const node = await new Node(diary.role('a')).start();
    node.host.meet(memberOf(2, 'two', 'host'));
    const { context } = diary;
    assert.deepEqual(
      context.members('host').map(({ name }) => name),
      ['two'],
    );
    assert.equal(context.members().length, 2);
    node.host.meet({ ...context.self, endpoints: [{ host: '10.0.0.9', port: 7100 }] });
    assert.equal(context.self.endpoints[0]?.host, '10.0.0.9');
    await node.supervisor.stop();
  });

  test('gives configs and changes of what the role declares, and names what it does not', async () => {
    const diary = new Diary();
    const node = await new Node(diary.role('a', { consumes: ['host'] })).start();
    const changes: RoleChange[] = [];
    diary.context.onChange((change) => changes.push(change));
    assert.throws(() => diary.context.configs('dns'), {
      code: 'usage',
      message: 'The role "a" reads the configs of "dns" without declaring it; add "dns" to its "consumes".',
    });
    node.host.publishFrom(1, 'dns', 1);
    node.host.publishFrom(1, 'host', 1);
    node.host.meet(memberOf(2, 'two', 'host'));
    assert.deepEqual(changes, [{ kind: 'configs', role: 'host', owner: 1, seq: 1 }, { kind: 'members' }]);
    assert.equal(await diary.context.publish('x'), 1);
    assert.equal(await diary.context.publish('x'), 1);
    assert.equal(await diary.context.publish('y'), 2);
    await node.supervisor.stop();
  });

  test('tells one change at a time, and ends a circle of changes with the role and not with the node', async () => {
    const diary = new Diary();
    const node = await new Node(diary.role('a', { consumes: ['host'] }), diary.role('b')).start();
    const context = diary.contexts[0] as RoleContext<unknown>;
    const heard: string[] = [];
    context.onChange((change) => {
      if (change.kind === 'members') node.host.publishFrom(1, 'host', 1);
      heard.push(`first ${change.kind}`);
    });
    context.onChange((change) => heard.push(`second ${change.kind}`));
    node.host.meet(memberOf(2, 'two'));
    assert.deepEqual(heard, ['first members', 'second members', 'first configs', 'second configs']);
    let value = 1;
    context.onChange(() => node.host.publishFrom(1, 'host', ++value));
    node.host.meet(memberOf(2, 'two'));
    await settle();
    assert.equal(node.states, 'a failed, b running');
    assert.match(node.reasonOf('a') ?? '', /answers each change with the next/);
    await node.supervisor.stop();
  });

  const ways: Readonly<Record<string, (context: RoleContext<unknown>) => void>> = {
    'listener that throws': (context) =>
      void context.onChange(() => {
        throw new Error('boom');
      }),
    'listener that rejects': (context) => void context.onChange((async () => assert.fail('boom')) as () => void),
    'timer that throws': (context) =>
      void context.clock.after(0, () => {
        throw new Error('boom');
      }),
  };
  for (const [way, prepare] of Object.entries(ways)) {
    test(`makes of a ${way} a failure of the role, and the others never know`, async () => {
      const diary = new Diary();
      const node = await new Node(diary.role('a'), diary.role('b')).start();
      prepare(diary.contexts[0] as RoleContext<unknown>);
      let heard = 0;
      diary.context.onChange(() => heard++);
      node.host.meet(memberOf(2, 'two'));
      await node.clock.advance(1);
      assert.equal(node.states, 'a failed, b running');
      assert.equal(node.reasonOf('a'), 'boom');
      assert.equal(heard, 1);
      await node.supervisor.stop();
    });
  }

  test('is of no effect once the role has stopped', async () => {
    const diary = new Diary();
    let farewell: number | undefined;
    const node = await new Node({
      name: 'a',
      async start(context) {
        await diary.role('a').start(context);
        return {
          async stop() {
            farewell = await context.publish('gone');
          },
        };
      },
    }).start();
    const { context } = diary;
    let calls = 0;
    const call = (): void => void calls++;
    context.onChange(call);
    context.clock.after(1_000, call);
    await node.supervisor.stop();
    assert.equal(farewell, 1, 'its last word may be said');
    const events = node.host.events.length;
    context.onChange(call);
    context.clock.after(0, call);
    context.onRequest(async () => call());
    context.event('late', {});
    context.fail(new Error('late'));
    context.metrics.count('late_total');
    await assert.rejects(context.publish('late'), { code: 'refused' });
    await assert.rejects(context.request(1, 'a', 'late'), { code: 'refused' });
    node.host.meet(memberOf(2, 'two'));
    await node.clock.advance(2_000);
    assert.equal(calls, 0);
    assert.equal(node.host.events.length, events);
    assert.equal(node.states, 'a stopped');
    assert.equal(node.host.configs('a')[0]?.value, 'gone');
  });
});

describe('A request', () => {
  test('reaches the handler of its role on its node, and brings back the answer', async () => {
    const [asking, answering] = [new Diary(), new Diary()];
    const asker = await new Node(asking.role('a')).start();
    const answerer = await new Node(answering.role('a'), answering.role('b')).start();
    asker.host.connect(2, (role, from, body) => answerer.supervisor.onRequest(role, from, body));
    answering.context.onRequest(async (from, body) => `${from.name} says ${body}`);
    assert.equal(await asking.context.request(2, 'b', 'hello'), 'one says hello');
    assert.throws(() => answering.context.onRequest(async () => {}), { code: 'usage' });

    await assert.rejects(asking.context.request(2, 'x', 'hello'), {
      ...notFound,
      message: 'one does not perform the role "x"; ask a member that does.',
    });
    await assert.rejects(asking.context.request(2, 'a', 'hello'), { ...notFound, message: /answers no requests/ });
    await assert.rejects(asking.context.request(3, 'a', 'hello'), { code: 'address-unreachable' });
    answering.context.fail(new Error('broke'));
    await settle();
    await assert.rejects(asking.context.request(2, 'b', 'hello'), { ...notFound, message: /is failed; ask later/ });
    await answerer.clock.advance(withJitter(restartMsMin));
    await assert.rejects(asking.context.request(2, 'b', 'hello'), notFound, 'a new start has a handler of its own');
    answering.context.onRequest(async () => 'back');
    assert.equal(await asking.context.request(2, 'b', 'hello'), 'back');
    await Promise.all([asker.supervisor.stop(), answerer.supervisor.stop()]);
    await assert.rejects(answerer.supervisor.onRequest('b', asker.host.self(), 1), notFound);
  });

  test('that its handler refuses is refused in its words; what went wrong inside stays inside', async () => {
    const diary = new Diary();
    const node = await new Node(diary.role('a')).start();
    const handlers: Readonly<Record<string, () => Promise<unknown>>> = {
      refuse: () => Promise.reject(new HivemindError('refused', 'Not today.')),
      // A role in plain JavaScript may throw where it should reject.
      throw: () => {
        throw new Error('secret');
      },
    };
    diary.context.onRequest((_from, body) => handlers[String(body)]?.() ?? Promise.resolve());
    const ask = (body: string): Promise<unknown> => node.supervisor.onRequest('a', node.host.self(), body);
    await assert.rejects(ask('refuse'), { code: 'refused', message: 'Not today.' });
    await assert.rejects(
      ask('throw'),
      (error: HivemindError) => error.code === 'internal' && !/secret/.test(error.message),
    );
    assert.equal(node.states, 'a running');
    await node.supervisor.stop();
  });

  test('too many at once is refused as busy, until others are answered', async () => {
    const diary = new Diary();
    const node = await new Node(diary.role('a')).start();
    const answers: (() => void)[] = [];
    diary.context.onRequest(() => new Promise<void>((resolve) => answers.push(resolve)));
    const ask = (): Promise<unknown> => node.supervisor.onRequest('a', node.host.self(), 1);
    const asked = Array.from({ length: answersAtOnceMax }, ask);
    await assert.rejects(ask(), { code: 'busy' });
    for (const answer of answers) answer();
    await Promise.all(asked);
    const again = ask();
    answers.at(-1)?.();
    await again;
    await node.supervisor.stop();
  });
});
