/** One client process of the bench: it connects, says so, waits for the word, and reports what its loops took. */
import { once } from 'node:events';
import { toHivemindError } from '../../../src/error.ts';
import type { LoadOutcome, LoadPlan, LoadReport } from './load.ts';
import { openWriter } from './open-writer.ts';
import type { CommitClient } from './writer.ts';

class Load {
  private readonly plan: LoadPlan;
  private readonly latenciesMs: number[] = [];
  private startedAt = 0;
  private measuredFrom = 0;
  private commits = 0;

  constructor(plan: LoadPlan) {
    this.plan = plan;
  }

  async run(clients: readonly CommitClient[]): Promise<LoadOutcome> {
    this.startedAt = performance.now();
    this.measuredFrom = this.startedAt + this.plan.warmUpMs;
    const cpuBefore = process.cpuUsage();
    await Promise.all(clients.map((client) => this.loop(client)));
    const { user, system } = process.cpuUsage(cpuBefore);
    return {
      latenciesMs: Float64Array.from(this.latenciesMs),
      measuredMs: performance.now() - this.measuredFrom,
      commits: this.commits,
      cpuMs: (user + system) / 1_000,
    };
  }

  private async loop(client: CommitClient): Promise<void> {
    const { measureMs, commitsMax } = this.plan;
    const until = this.measuredFrom + measureMs;
    for (let now = performance.now(); now < until && this.commits < commitsMax; ) {
      this.commits++;
      const beganAt = now;
      await client.commit();
      now = performance.now();
      if (beganAt >= this.measuredFrom) this.latenciesMs.push(now - beganAt);
    }
  }
}

/** The bench ends this process when it has read the report. */
async function tell(report: LoadReport): Promise<void> {
  await new Promise((resolve) => process.send?.(report, resolve));
}

async function main(plan: LoadPlan): Promise<void> {
  const opened = Array.from({ length: plan.connections }, () => openWriter(plan.product, plan.door));
  const writers = await Promise.all(opened);
  const clients = Array.from({ length: plan.clients }, (_, at) => writers[at % writers.length]?.client());
  const load = new Load(plan);
  await tell({ kind: 'ready' });
  await once(process, 'message');
  await tell({ kind: 'done', outcome: await load.run(clients.filter((client) => client !== undefined)) });
}

process.once('disconnect', () => process.exit());
try {
  await main(JSON.parse(process.argv[2] ?? '') as LoadPlan);
} catch (thrown) {
  await tell({ kind: 'failed', reason: toHivemindError(thrown).message });
}
