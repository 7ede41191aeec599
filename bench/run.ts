/**
 * Measures: `npm run bench -- [filters…] [--smoke] [--json]`. A filter is any part of a bench's name; `--smoke` runs
 * each task three times, which is what the tests do, and starts no agents; `--json` prints one object with all
 * measurements.
 */
import { parseArgs } from 'node:util';
import { agentBenches, runAgentBench } from './agents.ts';
import { type Bench, benchSeed, fullEffort, loadBenches, type Measurement, measure, smokeEffort } from './bench.ts';

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { smoke: { type: 'boolean' }, json: { type: 'boolean' } },
  });
  const all = await loadBenches();
  const isMeant = ({ name }: { readonly name: string }): boolean =>
    positionals.length === 0 || positionals.some((filter) => name.includes(filter));
  const benches = all.filter(isMeant);
  const withAgents = values.smoke ? [] : agentBenches.filter(isMeant);
  if (benches.length + withAgents.length === 0) {
    const names = [...all, ...agentBenches].map(({ name }) => name);
    throw new Error(`No such bench; there are ${names.join(', ')}.`);
  }
  const measurements: Measurement[] = [];
  for (const bench of benches) {
    const measured = await measure(bench, values.smoke ? smokeEffort : fullEffort);
    measurements.push(...measured);
    if (!values.json) console.log(table(bench, measured));
  }
  const agents: Record<string, unknown> = {};
  for (const bench of withAgents) agents[bench.name] = runAgentBench(bench, values.json === true);
  if (values.json) {
    console.log(JSON.stringify({ node: process.version, seed: benchSeed, measurements, agents }, null, 2));
  }
}

function table(bench: Bench, measured: readonly Measurement[]): string {
  const nameWidth = Math.max(...measured.map(({ task }) => task.length));
  return [`${bench.name}: ${bench.about}`, ...measured.map((each) => row(each, nameWidth)), ''].join('\n');
}

function row(measurement: Measurement, nameWidth: number): string {
  const { task, operationsPerSecond, medianMicroseconds, bytes } = measurement;
  const columns = [
    task.padEnd(nameWidth),
    `${grouped(operationsPerSecond).padStart(11)}/s`,
    `${short(medianMicroseconds).padStart(8)} µs`,
    (bytes === undefined ? '' : `${grouped(bytes)} B`).padStart(8),
    comparison(measurement),
  ];
  return `  ${columns.join('  ')}`.trimEnd();
}

function comparison({ against, speedRatio, sizeRatio }: Measurement): string {
  if (against === undefined || speedRatio === undefined) return '';
  const size = sizeRatio === undefined ? '' : `, ${sizeRatio.toFixed(1)} times smaller`;
  return `${speedRatio.toFixed(2)} × ${against}${size}`;
}

/** Three digits that mean something, and no exponent. */
function short(value: number): string {
  return value < 1_000 ? value.toPrecision(3) : grouped(value);
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

await main();
