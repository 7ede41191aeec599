/** What a majority of control nodes is for: it is lost, nothing is decided; it is back, everything goes on. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { LocalLog, LocalPane, LocalStatus, LocalToken } from '../../src/node/local-api.ts';
import { Cluster } from './cluster.ts';
import { type Agent, assertSentence, freePort, missing } from './processes.ts';
import { digFor, fetchFrom, WebSite } from './visitor.ts';

const skipDns = await missing('dig', '-v');
const skipNginx = await missing('nginx', '-v');

const electionMs = 10_000;
const degradedMs = 10_000;

let cluster: Cluster;
let site: WebSite;
const ports = { dns: 0, nginx: 0 };
/** The control nodes in the order in which they fail; the last one does not. */
const control: { first: string; second: string; last: string } = { first: '', second: '', last: '' };
let degradedAt = 0;
const everybody = ['atlas', 'c1', 'c2', 'c3', 'dns-a', 'edge', 'host-b'];

before(async () => {
  cluster = await Cluster.found(3);
  site = await WebSite.open();
  for (const name of ['dns', 'nginx'] as const) ports[name] = await freePort();
  const { token } = cluster.founded;
  const services = `services: [{ name: git, port: ${site.port}, domains: [git.lab.test] }]`;
  await Promise.all([
    cluster.join({ name: 'atlas', through: 'c1', token, settings: `  host: { ${services} }` }),
    cluster.join({ name: 'host-b', through: 'c2', token, role: 'host' }),
    cluster.join({ name: 'dns-a', through: 'c3', token, settings: `  dns: { listen: ['127.0.0.1:${ports.dns}'] }` }),
    cluster.join({ name: 'edge', through: 'c1', token, settings: nginxOrHost() }),
  ]);
  await cluster.until('everybody knows everybody', async () => {
    const views = await Promise.all(everybody.map((name) => cluster.members(name)));
    return views.every((view) => view.join() === everybody.map((name) => `${name} alive`).join());
  });
  await theServicesAnswer();
});
after(async () => {
  await site.close();
  await cluster.close();
});

const nginxOrHost = (): string => (skipNginx ? '  host: {}' : `  nginx: { listen: ['127.0.0.1:${ports.nginx}'] }`);

async function theServicesAnswer(): Promise<void> {
  await cluster.until('dig and nginx answer', async () => {
    const named = skipDns || (await digFor(ports.dns, 'git.hive.internal')).join() === '127.0.0.1';
    return named && (skipNginx || (await fetchFrom(ports.nginx, 'git.lab.test')).status === 200);
  });
}

/** Whom each running node counts as a member, whatever it thinks of its health. */
async function membersEverywhere(): Promise<ReadonlyMap<string, string>> {
  const views = new Map<string, string>();
  for (const name of cluster.names.filter((each) => everybody.includes(each))) {
    const { members } = await cluster.ask(name, { kind: 'members' });
    views.set(
      name,
      members
        .map((member) => member.name)
        .sort()
        .join(),
    );
  }
  return views;
}

async function assertMembershipUnchanged(): Promise<void> {
  for (const [observer, view] of await membersEverywhere()) assert.equal(view, everybody.join(), observer);
}

describe('while there is a majority', () => {
  test('a leader that is killed is replaced', async (t) => {
    control.first = (await cluster.leader()) ?? '';
    const killedAt = Date.now();
    await cluster.agent(control.first).kill();
    const leader = await cluster.until('there is another leader', () => cluster.leader(), electionMs);
    t.diagnostic(`a new leader after ${Date.now() - killedAt} ms`);
    control.last = leader;
    control.second = ['c1', 'c2', 'c3'].find((name) => name !== control.first && name !== leader) ?? '';
    assert.match(await cluster.token('--role', 'host', '-n', 'atlas'), /^hm1\./);
  });
});

describe('without a majority', () => {
  test('an entry that is not committed is shown to nobody (HM-8)', async () => {
    const before = await cluster.ask(control.last, { kind: 'log', from: 1, most: 1_000 });
    await cluster.agent(control.second).kill();
    degradedAt = Date.now();
    const asked = cluster.run('token', 'create', '--role', 'host', '-n', control.last);
    await cluster.until('the leader wrote what it cannot decide', async () => {
      const { nodes } = await cluster.json<LocalPane>('control', 'ls', '-n', control.last);
      const own = nodes.find(({ name }) => name === control.last);
      return own?.lastIndex !== undefined && own.lastIndex > (own.commitIndex ?? 0);
    });
    for (const observer of [control.last, 'atlas']) {
      const { entries, commitIndex } = await cluster.json<LocalLog>('log', '--last', '500', '-n', observer);
      assert.equal(commitIndex, before.commitIndex, observer);
      assert.deepEqual(entries.at(-1), before.entries.at(-1), observer);
    }
    const outcome = await asked;
    assert.equal(outcome.code, 1);
    assertSentence(outcome);
  });

  test('every node says that it is degraded, and since when (HM-6)', async (t) => {
    const changes = await Promise.all(
      cluster.names.map((name) =>
        cluster.until(
          `${name} is degraded`,
          async () => {
            const { pane } = await cluster.ask(name, { kind: 'status' });
            if (pane.state !== 'no-quorum') return undefined;
            const event = (await cluster.events(name)).findLast(({ kind }) => kind === 'pane');
            return event && { noticedAt: Date.parse(event.at), since: Date.parse(pane.since) };
          },
          degradedMs,
        ),
      ),
    );
    const last = Math.max(...changes.map(({ noticedAt }) => noticedAt));
    t.diagnostic(`the last node noticed ${last - degradedAt} ms after the majority was lost`);
    assert(last - degradedAt < degradedMs);
    for (const { since } of changes) assert(since >= degradedAt && since <= last);
    for (const name of cluster.names) {
      const { stdout } = await cluster.run('status', '-n', name);
      assert.match(stdout, /degraded.*since/i, name);
    }
  });

  test('a join is refused, or waits with --patient; nobody is a member who was none (HM-9)', async () => {
    const { token } = cluster.founded;
    const refused = await cluster.beginJoin({ name: 'late', through: 'atlas', token, role: 'host' });
    const outcome = await refused.ends();
    assert.equal(outcome.code, 1);
    assertSentence(outcome);
    const patient = await cluster.beginJoin({
      name: 'patient',
      through: control.last,
      token,
      role: 'host',
      flags: ['--patient'],
    });
    await patient.says(/^Not yet: The cluster is degraded.* Asking again in \d+ s\.$/m);
    await assertMembershipUnchanged();
  });

  test('a leave stays pending: nobody forgets the node, and it works on (HM-10)', async () => {
    const outcome = await cluster.run('leave', '-n', 'host-b');
    assert.equal(outcome.code, 1);
    assertSentence(outcome);
    assert.equal((await cluster.json<LocalStatus>('status', '-n', 'host-b')).leaving, true);
    assert(cluster.agent('host-b').isRunning);
    await assertMembershipUnchanged();
  });

  test('names are resolved and pages are served as before', theServicesAnswer);

  test('every node answers from its own view, with no leader, and says whose it is (CS-12, CS-13)', async () => {
    const living = cluster.names.filter((name) => ![control.first, control.second, 'patient'].includes(name));
    for (const name of living) {
      const { observer, pane, members } = await cluster.ask(name, { kind: 'members' });
      assert.equal(observer, name);
      assert.notEqual(pane, 'healthy');
      assert(members.length >= everybody.length);
    }
  });
});

describe('when the majority is back', () => {
  test('the cluster is healthy by itself, and what was pending is carried out (HM-10)', async (t) => {
    const startedAt = Date.now();
    await Promise.all([control.first, control.second].map((name) => cluster.start(name)));
    await cluster.until('every node is healthy', async () => {
      const names = cluster.names.filter((name) => name !== 'patient' && name !== 'host-b');
      const answers = await Promise.all(names.map((name) => cluster.ask(name, { kind: 'status' })));
      return answers.every(({ pane }) => pane.state === 'healthy');
    });
    t.diagnostic(`healthy ${Date.now() - startedAt} ms after the control nodes were started`);
    assert.equal((await cluster.agent('host-b').ends()).code, 0);
    await cluster.agent('patient').says(/^Ready/m);
    const wanted = [...everybody.filter((name) => name !== 'host-b'), 'patient'].sort();
    await cluster.until('all know who left and who came', async () => {
      const views = await membersEverywhere();
      return [...views.values()].every((view) => view === wanted.join());
    });
  });
});

describe('a crash of all processes at once', () => {
  test('loses no entry that was acknowledged (HM-7)', async (t) => {
    const acknowledged: LocalToken[] = [];
    let isOver = false;
    const writers = ['c1', 'c2', 'c3', 'atlas'].map(async (name) => {
      while (!isOver) {
        const request = { kind: 'create-token', roles: ['host'], ttlMs: 3_600_000, usesMax: 1 } as const;
        try {
          acknowledged.push(await cluster.ask(name, request));
        } catch {
          // Not acknowledged: nothing is promised of it.
        }
      }
    });
    await cluster.until('a good many are acknowledged', () => acknowledged.length >= 100);
    await killAll(cluster.names.map((name) => cluster.agent(name)));
    isOver = true;
    await Promise.all(writers);
    t.diagnostic(`${acknowledged.length} entries were acknowledged`);

    await Promise.all(['c1', 'c2', 'c3'].map((name) => cluster.start(name)));
    await cluster.until('the control pane has a leader', async () => (await cluster.leader()) !== undefined);
    const kept = new Map<number, unknown>();
    await cluster.until('the leader has applied its log', async () => {
      const { entries, commitIndex } = await cluster.json<LocalLog>('log', '--last', '2000', '-n', 'c1');
      for (const { index, detail } of entries) kept.set(index, detail.notAfter);
      return commitIndex >= Math.max(...acknowledged.map(({ index }) => index));
    });
    for (const { index, expiresAt } of acknowledged) assert.equal(kept.get(index), expiresAt, `entry ${index}`);
  });
});

async function killAll(agents: readonly Agent[]): Promise<void> {
  for (const agent of agents) agent.signal('SIGKILL');
  await Promise.all(agents.map((agent) => agent.ended));
}
