/** Closed loops in processes of their own, so that neither the bench nor the nodes wait for a client's turn. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { assert } from '../../../src/assert.ts';
import { HivemindError } from '../../../src/error.ts';
import type { ControlProductName } from './product.ts';

/** What one client process does. */
export interface LoadPlan {
  readonly product: ControlProductName;
  readonly door: string;
  /** Closed loops, one commit each at a time. */
  readonly clients: number;
  /** Shared by the loops. */
  readonly connections: number;
  readonly warmUpMs: number;
  /** Ends after this time … */
  readonly measureMs: number;
  /** … or after so many commits. */
  readonly commitsMax: number;
}

/** What came of it, without the warm-up. */
export interface LoadOutcome {
  /** Of each commit. */
  readonly latenciesMs: Float64Array;
  readonly measuredMs: number;
  /** With those of the warm-up. */
  readonly commits: number;
  readonly cpuMs: number;
}

/** From a client process: it is connected, it is done, or it cannot go on. */
export type LoadReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly outcome: LoadOutcome }
  | { readonly kind: 'failed'; readonly reason: string };

/** Client processes by pid, all of which end with the bench. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * Splits the loops over `processes` and gives what all came to.
 *
 * @throws HivemindError `refused` when a client could not commit, or `signal` aborted
 */
export async function runLoad(plan: LoadPlan, processes: number, signal: AbortSignal): Promise<LoadOutcome> {
  assert(plan.clients % processes === 0, 'every process has as many clients');
  const share = {
    ...plan,
    clients: plan.clients / processes,
    connections: Math.max(1, Math.floor(plan.connections / processes)),
    commitsMax: Math.ceil(plan.commitsMax / processes),
  };
  const clients = Array.from({ length: processes }, () => new ClientProcess(share, signal));
  try {
    await Promise.all(clients.map((client) => client.ready()));
    return sumOf(await Promise.all(clients.map((client) => client.run())));
  } finally {
    for (const client of clients) client.end();
  }
}

class ClientProcess {
  private readonly child: ChildProcess;
  private readonly signal: AbortSignal;

  constructor(plan: LoadPlan, signal: AbortSignal) {
    const extension = import.meta.url.endsWith('.js') ? 'js' : 'ts';
    const script = new URL(`./client-process.${extension}`, import.meta.url);
    this.child = fork(script, [JSON.stringify(plan)], { serialization: 'advanced', stdio: 'inherit' });
    this.signal = signal;
    running.add(this.child);
    this.child.once('exit', () => running.delete(this.child));
  }

  async ready(): Promise<void> {
    await this.report();
  }

  async run(): Promise<LoadOutcome> {
    this.child.send('go');
    const report = await this.report();
    assert(report.kind === 'done', 'a client process answers in order');
    return report.outcome;
  }

  end(): void {
    this.child.kill('SIGKILL');
  }

  private async report(): Promise<LoadReport> {
    const over = new AbortController();
    const { signal } = over;
    const onAbort = (): void => over.abort(this.signal.reason);
    this.signal.addEventListener('abort', onAbort);
    if (this.signal.aborted) onAbort();
    try {
      const ended = once(this.child, 'exit', { signal }).then(() => failed('it ended by itself'));
      const [report] = (await Promise.race([once(this.child, 'message', { signal }), ended])) as [LoadReport];
      return report.kind === 'failed' ? failed(report.reason) : report;
    } finally {
      this.signal.removeEventListener('abort', onAbort);
      over.abort();
    }
  }
}

function failed(reason: string): never {
  throw new HivemindError('refused', `A client could not commit: ${reason}`);
}

function sumOf(outcomes: readonly LoadOutcome[]): LoadOutcome {
  const sum = (of: (outcome: LoadOutcome) => number): number => outcomes.reduce((total, each) => total + of(each), 0);
  const latenciesMs = new Float64Array(sum(({ latenciesMs: own }) => own.length));
  let at = 0;
  for (const outcome of outcomes) {
    latenciesMs.set(outcome.latenciesMs, at);
    at += outcome.latenciesMs.length;
  }
  return {
    latenciesMs: latenciesMs.sort(),
    measuredMs: Math.max(...outcomes.map(({ measuredMs }) => measuredMs)),
    commits: sum(({ commits }) => commits),
    cpuMs: sum(({ cpuMs }) => cpuMs),
  };
}
