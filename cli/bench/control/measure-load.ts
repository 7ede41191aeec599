/** Closed loops: how many commits a second, and how long one takes. */
import { type ControlSample, crowdClients, type FigureName } from './catalog.ts';
import type { ControlCluster } from './cluster.ts';
import type { LoadOutcome, LoadPlan } from './load.ts';

/** The nodes have run for a while when a crowd comes; its own processes have not. */
const crowdWarmUpMs = 3_000;
/** How many clients share a connection, so that none waits for the system calls of a hundred others. */
const clientsPerConnection = 16;
/** A crowd comes from as many processes; what is best for the product counts. */
const crowdProcesses: readonly number[] = [1, 2, 4];
const microseconds = 1_000;
const second = 1_000;

export async function measureSingle(
  cluster: ControlCluster,
  time: Pick<LoadPlan, 'warmUpMs' | 'measureMs'>,
): Promise<readonly ControlSample[]> {
  return samplesOf('single', await loaded(cluster, { clients: 1, ...time }, 1));
}

/** The clients must not be what is measured: one process may be too slow, and several cost the nodes their turn. */
export async function measureCrowd(cluster: ControlCluster, measureMs: number): Promise<readonly ControlSample[]> {
  let best: Loaded | undefined;
  for (const processes of crowdProcesses) {
    const next = await loaded(cluster, { clients: crowdClients, warmUpMs: crowdWarmUpMs, measureMs }, processes);
    if (best === undefined || rateOf(next) > rateOf(best)) best = next;
  }
  return best === undefined ? [] : samplesOf('crowd', best);
}

interface Loaded extends LoadOutcome {
  readonly nodesCpuMs: number;
}

type Load = Pick<LoadPlan, 'clients' | 'warmUpMs' | 'measureMs'>;

async function loaded(cluster: ControlCluster, load: Load, processes: number): Promise<Loaded> {
  const before = await cluster.cpuMs();
  const connections = Math.ceil(load.clients / clientsPerConnection);
  const plan = { ...load, connections, commitsMax: Number.MAX_SAFE_INTEGER };
  const outcome = await cluster.load(plan, processes);
  return { ...outcome, nodesCpuMs: (await cluster.cpuMs()) - before };
}

function samplesOf(name: 'single' | 'crowd', load: Loaded): readonly ControlSample[] {
  const { latenciesMs, commits, nodesCpuMs, cpuMs } = load;
  const sample = (what: string, value: number): ControlSample => ({ figure: `${name}-${what}` as FigureName, value });
  return [
    sample('rate', rateOf(load)),
    sample('p50', quantile(latenciesMs, 0.5)),
    sample('p99', quantile(latenciesMs, 0.99)),
    sample('max', quantile(latenciesMs, 1)),
    sample('nodes-cpu', (nodesCpuMs * microseconds) / commits),
    sample('clients-cpu', (cpuMs * microseconds) / commits),
  ];
}

/** Commits per second. */
export function rateOf({ latenciesMs, measuredMs }: LoadOutcome): number {
  return (latenciesMs.length * second) / measuredMs;
}

/** Of ascending values; the smallest that `share` of them do not exceed. */
export function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
