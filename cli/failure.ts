/**
 * How a command fails: one sentence on stderr and an exit code, never a stack trace. With `--json`, stdout holds
 * `{"error":{"code","message"}}` besides, in one line: it always is JSON, and NDJSON under `--follow`.
 */
import { CommanderError } from 'commander';
import { HivemindError } from '../src/error.ts';
import { printable, printLine, printNote } from './output.ts';

/** 0 is for what was done, and for a `--follow` that was interrupted: that is how it ends. */
export const exitCodes = { done: 0, failed: 1, usage: 2, unreachable: 3 } as const;

interface Failure {
  readonly code: string;
  readonly sentence: string;
  readonly exitCode: number;
}

/** Says what went wrong, and gives the exit code. */
export function reportFailure(thrown: unknown, words: readonly string[]): number {
  if (thrown instanceof CommanderError && isHelp(thrown)) {
    return thrown.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  }
  const { code, sentence, exitCode } = failureOf(thrown);
  if (words.includes('--json')) printLine(JSON.stringify({ error: { code, message: sentence } }));
  printNote(printable(sentence));
  if (process.env.HIVEMIND_DEBUG === '1' && thrown instanceof Error) printNote(thrown.stack ?? '');
  return exitCode;
}

function failureOf(thrown: unknown): Failure {
  if (thrown instanceof CommanderError) {
    return { code: 'usage', sentence: usageSentence(thrown.message), exitCode: exitCodes.usage };
  }
  if (thrown instanceof HivemindError) {
    return { code: thrown.code, sentence: thrown.message, exitCode: exitCodeOf(thrown) };
  }
  const what = thrown instanceof Error ? thrown.message : String(thrown);
  const sentence = `Unexpected failure: ${what}; this is a bug, please report it with what HIVEMIND_DEBUG=1 adds.`;
  return { code: 'internal', sentence, exitCode: exitCodes.failed };
}

function exitCodeOf(error: HivemindError): number {
  if (error.code === 'usage') return exitCodes.usage;
  return error.code === 'agent-unreachable' ? exitCodes.unreachable : exitCodes.failed;
}

/** The help or the version was shown: there is nothing more to say. */
function isHelp(error: CommanderError): boolean {
  return ['commander.help', 'commander.helpDisplayed', 'commander.version'].includes(error.code);
}

/** Makes one sentence of commander's "error: unknown command 'membres'\n(Did you mean members?)". */
function usageSentence(message: string): string {
  const [what = '', suggestion] = message.replace(/^error: /, '').split('\n');
  const statement = what.charAt(0).toUpperCase() + what.slice(1).replace(/\.$/, '').replace('. ', ': ');
  const guess = /^\(Did you mean (.*)\?\)$/.exec(suggestion ?? '')?.[1];
  return guess ? `${statement}; did you mean ${guess}?` : `${statement}; add --help to see what is possible.`;
}
