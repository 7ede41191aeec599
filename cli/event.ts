/** `hivemind event`: tells all members something in the operator's own words. */
import type { Command } from 'commander';
import { HivemindError } from '../src/error.ts';
import { withAgent } from './agent-client.ts';
import { type AgentOptions, agentCommand, parseLabel } from './agent-command.ts';
import { printAnswer } from './output.ts';

export function registerEvent(program: Command): void {
  agentCommand(program, 'event', 'tell all members something, like a deployment; `events` shows it once on each')
    .argument('<name>', 'what happened, like deploy', parseLabel)
    .argument('[payload]', 'more about it, at most 512 bytes', '')
    .action(onEvent);
}

async function onEvent(event: string, payload: string, options: AgentOptions): Promise<void> {
  await checkPayload(payload);
  await withAgent(options, (agent) => agent.ask({ kind: 'send-event', name: event, payload }));
  const sentence = `${event} goes to all members by gossip; \`hivemind events\` shows it once on each.`;
  printAnswer({ event, payload }, options.json === true, () => sentence);
}

/** @throws HivemindError `usage` */
async function checkPayload(payload: string): Promise<void> {
  // Loaded when needed, with what it brings along, as all limits that lie deep in the node.
  const { userEventBytesMax } = await import('../src/wire/rumour.ts');
  const bytes = Buffer.byteLength(payload);
  if (bytes <= userEventBytesMax) return;
  throw new HivemindError(
    'usage',
    `The payload takes ${bytes} bytes, and an event carries ${userEventBytesMax}; send a name for what is larger.`,
  );
}
