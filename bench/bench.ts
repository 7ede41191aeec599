/** What a bench is, and how one is measured. */
import { readdirSync } from 'node:fs';
import { Bench as Stopwatch } from 'tinybench';

/** Whatever is random in a bench comes from this seed, so that two runs do the same work. */
export const benchSeed = 20_260_101;

export interface BenchTask {
  readonly name: string;
  /** One operation; what it does must not depend on how often it ran. */
  run(): unknown;
  /** Bytes on the wire or on disk that one operation makes, where that is the point. */
  readonly bytes?: number;
  /** The task of the same bench with which this one is compared. */
  readonly against?: string;
}

export interface Bench {
  readonly name: string;
  /** What one operation is, for a reader of the figures. */
  readonly about: string;
  /** Built only when the bench is run. */
  tasks(): readonly BenchTask[];
}

export interface Measurement {
  readonly bench: string;
  readonly task: string;
  readonly operationsPerSecond: number;
  /** Half of the operations took at most this long. */
  readonly medianMicroseconds: number;
  readonly bytes?: number;
  readonly against?: string;
  /** How many times faster, and smaller, than `against`. */
  readonly speedRatio?: number;
  readonly sizeRatio?: number;
}

export interface Effort {
  readonly timeMs: number;
  readonly warmUpMs: number;
  /** At least so many operations, however long they take. */
  readonly iterations: number;
}

export const fullEffort: Effort = { timeMs: 1_000, warmUpMs: 250, iterations: 64 };
/** Just enough to see that a bench still works. */
export const smokeEffort: Effort = { timeMs: 0, warmUpMs: 0, iterations: 3 };

/** Every `*.bench.ts` beside this file, by name; each exports one bench as its default. */
export async function loadBenches(): Promise<readonly Bench[]> {
  const names = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.bench.ts'));
  const modules = await Promise.all(
    names.sort().map(async (name) => import(`./${name}`) as Promise<{ default: Bench }>),
  );
  return modules.map((module) => module.default);
}

/** @throws whatever a task throws: a bench that fails has no figures */
export async function measure(bench: Bench, effort: Effort): Promise<readonly Measurement[]> {
  const { timeMs, warmUpMs, iterations } = effort;
  const stopwatch = new Stopwatch({
    time: timeMs,
    iterations,
    warmup: warmUpMs > 0,
    warmupTime: warmUpMs,
    throws: true,
  });
  const tasks = bench.tasks();
  for (const task of tasks) stopwatch.add(task.name, () => task.run());
  await stopwatch.run();
  const measured = tasks.map((task) => ({ task, ...timesOf(stopwatch, task.name) }));
  return measured.map(({ task, ...times }) => {
    const peer = measured.find((other) => other.task.name === task.against);
    return {
      bench: bench.name,
      task: task.name,
      ...times,
      ...(task.bytes !== undefined && { bytes: task.bytes }),
      ...(peer && { against: peer.task.name, speedRatio: times.operationsPerSecond / peer.operationsPerSecond }),
      ...(peer?.task.bytes && task.bytes && { sizeRatio: peer.task.bytes / task.bytes }),
    };
  });
}

function timesOf(stopwatch: Stopwatch, name: string): Pick<Measurement, 'operationsPerSecond' | 'medianMicroseconds'> {
  const result = stopwatch.getTask(name)?.result;
  if (result?.state !== 'completed') throw new Error(`${name} did not complete`);
  return { operationsPerSecond: 1_000 / result.latency.mean, medianMicroseconds: result.latency.p50 * 1_000 };
}
