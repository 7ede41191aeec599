/** What was decided (`log`, the same on every node) and what this node saw (`events`). */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { HivemindError } from '../src/error.ts';
import type { LocalEvent, LocalLog, LocalLogEntry } from '../src/node/local-api.ts';
import { type AgentClient, withAgent } from './agent-client.ts';
import {
  type AgentOptions,
  agentCommand,
  consistentOption,
  parseCount,
  type ReadOptions,
  showAnswer,
} from './agent-command.ts';
import { untilInterrupted } from './interruption.ts';
import { printAnswer, printItem, printNote } from './output.ts';
import { renderEvent, renderEvents, renderLog, renderLogEntry } from './render-history.ts';

/** Entries or events shown unless told otherwise. */
const lastDefault = 50;
/** Entries that the agent gives in one answer. */
const entriesPerAnswerMax = 1_000;
/** How often an agent that is gone is looked for. */
const returnPeriodMs = 500;

interface LogOptions extends ReadOptions {
  readonly from?: number;
  readonly last?: number;
  readonly follow?: true;
}

interface EventsOptions extends AgentOptions {
  readonly last: number;
  readonly follow?: true;
}

export function registerLog(program: Command): void {
  const log = consistentOption(agentCommand(program, 'log', 'list what the control pane decided'))
    .addOption(new Option('--from <index>', 'from this entry on').argParser(parseCount(1)).conflicts('last'))
    .option('--last <count>', `the last entries (default: ${lastDefault})`, parseCount(1))
    .addOption(
      new Option('--follow', 'go on with new entries until Ctrl-C; with --json, one entry per line').conflicts(
        'consistent',
      ),
    )
    .action(onLog);
  // The parent takes the options that both have, so they are read from there, too.
  agentCommand(log, 'note', 'put a text of your own into the log, for all members to read')
    .argument('<text>', 'at most 4096 bytes')
    .action((text: string, _own: AgentOptions, command: Command) => onNote(text, command.optsWithGlobals()));
  agentCommand(log, 'export', 'write all of the log to a file, which `log verify` verifies on any machine')
    .argument('<file>', 'must not be there yet')
    .action(async (file: string, _own: AgentOptions, command: Command) => {
      // Loaded when needed, with what it brings along.
      const { onLogExport } = await import('./log-file.ts');
      await onLogExport(file, command.optsWithGlobals());
    });
  log
    .command('verify <file>')
    .description('verify an exported log: its chain of hashes and the signatures in it; needs no agent')
    .option('--json', 'print JSON')
    .action(async (file: string, _own: AgentOptions, command: Command) => {
      const { onLogVerify } = await import('./log-file.ts');
      await onLogVerify(file, command.optsWithGlobals());
    });
}

export function registerEvents(program: Command): void {
  agentCommand(program, 'events', 'list what this node saw: joins, suspicions, convictions, configs')
    .option('--last <count>', 'the last events', parseCount(1), lastDefault)
    .option('--follow', 'go on with new events until Ctrl-C; with --json, one event per line')
    .action(onEvents);
}

async function onLog(options: LogOptions): Promise<void> {
  const { consistent = false, last = lastDefault } = options;
  const from = await withAgent(options, async (agent) => {
    const from = options.from ?? (await firstOfLast(agent, last, consistent));
    if (!options.follow) await printLog(new LogReader(agent, from, consistent), options.json === true);
    return from;
  });
  if (options.follow) await followLog(options, from, options.json === true);
}

async function firstOfLast(agent: AgentClient, last: number, consistent: boolean): Promise<number> {
  const { commitIndex } = await agent.ask({ kind: 'log', from: 1, most: 1, consistent });
  return Math.max(1, commitIndex - last + 1);
}

async function printLog(reader: LogReader, asJson: boolean): Promise<void> {
  const entries: LocalLogEntry[] = [];
  for (;;) {
    const page = await reader.read();
    entries.push(...page.entries);
    if (reader.isAtEnd(page)) return printAnswer({ ...page, entries }, asJson, renderLog);
  }
}

/** Goes on where it was when the agent was away meanwhile: no entry is missing, and none comes twice. */
async function followLog(options: AgentOptions, from: number, asJson: boolean): Promise<void> {
  const signal = untilInterrupted();
  let next = from;
  const onPage = (page: LocalLog): void => {
    noteForgotten(next, page);
    for (const entry of page.entries) printItem(entry, asJson, renderLogEntry);
    next = (page.entries.at(-1)?.index ?? next - 1) + 1;
  };
  for (let isReached = false; !signal.aborted; ) {
    try {
      await withAgent(options, async (agent) => {
        isReached = true;
        await agent.follow<LocalLog>({ kind: 'follow-log', from: next }, signal, onPage);
      });
    } catch (thrown) {
      if (signal.aborted) return;
      if (!isReached || !isPassing(thrown)) throw thrown;
    }
    await sleep(returnPeriodMs, undefined, { signal }).catch(() => {});
  }
}

/** The agent is gone for a while, or was faster than this terminal. */
function isPassing(thrown: unknown): boolean {
  return thrown instanceof HivemindError && ['agent-unreachable', 'busy'].includes(thrown.code);
}

function noteForgotten(next: number, { first }: LocalLog): void {
  if (first > next) printNote(`Entries ${next} to ${first - 1} are no longer kept; the log begins at ${first}.`);
}

async function onNote(text: string, options: AgentOptions): Promise<void> {
  await showAnswer(options, { kind: 'note', text, session: '', sequence: 1 }, ({ index }) => {
    return `The note is log entry ${index}.`;
  });
}

/** Reads the event log onwards from one index: each entry once, in order. */
class LogReader {
  private readonly agent: AgentClient;
  private readonly consistent: boolean;
  private next: number;

  constructor(agent: AgentClient, from: number, consistent: boolean) {
    this.agent = agent;
    this.consistent = consistent;
    this.next = from;
  }

  async read(): Promise<LocalLog> {
    const { next: from, consistent } = this;
    const page = await this.agent.ask({ kind: 'log', from, most: entriesPerAnswerMax, consistent });
    noteForgotten(this.next, page);
    const last = page.entries.at(-1);
    if (last !== undefined) this.next = last.index + 1;
    return page;
  }

  /** Whether there was nothing more to read when this page was. */
  isAtEnd(page: LocalLog): boolean {
    return page.entries.length === 0 || this.next > page.commitIndex;
  }
}

async function onEvents(options: EventsOptions): Promise<void> {
  const asJson = options.json === true;
  const { last: most, follow = false } = options;
  if (!follow) return showAnswer(options, { kind: 'events', most, follow }, renderEvents);
  await withAgent(options, (agent) =>
    agent.follow<LocalEvent>({ kind: 'events', most, follow }, untilInterrupted(), (event) =>
      printItem(event, asJson, renderEvent),
    ),
  );
}
