/**
 * The whole story of the quick start with real processes, real UDP, dig and nginx: up, look, kill, heal, degrade,
 * resume. Times are printed; the limits asserted are only there so that a hang ends.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { StepLine } from '../../cli/dev/report.ts';
import type { LocalLog, LocalMembers, LocalStatus } from '../../src/node/local-api.ts';
import { assertSentence, compile, launch, missing, type Outcome, outcomeOf, program, until } from './processes.ts';

interface Plan {
  readonly dns: { readonly port: number };
  readonly nginx: { readonly port: number };
}

const controlNames = ['control-1', 'control-2', 'control-3'];
const memberNames = ['host-a', 'host-b', 'dns-a', 'nginx-a'];

/** A `hivemind dev` in the foreground of its own folder, as a user has it in a first terminal. */
class Dev {
  readonly steps: StepLine[] = [];
  readonly child: ChildProcess;
  readonly folder: string;

  constructor(folder: string, words: readonly string[] = []) {
    this.folder = folder;
    this.child = spawn(process.execPath, [program, 'dev', '--json', ...words], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface({ input: this.child.stdout as NonNullable<ChildProcess['stdout']> }).on('line', (line) => {
      this.steps.push(JSON.parse(line) as StepLine);
    });
  }

  step(name: string): StepLine | undefined {
    return this.steps.find(({ step }) => step === name);
  }

  async ready(): Promise<StepLine> {
    return await until('ready', () => this.step('ready'), 90_000);
  }

  async interrupt(): Promise<number | null> {
    if (this.child.exitCode !== null) return this.child.exitCode;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGINT');
    await ended;
    return this.child.exitCode;
  }

  get plan(): Plan {
    return JSON.parse(readFileSync(join(this.folder, '.hivemind/dev/dev.json'), 'utf8')) as Plan;
  }
}

describe('hivemind dev', { timeout: 280_000 }, () => {
  let folder: string;
  let dev: Dev;
  let squatter: Server;
  let skip: string | false = false;

  const hivemind = async (...words: readonly string[]): Promise<Outcome> => await outcomeOf(launch(words, folder));
  const json = async <T>(...words: readonly string[]): Promise<T> => {
    const { code, stdout, stderr } = await hivemind(...words, '--json');
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as T;
  };
  const status = async (node: string): Promise<LocalStatus> => await json<LocalStatus>('status', '--node', node);
  const members = async (node: string): Promise<LocalMembers> => await json<LocalMembers>('members', '--node', node);
  const dig = async (name: string): Promise<readonly string[]> => {
    const words = ['+short', '+tries=1', '+time=2', '@127.0.0.1', '-p', String(dev.plan.dns.port), name];
    return await new Promise((resolve) =>
      execFile('dig', words, (_error, stdout) => resolve(stdout.split('\n').filter(Boolean))),
    );
  };
  const page = async (): Promise<string> => {
    const words = ['-s', '-m', '3', '-H', 'Host: web.localhost', `http://127.0.0.1:${dev.plan.nginx.port}/`];
    const text = await new Promise<string>((resolve) => execFile('curl', words, (_error, out) => resolve(out)));
    return /Hello from ([a-z-]+)/.exec(text)?.[1] ?? '';
  };
  /** Whoever serves the page in ten fetches. */
  const servers = async (): Promise<string> => {
    const seen = new Set<string>();
    for (let fetched = 0; fetched < 10; fetched++) seen.add(await page());
    return [...seen].sort().join(' ');
  };
  const timed = async (
    t: TestContext,
    what: string,
    probe: () => Promise<unknown>,
    withinMs: number,
  ): Promise<void> => {
    const began = performance.now();
    await until(what, async () => (await probe()) === true, withinMs);
    t.diagnostic(`${what}: ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  };

  before(async () => {
    skip = (await missing('dig', '-v')) || (await missing('nginx', '-v'));
    await compile();
    folder = mkdtempSync(join(tmpdir(), 'hivemind-dev-'));
    squatter = createServer()
      .listen(5300, '127.0.0.1')
      .on('error', () => {});
    if (skip === false) dev = new Dev(folder);
  });

  after(async () => {
    await dev?.interrupt();
    squatter.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('prints a step only with its evidence, and ends with the page served by name', async (t) => {
    if (skip !== false) return t.skip(skip);
    const ready = await dev.ready();
    assert.equal(ready.ok, true, JSON.stringify(dev.steps));
    const names = dev.steps.map(({ step }) => step).filter((step) => step !== 'port');
    assert.deepEqual(names, ['cluster', 'quorum', 'members', 'configs', 'dns', 'page', 'ready']);
    t.diagnostic(`ready after ${(ready.ms / 1_000).toFixed(1)} s`);
  });

  test('a taken port gives way to the next free one, and is named', (t) => {
    if (skip !== false) return t.skip(skip);
    const line = dev.steps.find(({ step, detail }) => step === 'port' && detail.startsWith('5300 is taken'));
    assert.match(line?.detail ?? '', /so DNS uses 53\d\d/);
    assert.notEqual(dev.plan.dns.port, 5300);
  });

  test('HM-1, HM-3, HM-23, HM-29: both hosts are found by DNS and serve the page through nginx', async (t) => {
    if (skip !== false) return t.skip(skip);
    const listed = await members('dns-a');
    assert.deepEqual(listed.members.map(({ name }) => name).sort(), [...controlNames, ...memberNames].sort());
    assert.ok(listed.members.find(({ name }) => name === 'host-a')?.roles.includes('page'), 'two roles at once');
    assert.equal((await dig('web.hive.internal')).length, 2);
    assert.equal(await servers(), 'host-a host-b');
    assert.equal((await hivemind('service', 'ls')).code, 0);
  });

  test('a killed host leaves DNS and nginx, the other answers on, and it returns by itself', async (t) => {
    if (skip !== false) return t.skip(skip);
    assert.equal((await hivemind('dev', 'kill', 'host-b')).code, 0);
    await timed(t, 'killed host out of DNS', async () => (await dig('web.hive.internal')).length === 1, 40_000);
    await timed(t, 'killed host out of nginx after that', async () => (await servers()) === 'host-a', 40_000);
    const events = (await hivemind('events', '--node', 'control-1', '--last', '500')).stdout;
    // A death that its kernel proves is decided before anybody's doubt grows to a suspicion.
    assert.match(events, /(probe-missed|suspected)\s+host-b/, 'HM-14: visible in the events');
    assert.match(events, /down\s+host-b/);
    assert.equal((await hivemind('dev', 'start', 'host-b')).code, 0);
    await timed(t, 'host back in DNS', async () => (await dig('web.hive.internal')).length === 2, 40_000);
    await timed(t, 'host back in nginx after that', async () => (await servers()) === 'host-a host-b', 40_000);
  });

  test('a killed leader is replaced, and everything still works', async (t) => {
    if (skip !== false) return t.skip(skip);
    const leader = (await status('host-a')).pane.leader as string;
    const survivor = controlNames.find((name) => name !== leader) as string;
    const before_ = (await status(survivor)).pane;
    assert.equal((await hivemind('dev', 'kill', leader)).code, 0);
    const began = performance.now();
    const elected = await until(
      'a new leader',
      async () => {
        const { pane } = await status(survivor);
        return pane.leader !== undefined && pane.leader !== leader ? pane.leader : undefined;
      },
      30_000,
    );
    t.diagnostic(`leader ${before_.leader} replaced by ${elected} after ${Math.round(performance.now() - began)} ms`);
    assert.equal((await hivemind('token', 'create', '--role', 'host', '--node', survivor)).code, 0);
    assert.equal(await servers(), 'host-a host-b');
    assert.equal((await dig('web.hive.internal')).length, 2);
  });

  test('HM-6, HM-9: without a quorum every node says so, a join changes nothing, DNS and nginx answer', async (t) => {
    if (skip !== false) return t.skip(skip);
    const running = await runningNodes();
    const control = running.find((name) => controlNames.includes(name)) as string;
    const leader = (await status(control)).pane.leader as string;
    const beforeJoin = await members('host-a');
    assert.equal((await hivemind('dev', 'kill', leader)).code, 0);
    const left = running.filter((name) => name !== leader);
    await timed(
      t,
      'every node says degraded',
      async () => {
        const states = await Promise.all(left.map(async (name) => (await status(name)).pane.state));
        return states.every((state) => state === 'no-quorum');
      },
      30_000,
    );
    const token = readFileSync(join(folder, '.hivemind/dev/token'), 'utf8').trim();
    const address = beforeJoin.members.find(({ name }) => name === 'host-a')?.addresses[0] as string;
    const join_ = ['join', address, '--token', token, '--role', 'host', '--name', 'late', '--bind', '127.0.0.1:7190'];
    const refused = await hivemind(...join_);
    assert.equal(refused.code, 1);
    assertSentence(refused);
    const namesOf = ({ members: listed }: LocalMembers): readonly string[] => listed.map(({ name }) => name);
    for (const name of left) assert.deepEqual(namesOf(await members(name)), namesOf(beforeJoin));
    assert.equal((await dig('web.hive.internal')).length, 2);
    assert.equal(await servers(), 'host-a host-b');
  });

  test('with its control nodes back the cluster is healthy again by itself', async (t) => {
    if (skip !== false) return t.skip(skip);
    const running = await runningNodes();
    for (const name of controlNames) if (!running.includes(name)) await hivemind('dev', 'start', name);
    await timed(
      t,
      'healthy everywhere',
      async () => {
        const states = await Promise.all([...controlNames, ...memberNames].map(async (name) => await status(name)));
        return states.every(({ pane, view }) => pane.state === 'healthy' && view.down === 0);
      },
      60_000,
    );
    const log = await json<LocalLog>('log');
    assert.ok(log.entries.length > 8, 'HM-7: the event log has everything');
  });

  test('Ctrl-C stops everything and leaves no process behind; a second run resumes', async (t) => {
    if (skip !== false) return t.skip(skip);
    const pids = [...(await pidsOf()), ...nginxPid()];
    assert.ok(pids.length >= 8, `agents and nginx: ${pids}`);
    const entries = (await json<LocalLog>('log')).commitIndex;
    assert.equal(await dev.interrupt(), 0);
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, `process ${pid} is gone`);
    dev = new Dev(folder, ['--once']);
    await once(dev.child, 'exit');
    assert.equal(dev.child.exitCode, 0, JSON.stringify(dev.steps));
    assert.match(dev.step('cluster')?.detail ?? '', /resumed/);
    t.diagnostic(`resumed and ready after ${(dev.step('ready')?.ms ?? 0) / 1_000} s, log was at ${entries}`);
  });

  test('without nginx on the machine its line says how to install it, and the rest runs', async (t) => {
    if (skip !== false) return t.skip(skip);
    if (process.getuid?.() !== 0)
      return t.skip('only root can hide the installed nginx, in a mount namespace of its own');
    const elsewhere = mkdtempSync(join(tmpdir(), 'hivemind-dev-'));
    const hide = 'mount --bind /dev/null "$(command -v nginx)" && exec "$@"';
    const words = ['-m', 'sh', '-c', hide, 'sh', process.execPath, program, 'dev', '--json', '--once'];
    const without = spawn('unshare', words, { cwd: elsewhere, stdio: ['ignore', 'pipe', 'pipe'] });
    const { code, stdout, stderr } = await outcomeOf(without);
    rmSync(elsewhere, { recursive: true, force: true });
    assert.equal(code, 0, stdout + stderr);
    const steps = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as StepLine);
    const stepNamed = (name: string): StepLine | undefined => steps.find(({ step }) => step === name);
    assert.match(stepNamed('nginx')?.detail ?? '', /apt-get install nginx/);
    assert.equal(stepNamed('dns')?.ok, true);
    assert.equal(stepNamed('page'), undefined);
  });

  test('dev reset removes the data', async (t) => {
    if (skip !== false) return t.skip(skip);
    assert.equal((await hivemind('dev', 'reset')).code, 0);
    assert.equal((await hivemind('dev', 'kill', 'host-a')).code, 3);
  });

  async function devNodes(): Promise<readonly { readonly name: string; readonly pid?: number }[]> {
    return (await json<{ readonly nodes: readonly { readonly name: string; readonly pid?: number }[] }>('dev', 'ls'))
      .nodes;
  }

  async function runningNodes(): Promise<readonly string[]> {
    return (await devNodes()).filter(({ pid }) => pid !== undefined).map(({ name }) => name);
  }

  async function pidsOf(): Promise<readonly number[]> {
    return (await devNodes()).flatMap(({ pid }) => pid ?? []);
  }

  function nginxPid(): readonly number[] {
    const path = join(folder, '.hivemind/dev/nginx-a/data/roles/nginx/nginx.pid');
    return [Number(readFileSync(path, 'utf8'))];
  }
});
