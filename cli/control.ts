/** The control nodes: who they are, and who leads. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { HivemindError, toHivemindError } from '../src/error.ts';
import { type AgentClient, withAgent } from './agent-client.ts';
import { type AgentOptions, agentCommand, parseLabel, showAnswer } from './agent-command.ts';
import { registerControlRecover } from './control-recover.ts';
import { registerControlVerify } from './control-verify.ts';
import { decidedBy } from './decided-by.ts';
import { printAnswer, printNote } from './output.ts';
import { renderPane } from './render-control.ts';

/** Signatures, and an election, take a moment. */
const followMs = 10_000;
const lookMs = 100;
/** Fewer survive the loss of none. */
const safeControlNodes = 3;

type Change = 'promote' | 'demote';

export function registerControl(program: Command): void {
  const control = program.command('control').description('look at the control nodes, and change them');
  registerControlVerify(control);
  registerControlRecover(control);
  agentCommand(control, 'ls', 'list the control nodes as each answers for itself').action((options: AgentOptions) =>
    showAnswer(options, { kind: 'pane' }, renderPane),
  );
  agentCommand(control, 'promote', 'let a node that joined with the role control vote and sign')
    .argument('<name>', 'its name', parseLabel)
    .action((name: string, options: AgentOptions) => onChange('promote', name, options));
  agentCommand(control, 'demote', 'take a control node out of the quorum; it remains a member')
    .argument('<name>', 'its name', parseLabel)
    .action((name: string, options: AgentOptions) => onChange('demote', name, options));
  agentCommand(control, 'remove', 'take a control node out of the quorum, and out of the cluster for good')
    .argument('<name>', 'its name', parseLabel)
    .action(onRemove);
  agentCommand(control, 'transfer', 'make another control node the leader')
    .argument('<name>', 'its name', parseLabel)
    .action(onTransfer);
}

async function onChange(change: Change, name: string, options: AgentOptions): Promise<void> {
  const changed = await withAgent(options, async (agent) => {
    const { index } = await agent.ask({ kind: 'change-control', change, name });
    const control = await controlNodesOnce(agent, (names) => names.includes(name) === (change === 'promote'));
    if (control !== undefined) return { index, control };
    const sentence = `Log entry ${index} asks for it, and a majority of the control nodes has not signed yet; `;
    throw new HivemindError('time-out', `${sentence}\`hivemind control ls\` shows whether it came to be.`);
  });
  const { control } = changed;
  printAnswer(changed, options.json === true, ({ index }) => {
    return `The control nodes are ${control.join(', ')}, as asked for by log entry ${index}.`;
  });
  if (control.length >= safeControlNodes) return;
  printNote(`With ${control.length} control nodes none may fail; three or more survive a failure.`);
}

/** Who votes cannot be removed: it is demoted first, and that is refused where too few would be left. */
async function onRemove(name: string, options: AgentOptions): Promise<void> {
  const removed = await withAgent(options, async (agent) => {
    await agent.ask({ kind: 'change-control', change: 'demote', name });
    const control = await controlNodesOnce(agent, (names) => !names.includes(name));
    const index = control === undefined ? undefined : await once(() => removedBy(agent, name));
    if (control !== undefined && index !== undefined) return { index, control };
    const done = control === undefined ? 'is being demoted' : 'is demoted';
    throw new HivemindError('time-out', `${name} ${done}, and not removed yet; \`hivemind remove ${name}\` does that.`);
  });
  printAnswer(removed, options.json === true, ({ index, control }) => {
    const remaining = `the control nodes are ${control.join(', ')}`;
    return `${name} is removed, ${decidedBy(index)}; ${remaining}.`;
  });
}

/** Why it may be asked again: it votes for a moment longer, and one that led takes the lead with it. */
const passing: ReadonlySet<string> = new Set(['busy', 'no-quorum', 'no-leader', 'not-leader', 'unknown-outcome']);

/** Nothing as long as that may change by itself. */
async function removedBy(agent: AgentClient, name: string): Promise<number | undefined> {
  try {
    return (await agent.ask({ kind: 'remove', name })).index;
  } catch (thrown) {
    if (passing.has(toHivemindError(thrown).code)) return undefined;
    throw thrown;
  }
}

async function onTransfer(name: string, options: AgentOptions): Promise<void> {
  const leads = await withAgent(options, async (agent) => {
    await agent.ask({ kind: 'transfer-lead', name });
    const isLeading = await once(async () => (await agent.ask({ kind: 'status' })).pane.leader === name);
    if (isLeading === true) return isLeading;
    const sentence = `${name} was asked to lead, and does not yet; \`hivemind control ls\` shows who does.`;
    throw new HivemindError('time-out', sentence);
  });
  printAnswer({ leads }, options.json === true, () => `${name} leads.`);
}

async function controlNodesOnce(
  agent: AgentClient,
  isThere: (names: readonly string[]) => boolean,
): Promise<readonly string[] | undefined> {
  return await once(async () => {
    const { controlNodes } = (await agent.ask({ kind: 'status' })).pane;
    return isThere(controlNodes) ? controlNodes : undefined;
  });
}

/** What `look` finds; nothing when it is not there in time. */
async function once<T>(look: () => Promise<T | undefined | false>): Promise<T | undefined> {
  const until = Date.now() + followMs;
  while (Date.now() < until) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await sleep(lookMs);
  }
  return undefined;
}
