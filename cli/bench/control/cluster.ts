/** Three nodes of one product: real processes, and a way to commit through each. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../../../src/assert.ts';
import { HivemindError, toHivemindError } from '../../../src/error.ts';
import { AgentProcess } from '../agent-process.ts';
import { usageOf } from '../proc.ts';
import type { AgentPlace } from '../product.ts';
import { type LoadOutcome, type LoadPlan, runLoad } from './load.ts';
import { openWriter } from './open-writer.ts';
import type { ControlProduct, Standing } from './product.ts';
import type { Writer } from './writer.ts';

const patienceMs = 60_000;
const lookMs = 20;

export class ControlCluster {
  readonly product: ControlProduct;
  /** All commits that clients were told of. */
  commits = 0;
  private readonly folder: string;
  private readonly signal: AbortSignal;
  private readonly processes = new Map<AgentPlace, AgentProcess>();

  constructor(product: ControlProduct, folder: string, signal: AbortSignal) {
    this.product = product;
    this.folder = folder;
    this.signal = signal;
  }

  get places(): readonly AgentPlace[] {
    return this.product.places;
  }

  /** Starts all, and resolves when each commits. */
  async found(): Promise<void> {
    await this.product.prepare();
    for (const place of this.places) this.start(place);
    await Promise.all(this.places.map((place) => this.untilCommits(place)));
  }

  start(place: AgentPlace): void {
    const process = new AgentProcess(this.product.launch(place), join(this.folder, `${place.name}.log`), undefined);
    this.processes.set(place, process);
  }

  /** As a power failure of that node. */
  async kill(place: AgentPlace): Promise<void> {
    const process = this.processes.get(place);
    assert(process !== undefined, 'who is killed runs');
    this.processes.delete(place);
    await process.kill();
  }

  /** @throws HivemindError `time-out` with what the node said last */
  async untilCommits(place: AgentPlace): Promise<void> {
    await this.until(place, async () => {
      const writer = await openWriter(this.product.name, this.product.doorOf(place));
      await writer
        .client()
        .commit()
        .finally(() => writer.close());
      return true;
    });
    this.commits++;
  }

  async open(place: AgentPlace): Promise<Writer> {
    return await openWriter(this.product.name, this.product.doorOf(place));
  }

  /** @throws HivemindError `time-out` when nobody leads for long */
  async leader(): Promise<AgentPlace> {
    const first = this.places[0] as AgentPlace;
    return await this.until(first, async () => {
      const standings = await this.standings();
      const term = Math.max(...standings.map((standing) => standing.term));
      return this.places.find((_place, at) => standings[at]?.leads && standings[at]?.term === term);
    });
  }

  /** The latest term that a node knows: each election raises it. */
  async term(): Promise<number> {
    return Math.max(...(await this.standings()).map(({ term }) => term));
  }

  /** Puts closed loops on the leader. */
  async load(wanted: Omit<LoadPlan, 'product' | 'door'>, processes: number): Promise<LoadOutcome> {
    const door = this.product.doorOf(await this.leader());
    const outcome = await runLoad({ ...wanted, product: this.product.name, door }, processes, this.signal);
    this.commits += outcome.commits;
    return outcome;
  }

  /** Processor time of all its processes until now. */
  async cpuMs(): Promise<number> {
    const pids = [...this.processes.values()].flatMap(({ pid }) => pid ?? []);
    const usages = await Promise.all(pids.map(usageOf));
    return usages.reduce((sum, usage) => sum + usage.cpuMs, 0);
  }

  async close(): Promise<void> {
    await Promise.all([...this.processes.values()].map((process) => process.kill()));
    this.processes.clear();
  }

  private async standings(): Promise<readonly Standing[]> {
    const unknown: Standing = { leads: false, term: 0 };
    return await Promise.all(this.places.map((place) => this.product.standing(place).catch(() => unknown)));
  }

  /** What `look` gives, as soon as that is something; what it threw last is the reason why it never was. */
  private async until<T>(place: AgentPlace, look: () => Promise<T | undefined>): Promise<T> {
    const until = performance.now() + patienceMs;
    let last = '';
    while (performance.now() < until) {
      this.signal.throwIfAborted();
      try {
        const found = await look();
        if (found !== undefined) return found;
      } catch (thrown) {
        last = toHivemindError(thrown).message;
      }
      await sleep(lookMs);
    }
    const said = this.processes.get(place)?.lastWords ?? '';
    throw new HivemindError('time-out', `${place.name} of ${this.product.name} is not ready: ${last} It said: ${said}`);
  }
}
