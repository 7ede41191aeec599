/** What was decided (`log`, the same on every node) and what this node saw (`events`). */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { LocalEvent, LocalLog, LocalLogEntry } from '../src/node/local-api.ts';
import { type AgentClient, withAgent } from './agent-client.ts';
import { type AgentOptions, agentCommand, parseCount, showAnswer } from './agent-command.ts';
import { untilInterrupted } from './interruption.ts';
import { printAnswer, printItem, printNote } from './output.ts';
import { renderEvent, renderEvents, renderLog, renderLogEntry } from './render-history.ts';

/** Entries or events shown unless told otherwise. */
const lastDefault = 50;
/** Entries that the agent gives in one answer. */
const entriesPerAnswerMax = 1_000;
const pollPeriodMs = 500;

interface LogOptions extends AgentOptions {
  readonly from?: number;
  readonly last?: number;
  readonly follow?: true;
}

interface EventsOptions extends AgentOptions {
  readonly last: number;
  readonly follow?: true;
}

export function registerLog(program: Command): void {
  agentCommand(program, 'log', 'list what the control pane decided')
    .addOption(new Option('--from <index>', 'from this entry on').argParser(parseCount(1)).conflicts('last'))
    .option('--last <count>', `the last entries (default: ${lastDefault})`, parseCount(1))
    .option('--follow', 'go on with new entries until Ctrl-C; with --json, one entry per line')
    .action(onLog);
}

export function registerEvents(program: Command): void {
  agentCommand(program, 'events', 'list what this node saw: joins, suspicions, convictions, configs')
    .option('--last <count>', 'the last events', parseCount(1), lastDefault)
    .option('--follow', 'go on with new events until Ctrl-C; with --json, one event per line')
    .action(onEvents);
}

async function onLog(options: LogOptions): Promise<void> {
  await withAgent(options, async (agent) => {
    const from = options.from ?? (await firstOfLast(agent, options.last ?? lastDefault));
    if (options.follow) await followLog(agent, from, options.json === true);
    else await printLog(agent, from, options.json === true);
  });
}

async function firstOfLast(agent: AgentClient, last: number): Promise<number> {
  const { commitIndex } = await agent.ask({ kind: 'log', from: 1, most: 1 });
  return Math.max(1, commitIndex - last + 1);
}

async function printLog(agent: AgentClient, from: number, asJson: boolean): Promise<void> {
  const reader = new LogReader(agent, from);
  const entries: LocalLogEntry[] = [];
  for (;;) {
    const page = await reader.read();
    entries.push(...page.entries);
    if (reader.isAtEnd(page)) return printAnswer({ ...page, entries }, asJson, renderLog);
  }
}

async function followLog(agent: AgentClient, from: number, asJson: boolean): Promise<void> {
  const signal = untilInterrupted();
  signal.addEventListener('abort', () => agent.close(), { once: true });
  const reader = new LogReader(agent, from);
  try {
    for (;;) {
      const page = await reader.read();
      for (const entry of page.entries) printItem(entry, asJson, renderLogEntry);
      if (reader.isAtEnd(page)) await sleep(pollPeriodMs, undefined, { signal });
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}

/** Reads the event log onwards from one index: each entry once, in order. */
class LogReader {
  private readonly agent: AgentClient;
  private next: number;

  constructor(agent: AgentClient, from: number) {
    this.agent = agent;
    this.next = from;
  }

  async read(): Promise<LocalLog> {
    const page = await this.agent.ask({ kind: 'log', from: this.next, most: entriesPerAnswerMax });
    const [first, last] = [page.entries[0], page.entries.at(-1)];
    if (first !== undefined && first.index > this.next) {
      printNote(`Entries ${this.next} to ${first.index - 1} are no longer kept.`);
    }
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
