/**
 * Whole clusters of real processes: the compiled program, UDP, TLS and disks, on loopback. Whatever a cluster
 * starts it ends by its pid, also when a test fails; each cluster lives in a temporary folder of its own.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentClient } from '../../cli/agent-client.ts';
import type { Founded } from '../../cli/init.ts';
import { HivemindError } from '../../src/error.ts';
import type { LocalAnswers, LocalEvent, LocalRequest } from '../../src/node/local-api.ts';
import { type FolderLock, lockFolder } from '../../src/store/folder-lock.ts';

const root = join(import.meta.dirname, '../..');
/** What users run as `hivemind`. */
export const program: string = join(root, 'dist/cli/main.js');

const readyMs = 15_000;
const commandMs = 40_000;
const stopMs = 8_000;
const pollMs = 25;
const compileMs = 120_000;
/** Lines of each agent that a failure shows. */
const tailLines = 6;

let compiled: Promise<void> | undefined;

/** Brings `dist` up to date, once in this process and one process at a time. */
export function compile(): Promise<void> {
  compiled ??= compileAlone();
  return compiled;
}

async function compileAlone(): Promise<void> {
  const dist = join(root, 'dist');
  mkdirSync(dist, { recursive: true });
  const lock = await until('dist is free to compile into', () => tryLock(dist), compileMs);
  try {
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const child = spawn(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root });
    const { code, stdout } = await outcomeOf(child);
    assert.equal(code, 0, stdout);
  } finally {
    lock.release();
  }
}

function tryLock(folder: string): FolderLock | undefined {
  try {
    return lockFolder(folder);
  } catch (thrown) {
    if (thrown instanceof HivemindError && thrown.code === 'refused') return undefined;
    throw thrown;
  }
}

/** Asks again and again until there is an answer, and gives that; what the last attempt threw is the reason. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs: number,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  let last: unknown;
  do {
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
      last = undefined;
    } catch (thrown) {
      last = thrown;
    }
    await sleep(pollMs);
  } while (performance.now() < deadline);
  throw new Error(`Not within ${withinMs} ms: ${what}.`, { cause: last });
}

/** Ports below those that the system gives to outgoing connections, which could take a stopped agent's port. */
const portMin = 10_000;
const portMax = 30_000;

/** A port that is free on loopback for UDP and TCP alike. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  return await until(
    'a port is free',
    async () => {
      const port = portMin + Math.floor(Math.random() * (portMax - portMin));
      return (await isFree(host, port)) && port;
    },
    5_000,
  );
}

async function isFree(host: string, port: number): Promise<boolean> {
  const udp = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const tcp = createServer();
  try {
    udp.bind(port, host);
    await once(udp, 'listening');
    tcp.listen(port, host);
    await once(tcp, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    udp.close();
    tcp.close();
  }
}

/** How a command ended and what it said. */
export interface Outcome {
  /** Nothing when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
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

const {
  NO_COLOR: _noColor,
  HIVEMIND_SOCKET: _noSocket,
  NODE_OPTIONS: _noOptions,
  HIVEMIND_DEBUG: _noDebug,
  ...inherited
} = process.env;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
process.once('SIGTERM', () => process.exit(1));

function launch(words: readonly string[], folder: string): ChildProcess {
  const env = { ...inherited, HIVEMIND_RUNTIME_DIR: join(folder, 'run') };
  const child = spawn(process.execPath, [program, ...words], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.once('close', () => running.delete(child));
  return child;
}

/** One `hivemind agent` or `hivemind join`. */
export class Agent {
  readonly name: string;
  readonly pid: number;
  /** What it has printed so far. */
  stdout = '';
  /** Its log so far, one JSON object per line. */
  stderr = '';
  readonly ended: Promise<Outcome>;
  private readonly child: ChildProcess;
  private isOver = false;

  constructor(name: string, words: readonly string[], folder: string) {
    this.name = name;
    this.child = launch(words, folder);
    this.pid = this.child.pid as number;
    for (const channel of ['stdout', 'stderr'] as const) {
      this.child[channel]?.setEncoding('utf8').on('data', (text: string) => {
        this[channel] += text;
      });
    }
    this.ended = once(this.child, 'close').then(([code]) => {
      this.isOver = true;
      return { code: code as number | null, stdout: this.stdout, stderr: this.stderr };
    });
  }

  get isRunning(): boolean {
    return !this.isOver;
  }

  /** The lines of its log that say `message`. */
  logged(message: string): readonly Readonly<Record<string, unknown>>[] {
    const lines = this.stderr.split('\n').filter((line) => line.startsWith('{'));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line.msg === message);
  }

  /** Waits until it printed a match. @throws Error when it ends before, with what it said */
  async says(pattern: RegExp, withinMs: number = readyMs): Promise<RegExpExecArray> {
    const found = await until(
      `${this.name} says ${pattern}`,
      () => pattern.exec(this.stdout) ?? (this.isOver && this.tail()),
      withinMs,
    );
    if (typeof found === 'string') throw new Error(`It ended without saying ${pattern}:\n${found}`);
    return found;
  }

  tail(): string {
    const lastLines = (text: string): string => text.trimEnd().split('\n').slice(-tailLines).join('\n');
    return `— ${this.name} —\n${lastLines(this.stdout)}\n${lastLines(this.stderr)}`;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends it at once, as a crash does. */
  async kill(): Promise<Outcome> {
    this.signal('SIGKILL');
    return await this.ended;
  }

  /** Ends it in good order; one that does not end is killed, and the test fails. */
  async stop(): Promise<Outcome> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const late = sleep(stopMs, undefined, { ref: false }).then(async () => {
      await this.kill();
      throw new Error(`${this.name} did not stop within ${stopMs} ms.\n${this.tail()}`);
    });
    return await Promise.race([this.ended, late]);
  }
}

export interface JoinWish {
  readonly name: string;
  /** The member to ask, by name, or an address. */
  readonly through: string;
  readonly token: string;
  /** What it does; or `settings`, the sections below `roles:` of its own file. */
  readonly role?: string;
  readonly settings?: string;
  readonly flags?: readonly string[];
}

export class Cluster {
  readonly folder: string;
  /** The agents of this cluster by name: the last that was started under it. */
  readonly agents = new Map<string, Agent>();
  private readonly addresses = new Map<string, string>();
  private readonly begun: Agent[] = [];
  private foundedAs: Founded | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes the control nodes c1, c2, … with `hivemind init`, and starts them. */
  static async found(controlNodes: number): Promise<Cluster> {
    const cluster = await Cluster.empty();
    try {
      await cluster.init(controlNodes);
      await Promise.all([...cluster.addresses.keys()].map((name) => cluster.start(name)));
      await cluster.until('the control pane has a leader', async () => (await cluster.leader()) !== undefined);
      return cluster;
    } catch (thrown) {
      await cluster.close();
      throw thrown;
    }
  }

  /** A folder for a cluster, and nothing else. */
  static async empty(): Promise<Cluster> {
    await compile();
    const folder = mkdtempSync(join(tmpdir(), 'hivemind-'));
    // The workers of an nginx that root starts are somebody else, who must get in.
    chmodSync(folder, 0o711);
    return new Cluster(folder);
  }

  async init(controlNodes: number): Promise<Outcome> {
    const names = Array.from({ length: controlNodes }, (_, position) => `c${position + 1}`);
    for (const name of names) await this.addressFor(name);
    const control = names.map((name) => `${name}=${this.addressOf(name)}`).join();
    const outcome = await this.run('init', '--control', control, '--json');
    assert.equal(outcome.code, 0, outcome.stderr);
    this.foundedAs = JSON.parse(outcome.stdout) as Founded;
    return outcome;
  }

  /** What `init` printed. */
  get founded(): Founded {
    assert(this.foundedAs !== undefined, 'the cluster is founded');
    return this.foundedAs;
  }

  agent(name: string): Agent {
    const agent = this.agents.get(name);
    assert(agent !== undefined, `an agent ${name} was started`);
    return agent;
  }

  /** Those whose process runs, by name. */
  get names(): readonly string[] {
    return [...this.agents.values()].filter((agent) => agent.isRunning).map((agent) => agent.name);
  }

  addressOf(name: string): string {
    return this.addresses.get(name) ?? name;
  }

  /** Gives `name` an address to listen on, the same for ever. */
  async addressFor(name: string): Promise<string> {
    const address = this.addresses.get(name) ?? `127.0.0.1:${await freePort()}`;
    this.addresses.set(name, address);
    return address;
  }

  // — processes —

  /** Runs one command to its end. */
  async run(...words: readonly string[]): Promise<Outcome> {
    const child = launch(words, this.folder);
    const cancel = setTimeout(() => child.kill('SIGKILL'), commandMs);
    const outcome = await outcomeOf(child);
    clearTimeout(cancel);
    return outcome;
  }

  /** Runs a command that must succeed, with `--json`, and gives what it answered. */
  async json<T>(...words: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run(...words, '--json');
    assert.equal(code, 0, `hivemind ${words.join(' ')}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }

  /** Starts an agent and leaves it to itself. */
  spawn(name: string, ...words: readonly string[]): Agent {
    const agent = new Agent(name, words, this.folder);
    this.agents.set(name, agent);
    this.begun.push(agent);
    return agent;
  }

  /** Starts the node whose settings are in the folder of its name, and waits until it is ready. */
  async start(name: string): Promise<Agent> {
    const agent = this.spawn(name, 'agent', '-c', join(name, 'hivemind.yaml'));
    await agent.says(/^Ready/m);
    return agent;
  }

  /** Begins to join; with settings of its own these are written to the folder of its name first. */
  async beginJoin(wish: JoinWish): Promise<Agent> {
    const { name, through, token, role, settings, flags = [] } = wish;
    const bind = await this.addressFor(name);
    const self = role === undefined ? [] : ['--role', role, '--name', name, '--bind', bind];
    const own = settings === undefined ? self : ['-c', this.writeSettings(name, settings)];
    return this.spawn(name, 'join', this.addressOf(through), '--token', token, ...own, ...flags);
  }

  /** Joins and waits until the node is ready. */
  async join(wish: JoinWish): Promise<Agent> {
    const agent = await this.beginJoin(wish);
    await agent.says(/^Ready/m);
    return agent;
  }

  /** Writes a node's settings file with these lines below `roles:`, and gives its path. */
  writeSettings(name: string, roles: string): string {
    const folder = join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    const lines = ['version: 1', `name: ${name}`, 'data: ./data', `bind: ${this.addressOf(name)}`, 'roles:', roles];
    writeFileSync(join(folder, 'hivemind.yaml'), `${lines.join('\n')}\n`);
    return join(name, 'hivemind.yaml');
  }

  // — what the agents say —

  /** Asks an agent over its socket, without the price of a process. */
  async ask<Request extends LocalRequest>(name: string, request: Request): Promise<LocalAnswers[Request['kind']]> {
    const agent = await AgentClient.open({ socket: join(this.folder, 'run', `${name}.sock`) });
    try {
      return await agent.ask(request);
    } finally {
      agent.close();
    }
  }

  async events(name: string): Promise<readonly LocalEvent[]> {
    return (await this.ask(name, { kind: 'events', most: 1_000, follow: false })).events;
  }

  /** The members that `name` knows, as `NAME status`, sorted. */
  async members(name: string): Promise<readonly string[]> {
    const { members } = await this.ask(name, { kind: 'members' });
    return members.map((member) => `${member.name} ${member.status}`).sort();
  }

  /** The control node that leads, when all control nodes that run agree on one that runs, too. */
  async leader(): Promise<string | undefined> {
    const control = this.names.filter((name) => /^c\d+$/.test(name));
    const answers = await Promise.all(control.map((name) => this.ask(name, { kind: 'status' })));
    const leaders = new Set(answers.map(({ pane }) => (pane.state === 'healthy' ? pane.leader : undefined)));
    const [leader] = leaders;
    return leaders.size === 1 && leader !== undefined && control.includes(leader) ? leader : undefined;
  }

  async token(...flags: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run('token', 'create', ...flags);
    assert.equal(code, 0, stderr);
    return stdout.trim();
  }

  /** As `until`; a failure shows what the agents said last. */
  async until<T>(
    what: string,
    probe: () => T | undefined | false | Promise<T | undefined | false>,
    withinMs: number = readyMs,
  ): Promise<T> {
    try {
      return await until(what, probe, withinMs);
    } catch (thrown) {
      const tails = [...this.agents.values()].map((agent) => agent.tail()).join('\n');
      throw new Error(`${(thrown as Error).message}\n${tails}`, { cause: (thrown as Error).cause });
    }
  }

  /** Ends whatever still runs and removes the folder. */
  async close(): Promise<void> {
    const living = this.begun.filter((agent) => agent.isRunning);
    const ends = await Promise.allSettled(living.map((agent) => agent.stop()));
    for (const pid of this.strayServers()) process.kill(pid, 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  /** An nginx outlives its agent when that is killed. */
  private strayServers(): readonly number[] {
    const files = readdirSync(this.folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
      path.endsWith('nginx.pid'),
    );
    const pids = files.map((path) => Number(readFileSync(join(this.folder, path), 'utf8')));
    return pids.filter((pid) => pid > 0 && existsSync(`/proc/${pid}`));
  }
}

/** What a person reads when a command fails: one sentence, and nothing of the program's inside. */
export function assertSentence({ stderr }: Outcome): void {
  const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  assert.equal(lines.length, 1, stderr);
  assert.match(lines[0] ?? '', /^[A-Z"/~.].*[.?]$/, stderr);
  assert.doesNotMatch(stderr, /^\s+at |Error:|node:internal/m);
}

/** Whether there is such a program; with HIVEMIND_REQUIRE_TOOLS=1 its absence fails the tests that need it. */
export async function missing(tool: string, ...words: readonly string[]): Promise<string | false> {
  const isThere = await new Promise<boolean>((resolve) => execFile(tool, words, (error) => resolve(error === null)));
  return isThere || process.env.HIVEMIND_REQUIRE_TOOLS === '1' ? false : `${tool} is not installed`;
}
