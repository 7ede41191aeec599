/**
 * `npm run sim:nightly -- [--seeds COUNT] [--seconds SECONDS] [--first SEED] [--at-once PROCESSES]`: runs 10,000 seeds
 * by default, or those that fit into a time, on all cores; tells each one that
 * fails, or of which nothing is heard, and ends with exit code 1 then.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { parseArgs } from 'node:util';

/** Seeds of one process: enough to forget its start, few enough to end in time. */
const seedsAtOnce = 20;
const reportPeriodMs = 60_000;

type SpawnedProcess = ChildProcessByStdio<null, Readable, Readable>;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: 'Infinity' },
    first: { type: 'string', default: '1' },
    'at-once': { type: 'string', default: `${availableParallelism()}` },
  },
});
const beganAt = Date.now();
const until = beganAt + Number(values.seconds) * 1_000;
const end = Number(values.first) + Number(values.seeds);
let next = Number(values.first);
let passed = 0;
let failed = 0;
/** Begun by a process that ended without a word of them: that is a failure, too. */
const unheard: number[] = [];

function report(): void {
  const seconds = (Date.now() - beganAt) / 1_000;
  const rate = ((passed + failed) / seconds).toFixed(2);
  process.stdout.write(`${passed} seeds passed, ${failed} failed, in ${Math.round(seconds)} s (${rate}/s)\n`);
}

/**
 * One line of a seed that passed, or what is wrong, to its end: that says how to replay it. Both name the seed, and are
 * taken off `open`.
 */
async function follow({ stdout, stderr }: SpawnedProcess, open: Set<number>): Promise<void> {
  const passes = createInterface(stdout).on('line', (line) => {
    if (open.delete(Number(/^\{"seed":(\d+),/.exec(line)?.[1]))) passed++;
  });
  const failures = createInterface(stderr).on('line', (line) => {
    if (open.delete(Number(/^replay: npm run sim -- (\d+)$/.exec(line)?.[1]))) failed++;
    process.stderr.write(`${line}\n`);
  });
  await Promise.all([once(passes, 'close'), once(failures, 'close')]);
}

/** Runs batches one after the other, as long as there is time. */
async function work(): Promise<void> {
  while (next < end && Date.now() < until) {
    const first = next;
    const count = Math.min(seedsAtOnce, end - first);
    next += count;
    const open = new Set(Array.from({ length: count }, (_, position) => first + position));
    const command = ['--import', 'tsx', 'src/sim/replay.ts', `${first}`, `${count}`];
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] });
    const [[code, signal]] = await Promise.all([once(child, 'close'), follow(child, open)]);
    if (open.size === 0) continue;
    unheard.push(...open);
    process.stderr.write(`a process ended with ${signal ?? code} and told nothing of the seeds ${[...open].join()}\n`);
  }
}

const timer = setInterval(report, reportPeriodMs);
await Promise.all(Array.from({ length: Number(values['at-once']) }, work));
clearInterval(timer);
report();
if (unheard.length > 0) process.stdout.write(`nothing was told of ${unheard.length} seeds: ${unheard.join()}\n`);
process.exitCode = failed === 0 && unheard.length === 0 && passed > 0 ? 0 : 1;
