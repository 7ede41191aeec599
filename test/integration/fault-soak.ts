/**
 * `npm run soak:faults -- [MINUTES] [SEED] [CONTROL]`: real processes on machines of their own, under a load of notes,
 * reads, tokens and joins, while they are killed, stopped, cut off, given full disks and wrong clocks, demoted and
 * promoted. Then all is healed, and a checker says whether anything acknowledged was lost, taken twice or out of order,
 * or any read stale. Ends with 1 and leaves the history as a file where that is so. Needs root.
 */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FaultReport, runFaults } from './faults/fault-run.ts';
import { whyNoNetwork } from './netns-network.ts';

const minutesDefault = 5;
const controlDefault = 5;
const seedLimit = 1_000_000;
const minuteMs = 60_000;

const words = process.argv.slice(2);
const [minutes = minutesDefault, seed = Math.floor(Math.random() * seedLimit), control = controlDefault] =
  words.map(Number);
const isSound = Number.isFinite(minutes) && minutes > 0 && [seed, control].every(Number.isSafeInteger) && control > 0;
if (!isSound || words.length > 3 || words.includes('')) {
  console.error(
    `“${words.join(' ')}” is not what a run takes: give MINUTES, SEED and CONTROL as numbers, as in 5 7 3.`,
  );
  process.exit(1);
}
const why = await whyNoNetwork();
if (why !== false) {
  console.error(why);
  process.exit(1);
}
process.once('SIGINT', () => process.exit(1));
const beganAt = performance.now();
const news = (text: string): void => console.log(`${((performance.now() - beganAt) / 1_000).toFixed(1)} s  ${text}`);
news(`seed ${seed}, ${control} control nodes, ${minutes} min`);
const report = await runFaults({ seed, control, forMs: minutes * minuteMs, onNews: news });
news(`faults: ${sum([...report.faults.values()])} (${listed(report.faults)})`);
news(`clients: ${listed(new Map(Object.entries(report.counts)))}`);
for (const violation of report.violations) console.log(violation);
if (report.evidence !== undefined) keep(report.evidence);
console.log(`${report.violations.length === 0 ? 'PASS' : 'FAIL'}  seed ${seed}, ${minutes} min`);
if (report.violations.length > 0) process.exitCode = 1;

function keep({ history, said }: NonNullable<FaultReport['evidence']>): void {
  const path = join(tmpdir(), `hivemind-history-${seed}.json`);
  const seen = Object.fromEntries(history.members.seen);
  const members = { ...history.members, seen };
  writeFileSync(path, JSON.stringify({ ...history, members, said: Object.fromEntries(said) }));
  console.log(`The history is in ${path}.`);
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${count} ${name}`).join(', ');
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
