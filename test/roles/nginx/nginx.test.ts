/** With a real nginx on free loopback ports. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { type Agent, createServer, type IncomingHttpHeaders, request, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { prepareLayout } from '../../../roles/nginx/layout.ts';
import type { Model } from '../../../roles/nginx/model.ts';
import nginxRole from '../../../roles/nginx/nginx.ts';
import { findBinary, NginxProcess } from '../../../roles/nginx/process.ts';
import { Reloader } from '../../../roles/nginx/reload.ts';
import { type NginxSettings, nginxSettings } from '../../../roles/nginx/settings.ts';
import { servedHash } from '../../../roles/nginx/verification.ts';
import type { RoleConfig, RoleMember, RunningRole } from '../../../src/role/role.ts';
import { memberOf, type RoleStage, stageFor, until, withFolder } from '../host/role-context.ts';

const isInstalled = await findBinary('nginx').then(
  () => true,
  () => false,
);
const isRequired = process.env.HIVEMIND_REQUIRE_TOOLS === '1';
const skip = isInstalled || isRequired ? false : 'nginx is not installed';

const self = memberOf(9, 'edge', ['nginx']);
const hosts = [1, 2, 3].map((number) => memberOf(number, `host-${number}`, ['host'])) as [
  RoleMember,
  RoleMember,
  RoleMember,
];

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function get(port: number, domain: string, body?: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { Host: domain };
    const method = body === undefined ? 'GET' : 'POST';
    const asked = request({ host: '127.0.0.1', port, path: '/', method, headers, agent: false as false | Agent });
    asked.on('error', reject);
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    asked.end(body);
  });
}

interface Backend {
  readonly port: number;
  readonly server: Server;
}

/** Answers its name, what it was asked as, and how many bytes it was sent. */
async function backend(name: string): Promise<Backend> {
  const server = createServer((incoming, response) => {
    let received = 0;
    incoming.on('data', (part: Buffer) => {
      received += part.length;
    });
    incoming.on('end', () => {
      const { host, 'x-forwarded-for': from, 'x-forwarded-proto': scheme } = incoming.headers;
      response.end(JSON.stringify({ name, host, from, scheme, received }));
    });
  });
  server.on('upgrade', (_incoming, socket) => {
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, server };
}

function configOf(owner: RoleMember, port: number, over: Record<string, unknown> = {}): RoleConfig {
  const service = {
    name: 'web',
    addresses: ['127.0.0.1'],
    port,
    protocol: 'tcp',
    weight: 100,
    tags: [],
    domains: ['www.lab.test'],
    healthy: true,
    ...over,
  };
  return { owner, role: 'host', seq: 1, value: { services: [service] } };
}

interface Edge {
  readonly port: number;
  readonly folder: string;
  readonly stage: RoleStage<NginxSettings>;
  readonly backends: readonly [Backend, Backend];
}

/** A stage with two hosts that serve www.lab.test; whatever is started is handed to `own` and stopped at the end. */
async function withEdge(use: (edge: Edge, own: (role: RunningRole) => RunningRole) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    await chmod(folder, 0o755);
    const port = await freePort();
    const stage = stageFor(nginxSettings.parse({ listen: [`127.0.0.1:${port}`] }), folder, self);
    const backends = [await backend('one'), await backend('two')] as const;
    stage.setMembers([self, ...hosts]);
    stage.setConfigs([configOf(hosts[0], backends[0].port), configOf(hosts[1], backends[1].port)]);
    const owned: RunningRole[] = [];
    try {
      await use({ port, folder, stage, backends }, (role) => {
        owned.push(role);
        return role;
      });
    } finally {
      for (const role of owned) await role.stop();
      for (const { server } of backends) {
        server.closeAllConnections();
        server.close();
      }
    }
  });
}

const statusOf = (role: RunningRole): Readonly<Record<string, unknown>> => role.status?.() ?? {};
const isAlive = (pid: unknown): boolean => {
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
};

async function namesServed(port: number, times: number): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (let index = 0; index < times; index++) {
    const answer = await get(port, 'www.lab.test');
    names.add(answer.status === 200 ? JSON.parse(answer.text).name : String(answer.status));
  }
  return names;
}

test(
  'HM-29: a page is served through both instances by its name, other names are unknown, and stop leaves no process',
  { skip },
  () =>
    withEdge(async ({ port, stage }, own) => {
      const role = own(await nginxRole.start(stage.context));
      assert.deepEqual(await namesServed(port, 6), new Set(['one', 'two']));
      const seen = JSON.parse((await get(port, 'www.lab.test')).text);
      assert.deepEqual([seen.host, seen.from, seen.scheme], ['www.lab.test', '127.0.0.1', 'http']);
      assert.equal((await get(port, 'unknown.lab.test')).status, 404);
      const { pid, reloads, generation } = statusOf(role);
      assert.deepEqual([reloads, generation], [1, 1]);
      assert.ok(isAlive(pid));
      await role.stop();
      assert.ok(!isAlive(pid));
      await assert.rejects(get(port, 'www.lab.test'));
      assert.deepEqual(stage.failures, []);
    }),
);

test(
  'A removed host drops out, a site without a server says so politely, and an equal model reloads nothing',
  { skip },
  () =>
    withEdge(async ({ port, stage, backends, folder }, own) => {
      const role = own(await nginxRole.start(stage.context));
      stage.setConfigs([configOf(hosts[0], backends[0].port), configOf(hosts[1], backends[1].port)]);
      stage.setMembers([self, hosts[0]]);
      await until('the second host is out', () => statusOf(role).reloads === 2);
      assert.deepEqual(await namesServed(port, 6), new Set(['one']));

      stage.setConfigs([configOf(hosts[0], backends[0].port, { healthy: false })]);
      await until('nobody is left', () => statusOf(role).reloads === 3);
      const answer = await get(port, 'www.lab.test');
      assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '10']);
      assert.match(answer.text, /Back soon/);

      stage.setConfigs([configOf(hosts[0], backends[0].port, { healthy: false, tags: ['changed'] })]);
      await new Promise((resolve) => setTimeout(resolve, 2500));
      assert.equal(statusOf(role).reloads, 3, 'tags mean nothing to nginx');

      stage.setConfigs([]);
      stage.setMembers([self, ...hosts]);
      await new Promise((resolve) => setTimeout(resolve, 700));
      assert.equal(statusOf(role).reloads, 3, 'hosts whose configs have not arrived do not empty what is served');
      assert.equal((await readdir(join(folder, 'generations'))).length, 3);
    }),
);

test('HM-29: five reloads drop no request', { skip, timeout: 60_000 }, () =>
  withEdge(async ({ port, stage, backends }, own) => {
    const role = own(await nginxRole.start(stage.context));
    let isDone = false;
    const failures: string[] = [];
    let requests = 0;
    const ask = async (): Promise<void> => {
      while (!isDone) {
        await get(port, 'www.lab.test').then(
          (answer) => answer.status === 200 || failures.push(String(answer.status)),
          (error: Error) => failures.push(error.message),
        );
        requests++;
      }
    };
    const asking = [ask(), ask(), ask(), ask()];
    for (let reload = 1; reload <= 5; reload++) {
      stage.setConfigs(
        backends.map((each, index) => configOf(hosts[index] as RoleMember, each.port, { weight: reload })),
      );
      await until(`reload ${reload}`, () => statusOf(role).reloads === reload + 1);
    }
    isDone = true;
    await Promise.all(asking);
    assert.deepEqual(failures, []);
    assert.ok(requests > 100, `${requests} requests`);
  }),
);

test('Without a quorum, hints do not empty a site; with one again, its conviction counts', { skip }, () =>
  withEdge(async ({ port, stage }, own) => {
    const role = own(await nginxRole.start(stage.context));
    stage.setDegraded(true);
    stage.setMembers([self, ...hosts.map((host) => ({ ...host, health: 'down' as const }))]);
    await until('both are held', () => stage.events.some((event) => event.name === 'nginx-held'));
    assert.deepEqual(await namesServed(port, 6), new Set(['one', 'two']));
    stage.setDegraded(false);
    await until('the conviction counts', () => statusOf(role).reloads === 2);
    assert.deepEqual(await namesServed(port, 2), new Set(['503']));
  }),
);

test('A dead instance costs no visitor an error, and WebSocket upgrades pass', { skip }, () =>
  withEdge(async ({ port, stage, backends }, own) => {
    own(await nginxRole.start(stage.context));
    const upgraded = await new Promise<number>((resolve, reject) => {
      const headers = { Host: 'www.lab.test', Connection: 'Upgrade', Upgrade: 'echo' };
      const asked = request({ host: '127.0.0.1', port, headers, agent: false });
      asked.on('upgrade', (response, socket) => {
        socket.destroy();
        resolve(response.statusCode ?? 0);
      });
      asked.on('response', (response) => resolve(response.statusCode ?? 0));
      asked.on('error', reject);
      asked.end();
    });
    assert.equal(upgraded, 101);
    backends[1].server.closeAllConnections();
    await new Promise((resolve) => backends[1].server.close(resolve));
    assert.deepEqual(await namesServed(port, 10), new Set(['one']));
  }),
);

test(
  'Large uploads pass even where only the agent may enter its folder, and a long path does not break the socket',
  { skip },
  () =>
    withEdge(async ({ port, stage, folder }, own) => {
      const deep = join(folder, 'a'.repeat(100), 'nginx');
      await mkdir(deep, { recursive: true });
      await chmod(folder, 0o700);
      own(await nginxRole.start({ ...stage.context, folder: deep }));
      const answer = await get(port, 'www.lab.test', Buffer.alloc(2_000_000, 'x'));
      assert.equal(JSON.parse(answer.text).received, 2_000_000);
    }),
);

test('A virtual host that nginx refuses is quarantined by name, and the others go on', { skip }, () =>
  withEdge(async ({ port, stage, backends, folder }, own) => {
    const layout = await prepareLayout(folder);
    const nginx = new NginxProcess(await findBinary('nginx'), layout);
    own({ stop: () => nginx.stop() });
    const reloader = new Reloader(stage.context, layout, nginx, stage.context.signal);
    const server = { owner: 'host-1', address: '127.0.0.1', port: backends[0].port, weight: 1, down: false };
    const bad = { ...server, address: '999.1.1.1' };
    const model: Model = {
      virtualHosts: [
        { domain: 'bad.lab.test', service: 'bad', servers: [bad] },
        { domain: 'www.lab.test', service: 'web', servers: [server] },
      ],
      conflicts: [],
      held: [],
      leftOut: 0,
    };
    assert.equal((await reloader.apply(model)).kind, 'serving');
    assert.deepEqual(reloader.serving?.quarantined, ['bad.lab.test']);
    assert.equal((await get(port, 'www.lab.test')).status, 200);
    assert.equal((await get(port, 'bad.lab.test')).status, 404);
    const told = stage.events.find((event) => event.name === 'nginx-quarantined');
    assert.equal(told?.detail.domain, 'bad.lab.test');
    assert.match(String(told?.detail.reason), /host not found in upstream/);
    assert.equal((await reloader.apply(model)).kind, 'unchanged');
  }),
);

test('A taken port is named at the start, and nothing is left running', { skip }, () =>
  withEdge(async ({ port, stage, folder }) => {
    const squatter = createTcpServer();
    await new Promise<void>((resolve) => squatter.listen(port, '127.0.0.1', resolve));
    await assert.rejects(nginxRole.start(stage.context), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'port-in-use');
      assert.match(error.message, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: another process has`));
      return true;
    });
    await new Promise((resolve) => squatter.close(resolve));
    assert.equal(await new NginxProcess('nginx', await prepareLayout(folder)).adopt(), false);
  }),
);

test('An nginx whose agent was killed is adopted as it is; a reload that cannot work is rolled back', { skip }, () =>
  withEdge(async ({ port, stage, folder }, own) => {
    const first = await nginxRole.start(stage.context);
    const layout = await prepareLayout(folder);
    const before = statusOf(first);

    const taken = createTcpServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const place = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
    const moved = stageFor(nginxSettings.parse({ listen: [place] }), folder, self);
    moved.setMembers([self, ...hosts]);
    moved.setConfigs(stage.context.configs('host'));
    await assert.rejects(nginxRole.start(moved.context), { code: 'port-in-use' });
    assert.deepEqual(
      moved.events.map((event) => event.name),
      ['nginx-rolled-back'],
    );
    assert.equal(await servedHash(layout), before.hash);
    assert.equal((await get(port, 'www.lab.test')).status, 200);
    assert.equal(await readlink(layout.current), 'generations/000001');
    await new Promise((resolve) => taken.close(resolve));

    const again = stageFor(stage.context.settings, folder, self);
    again.setMembers([self, ...hosts]);
    again.setConfigs(stage.context.configs('host'));
    const second = own(await nginxRole.start(again.context));
    assert.equal(statusOf(second).pid, before.pid);
    assert.equal(statusOf(second).reloads, 0, 'it serves the right configuration already');
    await second.stop();
    assert.ok(!isAlive(before.pid));
    await until('the first owner notices', () => stage.failures.length === 1);
    await first.stop();
    assert.equal(await readFile(layout.pidFile, 'utf8').catch(() => 'gone'), 'gone');
  }),
);

test('An nginx that is killed is noticed, and its left-over workers do not hinder the next one', { skip }, () =>
  withEdge(async ({ port, stage, folder }, own) => {
    const first = await nginxRole.start(stage.context);
    const layout = await prepareLayout(folder);
    process.kill(Number(statusOf(first).pid), 'SIGKILL');
    await until('it is noticed', () => stage.failures.length === 1);
    assert.match(stage.failures[0]?.message ?? '', /ended by itself/);
    const second = own(await nginxRole.start(stage.context));
    assert.notEqual(statusOf(second).pid, statusOf(first).pid);
    assert.equal((await get(port, 'www.lab.test')).status, 200);
    await first.stop();
    assert.ok(isAlive(statusOf(second).pid), 'whoever lost its nginx does not end the next one');
    await second.stop();
    await writeFile(layout.pidFile, `${process.pid}\n`);
    assert.equal(await new NginxProcess('nginx', layout).adopt(), false, 'a pid may be anybody by now');
  }),
);

test('A missing nginx is named with the command that installs it', async () => {
  await assert.rejects(findBinary('/nowhere/nginx'), { code: 'role-failed' });
  const path = process.env.PATH;
  process.env.PATH = '';
  const outcome = await findBinary('no-such-nginx').catch((error: Error) => error.message);
  process.env.PATH = path;
  assert.match(String(outcome), /install nginx, or name its program/);
});
