/** The bench of the control pane: each product in turn founds a cluster, is measured, and ends; run after run. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AssertionError } from '../../../src/assert.ts';
import { HivemindError, toHivemindError } from '../../../src/error.ts';
import { isFree } from '../../dev/ports.ts';
import type { ControlReport, ControlSample, MeasurementName } from './catalog.ts';
import { ControlCluster } from './cluster.ts';
import { EtcdProduct } from './etcd-product.ts';
import { HivemindControl } from './hivemind-product.ts';
import { measureBusy, measureFailover, measureRestart } from './measure-faults.ts';
import { measureCrowd, measureSingle } from './measure-load.ts';
import type { ControlProduct, ControlProductName } from './product.ts';

export interface ControlPlan {
  /** Each makes a new cluster of each product. */
  readonly runs: number;
  /** How long one client runs before it is measured. */
  readonly warmUpMs: number;
  /** How long closed loops are measured, each number of clients and of client processes. */
  readonly loadMs: number;
  /** How long all processors are kept busy. */
  readonly busyMs: number;
  /** How often each run kills the leader. */
  readonly failovers: number;
  /** Commits before a restart is measured. */
  readonly entries: number;
  readonly products: readonly ControlProductName[];
  readonly measurements: readonly MeasurementName[];
  /** The words after `node` that run `hivemind`. */
  readonly program: readonly string[];
  readonly report: ControlReport;
  readonly signal: AbortSignal;
}

/** @throws HivemindError `refused` when it is interrupted or cannot run here, `port-in-use` */
export async function runControlBench(plan: ControlPlan): Promise<void> {
  if (process.platform !== 'linux') {
    throw new HivemindError('refused', 'The bench needs Linux: each node gets a loopback address of its own.');
  }
  for (const name of plan.products) await checkFree(makeProduct(plan, name, tmpdir()));
  try {
    for (let run = 1; run <= plan.runs; run++) {
      for (const product of plan.products) await runProduct(plan, product, run);
    }
  } catch (thrown) {
    if (!plan.signal.aborted) throw thrown;
    throw new HivemindError('refused', 'The bench was interrupted; its nodes are ended and its files removed.');
  }
}

function makeProduct(plan: ControlPlan, name: ControlProductName, folder: string): ControlProduct {
  switch (name) {
    case 'hivemind':
      return new HivemindControl(folder, plan.program);
    case 'etcd':
      return new EtcdProduct(folder);
  }
}

/** Another bench, say, has the addresses. */
async function checkFree({ places, ports }: ControlProduct): Promise<void> {
  for (const { host } of places) {
    for (const port of ports) {
      if (await isFree(host, port)) continue;
      throw new HivemindError('port-in-use', `${host}:${port} is taken; is another bench running? Wait for its end.`);
    }
  }
}

async function runProduct(plan: ControlPlan, name: ControlProductName, run: number): Promise<void> {
  const { report, signal } = plan;
  const folder = await mkdtemp(join(tmpdir(), 'hivemind-bench-'));
  const cluster = new ControlCluster(makeProduct(plan, name, folder), folder, signal);
  let measurement = plan.measurements[0] as MeasurementName;
  try {
    await cluster.found();
    for (measurement of plan.measurements) {
      report.add(name, run, measurement, await samplesOf(cluster, measurement, plan));
    }
  } catch (thrown) {
    if (signal.aborted || thrown instanceof AssertionError) throw thrown;
    // Nobody knows in what state it left the cluster.
    report.fail(name, run, measurement, toHivemindError(thrown).message);
  } finally {
    await cluster.close().finally(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  }
}

async function samplesOf(
  cluster: ControlCluster,
  measurement: MeasurementName,
  { warmUpMs, loadMs, failovers, busyMs, entries }: ControlPlan,
): Promise<readonly ControlSample[]> {
  switch (measurement) {
    case 'single':
      return await measureSingle(cluster, { warmUpMs, measureMs: loadMs });
    case 'crowd':
      return await measureCrowd(cluster, loadMs);
    case 'failover':
      return await measureFailover(cluster, failovers);
    case 'busy':
      return await measureBusy(cluster, busyMs);
    case 'restart':
      return await measureRestart(cluster, entries);
  }
}
