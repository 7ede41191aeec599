/** What a crash looks like to everybody else, and what a mere stall must not look like (HM-14). */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from './cluster.ts';
import { freePort, missing } from './processes.ts';
import { digFor, fetchFrom, WebSite } from './visitor.ts';

const skipDns = await missing('dig', '-v');
const skipNginx = await missing('nginx', '-v');

const noticeMs = 15_000;
const stallMs = 3_000;
/** A conviction for the stall would come by then. */
const afterwardsMs = 2_000;

let cluster: Cluster;
let site: WebSite;
const ports = { dns: 0, nginx: 0 };

before(async () => {
  cluster = await Cluster.found(3);
  site = await WebSite.open();
  for (const name of ['dns', 'nginx'] as const) ports[name] = await freePort();
  const { token } = cluster.founded;
  const services = `services: [{ name: git, port: ${site.port}, domains: [git.lab.test] }]`;
  await cluster.join({ name: 'atlas', through: 'c1', token, settings: `  host: { ${services} }` });
  await cluster.join({
    name: 'dns-a',
    through: 'c2',
    token,
    settings: `  dns: { listen: ['127.0.0.1:${ports.dns}'] }`,
  });
  const edge = skipNginx ? '  host: {}' : `  nginx: { listen: ['127.0.0.1:${ports.nginx}'] }`;
  await cluster.join({ name: 'edge', through: 'c3', token, settings: edge });
  await everybodySaysOfAtlas('alive');
  await visitorsAreServed(true);
});
after(async () => {
  await site.close();
  await cluster.close();
});

/** Waits until all others give atlas this status, and gives how long that took. */
async function everybodySaysOfAtlas(status: string, withinMs: number = noticeMs): Promise<number> {
  const beganAt = Date.now();
  const others = cluster.names.filter((name) => name !== 'atlas');
  await cluster.until(
    `everybody says that atlas is ${status}`,
    async () => {
      const views = await Promise.all(others.map((name) => cluster.members(name)));
      return views.every((view) => view.includes(`atlas ${status}`));
    },
    withinMs,
  );
  return Date.now() - beganAt;
}

/** Waits until dig and nginx lead to the site of atlas, or both do no more; gives how long each took. */
async function visitorsAreServed(wanted: boolean): Promise<{ readonly dnsMs: number; readonly nginxMs: number }> {
  const beganAt = Date.now();
  const took = async (isServed: () => Promise<boolean>): Promise<number> => {
    await cluster.until(
      `visitors are${wanted ? '' : ' not'} served`,
      async () => (await isServed()) === wanted,
      noticeMs,
    );
    return Date.now() - beganAt;
  };
  const [dnsMs, nginxMs] = await Promise.all([
    skipDns ? 0 : took(async () => (await digFor(ports.dns, 'git.hive.internal')).length === 1),
    skipNginx ? 0 : took(async () => (await fetchFrom(ports.nginx, 'git.lab.test')).status === 200),
  ]);
  return { dnsMs, nginxMs };
}

describe('a host', () => {
  test('whose process is stopped for 3 s is suspected at most, not convicted', async () => {
    const atlas = cluster.agent('atlas');
    atlas.signal('SIGSTOP');
    await sleep(stallMs);
    atlas.signal('SIGCONT');
    await sleep(afterwardsMs);
    await everybodySaysOfAtlas('alive');
    for (const name of cluster.names) {
      const convicted = (await cluster.events(name)).filter(({ kind, node }) => kind === 'down' && node === 'atlas');
      assert.deepEqual(convicted, [], name);
    }
  });

  test('whose process is killed is down for everybody; dns and nginx lead nobody there any more', async (t) => {
    await cluster.agent('atlas').kill();
    const [downMs, { dnsMs, nginxMs }] = await Promise.all([everybodySaysOfAtlas('down'), visitorsAreServed(false)]);
    t.diagnostic(`down everywhere after ${downMs} ms, out of dns after ${dnsMs} ms, out of nginx after ${nginxMs} ms`);
    const kinds = (await cluster.events('dns-a')).filter(({ node }) => node === 'atlas').map(({ kind }) => kind);
    assert(kinds.includes('probe-missed') || kinds.includes('suspected'), kinds.join());
    assert(kinds.includes('down'), kinds.join());
    const { stdout } = await cluster.run('members', '-n', 'edge');
    assert.match(stdout, /^Down, and listed with --all: atlas\.$/m);
  });

  test('that is started again is back by itself, and so are its services', async (t) => {
    const beganAt = Date.now();
    await cluster.start('atlas');
    const [, { dnsMs, nginxMs }] = await Promise.all([everybodySaysOfAtlas('alive'), visitorsAreServed(true)]);
    t.diagnostic(`back everywhere ${Date.now() - beganAt} ms after its start; dns ${dnsMs} ms, nginx ${nginxMs} ms`);
  });
});
