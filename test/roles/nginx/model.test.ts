import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Layout } from '../../../roles/nginx/layout.ts';
import { buildModel, isServing, type Model, type VirtualHost } from '../../../roles/nginx/model.ts';
import { dueAt } from '../../../roles/nginx/pace.ts';
import { render } from '../../../roles/nginx/render.ts';
import { isListen, nginxSettings } from '../../../roles/nginx/settings.ts';
import { nginx, UnsafeValue } from '../../../roles/nginx/syntax.ts';
import type { RoleConfig, RoleMember } from '../../../src/role/role.ts';
import { memberOf } from '../host/role-context.ts';

const [atlas, borea, circe] = [1, 2, 3].map((number) => memberOf(number, `host-${number}`, ['host'])) as [
  RoleMember,
  RoleMember,
  RoleMember,
];
const down = (member: RoleMember): RoleMember => ({ ...member, health: 'down' });

function configOf(owner: RoleMember, ...services: readonly Record<string, unknown>[]): RoleConfig {
  const whole = services.map((service) => ({
    name: 'web',
    addresses: [`10.0.0.${owner.number}`],
    port: 80,
    protocol: 'tcp',
    weight: 100,
    tags: [],
    domains: ['www.lab.test'],
    healthy: true,
    ...service,
  }));
  return { owner, role: 'host', seq: 1, value: { services: whole } };
}

function model(
  configs: readonly RoleConfig[],
  members = configs.map((config) => config.owner),
  doubted: number[] = [],
): Model {
  return buildModel({ configs, members, unconfirmedDown: new Set(doubted) });
}

const only = (built: Model): VirtualHost => built.virtualHosts[0] as VirtualHost;
const inUse = (built: Model): readonly string[] =>
  only(built)
    .servers.filter((server) => !server.down)
    .map((server) => server.owner);

const settings = nginxSettings.parse({});
const layout: Layout = {
  folder: '/data/nginx',
  generations: '/data/nginx/generations',
  current: '/data/nginx/current',
  configuration: '/data/nginx/current/nginx.conf',
  pidFile: '/data/nginx/nginx.pid',
  errorLog: '/data/nginx/error.log',
  temp: '/data/nginx/temp',
  socket: '/data/nginx/status.sock',
  outside: undefined,
};

test('A domain is served by the instances on living hosts; unhealthy and drained ones are down', () => {
  const built = model([
    configOf(atlas, {}),
    configOf(borea, { healthy: false }),
    configOf(circe, { weight: 0 }),
    configOf(down(memberOf(4, 'host-4', ['host'])), {}),
    configOf(memberOf(5, 'host-5', ['host']), { protocol: 'udp' }),
  ]);
  assert.deepEqual(
    only(built).servers.map((server) => [server.owner, server.down]),
    [
      ['host-1', false],
      ['host-2', true],
      ['host-3', true],
    ],
  );
});

test('A removed host drops out at once, and a domain with no instance left has no servers', () => {
  const configs = [configOf(atlas, {}), configOf(borea, {})];
  assert.deepEqual(inUse(model(configs, [atlas])), ['host-1']);
  const empty = model([configOf(down(atlas), {})]);
  assert.deepEqual(only(empty), { domain: 'www.lab.test', service: 'web', servers: [] });
  assert.equal(isServing(only(empty)), false);
});

test('A domain that two services claim goes to the first name, and the conflict is told', () => {
  const built = model([configOf(borea, { name: 'web' }), configOf(atlas, { name: 'shop' })]);
  assert.deepEqual(built.conflicts, [{ domain: 'www.lab.test', winner: 'shop', losers: ['web'] }]);
  assert.deepEqual(inUse(built), ['host-1']);
});

test('Hints alone never take more than half of the servers of a domain; convictions and own words do', () => {
  const configs = [configOf(atlas, {}), configOf(borea, {}), configOf(circe, {})];
  const members = [atlas, down(borea), down(circe)];
  assert.deepEqual(inUse(model(configs, members)), ['host-1'], 'convicted by a quorum');
  const held = model(configs, members, [2, 3]);
  assert.deepEqual(inUse(held), ['host-1', 'host-2', 'host-3']);
  assert.deepEqual(held.held, ['www.lab.test']);
  assert.deepEqual(
    inUse(model(configs, [atlas, borea, down(circe)], [3])),
    ['host-1', 'host-2'],
    'one of three may go',
  );
  const drained = [configOf(atlas, {}), configOf(borea, { healthy: false }), configOf(circe, { healthy: false })];
  assert.deepEqual(inUse(model(drained, [atlas, borea, circe])), ['host-1'], 'what hosts say of themselves holds');
});

test('Addresses are written as nginx reads them, and those of one machine alone are skipped', () => {
  const addresses = (...given: string[]): readonly string[] =>
    only(model([configOf(atlas, { addresses: given })])).servers.map((server) => server.address);
  assert.deepEqual(addresses('1:2:3:4:5:6:7::'), ['1:2:3:4:5:6:7:0']);
  assert.deepEqual(addresses('fe80::1%eth0', '10.0.0.9'), ['10.0.0.9']);
  assert.deepEqual(addresses('fe80::1%eth0'), []);
});

test('Equal models render to equal bytes whatever the order in which things arrived', () => {
  const services = [{}, { name: 'git', domains: ['git.lab.test', 'code.lab.test'] }];
  const [forth, back] = [services, [...services].reverse()].map((ordered) => {
    const configs = [atlas, borea].map((owner) => configOf(owner, ...ordered));
    return render(model(ordered === services ? configs : configs.reverse()), settings, layout);
  });
  assert.deepEqual(forth, back);
  const changed = render(model([configOf(atlas, { port: 81 })]), settings, layout);
  assert.notEqual(changed.hash, forth?.hash);
});

test('What a peer sends cannot leave its word: it is quoted, or refused where nginx cannot quote it', () => {
  assert.equal(nginx`server_name ${'a.test'};`.text, 'server_name a.test;');
  assert.equal(nginx`server_name ${'a;} server{'};`.text, 'server_name "a;} server{";');
  assert.equal(nginx`return 200 ${'say "hi" \\'};`.text, 'return 200 "say \\"hi\\" \\\\";');
  assert.equal(nginx`return 200 ${''};`.text, 'return 200 "";');
  for (const hostile of ['$host', 'a\nb', 'a\0b', 'a\u2028b', '\ud800', 'x'.repeat(5000)]) {
    assert.throws(() => nginx`server_name ${`${hostile} `};`, UnsafeValue);
  }
  assert.throws(() => nginx`weight=${Number.NaN}`, UnsafeValue);

  const hostile = model([
    configOf(atlas, { domains: ['a.test; } server { listen 1;', 'www.lab.test', '../../x', 'A.test', '*.test', '~.'] }),
    configOf(borea, { addresses: ['10.0.0.2; return 200 owned', '10.0.0.2'], name: 'web' }),
    configOf(circe, { weight: '1; down', domains: ['other.test'] }),
  ]);
  assert.deepEqual(
    hostile.virtualHosts.map((virtualHost) => virtualHost.domain),
    ['www.lab.test'],
  );
  assert.deepEqual(
    only(hostile).servers.map((server) => server.address),
    ['10.0.0.1', '10.0.0.2'],
  );

  const forged: VirtualHost = { domain: 'evil.test', service: 'x\n} events {', servers: only(hostile).servers };
  const rendered = render({ ...hostile, virtualHosts: [forged, only(hostile)] }, settings, layout);
  assert.deepEqual(rendered.unsafe, ['evil.test']);
  assert.deepEqual(
    rendered.files.filter((file) => file.domain).map((file) => file.domain),
    ['www.lab.test'],
  );
});

test('A reload waits for quiet, not for ever, and keeps its distance from the one before', () => {
  assert.equal(dueAt({ firstAt: 0, lastAt: 0 }, Number.NEGATIVE_INFINITY), 300);
  assert.equal(dueAt({ firstAt: 0, lastAt: 2900 }, Number.NEGATIVE_INFINITY), 3000);
  assert.equal(dueAt({ firstAt: 10_000, lastAt: 10_000 }, 9900), 11_900);
});

test('Places to listen on are an address and a port', () => {
  for (const good of ['127.0.0.1:8080', '*:80', '[::1]:8080', '[::]:80']) assert.ok(isListen(good), good);
  for (const bad of ['8080', 'localhost:80', '127.0.0.1', '127.0.0.1:0', '::1:80', '[fe80::1%e]:80', '*:80 ssl']) {
    assert.ok(!isListen(bad), bad);
  }
  const refused = nginxSettings.safeParse({ listen: ['here'] });
  assert.match(
    refused.error?.issues[0]?.message ?? '',
    /"here" is not a place to listen on; write an address and a port/,
  );
});
