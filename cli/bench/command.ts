/** `hivemind bench gossip`: measures real agents on this machine, beside serf's where that is installed. */
import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import { HivemindError } from '../../src/error.ts';
import { parseCount } from '../agent-command.ts';
import { exitCodes } from '../failure.ts';
import { untilInterrupted } from '../interruption.ts';
import { printAnswer, printLine, printNote } from '../output.ts';
import { packageVersion } from '../version.ts';
import { registerControlBench } from './control/command.ts';
import { gossipCatalog, gossipMethod, measurementNames } from './gossip-catalog.ts';
import { foundersCount, type ProductName, productNames } from './product.ts';

const nodesDefault = 16;
/** Up to here every node keeps every member in view. */
const nodesMax = 128;
const runsDefault = 3;
const runsMax = 100;

interface GossipFlags {
  readonly nodes: number;
  readonly runs: number;
  readonly only?: ProductName;
  readonly json?: true;
}

export function registerBench(program: Command): void {
  const bench = program.command('bench').description('measure this machine');
  bench
    .command('gossip')
    .description(
      'start real agents on loopback and measure joins, events, failures and the cost at rest, and the same with ' +
        'serf where it is installed; some minutes for each run',
    )
    .option('--nodes <count>', 'agents, of which 3 are control nodes', parseCount(foundersCount + 1), nodesDefault)
    .option('--runs <count>', 'clusters of each product', parseCount(1), runsDefault)
    .addOption(new Option('--only <product>', 'measure one product').choices(productNames))
    .option('--json', 'print all figures as one JSON object; progress goes to stderr')
    .action(async (flags: GossipFlags) => {
      process.exitCode = await benchGossip(flags);
    });
  registerControlBench(bench);
}

async function benchGossip({ nodes, runs, only, json }: GossipFlags): Promise<number> {
  checkMost('--nodes', nodes, nodesMax);
  checkMost('--runs', runs, runsMax);
  const signal = untilInterrupted();
  const [{ runBench }, { Report, renderResult }] = await Promise.all([import('./run.ts'), import('./report.ts')]);
  const versions = await findVersions(only);
  const products = productNames.filter((name) => versions[name] !== undefined);
  const machine = { processors: availableParallelism(), node: process.version };
  const report = new Report(
    gossipCatalog,
    { nodes, runs, machine, versions, method: gossipMethod },
    json ? printNote : printLine,
  );
  if (only === undefined && versions.serf === undefined) report.omit('serf, which is not installed.');
  const program = [...process.execArgv, process.argv[1] as string];
  await runBench({ nodes, runs, products, measurements: measurementNames, program, report, signal });
  printAnswer(report.result(), json === true, (result) => `\n${renderResult(gossipCatalog, result)}`);
  return report.hasFailed ? exitCodes.failed : exitCodes.done;
}

/** Of the products that are wanted and there. */
async function findVersions(only: ProductName | undefined): Promise<Partial<Record<ProductName, string>>> {
  const { serfVersion } = await import('./serf-product.ts');
  const serf = only === 'hivemind' ? undefined : await serfVersion();
  if (only === 'serf' && serf === undefined) {
    throw new HivemindError('not-found', 'serf is not installed; install it, or leave out --only.');
  }
  return {
    ...(only === 'serf' ? {} : { hivemind: `hivemind ${packageVersion()}` }),
    ...(serf === undefined ? {} : { serf: `serf ${serf}` }),
  };
}

function checkMost(flag: string, count: number, most: number): void {
  if (count <= most) return;
  throw new HivemindError('usage', `${flag} ${count} is too much; ${most} is the most.`);
}
