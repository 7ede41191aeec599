/** Nodes that join, stay a while and go: by themselves, or killed and removed by an operator. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HivemindError } from '../../../src/error.ts';
import { type Random, seededRandom } from '../../../src/seam/random.ts';
import type { Agent } from '../processes.ts';
import type { Clients } from './clients.ts';
import type { FaultCluster } from './fault-cluster.ts';
import { admissionValue, removalValue } from './held-log.ts';
import { Lines } from './lines.ts';

const lookMs = 100;
const admissionMs = 45_000;
const retryMs = 1_000;
const stayMsMax = 6_000;
const goMs = 60_000;
const askMs = 12_000;
const killPercent = 40;

export class Guests {
  /** How many asked to join. */
  count = 0;
  private readonly cluster: FaultCluster;
  private readonly clients: Clients;
  private readonly lines: Lines;
  private running: readonly Promise<void>[] = [];
  private isOver = false;

  constructor(cluster: FaultCluster, clients: Clients) {
    this.cluster = cluster;
    this.clients = clients;
    this.lines = new Lines((name) => cluster.socketOf(name));
  }

  begin(seed: number): void {
    this.running = this.cluster.spares.map((machine, at) => this.host(machine, seededRandom(seed + at)));
  }

  /** Resolves when all have gone, as far as they could. */
  async end(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.running);
    this.lines.close();
  }

  private async host(machine: string, random: Random): Promise<void> {
    for (let visit = 1; !this.isOver; visit++) {
      const name = `${machine}-${visit}`;
      this.count++;
      const number = await this.admit(name, machine, random);
      if (number !== undefined) await this.stay(name, machine, random);
      if (number !== undefined) await this.go(name, number, random);
      await this.cluster.cluster.agent(name).kill();
      this.cluster.forget(name);
      await sleep(random.below(stayMsMax));
    }
  }

  private async admit(name: string, machine: string, random: Random): Promise<number | undefined> {
    const invokedAt = performance.now();
    let agent = this.cluster.join(name, machine, this.someToken(random));
    while (performance.now() - invokedAt < admissionMs) {
      const number = admittedAs(agent);
      if (number !== undefined) {
        const returnedAt = performance.now();
        const wish = { kind: 'append', value: admissionValue(number), outcome: { kind: 'acked' } } as const;
        this.clients.note({ ...wish, invokedAt, returnedAt });
        return number;
      }
      await sleep(lookMs);
      if (agent.isRunning) continue;
      await sleep(retryMs);
      agent = this.cluster.join(name, machine, this.someToken(random));
    }
    return undefined;
  }

  private someToken(random: Random): string {
    const { tokens } = this.clients;
    return tokens[random.below(Math.max(1, tokens.length))] ?? this.cluster.token;
  }

  private async stay(name: string, machine: string, random: Random): Promise<void> {
    const stayMs = random.below(stayMsMax);
    await sleep(this.isOver ? 0 : stayMs);
    if (random.below(100) >= killPercent) return;
    await this.cluster.cluster.agent(name).kill();
    await sleep(random.below(retryMs));
    this.cluster.join(name, machine, this.someToken(random));
    await sleep(this.isOver ? 0 : stayMs);
  }

  /** Asks until it is granted, or time is up; then it stays a member that is down. */
  private async go(name: string, number: number, random: Random): Promise<void> {
    const invokedAt = performance.now();
    const isKilled = random.below(100) < killPercent;
    if (isKilled) await this.cluster.cluster.agent(name).kill();
    while (performance.now() - invokedAt < goMs) {
      if (await this.askToGo(name, number, isKilled, random, invokedAt)) return;
      await sleep(retryMs);
    }
  }

  private async askToGo(
    name: string,
    number: number,
    isKilled: boolean,
    random: Random,
    invokedAt: number,
  ): Promise<boolean> {
    const agent = this.cluster.cluster.agent(name);
    const asksItself = !isKilled && agent.isRunning;
    const { running } = this.cluster;
    const through = asksItself ? name : (running[random.below(Math.max(1, running.length))] ?? name);
    try {
      const request = asksItself ? ({ kind: 'leave' } as const) : ({ kind: 'remove', name } as const);
      const { index } = await this.lines.ask(through, request, askMs);
      const outcome = { kind: 'acked', ...(index === 0 ? {} : { index }) } as const;
      this.clients.note({
        kind: 'append',
        value: removalValue(number),
        invokedAt,
        returnedAt: performance.now(),
        outcome,
      });
      return true;
    } catch (thrown) {
      // Removed already; the answer was lost.
      return thrown instanceof HivemindError && thrown.code === 'not-found';
    }
  }
}

function admittedAs({ stdout }: Agent): number | undefined {
  const [, number] = /is member #(\d+)/.exec(stdout) ?? [];
  return number === undefined ? undefined : Number(number);
}
