/**
 * `npm run sim:nightly -- [--seeds COUNT] [--seconds SECONDS] [--first SEED] [--at-once PROCESSES]`: runs 10,000 seeds
 * by default, or those that fit into a time, on all cores; tells each one that fails, and ends with exit code 1 then.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

/** Seeds of one process: enough to forget its start, few enough to end in time. */
const seedsAtOnce = 20;
const reportPeriodMs = 60_000;

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

function report(): void {
  const seconds = (Date.now() - beganAt) / 1_000;
  const rate = ((passed + failed) / seconds).toFixed(2);
  process.stdout.write(`${passed} seeds passed, ${failed} failed, in ${Math.round(seconds)} s (${rate}/s)\n`);
}

/** One line of a seed that passed, or what is wrong, to its end: that says how to replay it. */
function follow(child: ChildProcess): void {
  if (child.stdout === null || child.stderr === null) return;
  createInterface(child.stdout).on('line', () => passed++);
  createInterface(child.stderr).on('line', (line) => {
    if (line.startsWith('replay: ')) failed++;
    process.stderr.write(`${line}\n`);
  });
}

/** Runs batches one after the other, as long as there is time. */
async function work(): Promise<void> {
  while (next < end && Date.now() < until) {
    const first = next;
    const count = Math.min(seedsAtOnce, end - first);
    next += count;
    const command = ['--import', 'tsx', 'src/sim/replay.ts', `${first}`, `${count}`];
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] });
    follow(child);
    const code = await new Promise((resolve) => child.once('close', resolve));
    if (code !== 0 && code !== 1) throw new Error(`a process ended with ${code} among the seeds from ${first} on`);
  }
}

const timer = setInterval(report, reportPeriodMs);
await Promise.all(Array.from({ length: Number(values['at-once']) }, work));
clearInterval(timer);
report();
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
