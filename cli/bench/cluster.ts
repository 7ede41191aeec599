/** A cluster of one product's agents: real processes, each with a witness of what it believes. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../../src/assert.ts';
import { HivemindError } from '../../src/error.ts';
import { endpointText } from '../../src/identity.ts';
import { AgentProcess } from './agent-process.ts';
import type { Firewall } from './firewall.ts';
import { listeners } from './proc.ts';
import { type AgentEvent, type AgentPlace, foundersCount, type Product } from './product.ts';
import { Witness } from './witness.ts';

const foundingPatienceMs = 60_000;
const listeningPatienceMs = 300_000;
const listeningLookMs = 20;
/** Lists are read again this often while agreement is waited for: a witness may have missed a change. */
const relistPeriodMs = 2_000;

/** What an agent said, and when it was heard (performance.now()). */
export interface Sighting {
  readonly atMs: number;
  readonly observer: string;
  readonly event: AgentEvent;
}

export class Cluster {
  readonly product: Product;
  readonly firewall: Firewall | undefined;
  readonly names: readonly string[];
  private readonly folder: string;
  private readonly signal: AbortSignal;
  private readonly processes = new Map<string, AgentProcess>();
  private readonly witnesses: ReadonlyMap<string, Witness>;
  private readonly listening = new Set<(sighting: Sighting) => void>();
  /** Checks that are waited for. */
  private readonly waiting = new Set<() => void>();
  private breakOff: (reason: HivemindError) => void = () => {};
  /** Rejects when the cluster is of no use any more: an agent has ended that should not. */
  private readonly broken: Promise<never>;
  isBroken = false;
  private isClosing = false;

  constructor(product: Product, folder: string, firewall: Firewall | undefined, signal: AbortSignal) {
    this.product = product;
    this.folder = folder;
    this.firewall = firewall;
    this.signal = signal;
    this.names = product.places.map(({ name }) => name);
    this.witnesses = new Map(
      product.places.map((place) => {
        const callbacks = { onEvent: (event: AgentEvent) => this.hear(place, event), onList: () => this.wakeWaiting() };
        return [place.name, new Witness(product, place, callbacks)];
      }),
    );
    this.broken = new Promise((_resolve, reject) => {
      this.breakOff = (reason) => {
        this.isBroken = true;
        reject(reason);
      };
    });
    // Between two waits nobody listens; the next one hears of it.
    this.broken.catch(() => {});
  }

  /** Those that may be broken: all but the founders. */
  get members(): readonly string[] {
    return this.names.slice(foundersCount);
  }

  get pids(): readonly number[] {
    return [...this.processes.values()].flatMap(({ pid }) => pid ?? []);
  }

  // — starting —

  /** Starts the founders, and resolves when they agree and can let others in. */
  async found(): Promise<void> {
    await this.product.prepare();
    const founders = this.names.slice(0, foundersCount);
    for (const name of founders) this.begin(name, true);
    await this.guard(Promise.all(founders.map((name) => this.witness(name).attach())));
    const agree = (): boolean => founders.every((name) => founders.every((each) => this.isUpFor(name, each)));
    const isHealthy = async (): Promise<boolean> => {
      const healthy = await Promise.all(founders.map((name) => this.witness(name).isHealthy()));
      return healthy.every((each) => each);
    };
    const until = performance.now() + foundingPatienceMs;
    while (performance.now() < until) {
      if (agree() && (await this.guard(isHealthy()))) return;
      await this.pause(listeningLookMs);
    }
    const { lastWords } = this.process(founders[0] ?? '');
    const sentence = `The first agents of ${this.product.name} did not agree in time; one said last: ${lastWords}`;
    throw new HivemindError('time-out', sentence);
  }

  /** Starts all members at once, and resolves when the last one of them listens. */
  async startMembers(): Promise<void> {
    for (const name of this.members) {
      this.begin(name, true);
      void this.witness(name).attach();
    }
    const wanted = this.product.places.map(({ host }) => endpointText({ host, port: this.product.port }));
    const until = performance.now() + listeningPatienceMs;
    while (performance.now() < until) {
      const open = await listeners();
      if (wanted.every((address) => open.has(address))) return;
      await this.pause(listeningLookMs);
    }
    throw new HivemindError('time-out', `Not all agents of ${this.product.name} listened in time; take fewer nodes.`);
  }

  // — breaking and mending —

  async kill(name: string): Promise<void> {
    const process = this.process(name);
    this.processes.delete(name);
    await process.kill();
    this.witness(name).detach();
  }

  /** Starts an agent again that was killed. */
  restart(name: string): void {
    this.begin(name, false);
    void this.witness(name).attach();
  }

  stall(name: string): void {
    this.process(name).pause();
  }

  wake(name: string): void {
    this.process(name).resume();
  }

  async cut(name: string): Promise<void> {
    await this.firewall?.cut(this.place(name));
  }

  async mend(): Promise<void> {
    await this.firewall?.mend();
  }

  // — watching —

  /** @throws HivemindError as the agent refuses */
  async send(sender: string, event: string, payload: string): Promise<void> {
    await this.guard(this.witness(sender).send(event, payload));
  }

  /** Tells each sighting until the function that it gives is called. */
  onSighting(listener: (sighting: Sighting) => void): () => void {
    this.listening.add(listener);
    return () => this.listening.delete(listener);
  }

  isUpFor(observer: string, node: string): boolean {
    return this.witness(observer).up.has(node);
  }

  /** Whether this agent lists all. */
  seesAll(observer: string): boolean {
    return this.witness(observer).up.size === this.names.length;
  }

  /** Members that agents do not list, over all agents. */
  get unlisted(): number {
    return this.names.reduce((sum, name) => sum + this.names.length - this.witness(name).up.size, 0);
  }

  /** True as soon as `check` holds, which each sighting or list may bring about; false when it does not in time. */
  async until(check: () => boolean, withinMs: number): Promise<boolean> {
    if (check()) return true;
    let look = (): void => {};
    const seen = new Promise<boolean>((resolve) => {
      look = () => {
        if (check()) resolve(true);
      };
    });
    this.waiting.add(look);
    const late = new AbortController();
    const timeout = sleep(withinMs, false, { signal: late.signal }).catch(() => false);
    try {
      return await this.guard(Promise.race([seen, timeout]));
    } finally {
      this.waiting.delete(look);
      late.abort();
    }
  }

  /** As `until`, for what follows from the agents' lists. */
  async untilListed(check: () => boolean, withinMs: number): Promise<boolean> {
    const until = performance.now() + withinMs;
    while (performance.now() < until) {
      const leftMs = until - performance.now();
      if (await this.until(check, Math.min(relistPeriodMs, leftMs))) return true;
      await this.relist(this.names.filter((name) => !this.seesAll(name)));
    }
    return check();
  }

  /** Reads the lists of these agents anew; one that does not answer keeps what it said last. */
  async relist(names: readonly string[] = this.names): Promise<void> {
    await this.guard(Promise.allSettled(names.map((name) => this.witness(name).relist())));
  }

  /** Waits, unless the bench is interrupted or an agent ends. */
  async pause(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  /** @throws HivemindError `time-out` with this sentence, and nothing more can be measured here */
  giveUp(sentence: string): never {
    const reason = new HivemindError('time-out', sentence);
    this.breakOff(reason);
    throw reason;
  }

  /** Ends all processes and mends what was cut. */
  async close(): Promise<void> {
    this.isClosing = true;
    for (const witness of this.witnesses.values()) witness.detach();
    await Promise.all([...this.processes.values()].map((process) => process.kill()));
    this.processes.clear();
    await this.mend();
  }

  private begin(name: string, isFirst: boolean): void {
    const place = this.place(name);
    const launch = this.product.launch(place, isFirst);
    const gid = this.firewall === undefined ? undefined : place.gid;
    const process = new AgentProcess(launch, join(this.folder, `${name}.log`), gid);
    this.processes.set(name, process);
    void process.ended.then((how) => {
      if (process.wasKilled || this.isClosing) return;
      const sentence = `${name} of ${this.product.name} ended by itself (${how}); it said: ${process.lastWords}`;
      this.breakOff(new HivemindError('internal', sentence));
    });
  }

  private hear({ name }: AgentPlace, event: AgentEvent): void {
    const sighting = { atMs: performance.now(), observer: name, event };
    for (const listener of this.listening) listener(sighting);
    this.wakeWaiting();
  }

  private wakeWaiting(): void {
    for (const look of this.waiting) look();
  }

  /** The outcome of `work`, unless the bench is interrupted or the cluster breaks before. */
  private async guard<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    let onAbort = (): void => {};
    const aborted = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(signal.reason);
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      return await Promise.race([work, this.broken, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  private place(name: string): AgentPlace {
    const place = this.product.places.find((each) => each.name === name);
    assert(place !== undefined, `there is an agent ${name}`);
    return place;
  }

  private process(name: string): AgentProcess {
    const process = this.processes.get(name);
    assert(process !== undefined, `the agent ${name} runs`);
    return process;
  }

  private witness(name: string): Witness {
    const witness = this.witnesses.get(name);
    assert(witness !== undefined, `the agent ${name} has a witness`);
    return witness;
  }
}
