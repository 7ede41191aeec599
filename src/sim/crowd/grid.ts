/**
 * `npm run sim:grid -- [MINUTES] [SEEDS]`: plays every demand with 20 seeds, on all cores, and says PASS or FAIL with
 * the figure. After that many minutes no further run is begun, and a line says how many seeds it had.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { CellOptions, Demand } from './demand.ts';
import { demands } from './demand.ts';
import { type ArmFigures, type RunFigures, summarise } from './figures.ts';
import { type RunOptions, runScenario } from './scenario-run.ts';

const seedsDefault = 20;
const minuteMs = 60_000;
/** More would only wait for each other's memory. */
const workersMax = 8;
const workerWord = 'worker';

/** One cell of the grid, with the runs that it has so far. */
class GridCell {
  readonly options: CellOptions;
  readonly runs: RunFigures[] = [];
  nextSeed = 1;
  underWay = 0;

  constructor(options: CellOptions) {
    this.options = options;
  }

  figures(): ArmFigures {
    const { scenario, arm, nodes } = this.options;
    return summarise({ scenario, arm, nodes, firstSeed: 1 }, this.runs);
  }
}

class Grid {
  private readonly seeds: number;
  private readonly deadline: number;
  private readonly cells = new Map<string, GridCell>();
  private readonly open = new Set<Demand>(demands);
  private failures = 0;

  constructor(seeds: number, deadline: number) {
    this.seeds = seeds;
    this.deadline = deadline;
    for (const { cells } of demands) {
      for (const options of cells) this.cells.set(JSON.stringify(options), new GridCell(options));
    }
  }

  /** Gives the worker runs until there are none left; its channel closes then. */
  async employ(worker: ChildProcess): Promise<void> {
    for (;;) {
      const cell = this.nextCell();
      if (cell === undefined) break;
      const run: RunOptions = { ...cell.options, seed: cell.nextSeed++ };
      cell.underWay++;
      cell.runs.push(await ask(worker, run));
      cell.underWay--;
      this.judge();
    }
    worker.disconnect();
  }

  get exitCode(): number {
    return this.failures > 0 ? 1 : 0;
  }

  private nextCell(): GridCell | undefined {
    if (performance.now() > this.deadline) return undefined;
    return [...this.cells.values()].find(({ nextSeed }) => nextSeed <= this.seeds);
  }

  /** Says of each demand, once all its runs are there, whether it is met. */
  judge(): void {
    const isOver = performance.now() > this.deadline;
    for (const demand of this.open) {
      const cells = demand.cells.map((options) => this.cells.get(JSON.stringify(options)) as GridCell);
      const isDone = cells.every(({ runs, underWay }) => underWay === 0 && (isOver || runs.length === this.seeds));
      if (!isDone) continue;
      this.open.delete(demand);
      const seeds = Math.min(...cells.map(({ runs }) => runs.length));
      this.report(demand, cells, seeds);
    }
  }

  private report(demand: Demand, cells: readonly GridCell[], seeds: number): void {
    if (seeds === 0) {
      say(`SKIP  ${demand.what}: no time left`);
      return;
    }
    const { isMet, figure } = demand.judge(cells.map((cell) => cell.figures()));
    if (!isMet) this.failures++;
    say(`${isMet ? 'PASS' : 'FAIL'}  ${demand.what}: ${figure} (${seeds} seeds)`);
  }
}

function ask(worker: ChildProcess, run: RunOptions): Promise<RunFigures> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => {
      reject(new Error(`a worker ended with ${code} during ${JSON.stringify(run)}`));
    };
    worker.once('exit', onExit);
    worker.once('message', (figures) => {
      worker.off('exit', onExit);
      resolve(figures as RunFigures);
    });
    worker.send(run);
  });
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function work(): void {
  process.on('message', (run) => process.send?.(runScenario(run as RunOptions)));
}

async function main([minutes = '', seeds = '']: readonly string[]): Promise<void> {
  const deadline = minutes === '' ? Number.POSITIVE_INFINITY : performance.now() + Number(minutes) * minuteMs;
  const seedCount = seeds === '' ? seedsDefault : Number(seeds);
  if (!(deadline > 0) || !Number.isSafeInteger(seedCount) || seedCount < 1) {
    say('usage: npm run sim:grid -- [MINUTES] [SEEDS], both numbers above 0');
    process.exitCode = 2;
    return;
  }
  const grid = new Grid(seedCount, deadline);
  const workers = Array.from({ length: Math.min(workersMax, availableParallelism()) }, () =>
    fork(fileURLToPath(import.meta.url), [workerWord]),
  );
  await Promise.all(workers.map((worker) => grid.employ(worker)));
  grid.judge();
  process.exitCode = grid.exitCode;
}

if (process.argv[2] === workerWord) work();
else await main(process.argv.slice(2));
