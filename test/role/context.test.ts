import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HivemindError } from '../../src/error.ts';
import { answersAtOnceMax } from '../../src/role/context.ts';
import type { RoleChange, RoleContext } from '../../src/role/contract.ts';
import { restartMsMin } from '../../src/role/runner.ts';
import { settle } from './manual-clock.ts';
import { memberOf } from './memory-host.ts';
import { Diary, Node, withJitter } from './stage.ts';

const notFound = { code: 'not-found' };

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
