/** `hivemind bench control`: measures three real control nodes, beside three of etcd where that is installed. */
import { availableParallelism, tmpdir } from 'node:os';
import { type Command, Option } from 'commander';
import { HivemindError } from '../../../src/error.ts';
import { parseCount } from '../../agent-command.ts';
import { exitCodes } from '../../failure.ts';
import { untilInterrupted } from '../../interruption.ts';
import { printAnswer, printLine, printNote } from '../../output.ts';
import { packageVersion } from '../../version.ts';
import { foundersCount } from '../product.ts';
import { controlCatalog, measurementNames } from './catalog.ts';
import { type ControlProductName, controlProductNames } from './product.ts';

const runsDefault = 3;
const secondsDefault = 10;
const busyDefault = 30;
const failoversDefault = 5;
const entriesDefault = 20_000;
const second = 1_000;
/** A control node runs for months; in its first ten seconds under load its code is being compiled. */
const warmUpMs = 15_000;

interface ControlFlags {
  readonly runs: number;
  readonly seconds: number;
  readonly busy: number;
  readonly failovers: number;
  readonly entries: number;
  readonly only?: ControlProductName;
  readonly json?: true;
}

export function registerControlBench(bench: Command): void {
  bench
    .command('control')
    .description(
      'start three control nodes on loopback and measure commits, fail-over and restarts, and the same with etcd ' +
        'where it is installed; some minutes for each run',
    )
    .option('--runs <count>', 'clusters of each product', parseCount(1), runsDefault)
    .option('--seconds <count>', 'how long each number of clients is measured', parseCount(1), secondsDefault)
    .option('--busy <seconds>', 'how long all processors are kept busy', parseCount(1), busyDefault)
    .option('--failovers <count>', 'how often each run kills the leader', parseCount(1), failoversDefault)
    .option('--entries <count>', 'commits before a restart is measured', parseCount(1), entriesDefault)
    .addOption(new Option('--only <product>', 'measure one product').choices(controlProductNames))
    .option('--json', 'print all figures as one JSON object; progress goes to stderr')
    .action(async (flags: ControlFlags) => {
      process.exitCode = await benchControl(flags);
    });
}

async function benchControl(flags: ControlFlags): Promise<number> {
  const { runs, seconds, busy, failovers, entries, only, json } = flags;
  const signal = untilInterrupted();
  const [{ runControlBench }, { Report, renderResult }] = await Promise.all([
    import('./run.ts'),
    import('../report.ts'),
  ]);
  const versions = await findVersions(only);
  const machine = { processors: availableParallelism(), node: process.version };
  const ground = { nodes: foundersCount, runs, machine, versions, method: await methodHere() };
  const report = new Report(controlCatalog, ground, json ? printNote : printLine);
  if (only === undefined && versions.etcd === undefined) report.omit('etcd, which is not installed.');
  await runControlBench({
    runs,
    warmUpMs,
    loadMs: seconds * second,
    busyMs: busy * second,
    failovers,
    entries,
    products: controlProductNames.filter((name) => versions[name] !== undefined),
    measurements: measurementNames,
    program: [...process.execArgv, process.argv[1] as string],
    report,
    signal,
  });
  printAnswer(report.result(), json === true, (result) => `\n${renderResult(controlCatalog, result)}`);
  return report.hasFailed ? exitCodes.failed : exitCodes.done;
}

/** Of the products that are wanted and there. */
async function findVersions(only: ControlProductName | undefined): Promise<Readonly<Record<string, string>>> {
  const { etcdVersion } = await import('./etcd-product.ts');
  const etcd = only === 'hivemind' ? undefined : await etcdVersion();
  if (only === 'etcd' && etcd === undefined) {
    throw new HivemindError('not-found', 'etcd is not installed; install it, or leave out --only.');
  }
  return {
    ...(only === 'etcd' ? {} : { hivemind: `hivemind ${packageVersion()}` }),
    ...(etcd === undefined ? {} : { etcd: `etcd ${etcd}` }),
  };
}

/** How it is measured, a sentence each, with what the disk can do at most. */
async function methodHere(): Promise<readonly string[]> {
  const [{ checkDisk, fdatasyncMs }, { valueBytes }, { hivemindClientName }, { etcdClientName }] = await Promise.all([
    import('./disk.ts'),
    import('./writer.ts'),
    import('./hivemind-writer.ts'),
    import('./etcd-writer.ts'),
  ]);
  const folder = tmpdir();
  await checkDisk(folder);
  return [
    `One product runs at a time: three nodes with default settings on loopback, their files in ${folder}.`,
    `There one append with its fdatasync takes ${fdatasyncMs(folder).toFixed(2)} ms, half of the time.`,
    `Each client commits ${valueBytes} bytes, waits, and commits the next, all at the leader.`,
    `Clients are ${hivemindClientName}, and ${etcdClientName}, in one, two or four processes, as is best.`,
  ];
}
