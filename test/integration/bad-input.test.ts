/** What goes wrong at a keyboard: each ends in one sentence that says what is wrong and what to do, and no trace. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { LocalLog } from '../../src/node/local-api.ts';
import { Cluster } from './cluster.ts';
import { assertSentence, freePort, type Outcome, until } from './processes.ts';

let cluster: Cluster;
let other: Cluster;
/** A member that was stopped: its folder is there to be misused. */
const resting = 'resting';

before(async () => {
  cluster = await Cluster.found(1);
  other = await Cluster.found(1, '::1');
  await cluster.join({ name: resting, through: 'c1', token: cluster.founded.token, role: 'host' });
  await cluster.agent(resting).stop();
});
after(async () => {
  await other.close();
  await cluster.close();
});

/** The command fails with this exit code and one sentence that matches. */
function assertFails(outcome: Outcome, sentence: RegExp, code = 1): void {
  assert.equal(outcome.code, code, outcome.stderr);
  assertSentence(outcome);
  assert.match(outcome.stderr, sentence);
}

let joiners = 0;

/** Joins as a new host, or otherwise where `flags` say so, and gives how it ended. */
async function tryToJoin(address: string, token: string, ...flags: readonly string[]): Promise<Outcome> {
  const name = `joiner-${++joiners}`;
  const bind = `127.0.0.1:${await freePort()}`;
  const own = ['--role', 'host', '--name', name, '--bind', bind];
  return await cluster.run('join', address, ...(token === '' ? [] : ['--token', token]), ...own, ...flags);
}

function rewrite(name: string, from: string | RegExp, to: string): () => void {
  const path = join(cluster.folder, name, 'hivemind.yaml');
  const text = readFileSync(path, 'utf8');
  assert.notEqual(text.replace(from, to), text);
  writeFileSync(path, text.replace(from, to));
  return () => writeFileSync(path, text);
}

async function startResting(): Promise<Outcome> {
  return await cluster.run('agent', '-c', join(resting, 'hivemind.yaml'));
}

describe('a settings file', () => {
  test('with a wrong key: where it stands, and what was probably meant', async (t) => {
    t.after(rewrite(resting, 'bind:', 'bnid:'));
    assertFails(
      await startResting(),
      /^resting\/hivemind\.yaml:\d+:1: "bnid" is not a key of this file; write "bind"\.$/m,
    );
  });

  test('that is not there, or no YAML', async (t) => {
    assertFails(await cluster.run('agent', '-c', 'none.yaml'), /^none\.yaml cannot be read; name .* --config\.$/m);
    t.after(rewrite(resting, 'bind:', 'bind: ['));
    assertFails(await startResting(), /^resting\/hivemind\.yaml:\d+:\d+: /);
  });

  test('with a role that does not exist', async (t) => {
    t.after(rewrite(resting, 'host:', 'hots:'));
    assertFails(await startResting(), /There is no role hots; did you mean host/);
  });

  test('with other roles, or another name, than the node was admitted with', async () => {
    const restoreRoles = rewrite(resting, 'host:', 'dns:');
    assertFails(await startResting(), /admitted with the roles host, not dns; restore them, or leave and join again/);
    restoreRoles();
    const restoreName = rewrite(resting, 'name: resting', 'name: busy');
    assertFails(await startResting(), /admitted as resting, not busy; restore its name, or leave and join again/);
    restoreName();
  });
});

describe('a token', () => {
  const address = (): string => cluster.addressOf('c1');

  test('that is none, or damaged, or missing', async () => {
    const { token } = cluster.founded;
    const damaged = `${token.slice(0, 40)}${token[40] === 'A' ? 'B' : 'A'}${token.slice(41)}`;
    assertFails(await tryToJoin(address(), 'open-sesame'), /token/);
    assertFails(await tryToJoin(address(), damaged), /token/);
    assertFails(await tryToJoin(address(), ''), /join one with `hivemind join ADDRESS --token TOKEN`/);
    assertFails(await tryToJoin(address(), '', '--token-file', 'none'), /The token file .* cannot be read/);
  });

  test('that expired', async () => {
    const token = await cluster.token('--role', 'host', '--ttl', '1s');
    const madeAt = Date.now();
    await until('it expired', () => Date.now() > madeAt + 1_000, 5_000);
    assertFails(await tryToJoin(address(), token), /expired at .*; create one with `hivemind token create`/);
  });

  test('that is used up', async () => {
    const token = await cluster.token('--role', 'host');
    await (await cluster.join({ name: 'only-one', through: 'c1', token, role: 'host' })).stop();
    assertFails(await tryToJoin(address(), token), /has admitted its one node; create one with/);
  });

  test('that does not admit the role', async () => {
    const token = await cluster.token('--role', 'dns');
    assertFails(await tryToJoin(address(), token), /admits dns, not host; create one with `.* --role host`/);
  });

  test('of another cluster', async () => {
    assertFails(await tryToJoin(address(), other.founded.token), /another cluster|token/);
  });
});

describe('an address', () => {
  test('where nobody answers, or that is none', async () => {
    const { token } = cluster.founded;
    assertFails(await tryToJoin(`127.0.0.1:${await freePort()}`, token), /127\.0\.0\.1:\d+/);
    assertFails(await tryToJoin('no-such-machine.invalid', token), /no-such-machine\.invalid/);
    assertFails(await tryToJoin('127.0.0.1:seven', token), /127\.0\.0\.1:seven/);
    assertFails(await tryToJoin('127.0.0.1:70000', token), /70000/);
  });

  test('without a port means 7100', async () => {
    const outcome = await tryToJoin('127.0.0.77', cluster.founded.token);
    assert.equal(outcome.code, 1);
    assert.match(outcome.stdout, /^Asking 127\.0\.0\.77:7100 /m);
  });

  test('by name works', async () => {
    const port = cluster.addressOf('c1').split(':').at(-1);
    const agent = await cluster.join({
      name: 'by-name',
      through: `localhost:${port}`,
      token: cluster.founded.token,
      role: 'host',
    });
    await agent.stop();
  });

  test('of IPv6 works, in brackets', async () => {
    assert.match(other.addressOf('c1'), /^\[::1\]:\d+$/);
    const { token } = other.founded;
    const agent = await other.join({ name: 'six', through: 'c1', token, role: 'host', host: '::1' });
    await agent.says(/^Gossiped/m);
    assert.deepEqual(await other.members('c1'), ['c1 alive', 'six alive']);
  });

  test('whose port is in use here', async () => {
    const outcome = await tryToJoin(
      cluster.addressOf('c1'),
      cluster.founded.token,
      '--bind',
      cluster.addressOf('c1'),
      '--folder',
      'occupied',
    );
    assertFails(outcome, /^Another process already uses UDP .*; stop it, or choose another port/);
  });
});

describe('a node', () => {
  test('whose name is taken', async () => {
    const outcome = await tryToJoin(
      cluster.addressOf('c1'),
      cluster.founded.token,
      '--name',
      resting,
      '--folder',
      'twin',
    );
    assertFails(outcome, /The name resting is taken by another node; choose another with --name/);
  });

  test('with a role that does not exist, or a name that is none', async () => {
    const { token } = cluster.founded;
    assertFails(await tryToJoin(cluster.addressOf('c1'), token, '--role', 'hots'), /There is no role hots;/);
    assertFails(
      await tryToJoin(cluster.addressOf('c1'), token, '--name', 'Host_A'),
      /"Host_A" is not a lower-case DNS/,
    );
  });

  test('whose data folder belongs to another cluster', async () => {
    const self = ['--folder', resting, '--name', resting, '--bind', cluster.addressOf(resting)];
    const outcome = await tryToJoin('127.0.0.1', other.founded.token, ...self);
    assertFails(outcome, /resting\/data holds the data of another cluster than the token's; /);
  });

  test('whose data folder another process uses', async () => {
    const { pid } = cluster.agent('c1');
    const outcome = await cluster.run('agent', '-c', 'c1/hivemind.yaml');
    assertFails(outcome, new RegExp(`c1/data is in use by process ${pid}; `));
  });
});

describe('a command', () => {
  test('init over folders that exist', async () => {
    assertFails(await cluster.run('init', '--control', 'c1=127.0.0.1'), /^c1 exists already; remove it or choose/);
  });

  test('that is used wrongly ends with exit code 2', async () => {
    const wrong: readonly (readonly [words: readonly string[], sentence: RegExp])[] = [
      [['membres'], /did you mean members\?/],
      [['join'], /^Missing required argument/],
      [['token', 'create'], /--role/],
      [['token', 'create', '--role', 'host', '--ttl', 'soon'], /soon/],
      [['init', '--control', 'c1'], /write NAME=ADDRESS/],
      [['remove', 'Host A'], /is not a name/],
    ];
    for (const [words, sentence] of wrong) assertFails(await cluster.run(...words), sentence, 2);
  });

  test('that needs an agent where none runs ends with exit code 3', async () => {
    assertFails(await cluster.run('status', '-n', 'nobody'), /start one with `hivemind agent/, 3);
  });

  test('about a member that there is not', async () => {
    assertFails(await cluster.run('node', 'show', 'nobody'), /No member is called nobody; `hivemind members` lists/);
    assertFails(await cluster.run('remove', 'nobody'), /No member is called nobody; `hivemind members` lists/);
  });
});

test('whoever was refused left no trace in the cluster (HM-22)', async () => {
  const { members } = await cluster.ask('c1', { kind: 'members' });
  assert.deepEqual(members.map(({ name }) => name).sort(), ['by-name', 'c1', 'only-one', resting]);
  const { entries } = await cluster.json<LocalLog>('log', '--last', '500');
  const begun = entries.filter(({ kind }) => kind === 'begin-admission').map(({ detail }) => detail.name);
  assert.deepEqual(begun, [resting, 'only-one', 'by-name']);
});
