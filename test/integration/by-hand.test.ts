/** The way into production: every step that an operator takes by hand, with the program's own words. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { LocalConfigs, LocalEvent, LocalLog, LocalNode } from '../../src/node/local-api.ts';
import { Cluster } from './cluster.ts';
import { assertSentence, freePort, missing, root } from './processes.ts';
import { digFor, fetchFrom, WebSite } from './visitor.ts';

const skipDns = await missing('dig', '-v');
const skipNginx = await missing('nginx', '-v');

let cluster: Cluster;
let site: WebSite;
const ports = { dnsA: 0, dnsB: 0, nginx: 0 };

before(async () => {
  cluster = await Cluster.found(3);
  site = await WebSite.open();
  for (const name of ['dnsA', 'dnsB', 'nginx'] as const) ports[name] = await freePort();
});
after(async () => {
  await site.close();
  await cluster.close();
});

/** Everybody who runs says the same of the membership. */
async function everybodyKnows(members: readonly string[]): Promise<void> {
  const wanted = members.map((name) => `${name} alive`).sort();
  await cluster.until(`everybody knows ${members}`, async () => {
    const views = await Promise.all(cluster.names.map((name) => cluster.members(name)));
    return views.every((view) => view.join() === wanted.join());
  });
}

function assertInOrder(text: string, ...parts: readonly string[]): void {
  const places = parts.map((part) => text.indexOf(part));
  assert(!places.includes(-1), text);
  assert.deepEqual(
    [...places].sort((a, b) => a - b),
    places,
    text,
  );
}

const atlas = (): string =>
  [
    '  host:',
    '    services:',
    '      - name: git',
    '        addresses: [127.0.0.1]',
    `        port: ${site.port}`,
    '        domains: [git.lab.test]',
    '        check: { kind: http, path: /health, intervalMs: 100, failuresMax: 1 }',
  ].join('\n');
const dns = (port: number): string => `  dns:\n    zones: [hive.internal, lab.test]\n    listen: ['127.0.0.1:${port}']`;

describe('init', () => {
  test('made a folder for each control node, and says what a quorum is (HM-5)', async () => {
    const { quorum, control, token } = cluster.founded;
    assert.equal(quorum, 2);
    assert.deepEqual(
      control.map(({ name, settings }) => [name, settings]),
      ['c1', 'c2', 'c3'].map((name) => [name, join(name, 'hivemind.yaml')]),
    );
    assert.match(token, /^\S{40,}$/);
    const status = await cluster.run('status', '-n', 'c2');
    assert.equal(status.code, 0);
    assert.match(status.stdout, /healthy/);
  });

  test('with fewer than three control nodes warns, and the cluster works for development (HM-4)', async () => {
    const small = await Cluster.empty();
    try {
      const { stderr } = await small.init(1);
      assert.match(stderr, /^Warning: 1 control node is enough for development only; three survive the loss of one\.$/m);
      await small.start('c1');
      const { stdout } = await small.join({ name: 'host-a', through: 'c1', token: small.founded.token, role: 'host' });
      assertInOrder(stdout, 'Admitted', 'Digest', 'Ready');
      assert.deepEqual(await small.members('c1'), ['c1 alive', 'host-a alive']);
    } finally {
      await small.close();
    }
  });
});

describe('a join', () => {
  test('through a control node shows its three stages: admitted, digest, gossiped (HM-13, HM-19 to HM-21)', async () => {
    const token = await cluster.token('--role', 'host', '-n', 'c3');
    const agent = await cluster.join({ name: 'host-a', through: 'c2', token, role: 'host' });
    await agent.says(/^Gossiped: in touch with [23] of 3 other members\.$/m);
    assert.match(agent.stdout, /^Admitted: host-a is member #4, certified by a majority of control nodes\.$/m);
    assert.match(agent.stdout, /^Digest: 4 members known, event log at \d+\.$/m);
    assertInOrder(agent.stdout, 'Listening', 'Asking', 'Admitted', 'Digest', 'Gossiped');
    await everybodyKnows(['c1', 'c2', 'c3', 'host-a']);
  });

  test('through a member that is no control node works alike: that one asks the pane (HM-13, HM-18)', async () => {
    const token = await cluster.token('--role', 'host', '-n', 'host-a');
    const agent = await cluster.join({ name: 'host-b', through: 'host-a', token, role: 'host' });
    await agent.says(/^Gossiped/m);
    assertInOrder(agent.stdout, `Asking ${cluster.addressOf('host-a')}`, 'Admitted', 'Digest', 'Gossiped');
    await everybodyKnows(['c1', 'c2', 'c3', 'host-a', 'host-b']);
    const asked = cluster.agent('host-a').logged('request answered');
    assert.deepEqual(
      asked.filter(({ from }) => from === 'stranger').map(({ request }) => request),
      ['join'],
    );
  });

  test('takes a settings file of the operator, for a host with services', async () => {
    await cluster.addressFor('atlas');
    const agent = await cluster.join({
      name: 'atlas',
      through: 'c1',
      token: await cluster.token('--role', 'host'),
      settings: atlas(),
    });
    await agent.says(/^Gossiped/m);
    const { configs } = await cluster.until('atlas published', async () => {
      const answer = await cluster.json<LocalConfigs>('config', 'ls', 'host', '-n', 'atlas');
      return answer.configs.some((each) => each.owner === 'atlas') && answer;
    });
    assert((configs.find((each) => each.owner === 'atlas')?.seq ?? 0) >= 1);
  });
});
