import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { test } from 'node:test';
import { z } from 'zod';
import { type HostConfig, readHostConfig } from '../../../roles/host/contract.ts';
import { afterCheck, healthAtStart } from '../../../roles/host/health.ts';
import { checksAtOnceMax, HealthChecks, runCheck } from '../../../roles/host/health-check.ts';
import host from '../../../roles/host/host.ts';
import { type CheckSettings, type HostSettings, hostSettings } from '../../../roles/host/settings.ts';
import { memberOf, type RoleStage, stageFor, until } from './role-context.ts';

const parse = (services: readonly unknown[]): HostSettings => hostSettings.parse({ services });
const atlas = memberOf(7, 'atlas', ['host'], '127.0.0.1');

function stage(services: readonly unknown[]): RoleStage<HostSettings> {
  return stageFor(parse(services), '/nowhere', atlas);
}

function issues(services: readonly unknown[]): readonly string[] {
  const result = hostSettings.safeParse({ services });
  return result.success ? [] : result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
}

async function listening(server: Server | TcpServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function published(staged: RoleStage<HostSettings>): readonly boolean[] {
  return staged.published.map((value) => (value as HostConfig).services[0]?.healthy ?? false);
}

const tcpCheck = (over: Partial<CheckSettings> = {}): CheckSettings =>
  ({ kind: 'tcp', intervalMs: 100, timeoutMs: 300, failuresMax: 2, successesMin: 1, ...over }) as CheckSettings;

test('HM-2: a service is published with the defaults filled in, and others read it back unchanged', async () => {
  const staged = stage([{ name: 'git', port: 3000, domains: ['git.lab.test'] }]);
  const running = await host.start(staged.context);
  const [value] = staged.published;
  assert.deepEqual(value, {
    services: [
      {
        name: 'git',
        addresses: ['127.0.0.1'],
        port: 3000,
        protocol: 'tcp',
        weight: 100,
        tags: [],
        domains: ['git.lab.test'],
        healthy: true,
      },
    ],
  });
  assert.deepEqual(readHostConfig(value), value);
  await running.stop();
});

test('HM-2: a checked service starts unhealthy, turns with its port, and is published on turns only', async () => {
  const server = createServer((request, response) => response.writeHead(request.url === '/up' ? 204 : 500).end());
  const port = await listening(server);
  const check = { kind: 'http', path: '/up', intervalMs: 100, timeoutMs: 1000 };
  const staged = stage([{ name: 'git', port, check }]);
  const running = await host.start(staged.context);
  assert.deepEqual(published(staged), [false]);
  await until('healthy', () => published(staged).length === 2);
  await new Promise((resolve) => setTimeout(resolve, 350));
  assert.deepEqual(published(staged), [false, true], 'further successes publish nothing');

  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await until('unhealthy', () => published(staged).length === 3);
  assert.deepEqual(published(staged), [false, true, false]);
  const status = running.status?.() ?? {};
  const [service] = status.services as readonly Record<string, unknown>[];
  assert.equal(service?.lastError, 'connection refused');
  assert.match(String(service?.since), /Z$/);
  assert.deepEqual(
    staged.events.map((event) => event.name),
    ['service-healthy', 'service-unhealthy'],
  );
  await running.stop();
});

test('A check that answers an error status, or nothing at all, fails and says why', async () => {
  const staged = stage([]);
  const { clock, signal } = staged.context;
  const failing = createServer((_request, response) => response.writeHead(503).end());
  const sockets = new Set<Socket>();
  const silent = createTcpServer((socket) => void sockets.add(socket));
  const httpPort = await listening(failing);
  const silentPort = await listening(silent);
  const httpCheck: CheckSettings = { ...tcpCheck(), kind: 'http', path: '/' };
  const check = (settings: CheckSettings, port: number): Promise<string | undefined> =>
    runCheck(settings, { host: '127.0.0.1', port }, clock, signal);
  assert.equal(await check(httpCheck, httpPort), 'answered with status 503');
  assert.equal(await check(httpCheck, silentPort), 'no answer within 300 ms');
  assert.equal(await check(tcpCheck(), silentPort), undefined);
  for (const socket of sockets) socket.destroy();
  failing.close();
  silent.close();
  assert.equal(await check(tcpCheck(), silentPort), 'connection refused');
});

test('Health turns after so many failures in a row, and back after so many successes in a row', () => {
  const check = tcpCheck({ failuresMax: 2, successesMin: 2 });
  let health = healthAtStart(true, 0);
  const outcomes = [undefined, undefined, 'a', undefined, 'b', 'c', undefined, 'd', undefined, undefined];
  const turned = outcomes.map((error, at) => {
    health = afterCheck(health, error, check, at);
    return health.healthy;
  });
  assert.deepEqual(turned, [false, true, true, true, true, false, false, false, false, true]);
  assert.equal(health.since, 9);
  assert.equal(health.lastError, undefined);
});

test('No more checks run at once than the limit, all get their turn, and stopping ends them', async () => {
  const sockets = new Set<Socket>();
  const silent = createServer(() => {});
  let open = 0;
  let most = 0;
  silent.on('connection', (socket) => {
    sockets.add(socket);
    most = Math.max(most, ++open);
    socket.on('close', () => open--);
  });
  const port = await listening(silent);
  const { clock, random } = stage([]).context;
  const checks = new HealthChecks(clock, random);
  const checked = new Set<number>();
  for (let index = 0; index < checksAtOnceMax * 2; index++) {
    const check: CheckSettings = { ...tcpCheck({ timeoutMs: 200, intervalMs: 60_000 }), kind: 'http', path: '/' };
    checks.add({ check, target: () => ({ host: '127.0.0.1', port }), onOutcome: () => void checked.add(index) });
  }
  await until('every target was checked', () => checked.size === checksAtOnceMax * 2);
  assert.ok(most <= checksAtOnceMax + 2, `${most} connections at once`);
  checks.add({
    check: { ...tcpCheck({ timeoutMs: 60_000 }), kind: 'http', path: '/' },
    target: () => ({ host: '127.0.0.1', port }),
    onOutcome: () => assert.fail('an ended check has no outcome'),
  });
  await checks.stop();
  for (const socket of sockets) socket.destroy();
  silent.close();
});

test('Settings that cannot be meant are refused in sentences', () => {
  const git = { name: 'git', port: 3000 };
  assert.deepEqual(issues([git, { ...git, port: 3001 }]), [
    'services.1.name: Two services are called "git"; give each a name of its own.',
  ]);
  assert.deepEqual(
    issues([
      { ...git, domains: ['a.test'] },
      { name: 'web', port: 80, domains: ['a.test'] },
    ]),
    ['services.1.domains.0: The domain a.test is named twice, in "git" and "web"; leave one out.'],
  );
  assert.match(issues([{ ...git, name: 'Git!' }])[0] ?? '', /^services\.0\.name: "Git!" cannot name a service/);
  assert.match(issues([{ ...git, domains: ['A.test.'] }])[0] ?? '', /is not a domain/);
  assert.match(issues([{ ...git, addresses: ['localhost'] }])[0] ?? '', /is not an IP address/);
  assert.match(issues([{ ...git, port: 0 }])[0] ?? '', /Ports start at 1/);
  assert.match(issues([{ ...git, check: { kind: 'http', path: 'health' } }])[0] ?? '', /from its first slash/);
  assert.match(issues([{ ...git, protocol: 'udp', check: { kind: 'tcp' } }])[0] ?? '', /^services\.0\.check\.port/);
  assert.match(issues([{ ...git, colour: 'red' }])[0] ?? '', /colour/);
  assert.equal(issues([git]).length, 0);
  assert.ok(z.toJSONSchema(hostSettings, { io: 'input' }));
});
