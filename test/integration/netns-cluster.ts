/** A cluster whose agents run on machines of their own, and all that they report. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { AgentClient } from '../../cli/agent-client.ts';
import type { Founded } from '../../cli/init.ts';
import type { LocalEvent } from '../../src/node/local-api.ts';
import { Cluster } from './cluster.ts';
import { Network } from './netns-network.ts';
import { program, readyMs, until } from './processes.ts';

/** Of what an agent said last, so much is shown when a test fails. */
const tailChars = 600;
/** Enough that nothing is missed between the start of an agent and the first question to it. */
const eventsMost = 1_000;

/** One agent, on its machine. */
class Resident {
  readonly name: string;
  wasKilled = false;
  private isRunning = true;
  private said = '';
  private readonly child: ChildProcess;

  constructor(name: string, command: readonly [string, ...string[]], folder: string) {
    this.name = name;
    const [tool, ...words] = command;
    const env = { PATH: process.env.PATH, HIVEMIND_RUNTIME_DIR: join(folder, 'run') };
    this.child = spawn(tool, words, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const channel of ['stdout', 'stderr'] as const) {
      this.child[channel]?.setEncoding('utf8').on('data', (text: string) => {
        this.said += text;
      });
    }
    this.child.once('close', () => {
      this.isRunning = false;
    });
  }

  async ready(): Promise<void> {
    const isReady = (): boolean => /^Ready/m.test(this.said);
    await until(`${this.name} is ready`, () => isReady() || !this.isRunning, readyMs);
    assert(isReady(), this.tail());
  }

  /** Ends it at once, as a crash does. */
  async kill(): Promise<void> {
    const ended = this.isRunning ? once(this.child, 'close') : undefined;
    this.abandon();
    await ended;
  }

  /** As `kill`, where nothing can be waited for. */
  abandon(): void {
    this.wasKilled = true;
    this.child.kill('SIGKILL');
  }

  tail(): string {
    return `— ${this.name} —\n${this.said.slice(-tailChars)}`;
  }
}

export interface Report {
  readonly observer: string;
  readonly event: LocalEvent;
  /** When it happened, in milliseconds since 1970; all agents read the same clock. */
  readonly at: number;
}

export class NetnsCluster {
  readonly network: Network;
  private readonly reports: Report[] = [];
  private readonly cluster: Cluster;
  private readonly residents = new Map<string, Resident>();
  /** Those whose reports arrive. */
  private readonly watches = new Map<string, AgentClient>();
  private readonly onExit = (): void => this.abandon();
  private readonly onInterrupt = (): never => process.exit(1);

  private constructor(cluster: Cluster, network: Network) {
    this.cluster = cluster;
    this.network = network;
    process.once('exit', this.onExit);
    process.once('SIGINT', this.onInterrupt);
  }

  /** Founds it with these control nodes, lets the others join, and waits until all know all. */
  static async found(control: readonly string[], others: readonly string[]): Promise<NetnsCluster> {
    const folder = await Cluster.empty();
    const cluster = new NetnsCluster(folder, Network.build([...control, ...others]));
    try {
      const token = await cluster.init(control);
      await Promise.all(control.map((name) => cluster.start(name)));
      await cluster.calm();
      await Promise.all(others.map((name) => cluster.join(name, control, token)));
      await cluster.calm();
      return cluster;
    } catch (thrown) {
      await cluster.close();
      throw thrown;
    }
  }

  /** Those who were not killed. */
  get names(): readonly string[] {
    return [...this.residents.values()].filter(({ wasKilled }) => !wasKilled).map(({ name }) => name);
  }

  /** Starts the agent whose settings are in the folder of its name. */
  async start(name: string): Promise<void> {
    await this.run(name, 'agent', '-c', join(name, 'hivemind.yaml'));
  }

  async kill(name: string): Promise<void> {
    const resident = this.residents.get(name);
    assert(resident !== undefined, `${name} was started`);
    await resident.kill();
  }

  /** Waits until whoever runs says that whoever was started is alive, and the pane works. */
  async calm(): Promise<void> {
    const wanted = [...this.residents.keys()].map((name) => `${name} alive`).sort();
    await this.until(
      'all say that all are alive',
      async () => {
        const views = await Promise.all(this.names.map((name) => this.cluster.members(name)));
        return views.every((view) => view.join() === wanted.join()) && (await this.hasPane());
      },
      readyMs,
    );
  }

  /** What was reported since then; one that cannot report, because it ended by itself, fails the test. */
  since(at: number, isMeant: (event: LocalEvent) => boolean): readonly Report[] {
    const silent = this.names.filter((name) => !this.watches.has(name));
    assert.equal(silent.length, 0, this.tails(silent));
    return this.reports.filter((report) => report.at >= at && isMeant(report.event));
  }

  /** Waits until all `observers` have reported it since then; gives how many ms the first and the last of them took. */
  async reportedByAll(
    what: string,
    isMeant: (event: LocalEvent) => boolean,
    observers: readonly string[],
    since: number,
    withinMs: number,
  ): Promise<{ readonly firstMs: number; readonly lastMs: number }> {
    const times = await this.until(
      `${observers.join(', ')} report ${what}`,
      () => {
        const reports = this.since(since, isMeant);
        const firsts = observers.map((observer) => reports.find((report) => report.observer === observer)?.at);
        return firsts.every((at) => at !== undefined) && firsts;
      },
      withinMs,
    );
    return { firstMs: Math.min(...times) - since, lastMs: Math.max(...times) - since };
  }

  /** Ends the agents and takes their machines away. */
  async close(): Promise<void> {
    for (const watch of this.watches.values()) watch.close();
    await Promise.all([...this.residents.values()].map((resident) => resident.kill()));
    process.off('exit', this.onExit);
    process.off('SIGINT', this.onInterrupt);
    try {
      this.network.remove();
    } finally {
      await this.cluster.close();
    }
  }

  /** What is left to do when this process has to end at once. */
  private abandon(): void {
    for (const resident of this.residents.values()) resident.abandon();
    this.network.remove();
  }

  /** Gives the first join token. */
  private async init(control: readonly string[]): Promise<string> {
    const addresses = control.map((name) => `${name}=${this.network.addressOf(name)}`).join();
    const { code, stdout, stderr } = await this.cluster.run('init', '--control', addresses, '--json');
    assert.equal(code, 0, stderr);
    return (JSON.parse(stdout) as Founded).token;
  }

  private async join(name: string, through: readonly string[], token: string): Promise<void> {
    const ask = through.map((member) => this.network.addressOf(member));
    const own = ['--role', 'host', '--name', name, '--bind', this.network.addressOf(name)];
    await this.run(name, 'join', ...ask, '--token', token, ...own);
  }

  private async run(name: string, ...words: readonly string[]): Promise<void> {
    const { folder } = this.cluster;
    const command = [...this.network.on(name), process.execPath, program, ...words] as const;
    const resident = new Resident(name, command, folder);
    this.residents.set(name, resident);
    await resident.ready();
    await this.watch(name);
  }

  private async watch(observer: string): Promise<void> {
    const client = await AgentClient.open({ socket: join(this.cluster.folder, 'run', `${observer}.sock`) });
    this.watches.set(observer, client);
    const request = { kind: 'events', most: eventsMost, follow: true } as const;
    const watched = client.follow<LocalEvent>(request, new AbortController().signal, (event) => {
      this.reports.push({ observer, event, at: Date.parse(event.at) });
    });
    const onEnd = (): void => {
      if (this.watches.get(observer) === client) this.watches.delete(observer);
    };
    void watched.then(onEnd, onEnd);
  }

  /** As `until`; a failure shows what the agents said last. */
  private async until<T>(what: string, probe: () => T | false | Promise<T | false>, withinMs: number): Promise<T> {
    try {
      return await until(what, probe, withinMs);
    } catch (thrown) {
      const tails = this.tails([...this.residents.keys()]);
      throw new Error(`${(thrown as Error).message}\n${tails}`, { cause: (thrown as Error).cause });
    }
  }

  private tails(names: readonly string[]): string {
    return names.map((name) => this.residents.get(name)?.tail()).join('\n');
  }

  private async hasPane(): Promise<boolean> {
    const answers = await Promise.all(this.names.map((name) => this.cluster.ask(name, { kind: 'status' })));
    return answers.every(({ pane }) => pane.state === 'healthy');
  }
}
