/** The program itself, as a process of its own, against a real socket whose agent answers by the book. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { toBase64Url } from '../../src/bytes.ts';
import { encodeGenesis } from '../../src/certificate/genesis.ts';
import { tokenText } from '../../src/certificate/token.ts';
import { signingKeyFrom } from '../../src/crypto.ts';
import { HivemindError } from '../../src/error.ts';
import { type LocalListener, listenLocal } from '../../src/net/local-socket.ts';
import type { LocalEvent, LocalLog, LocalLogEntry, LocalLogExport, LocalRequest } from '../../src/node/local-api.ts';
import { pack, unpack } from '../../src/packed.ts';
import { chainStart, type LogEntry } from '../../src/seam/log-store.ts';
import { silentLogger } from '../../src/seam/logger.ts';
import { Pane } from '../control/pane.ts';
import { brake, configs, entries, events, later, members, node, pane, status, tags } from './answers.ts';

const program = join(import.meta.dirname, '../../cli/main.ts');
const tsx = import.meta.resolve('tsx');
const childTimeoutMs = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'hivemind-cli-'));
const runtime = join(folder, 'runtime');
const project = join(folder, 'project');
const devSockets = join(project, '.hivemind', 'dev', 'run');
for (const path of [runtime, devSockets]) mkdirSync(path, { recursive: true, mode: 0o700 });
after(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const { NO_COLOR: _none, HIVEMIND_SOCKET: _nor, ...inherited } = process.env;

function start(words: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
  const env = { ...inherited, HIVEMIND_RUNTIME_DIR: runtime, ...environment };
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  return spawn(process.execPath, ['--import', tsx, program, ...words], {
    cwd: project,
    env,
    stdio: [...stdio],
    timeout: childTimeoutMs,
  });
}

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}

const run = (...words: readonly string[]): Promise<Outcome> => outcomeOf(start(words));

/** One sentence that a person can act on, and no trace of the program's inside. */
function isSentence(text: string): boolean {
  return /^[^\n]+[.?]\n$/.test(text) && !/^\s+at |Error:|\.ts:\d/m.test(text);
}

const asked: LocalRequest[] = [];
const log: LocalLogEntry[] = [...entries];
/** Entries that the agent puts into one answer, so that reading takes several. */
const pageEntries = 3;

/** A log with an admission that a majority signed. */
const signed = new Pane();
signed.admit();
const signedEntries = signed.log.map((payload, at): LogEntry => ({ index: at + 1, term: 1, kind: 'command', payload }));

function exportPage(from: number): LocalLogExport {
  const entries = signedEntries.slice(from - 1, from);
  const genesis = encodeGenesis(signed.founders.genesis);
  return { genesis, entries, commitIndex: signedEntries.length, first: 1, chain: chainStart };
}

function answer(request: LocalRequest): unknown {
  switch (request.kind) {
    case 'status':
      return status;
    case 'members':
      return members;
    case 'node':
      if (request.name !== 'atlas') throw new HivemindError('not-found', `No member is called ${request.name}; look.`);
      return node;
    case 'log': {
      const from = log.filter((entry) => entry.index >= request.from);
      return {
        entries: from.slice(0, Math.min(request.most, pageEntries)),
        commitIndex: log.length,
        first: log[0]?.index ?? 1,
      };
    }
    case 'export-log':
      return exportPage(request.from);
    case 'open-session':
      return { session: '0102030405060708@17' };
    case 'note':
      return { index: 12 };
    case 'follow-log':
    case 'events':
      return { events };
    case 'configs':
      return configs;
    case 'pane':
      return pane;
    case 'create-token':
      return { token: 'hive-secret', expiresAt: '2026-10-02T10:00:00.000Z', index: 9 };
    case 'revoke-token':
      return { index: 11 };
    case 'leave':
      throw new HivemindError('no-quorum', 'The control pane has no quorum; the leave is kept and asked for again.');
    case 'remove':
      return { index: 10 };
    case 'send-event':
      return { neighbours: ['boreas'], size: 4 };
    case 'tags':
    case 'set-tags':
      return tags;
    case 'brake':
      return asked.some(({ kind }) => kind === 'release-brake') ? { ...brake, releasedUntil: later } : brake;
    case 'release-brake':
      return { index: 11 };
    case 'stop':
      return { not: 'what was promised' };
  }
}

/** Sends the events, and then more of them for as long as somebody listens. */
async function follow(signal: AbortSignal, give: (event: LocalEvent) => void): Promise<void> {
  for (const event of events) give(event);
  const timer = setInterval(() => give({ ...(events[0] as LocalEvent), kind: 'tick' }), 20);
  await once(signal, 'abort');
  clearInterval(timer);
}

/** Sends the log from `from` on, page by page, and what is added to it. */
async function followLog(from: number, call: { item(body: Uint8Array): boolean; signal: AbortSignal }): Promise<void> {
  for (let next = from; !call.signal.aborted; await sleep(20)) {
    const page = answer({ kind: 'log', from: next, most: pageEntries }) as LocalLog;
    if (page.entries.length > 0) call.item(pack(page));
    next = (page.entries.at(-1)?.index ?? next - 1) + 1;
  }
}

async function agentAt(path: string, name: string): Promise<LocalListener> {
  const read = (body: Uint8Array): LocalRequest => unpack(body) as LocalRequest;
  return listenLocal({
    path,
    log: silentLogger,
    async onRequest(body) {
      const request = read(body);
      asked.push(request);
      return pack(request.kind === 'status' ? { ...status, name } : answer(request));
    },
    async onSubscribe(body, call) {
      const request = read(body);
      if (request.kind === 'follow-log') await followLog(request.from, call);
      else await follow(call.signal, (event) => call.item(pack(event)));
      return pack(null);
    },
  });
}

const agents: LocalListener[] = [];
before(async () => {
  agents.push(await agentAt(join(runtime, 'boreas.sock'), 'boreas'));
  agents.push(await agentAt(join(devSockets, 'atlas.sock'), 'atlas'));
  agents.push(await agentAt(join(devSockets, 'aurora.sock'), 'aurora'));
  await leaveDeadSocket(join(devSockets, 'aardvark.sock'));
});
after(() => Promise.all(agents.map((agent) => agent.close())));

/** What a process that was killed leaves behind: it is there, and refuses. */
async function leaveDeadSocket(path: string): Promise<void> {
  const server = createServer().listen(`${path}.new`);
  await once(server, 'listening');
  renameSync(`${path}.new`, path);
  server.close();
}

describe('the agent that is asked', () => {
  const nameOf = ({ stdout }: Outcome): string => JSON.parse(stdout).name;

  test('is the first of the dev cluster in this folder that lives, or the one that is named', async () => {
    const [first, inDev, ofUser] = await Promise.all([
      run('status', '--json'),
      run('status', '--json', '--node', 'aurora'),
      run('status', '--json', '-n', 'boreas'),
    ]);
    assert.deepEqual([first, inDev, ofUser].map(nameOf), ['atlas', 'aurora', 'boreas']);
    assert.deepEqual(JSON.parse(first.stdout), status);
  });

  test('is the one of HIVEMIND_SOCKET; a named one is preferred to it', async () => {
    const environment = { HIVEMIND_SOCKET: join(runtime, 'boreas.sock') };
    const [fromEnvironment, named] = await Promise.all([
      outcomeOf(start(['status', '--json'], environment)),
      outcomeOf(start(['status', '--json', '--node', 'atlas'], environment)),
    ]);
    assert.deepEqual([fromEnvironment, named].map(nameOf), ['boreas', 'atlas']);
  });

  test('that is not there ends the command in one sentence and exit code 3', async () => {
    const [named, socket, none] = await Promise.all([
      run('members', '--node', 'zephyr'),
      run('members', '--socket', join(folder, 'none.sock'), '--json'),
      outcomeOf(
        spawn(process.execPath, ['--import', tsx, program, 'events', '--follow'], {
          cwd: folder,
          env: { ...inherited, HIVEMIND_RUNTIME_DIR: join(folder, 'empty') },
        }),
      ),
    ]);
    for (const outcome of [named, socket, none]) {
      assert.equal(outcome.code, 3);
      assert(isSentence(outcome.stderr), outcome.stderr);
      assert.match(outcome.stderr, /^No agent answers (at|in) .*; start one with `hivemind agent -c hivemind\.yaml`/);
    }
    assert.match(named.stderr, /runtime\/zephyr\.sock/);
    assert.equal(JSON.parse(socket.stdout).error.code, 'agent-unreachable');
    assert.equal(none.stdout, '');
  });
});

describe('a command that changes the own node', () => {
  test('is refused while several agents run on this machine and none is named', async () => {
    const [leave, stop, set] = await Promise.all([
      run('leave'),
      run('stop', '--json'),
      run('tags', 'set', 'rack=b2', '--json'),
    ]);
    const sentence = 'Several agents run on this machine: atlas, aurora, boreas; ';
    assert.equal(leave.stderr, `${sentence}say which with --node, or its socket with --socket.\n`);
    assert.deepEqual([leave.code, stop.code, set.code], [2, 2, 2]);
    assert.equal(JSON.parse(stop.stdout).error.code, 'usage');
    assert(!asked.some(({ kind }) => kind === 'stop' || kind === 'set-tags'));
  });

  test('takes the only agent there is', async () => {
    const alone = { cwd: folder, env: { ...inherited, HIVEMIND_RUNTIME_DIR: join(folder, 'alone') } };
    mkdirSync(join(folder, 'alone'), { mode: 0o700 });
    const agent = await agentAt(join(folder, 'alone', 'zephyr.sock'), 'zephyr');
    const leave = await outcomeOf(spawn(process.execPath, ['--import', tsx, program, 'leave'], alone));
    await agent.close();
    assert.match(leave.stderr, /^The control pane has no quorum/);
  });
});

describe('every answer', () => {
  test('is one JSON document with --json', async () => {
    const ask = async (...words: readonly string[]): Promise<unknown> => JSON.parse((await run(...words)).stdout);
    const [ofHosts, ofNode, ofPane] = await Promise.all([
      ask('members', '--role', 'host', '--json'),
      ask('node', 'show', 'atlas', '--json'),
      ask('control', 'ls', '--json'),
    ]);
    assert.deepEqual(ofHosts, { ...members, members: members.members.filter(({ roles }) => roles.includes('host')) });
    assert.deepEqual([ofNode, ofPane], [{ ...node, tags: tags.tags }, pane]);
    const [services, owners, roles] = await Promise.all([
      ask('service', 'ls', '--json'),
      ask('config', 'ls', 'host', '--json'),
      ask('role', 'ls', '--json'),
    ]);
    const names = (services as { services: { name: string; host: string }[] }).services;
    assert.deepEqual(
      names.map(({ name, host }) => `${name} ${host}`),
      ['git atlas', 'git chronos', 'ntp atlas'],
    );
    assert.deepEqual([owners, roles], [configs, { node: 'atlas', roles: status.roles }]);
  });

  test('is text for people without, and has no colours in a pipe', async () => {
    const [list, removed] = await Promise.all([run('members'), run('remove', 'chronos')]);
    assert.match(list.stdout, /^NAME .*\ncontrol-1 [\s\S]*As atlas sees it: 5 members\.\n$/);
    assert(!list.stdout.includes('\u001b'));
    assert.deepEqual(removed, { code: 0, stdout: 'chronos is removed, as decided by log entry 10.\n', stderr: '' });
  });

  test('of `token create` is the token alone, for a shell to take', async () => {
    const made = await run('token', 'create', '--role', 'host,dns', '--ttl', '7d', '--uses', '0');
    assert.deepEqual([made.code, made.stdout], [0, 'hive-secret\n']);
    assert.match(made.stderr, /^It admits any number of nodes with the roles host, dns until 2026-10-02T10/);
    const request = asked.find(({ kind }) => kind === 'create-token');
    assert.deepEqual(request, { kind: 'create-token', roles: ['host', 'dns'], ttlMs: 604_800_000, usesMax: 0 });
  });

  test('of `token revoke` says from when on; the token itself never leaves the command', async () => {
    const seed = new Uint8Array(32).fill(7);
    const token = tokenText(seed, new Uint8Array(16), new Uint8Array(32));
    const revoked = await run('token', 'revoke', token);
    assert.deepEqual(revoked, { code: 0, stdout: 'The token is void as of log entry 11.\n', stderr: '' });
    const key = toBase64Url(signingKeyFrom(seed).publicKey);
    const request = asked.find(({ kind }) => kind === 'revoke-token');
    assert.deepEqual(request, { kind: 'revoke-token', key });
  });
});

describe('an event of the operator', () => {
  test('is sent with its payload, and the answer says no more than is known', async () => {
    const [plain, json] = await Promise.all([run('event', 'deploy', 'v42'), run('event', 'tick', '--json')]);
    assert.equal(
      plain.stdout,
      'deploy goes by way of boreas to all 3 other members; `hivemind events` shows it once on each.\n',
    );
    assert.deepEqual(JSON.parse(json.stdout), { event: 'tick', payload: '', neighbours: ['boreas'], size: 4 });
    const sent = asked.filter(({ kind }) => kind === 'send-event');
    assert.deepEqual(sent.map((request) => JSON.stringify(request)).sort(), [
      '{"kind":"send-event","name":"deploy","payload":"v42"}',
      '{"kind":"send-event","name":"tick","payload":""}',
    ]);
  });

  test('is refused before it is sent when its name is none or its payload too large', async () => {
    const [name, payload] = await Promise.all([run('event', 'New_Deploy'), run('event', 'deploy', 'ü'.repeat(257))]);
    assert.deepEqual([name.code, payload.code], [2, 2]);
    assert.match(payload.stderr, /^The payload takes 514 bytes, and an event carries 512; /);
    assert(isSentence(name.stderr) && isSentence(payload.stderr));
  });
});

describe('tags', () => {
  test('are shown of this node or another, set and dropped', async () => {
    const [shown, json, set] = await Promise.all([
      run('tags', 'atlas'),
      run('tags', '--json'),
      run('tags', 'set', 'rack=b2', 'note=a=b, c', '--drop', 'old', 'older', '--node', 'aurora', '--json'),
    ]);
    assert.match(shown.stdout, /^TAG {3}VALUE\n[\s\S]*Tags of atlas, changed 3 times\.\n$/);
    assert.deepEqual([JSON.parse(json.stdout), JSON.parse(set.stdout)], [tags, tags]);
    const request = asked.find(({ kind }) => kind === 'set-tags');
    const wanted = { kind: 'set-tags', set: { rack: 'b2', note: 'a=b, c' }, drop: ['old', 'older'] };
    assert.deepEqual(request, wanted);
  });

  test('are refused when they are none, too large, or set and dropped at once', async () => {
    const outcomes = await Promise.all([
      run('tags', 'set'),
      run('tags', 'set', 'rack'),
      run('tags', 'set', 'rack=b2', '--drop', 'rack'),
      run('tags', 'set', `rack=${'b'.repeat(8_189)}`),
    ]);
    assert.deepEqual(
      outcomes.map(({ code }) => code),
      [2, 2, 2, 1],
    );
    for (const { stderr } of outcomes) assert(isSentence(stderr), stderr);
    assert.match(outcomes[3]?.stderr ?? '', /^These tags take 8193 bytes; 8192 is the most/);
  });
});

describe('the brake', () => {
  test('is shown with the size of the cluster, and released for a while', async () => {
    const status = await run('brake', 'status', '--json');
    assert.deepEqual(JSON.parse(status.stdout), { ...brake, members: 5 });
    const [released, tooLong] = await Promise.all([
      run('brake', 'release', '--for', '20m'),
      run('brake', 'release', '--for', '2h'),
    ]);
    assert.equal(released.stdout, `The brake is released until ${later}, as decided by log entry 11.\n`);
    assert.deepEqual(
      asked.filter(({ kind }) => kind === 'release-brake'),
      [{ kind: 'release-brake', forMs: 1_200_000 }],
    );
    assert.equal(tooLong.code, 2);
    assert(isSentence(tooLong.stderr), tooLong.stderr);
  });
});

describe('every failure is one sentence', () => {
  test('with exit code 1 when the agent refuses, and its code in the JSON', async () => {
    const [leave, unknown] = await Promise.all([
      run('leave', '--node', 'atlas'),
      run('node', 'show', 'nobody', '--json'),
    ]);
    assert.equal(leave.stderr, 'The control pane has no quorum; the leave is kept and asked for again.\n');
    assert.deepEqual([leave.code, leave.stdout], [1, '']);
    const error = { code: 'not-found', message: 'No member is called nobody; look.' };
    assert.deepEqual([unknown.code, JSON.parse(unknown.stdout)], [1, { error }]);
    assert.equal(unknown.stderr, `${error.message}\n`);
  });

  test('with exit code 2 for wrong usage, and a suggestion', async () => {
    const [command, duration, role, none] = await Promise.all([
      run('membres'),
      run('token', 'create', '--role', 'host', '--ttl', 'soon'),
      run('token', 'create', '--json'),
      run(),
    ]);
    assert.deepEqual([command.code, duration.code, role.code, none.code], [2, 2, 2, 2]);
    assert.equal(command.stderr, "Unknown command 'membres'; did you mean members?\n");
    assert.equal(
      duration.stderr,
      '"soon" is not a duration; write a number and a unit, like 30m, 24h or 7d, up to ten years.\n',
    );
    assert.equal(JSON.parse(role.stdout).error.code, 'usage');
    assert(isSentence(role.stderr), role.stderr);
    assert.match(none.stderr, /^Usage: hivemind /);
  });

  test('for settings that go round in a circle, and for a damaged dev cluster', async () => {
    const path = join(folder, 'circle.yaml');
    writeFileSync(path, 'version: 1\nname: atlas\nroles:\n  host: &host\n    services: [*host]\n');
    const elsewhere = join(folder, 'damaged');
    mkdirSync(join(elsewhere, '.hivemind', 'dev'), { recursive: true });
    writeFileSync(join(elsewhere, '.hivemind', 'dev', 'dev.json'), '{"version":1}');
    const dev = spawn(process.execPath, ['--import', tsx, program, 'dev', '--once'], {
      cwd: elsewhere,
      env: inherited,
    });
    const [circle, damaged] = await Promise.all([run('agent', '-c', path), outcomeOf(dev)]);
    assert.deepEqual([circle.code, damaged.code], [1, 1]);
    assert.match(circle.stderr, /circle\.yaml:5:16: \*host stands within what it repeats, without end; write/);
    assert.match(damaged.stderr, /dev\.json is damaged or of another version; remove the cluster with `hivemind dev/);
    for (const { stderr } of [circle, damaged]) assert(isSentence(stderr), stderr);
  });

  test('for control nodes that nobody could reach, or that are one and the same place', async () => {
    const out = join(folder, 'refused');
    const [wildcard, same, spelled] = await Promise.all([
      run('init', '--out', out, '--control', 'c1=10.0.0.1,c2=0.0.0.0'),
      run('init', '--out', out, '--control', 'c1=10.0.0.1,c2=10.0.0.2:7200,c3=10.0.0.1:7100'),
      run('init', '--out', out, '--control', 'c1=[fd00::1],c2=[FD00:0::1]'),
    ]);
    assert.match(wildcard.stderr, /^c2 cannot be reached at 0\.0\.0\.0, /);
    assert.match(same.stderr, /^c1 and c3 have the same address 10\.0\.0\.1:7100; /);
    assert.match(spelled.stderr, /^c1 and c2 have the same address \[fd00::1\]:7100; /);
    for (const { code, stderr } of [wildcard, same, spelled]) assert(code === 1 && isSentence(stderr), stderr);
    assert(!existsSync(out));
  });

  test('for a join whose flags differ from the settings that are there already', async () => {
    const home = join(folder, 'home');
    mkdirSync(home);
    const text = 'version: 1\nname: atlas\nbind: 127.0.0.1:7100\nadvertise: [10.0.0.5:7100]\nroles: { dns: , host: }\n';
    writeFileSync(join(home, 'hivemind.yaml'), text);
    const join_ = (...flags: readonly string[]): Promise<Outcome> =>
      run('join', '10.0.0.1', '--folder', home, ...flags);
    const outcomes = await Promise.all([
      join_('--name', 'boreas'),
      join_('--name', 'atlas', '--bind', '127.0.0.2'),
      join_('--role', 'host,dns', '--bind', '127.0.0.1', '--advertise', '10.0.0.5,10.0.0.6'),
      join_('--role', 'dns'),
    ]);
    const sentences = outcomes.map(({ stderr }) => stderr.replace(home, 'HOME'));
    assert.deepEqual(sentences, [
      'HOME/hivemind.yaml has name atlas, not boreas; change the file or leave out --name.\n',
      'HOME/hivemind.yaml has bind 127.0.0.1:7100, not 127.0.0.2:7100; change the file or leave out --bind.\n',
      'HOME/hivemind.yaml has advertise 10.0.0.5:7100, not 10.0.0.5:7100, 10.0.0.6:7100; change the file or leave ' +
        'out --advertise.\n',
      'HOME/hivemind.yaml has role dns, host, not dns; change the file or leave out --role.\n',
    ]);
    assert(outcomes.every(({ code }) => code === 2));
  });

  test('also when the program is at fault; only HIVEMIND_DEBUG shows where', async () => {
    const broken = { HIVEMIND_SOCKET: join(folder, 'broken.sock') };
    const agent = await listenLocal({
      path: broken.HIVEMIND_SOCKET,
      log: silentLogger,
      onRequest: async () => pack({ observer: 'atlas' }),
      onSubscribe: async () => pack(null),
    });
    const [quiet, loud] = await Promise.all([
      outcomeOf(start(['members'], broken)),
      outcomeOf(start(['members'], { ...broken, HIVEMIND_DEBUG: '1' })),
    ]);
    await agent.close();
    assert.equal(quiet.code, 1);
    assert(isSentence(quiet.stderr), quiet.stderr);
    assert.match(quiet.stderr, /this is a bug/);
    assert.match(loud.stderr, /\n\s+at .*members\.ts/);
  });
});

/** Resolves once the child has printed this many lines, and gives them. */
async function linesOf(child: ChildProcess, count: number): Promise<readonly string[]> {
  let text = '';
  for await (const chunk of child.stdout?.setEncoding('utf8').iterator({ destroyOnReturn: false }) ?? []) {
    text += chunk;
    if (text.split('\n').length > count) break;
  }
  return text.split('\n').slice(0, count);
}

describe('reading on', () => {
  test('`log` gives the last entries, or all from one on, whatever the pages', async () => {
    const indexes = ({ stdout }: Outcome): unknown =>
      JSON.parse(stdout).entries.map((entry: LocalLogEntry) => entry.index);
    const [last, from] = await Promise.all([run('log', '--last', '5', '--json'), run('log', '--from', '2', '--json')]);
    assert.deepEqual(indexes(last), [5, 6, 7, 8, 9]);
    assert.deepEqual(indexes(from), [2, 3, 4, 5, 6, 7, 8, 9]);
    assert.equal(JSON.parse(last.stdout).commitIndex, 9);
  });

  test('`log --follow` gives each entry once until it is interrupted, which is exit code 0', async () => {
    const child = start(['log', '--from', '3', '--follow', '--json']);
    const ended = once(child, 'close');
    const first = await linesOf(child, 7);
    const grown = { ...(entries[4] as LocalLogEntry), index: 10 };
    log.push(grown, { ...grown, index: 11 });
    const more = await linesOf(child, 2);
    const indexes = [...first, ...more].map((line) => JSON.parse(line).index);
    assert.deepEqual(indexes, [3, 4, 5, 6, 7, 8, 9, 10, 11]);
    child.kill('SIGINT');
    assert.equal((await ended)[0], 0);
  });

  test('`log --follow` goes on where it was when its agent comes back (HM-7, HM-8)', async () => {
    const path = join(folder, 'returning.sock');
    const agent = await agentAt(path, 'returning');
    const child = start(['log', '--from', '2', '--follow', '--json', '--socket', path]);
    const ended = once(child, 'close');
    const before = await linesOf(child, log.length - 1);
    await agent.close();
    const last = log.at(-1) as LocalLogEntry;
    log.push({ ...last, index: last.index + 1 }, { ...last, index: last.index + 2 });
    const again = await agentAt(path, 'returning');
    const indexes = [...before, ...(await linesOf(child, 2))].map((line) => JSON.parse(line).index);
    assert.deepEqual(
      indexes,
      log.slice(1).map(({ index }) => index),
    );
    child.kill('SIGINT');
    assert.equal((await ended)[0], 0);
    await again.close();
  });

  test('`log` says from where on it is kept, when asked for what is forgotten', async () => {
    const forgotten = log.splice(0, 2);
    const { code, stderr, stdout } = await run('log', '--from', '1', '--json');
    log.unshift(...forgotten);
    assert.deepEqual([code, stderr], [0, 'Entries 1 to 2 are no longer kept; the log begins at 3.\n']);
    assert.equal(JSON.parse(stdout).entries[0].index, 3);
  });

  test('`log note` prints the index of its entry', async () => {
    const { code, stdout } = await run('log', 'note', 'deployed v42');
    assert.deepEqual([code, stdout], [0, 'The note is log entry 12.\n']);
    const asJson = await run('log', 'note', 'deployed v43', '--json');
    assert.deepEqual(JSON.parse(asJson.stdout), { index: 12 });
    const notes = asked.filter(({ kind }) => kind === 'note');
    assert.deepEqual(notes.slice(-2), [
      { kind: 'note', text: 'deployed v42', session: '', sequence: 1 },
      { kind: 'note', text: 'deployed v43', session: '', sequence: 1 },
    ]);
  });

  test('`log export` writes what `log verify` finds right, or says what is wrong, without an agent', async () => {
    const file = join(folder, 'exported.log');
    const exported = await run('log', 'export', file, '--json');
    assert.equal(exported.code, 0, exported.stderr);
    const { first, last, chain } = JSON.parse(exported.stdout);
    assert.deepEqual([first, last], [1, signedEntries.length]);
    const alone = { HIVEMIND_RUNTIME_DIR: join(folder, 'nobody') };
    const right = await outcomeOf(start(['log', 'verify', file], alone));
    assert.equal(right.code, 0, right.stderr);
    assert.match(right.stdout, /entries 1 to 2 are one chain, and a majority of control nodes signed 1 decision\./);
    assert(right.stdout.includes(chain));
    const report = JSON.parse((await outcomeOf(start(['log', 'verify', file, '--json'], alone))).stdout);
    assert.deepEqual([report.chain, report.signed], [chain, 1]);
    const again = await run('log', 'export', file);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /exists already; name another file/);
    const bytes = readFileSync(file);
    bytes[bytes.length - 50] = (bytes.at(-50) as number) ^ 1;
    writeFileSync(file, bytes);
    const wrong = await outcomeOf(start(['log', 'verify', file], alone));
    assert.equal(wrong.code, 1);
    assert(isSentence(wrong.stderr), wrong.stderr);
    const none = await outcomeOf(start(['log', 'verify', join(folder, 'none')], alone));
    assert.equal(none.code, 1);
    assert(isSentence(none.stderr), none.stderr);
  });

  test('`events --follow` ends with its reader, its agent or Ctrl-C', async () => {
    const path = join(folder, 'mortal.sock');
    const agent = await agentAt(path, 'mortal');
    const words = ['events', '--follow', '--json', '--socket', path];
    const [read, orphaned, interrupted] = [start(words), start(words), start(words)];
    const complaints = [read, orphaned, interrupted].map((child) => {
      let said = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      return once(child, 'close').then(([code]) => ({ code, said }));
    });
    const [lines] = await Promise.all([read, orphaned, interrupted].map((child) => linesOf(child, events.length + 1)));
    assert.deepEqual(
      lines?.map((line) => JSON.parse(line).kind),
      [...events.map(({ kind }) => kind), 'tick'],
    );
    interrupted.stdout?.resume();
    interrupted.kill('SIGINT');
    read.stdout?.destroy();
    assert.deepEqual(await complaints[0], { code: 0, said: '' });
    assert.deepEqual(await complaints[2], { code: 0, said: '' });
    orphaned.stdout?.resume();
    await agent.close();
    const { code, said } = (await complaints[1]) as { code: number; said: string };
    assert.equal(code, 3);
    assert(isSentence(said), said);
  });
});
