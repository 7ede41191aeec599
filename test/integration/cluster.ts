/** A whole cluster of real agents, in a temporary folder of its own: founded, joined, asked and ended. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentClient } from '../../cli/agent-client.ts';
import type { Founded } from '../../cli/init.ts';
import { endpointText } from '../../src/identity.ts';
import type { LocalAnswers, LocalEvent, LocalRequest } from '../../src/node/local-api.ts';
import { Agent, compile, freePort, launch, type Outcome, outcomeOf, readyMs, until } from './processes.ts';

const commandMs = 40_000;

export interface JoinWish {
  readonly name: string;
  /** The member to ask, by name, or an address. */
  readonly through: string;
  readonly token: string;
  /** What it does; or `settings`, the sections below `roles:` of its own file. */
  readonly role?: string;
  readonly settings?: string;
  readonly flags?: readonly string[];
  /** Where it listens; 127.0.0.1 by default. */
  readonly host?: string;
}

export class Cluster {
  readonly folder: string;
  /** The agents of this cluster by name: the last that was started under it. */
  readonly agents: Map<string, Agent> = new Map();
  /** The words that run a node's command elsewhere, by its name. */
  readonly places: Map<string, readonly string[]> = new Map();
  private readonly addresses = new Map<string, string>();
  private readonly begun: Agent[] = [];
  private foundedAs: Founded | undefined;

  private constructor(folder: string) {
    this.folder = folder;
    // A run that is cut short gets no further than this; its agents are dead by then.
    process.once('exit', () => this.clear());
  }

  /** Makes the control nodes c1, c2, … with `hivemind init`, and starts them. */
  static async found(controlNodes: number, host = '127.0.0.1'): Promise<Cluster> {
    const cluster = await Cluster.empty();
    try {
      await cluster.init(controlNodes, host);
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

  async init(controlNodes: number, host = '127.0.0.1'): Promise<Outcome> {
    const names = Array.from({ length: controlNodes }, (_, position) => `c${position + 1}`);
    for (const name of names) await this.addressFor(name, host);
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
  async addressFor(name: string, host = '127.0.0.1'): Promise<string> {
    const address = this.addresses.get(name) ?? endpointText({ host, port: await freePort(host) });
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
    const agent = new Agent(name, words, this.folder, this.places.get(name));
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
    const bind = await this.addressFor(name, wish.host);
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
    this.clear();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  private clear(): void {
    if (!existsSync(this.folder)) return;
    for (const pid of this.strayServers()) process.kill(-pid, 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** An nginx outlives an agent that is killed; it leads a process group of its own. */
  private strayServers(): readonly number[] {
    const files = readdirSync(this.folder, { recursive: true, encoding: 'utf8' });
    const pidFiles = files.filter((path) => path.endsWith('nginx.pid'));
    return pidFiles
      .map((path) => Number(readFileSync(join(this.folder, path), 'utf8')))
      .filter((pid) => this.owns(pid));
  }

  /** Whether this process still runs, and for this cluster. */
  private owns(pid: number): boolean {
    try {
      return pid > 1 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(this.folder);
    } catch {
      return false;
    }
  }
}
