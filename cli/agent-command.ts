/** What all commands that ask the agent have in common. */
import { type Command, Option } from 'commander';
import { HivemindError } from '../src/error.ts';
import { isLabel } from '../src/identity.ts';
import type { LocalAnswers, LocalRequest } from '../src/node/local-api.ts';
import { withAgent } from './agent-client.ts';
import type { AgentChoice } from './agent-socket.ts';
import { printAnswer, type Rendering } from './output.ts';

export interface AgentOptions extends AgentChoice {
  readonly json?: true;
}

/** A command below `parent` with the options `--json`, `--node` and `--socket`. */
export function agentCommand(parent: Command, nameAndArguments: string, summary: string): Command {
  return parent
    .command(nameAndArguments)
    .description(summary)
    .option('--json', 'print JSON')
    .addOption(new Option('-n, --node <name>', 'ask the agent of this node').argParser(parseLabel))
    .addOption(new Option('--socket <path>', 'ask the agent at this socket (or HIVEMIND_SOCKET)').conflicts('node'));
}

export interface ReadOptions extends AgentOptions {
  readonly consistent?: true;
}

/** Adds `--consistent` to a command that reads what the pane decided. */
export function consistentOption(command: Command): Command {
  return command.option(
    '--consistent',
    'miss nothing decided by now, or fail when no majority of control nodes is there',
  );
}

/** The whole of most commands: one request, and how its answer looks. */
export async function showAnswer<Request extends LocalRequest>(
  options: AgentOptions,
  request: Request,
  render: Rendering<LocalAnswers[Request['kind']]>,
): Promise<void> {
  const answer = await withAgent(options, (agent) => agent.ask(request));
  printAnswer(answer, options.json === true, render);
}

/** @throws HivemindError `usage` */
export function parseLabel(text: string): string {
  if (isLabel(text)) return text;
  throw new HivemindError('usage', `"${text}" is not a name; names have a-z, 0-9 and hyphens, at most 63 of them.`);
}

/**
 * Makes a parser of whole numbers from `least` on.
 *
 * @throws HivemindError `usage`
 */
export function parseCount(least: number): (text: string) => number {
  return (text) => {
    const count = /^\d{1,15}$/.test(text) ? Number(text) : -1;
    if (count >= least) return count;
    throw new HivemindError(
      'usage',
      `"${text}" is not a number that fits here; write a whole number from ${least} on.`,
    );
  };
}
