/** What a cluster does when its leader dies, when it has to share its processors, and when it starts again. */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { HivemindError } from '../../../src/error.ts';
import type { AgentPlace } from '../product.ts';
import { type ControlSample, crowdClients } from './catalog.ts';
import type { ControlCluster } from './cluster.ts';
import { quantile, rateOf } from './measure-load.ts';
import { commitPatienceMs, type Writer } from './writer.ts';

/** Between a recovery and the next kill: whatever followed from the last one is over. */
const settlingMs = 2_000;
/** Each survivor is asked for a new commit so often: whatever becomes of the last one, the next may succeed. */
const attemptPeriodMs = 20;

/** A client does not know who leads next: it asks all survivors, and the first answer counts. */
export async function measureFailover(cluster: ControlCluster, failovers: number): Promise<readonly ControlSample[]> {
  const samples: ControlSample[] = [];
  for (let turn = 0; turn < failovers; turn++) {
    const leader = await cluster.leader();
    const survivors = cluster.places.filter((place) => place !== leader);
    const writers = await Promise.all(survivors.map((place) => cluster.open(place)));
    await Promise.all(writers.map((writer) => writer.client().commit()));
    await sleep(settlingMs);
    const killedAt = performance.now();
    const killed = cluster.kill(leader);
    await firstCommit(writers);
    samples.push({ figure: 'failover', value: performance.now() - killedAt });
    for (const writer of writers) writer.close();
    await killed;
    cluster.start(leader);
    await cluster.untilCommits(leader);
  }
  return samples;
}

async function firstCommit(writers: readonly Writer[]): Promise<void> {
  let isOver = false;
  const knock = async (committed: () => void): Promise<void> => {
    const until = performance.now() + commitPatienceMs;
    while (!isOver && performance.now() < until) {
      for (const writer of writers)
        writer
          .client()
          .commit()
          .then(committed, () => {});
      await sleep(attemptPeriodMs);
    }
    if (!isOver) throw new HivemindError('time-out', `No survivor commits within ${commitPatienceMs / 1_000} s.`);
  };
  await new Promise<void>((resolve, reject) => {
    knock(() => {
      isOver = true;
      resolve();
    }).catch(reject);
  });
}

/** One client goes on, while as many processes as there are processors do nothing but take time. */
export async function measureBusy(cluster: ControlCluster, measureMs: number): Promise<readonly ControlSample[]> {
  const termBefore = await cluster.term();
  const spinners = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ['-e', `setTimeout(() => process.exit(), ${2 * measureMs}); ${spin}`], { stdio: 'ignore' }),
  );
  try {
    const plan = { clients: 1, connections: 1, warmUpMs: 0, measureMs, commitsMax: Number.MAX_SAFE_INTEGER };
    const outcome = await cluster.load(plan, 1);
    return [
      { figure: 'busy-elections', value: (await cluster.term()) - termBefore },
      { figure: 'busy-rate', value: rateOf(outcome) },
      { figure: 'busy-p99', value: quantile(outcome.latenciesMs, 0.99) },
      { figure: 'busy-max', value: quantile(outcome.latenciesMs, 1) },
    ];
  } finally {
    for (const spinner of spinners) spinner.kill('SIGKILL');
  }
}

/** Takes all the time that it can get, and still sees its own end. */
const spin = '(function spin() { for (let i = 0; i < 1e7; i++); setImmediate(spin); })();';

/** First writes what is missing to `entries`, then starts one follower again, and then all. */
export async function measureRestart(cluster: ControlCluster, entries: number): Promise<readonly ControlSample[]> {
  const missing = entries - cluster.commits;
  if (missing > 0) {
    const plan = { clients: crowdClients, connections: 4, warmUpMs: 0, measureMs: Number.MAX_SAFE_INTEGER };
    await cluster.load({ ...plan, commitsMax: missing }, 1);
  }
  const { commits } = cluster;
  const leader = await cluster.leader();
  const follower = cluster.places.filter((place) => place !== leader).slice(0, 1);
  return [
    { figure: 'restart-commits', value: commits },
    { figure: 'restart-follower', value: await restarted(cluster, follower) },
    { figure: 'restart-all', value: await restarted(cluster, cluster.places) },
  ];
}

async function restarted(cluster: ControlCluster, places: readonly AgentPlace[]): Promise<number> {
  await Promise.all(places.map((place) => cluster.kill(place)));
  await sleep(settlingMs);
  const startedAt = performance.now();
  for (const place of places) cluster.start(place);
  await Promise.all(places.map((place) => cluster.untilCommits(place)));
  return performance.now() - startedAt;
}
