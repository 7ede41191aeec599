/** `hivemind dev`: a whole cluster of real processes on this machine, to try things on. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { HivemindError } from '../../src/error.ts';
import { printAnswer, printLine } from '../output.ts';
import { table } from '../table.ts';
import type { DevAnswer, DevRequest } from './dev-door.ts';
import type { DevFlags } from './run.ts';

/** Below the current folder; the commands of a second terminal look there, too. */
export const devFolder: string = join('.hivemind', 'dev');

export function registerDev(program: Command): void {
  const dev = program
    .command('dev')
    .description('run a whole cluster on this machine to try things on: 3 control nodes, 2 hosts, dns and nginx')
    .option('--once', 'end after the self-check, with exit code 0 or 1')
    .option('--json', 'print each step as one line of JSON')
    .action(async (flags: DevFlags) => {
      const { runDev } = await import('./run.ts');
      process.exitCode = await runDev(devFolder, flags);
    });
  registerAsk(dev, 'kill', 'end a node as a power failure would (SIGKILL)');
  registerAsk(dev, 'start', 'start a node again');
  dev
    .command('ls')
    .description('list the nodes and their processes')
    .option('--json', 'print JSON')
    .action(async (_flags: DevFlags, command: Command) => show({ kind: 'list' }, command.optsWithGlobals()));
  dev.command('reset').description('remove the cluster and all its data').action(reset);
}

function registerAsk(dev: Command, kind: 'kill' | 'start', summary: string): void {
  dev
    .command(kind)
    .description(summary)
    .argument('<node>', 'its name, like host-b')
    .option('--json', 'print JSON')
    .action(async (name: string, _flags: DevFlags, command: Command) =>
      show({ kind, name }, command.optsWithGlobals()),
    );
}

async function show(request: DevRequest, flags: DevFlags): Promise<void> {
  const { askDoor } = await import('./dev-door.ts');
  const answer = await askDoor(devFolder, request);
  printAnswer(answer, flags.json === true, renderNodes);
}

function renderNodes({ nodes }: DevAnswer): string {
  return table(
    ['node', 'process'],
    nodes.map(({ name, pid }) => [name, pid === undefined ? 'stopped' : String(pid)]),
  );
}

async function reset(): Promise<void> {
  const { isDoorOpen } = await import('./dev-door.ts');
  if (await isDoorOpen(devFolder)) {
    throw new HivemindError('refused', 'The dev cluster is running; stop it with Ctrl-C first.');
  }
  const existed = existsSync(devFolder);
  await rm(devFolder, { recursive: true, force: true });
  printLine(existed ? `Removed ${devFolder}.` : `There is no ${devFolder}.`);
}
