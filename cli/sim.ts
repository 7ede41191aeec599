/** `hivemind sim`: a cluster of thousands on virtual time, in which something goes wrong; beside its peers, by seed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { getHeapStatistics } from 'node:v8';
import { Argument, type Command, Option } from 'commander';
import { HivemindError } from '../src/error.ts';
import type { ArmName } from '../src/sim/crowd/arm.ts';
import type { ArmFigures, RunFigures } from '../src/sim/crowd/figures.ts';
import { type ScenarioName, type ScenarioOptions, scenarioNames, scenarios } from '../src/sim/crowd/scenario.ts';
import { printAnswer, printNote } from './output.ts';
import { progressBar } from './progress-bar.ts';
import { renderFigures } from './render-sim.ts';

export const nodesMax = 200_000;
const nodesMin = 4;
const seedMax = 1_000_000_000;
const seedsMax = 10_000;
/** Beyond so many nodes the heap that Node chooses for itself may not do. */
const nodesPerDefaultHeap = 20_000;
const heapMibPerNode = 0.2;
const heapMibLeast = 8_192;
const mib = 1_048_576;
const stallToleranceMsMin = 1_000;
const stallToleranceMsMax = 60_000;

interface SimFlags {
  readonly nodes?: number;
  readonly seed: number;
  readonly seeds: number;
  readonly arm?: ArmName;
  readonly stallTolerance?: number;
  readonly mass?: NonNullable<ScenarioOptions['mass']>;
  readonly slow?: number;
  readonly loss?: number;
  readonly minutes?: number;
  readonly json?: true;
}

export function registerSim(program: Command): void {
  program
    .command('sim')
    .description(
      'simulate a cluster in which something goes wrong, beside SWIM and Lifeguard; the same seed, the same run',
    )
    .addArgument(new Argument('<scenario>', 'what happens; see below').choices(scenarioNames))
    .option('--nodes <count>', 'members', whole('--nodes', nodesMin, nodesMax))
    .option('--seed <seed>', 'the first seed', whole('--seed', 0, seedMax), 1)
    .option('--seeds <count>', 'how many seeds, from the first one on', whole('--seeds', 1, seedsMax), 1)
    .addOption(
      new Option('--arm <arm>', 'only this protocol; else all three').choices(['swim', 'lifeguard', 'hivemind']),
    )
    .option(
      '--stall-tolerance <ms>',
      'the stall that hivemind allows a healthy member',
      whole('--stall-tolerance', stallToleranceMsMin, stallToleranceMsMax),
    )
    .option('--mass <count>', 'members that fail at once, as a number or as a share like 40%', parseMass)
    .option('--slow <count>', 'members that are slow, or blocked in turn', whole('--slow', 1, nodesMax))
    .option('--loss <share>', 'chance that a packet is lost, 0 to 0.95', parseLoss)
    .option('--minutes <minutes>', 'how long a partition lasts', whole('--minutes', 1, 60))
    .option('--json', 'print JSON')
    .addHelpText('after', `\nScenarios:\n${scenarioHelp()}`)
    .action(onSim);
}

function scenarioHelp(): string {
  return scenarioNames.map((name) => `  ${name.padEnd(12)}${scenarios[name].summary}`).join('\n');
}

async function onSim(scenario: ScenarioName, flags: SimFlags): Promise<void> {
  const nodes = flags.nodes ?? scenarios[scenario].nodes;
  if (nodes > nodesPerDefaultHeap && getHeapStatistics().heap_size_limit < heapMibFor(nodes) * mib) {
    process.exitCode = await rerunWithHeap(heapMibFor(nodes));
    return;
  }
  const figures = await simulate(scenario, nodes, flags);
  printAnswer(figures, flags.json === true, (shown, paint) => renderFigures(scenario, shown, paint));
}

async function simulate(scenario: ScenarioName, nodes: number, flags: SimFlags): Promise<readonly ArmFigures[]> {
  const { armNames, baselineNodesMax, runScenario } = await import('../src/sim/crowd/scenario-run.ts');
  const { summarise } = await import('../src/sim/crowd/figures.ts');
  const { seed: firstSeed, seeds, arm: only, stallTolerance, mass, slow, loss, minutes } = flags;
  const isLarge = nodes > baselineNodesMax;
  if (isLarge && only !== undefined && only !== 'hivemind') {
    throw new HivemindError('usage', `The ${only} arm takes at most ${baselineNodesMax} nodes; lower --nodes.`);
  }
  const limit = `at ${nodes} nodes only hivemind is simulated, because each node of the others keeps a full list`;
  if (isLarge && only === undefined) printNote(`Above ${baselineNodesMax} nodes there is no comparison: ${limit}.`);
  const arms = only !== undefined ? [only] : armNames.filter((arm) => arm === 'hivemind' || !isLarge);
  const options = {
    scenario,
    nodes,
    ...(stallTolerance !== undefined && { stallToleranceMs: stallTolerance }),
    ...(mass !== undefined && { mass }),
    ...(slow !== undefined && { slow }),
    ...(loss !== undefined && { loss }),
    ...(minutes !== undefined && { minutes }),
  };
  const bar = progressBar(arms.length * seeds);
  try {
    return arms.map((arm) => {
      const runs: RunFigures[] = [];
      for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
        runs.push(runScenario({ ...options, arm, seed }, (done) => bar.show(done, `${arm}, seed ${seed}`)));
        bar.next();
      }
      return summarise({ scenario, arm, nodes, firstSeed }, runs);
    });
  } finally {
    bar.clear();
  }
}

function heapMibFor(nodes: number): number {
  return Math.max(heapMibLeast, Math.round(nodes * heapMibPerNode));
}

/** The limit of a heap is set when a process starts. */
async function rerunWithHeap(heapMib: number): Promise<number> {
  const words = [...process.execArgv, `--max-old-space-size=${heapMib}`, ...process.argv.slice(1)];
  const child = spawn(process.execPath, words, { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

// — reading options —

function whole(option: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (number >= least && number <= most) return number;
    throw new HivemindError('usage', `"${text}" is no value for ${option}; write a whole number, ${least} to ${most}.`);
  };
}

function parseMass(text: string): NonNullable<ScenarioOptions['mass']> {
  const [, digits = '', percent] = /^(\d{1,6})(%?)$/.exec(text) ?? [];
  const count = Number(digits);
  const isPercent = percent === '%';
  if (count >= 1 && (!isPercent || count <= 90)) return { count, isPercent };
  throw new HivemindError('usage', `"${text}" is no value for --mass; write a number like 10, or a share like 40%.`);
}

const lossMax = 0.95;

function parseLoss(text: string): number {
  const loss = /^[01](\.\d+)?$|^\.\d+$/.test(text) ? Number(text) : Number.NaN;
  if (loss >= 0 && loss <= lossMax) return loss;
  throw new HivemindError('usage', `"${text}" is no value for --loss; write a share like 0.3, at most ${lossMax}.`);
}
