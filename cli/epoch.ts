/** The epoch: a generation of the cluster. With a new one, what was removed before it is forgotten. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { HivemindError } from '../src/error.ts';
import { type AgentClient, withAgent } from './agent-client.ts';
import { type AgentOptions, agentCommand } from './agent-command.ts';
import { printAnswer } from './output.ts';

/** Signing takes a moment; a node that has not followed by then does so later. */
const followMs = 10_000;
const lookMs = 100;

export function registerEpoch(program: Command): void {
  const epoch = program.command('epoch').description('begin a new generation of the cluster');
  agentCommand(epoch, 'advance', 'begin the next epoch; removed nodes are forgotten, and stay out').action(onAdvance);
}

async function onAdvance(options: AgentOptions): Promise<void> {
  const advanced = await withAgent(options, async (agent) => {
    const before = await epochAt(agent);
    const { index } = await agent.ask({ kind: 'advance-epoch' });
    const epoch = await nextEpoch(agent, before);
    if (epoch !== undefined) return { index, epoch };
    const sentence = `Log entry ${index} asks for the next epoch, which a majority has not signed yet; `;
    throw new HivemindError('time-out', `${sentence}\`hivemind status\` shows whether it has begun.`);
  });
  printAnswer(advanced, options.json === true, ({ index, epoch }) => {
    return `Epoch ${epoch} has begun, as asked for by log entry ${index}; members follow within a minute.`;
  });
}

async function epochAt(agent: AgentClient): Promise<number> {
  return (await agent.ask({ kind: 'status' })).epoch;
}

/** The epoch that this node is in next; nothing when it does not follow in time. */
async function nextEpoch(agent: AgentClient, before: number): Promise<number | undefined> {
  const until = Date.now() + followMs;
  while (Date.now() < until) {
    const epoch = await epochAt(agent);
    if (epoch > before) return epoch;
    await sleep(lookMs);
  }
  return undefined;
}
