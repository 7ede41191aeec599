/** The bench of the gossip: each product in turn founds a cluster, is measured, and ends; run after run. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AssertionError } from '../../src/assert.ts';
import { HivemindError, toHivemindError } from '../../src/error.ts';
import { isFree } from '../dev/ports.ts';
import { Cluster } from './cluster.ts';

import { Firewall } from './firewall.ts';
import { type GossipReport, type GossipSample, gossipCatalog, type MeasurementName } from './gossip-catalog.ts';
import { HivemindProduct } from './hivemind-product.ts';
import { measureEvents } from './measure-events.ts';
import { measureCrash, measureCut, measureLongStall, measureShortStall } from './measure-failure.ts';
import { measureJoin } from './measure-join.ts';
import { measureRest } from './measure-rest.ts';
import type { Product, ProductName } from './product.ts';
import { SerfProduct } from './serf-product.ts';

/** Two measurements do not disturb each other: all must list all again before the next one. */
const settlingPatienceMs = 60_000;

export interface BenchPlan {
  /** Agents of each product. */
  readonly nodes: number;
  /** Each makes a new cluster of each product. */
  readonly runs: number;
  readonly products: readonly ProductName[];
  /** In this order, a mass join before all others. */
  readonly measurements: readonly MeasurementName[];
  /** The words after `node` that run `hivemind`. */
  readonly program: readonly string[];
  readonly report: GossipReport;
  readonly signal: AbortSignal;
}

/** @throws HivemindError `refused` when it is interrupted or cannot run here, `port-in-use` */
export async function runBench(plan: BenchPlan): Promise<void> {
  if (process.platform !== 'linux') {
    throw new HivemindError('refused', 'The bench needs Linux: each agent gets a loopback address of its own.');
  }
  const products = plan.products.map((name) => makeProduct(plan, name, tmpdir()));
  await checkFree(products);
  const firewall = await openFirewall(plan, products);
  try {
    for (let run = 1; run <= plan.runs; run++) {
      for (const product of plan.products) await new BenchRun(plan, firewall, product, run).run();
    }
  } catch (thrown) {
    if (!plan.signal.aborted) throw thrown;
    throw new HivemindError('refused', 'The bench was interrupted; its agents are ended and its files removed.');
  } finally {
    await firewall?.close();
  }
}

function makeProduct(plan: BenchPlan, name: ProductName, folder: string): Product {
  switch (name) {
    case 'hivemind':
      return new HivemindProduct(folder, plan.nodes, plan.program);
    case 'serf':
      return new SerfProduct(folder, plan.nodes);
  }
}

/** Another bench, say, has the addresses. */
async function checkFree(products: readonly Product[]): Promise<void> {
  for (const { places, port } of products) {
    for (const { host } of places) {
      if (await isFree(host, port)) continue;
      throw new HivemindError('port-in-use', `${host}:${port} is taken; is another bench running? Wait for its end.`);
    }
  }
}

async function openFirewall(plan: BenchPlan, products: readonly Product[]): Promise<Firewall | undefined> {
  try {
    return await Firewall.open(products.flatMap(({ places }) => places));
  } catch (thrown) {
    const { message } = toHivemindError(thrown);
    plan.report.omit(`"${gossipCatalog.titles.cut}", and the traffic at rest. ${message}`);
    return undefined;
  }
}

/** One cluster of one product, from its founding to its end. */
class BenchRun {
  private readonly plan: BenchPlan;
  private readonly firewall: Firewall | undefined;
  private readonly product: ProductName;
  private readonly number: number;

  constructor(plan: BenchPlan, firewall: Firewall | undefined, product: ProductName, number: number) {
    this.plan = plan;
    this.firewall = firewall;
    this.product = product;
    this.number = number;
  }

  async run(): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'hivemind-bench-'));
    const product = makeProduct(this.plan, this.product, folder);
    const cluster = new Cluster(product, folder, this.firewall, this.plan.signal);
    try {
      for (const measurement of this.plan.measurements) {
        if (measurement === 'cut' && this.firewall === undefined) continue;
        if (!(await this.measure(cluster, measurement))) return;
      }
    } finally {
      await cluster.close().finally(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    }
  }

  /** False when the cluster is of no use any more. */
  private async measure(cluster: Cluster, measurement: MeasurementName): Promise<boolean> {
    const { report, signal } = this.plan;
    try {
      if (measurement !== 'join') await settle(cluster);
      report.add(this.product, this.number, measurement, await this.samplesOf(cluster, measurement));
      return true;
    } catch (thrown) {
      if (signal.aborted || thrown instanceof AssertionError) throw thrown;
      report.fail(this.product, this.number, measurement, toHivemindError(thrown).message);
      return measurement !== 'join' && !cluster.isBroken;
    }
  }

  private async samplesOf(cluster: Cluster, measurement: MeasurementName): Promise<readonly GossipSample[]> {
    switch (measurement) {
      case 'join':
        return await measureJoin(cluster);
      case 'events':
        return await measureEvents(cluster);
      case 'crash':
        return await measureCrash(cluster, this.subject(cluster, measurement));
      case 'cut':
        return await measureCut(cluster, this.subject(cluster, measurement));
      case 'stall':
        return await measureShortStall(cluster, this.subject(cluster, measurement));
      case 'stop':
        return await measureLongStall(cluster, this.subject(cluster, measurement));
      case 'rest':
        return await measureRest(cluster);
    }
  }

  /** Another member for each failure of a run, where there are enough. */
  private subject({ members }: Cluster, measurement: MeasurementName): string {
    const { measurements } = this.plan;
    const turn = (this.number - 1) * measurements.length + measurements.indexOf(measurement);
    return members[turn % members.length] as string;
  }
}

async function settle(cluster: Cluster): Promise<void> {
  if (await cluster.untilListed(() => cluster.unlisted === 0, settlingPatienceMs)) return;
  cluster.giveUp(`Not all agents list all others, ${settlingPatienceMs / 1_000} s after the last measurement.`);
}
