/** A cluster that faults are done to: each agent on a machine of its own, with a small disk and a clock of its own. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Founded } from '../../../cli/init.ts';
import { Cluster } from '../cluster.ts';
import { Network } from '../netns-network.ts';
import type { Agent } from '../processes.ts';
import { SmallDisk } from './small-disk.ts';

/** Room for the segments and snapshots of a log that grows for hours. */
const diskMebibytes = 96;
const readyMs = 120_000;
const watchMs = 250;
/** As a supervisor of services waits before it starts one again. */
const restartMs = 1_000;
/** A line for each request of the load would be most of what this process keeps. */
const quiet = 'log: { level: warn }\n';
/** A clock is looked at so often, in seconds. */
const clockSeconds = 1;
/** Debian's package faketime. */
const fakeClock = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

/** A process that ended without being asked to. */
export interface Fall {
  readonly name: string;
  readonly at: number;
  readonly code: number | null;
  readonly said: string;
}

export class FaultCluster {
  readonly cluster: Cluster;
  readonly network: Network;
  readonly control: readonly string[];
  readonly members: readonly string[];
  /** Machines for those who come and go. */
  readonly spares: readonly string[];
  readonly falls: Fall[] = [];
  /** Starts that were refused because there was no room on the disk. */
  refusedStarts = 0;
  /** Whether each process can have a clock of its own here. */
  readonly hasClocks: boolean = existsSync(fakeClock);
  private firstToken = '';
  private readonly disks = new Map<string, SmallDisk>();
  /** The commands of those who shall run. */
  private readonly wanted = new Map<string, readonly string[]>();
  private watching: Promise<void> | undefined;
  private isOver = false;
  private readonly onExit = (): void => this.abandon();

  private constructor(cluster: Cluster, names: Pick<FaultCluster, 'control' | 'members' | 'spares'>) {
    this.cluster = cluster;
    this.control = names.control;
    this.members = names.members;
    this.spares = names.spares;
    this.network = Network.build([...names.control, ...names.members, ...names.spares]);
    // Before the cluster's own, which cannot remove what is mounted.
    process.prependOnceListener('exit', this.onExit);
  }

  static async found(sizes: {
    readonly control: number;
    readonly members: number;
    readonly spares: number;
  }): Promise<FaultCluster> {
    const names = (letter: string, count: number): readonly string[] =>
      Array.from({ length: count }, (_, position) => `${letter}${position + 1}`);
    const faulty = new FaultCluster(await Cluster.empty(), {
      control: names('c', sizes.control),
      members: names('m', sizes.members),
      spares: names('x', sizes.spares),
    });
    try {
      await faulty.begin();
      return faulty;
    } catch (thrown) {
      await faulty.close();
      throw thrown;
    }
  }

  /** Those who are to stay, by name. */
  get residents(): readonly string[] {
    return [...this.control, ...this.members];
  }

  /** Those of them who shall run now. */
  get running(): readonly string[] {
    return this.residents.filter((name) => this.wanted.has(name));
  }

  get token(): string {
    return this.firstToken;
  }

  disk(name: string): SmallDisk {
    const disk = this.disks.get(name);
    assert(disk !== undefined, `${name} has a disk`);
    return disk;
  }

  socketOf(name: string): string {
    return join(this.cluster.folder, 'run', `${name}.sock`);
  }

  /** Puts the clock of a node's processes beside the machine's own. */
  setClock(name: string, offsetSeconds: number): void {
    writeFileSync(this.clockFile(name), `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}\n`);
  }

  // — processes —

  /** Starts a resident again, and does not wait for it. */
  start(name: string): void {
    this.run(name, ['agent', '-c', join(name, 'hivemind.yaml')]);
  }

  /** Ends it at once, as a crash does, and for as long as it is not started. */
  async kill(name: string): Promise<void> {
    this.wanted.delete(name);
    await this.cluster.agents.get(name)?.kill();
  }

  signal(name: string, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.cluster.agents.get(name)?.signal(signal);
  }

  /** Lets a node of this name join, on a machine; the caller looks after its process. */
  join(name: string, machine: string, token: string): Agent {
    this.cluster.places.set(name, this.placeOf(name, machine));
    return this.cluster.spawn(name, ...this.joinWords(name, machine, token));
  }

  forget(name: string): void {
    this.cluster.agents.delete(name);
    rmSync(join(this.cluster.folder, name), { recursive: true, force: true });
  }

  /** Ends all and takes the machines away. */
  async close(): Promise<void> {
    this.isOver = true;
    await this.watching;
    await Promise.all([...this.cluster.agents.values()].map((agent) => agent.kill()));
    process.off('exit', this.onExit);
    this.takeAway();
    await this.cluster.close();
  }

  /** What is left to do when this process has to end at once. */
  private abandon(): void {
    for (const agent of this.cluster.agents.values()) agent.signal('SIGKILL');
    this.takeAway();
  }

  private takeAway(): void {
    for (const disk of this.disks.values()) disk.unmount();
    this.disks.clear();
    this.network.remove();
  }

  // — the beginning —

  private async begin(): Promise<void> {
    const addresses = this.control.map((name) => `${name}=${this.network.addressOf(name)}`).join();
    const { code, stdout, stderr } = await this.cluster.run('init', '--control', addresses, '--json');
    assert.equal(code, 0, stderr);
    this.firstToken = (JSON.parse(stdout) as Founded).token;
    for (const name of this.residents) {
      this.disks.set(name, SmallDisk.mount(join(this.cluster.folder, name, 'data'), diskMebibytes));
      this.cluster.places.set(name, this.placeOf(name, name));
    }
    for (const name of this.control) {
      appendFileSync(join(this.cluster.folder, name, 'hivemind.yaml'), quiet);
      this.start(name);
    }
    for (const name of this.members) this.run(name, this.joinWords(name, name, this.firstToken));
    this.watching = this.watch();
    await this.cluster.until('all are ready', () => this.residents.every((name) => this.isReady(name)), readyMs);
  }

  private isReady(name: string): boolean {
    return /^Ready/m.test(this.cluster.agent(name).stdout);
  }

  private joinWords(name: string, machine: string, token: string): readonly string[] {
    const addresses = this.control.map((each) => this.network.addressOf(each));
    const own = ['--role', 'host', '--name', name, '--bind', this.network.addressOf(machine)];
    return ['join', ...addresses, '--token', token, ...own, '--patient'];
  }

  private placeOf(name: string, machine: string): readonly string[] {
    const place = this.network.on(machine);
    if (!this.hasClocks) return place;
    this.setClock(name, 0);
    return [
      ...place,
      'env',
      `LD_PRELOAD=${fakeClock}`,
      `FAKETIME_TIMESTAMP_FILE=${this.clockFile(name)}`,
      `FAKETIME_CACHE_DURATION=${clockSeconds}`,
      'FAKETIME_DONT_FAKE_MONOTONIC=1',
      'NO_FAKE_STAT=1',
    ];
  }

  private clockFile(name: string): string {
    return join(this.cluster.folder, `${name}.clock`);
  }

  private run(name: string, words: readonly string[]): void {
    this.wanted.set(name, words);
    this.cluster.spawn(name, ...words);
  }

  /** Notes who ended by himself, and starts him again. */
  private async watch(): Promise<void> {
    while (!this.isOver) {
      for (const [name, words] of this.wanted) {
        const agent = this.cluster.agent(name);
        if (!agent.isRunning) await this.onFall(agent, words);
      }
      await sleep(watchMs);
    }
  }

  private async onFall(agent: Agent, words: readonly string[]): Promise<void> {
    const { name } = agent;
    const { code } = await agent.ended;
    const isRefused = !this.isReady(name) && agent.stderr.includes('no space is left on the disk');
    if (isRefused) this.refusedStarts++;
    else this.falls.push({ name, at: performance.now(), code, said: agent.tail() });
    await sleep(restartMs);
    if (!this.isOver && this.wanted.has(name) && this.cluster.agent(name) === agent) this.run(name, words);
  }
}
