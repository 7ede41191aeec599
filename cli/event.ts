/** `hivemind event`: tells all members something in the operator's own words. */
import type { Command } from 'commander';
import { HivemindError } from '../src/error.ts';
import type { LocalSent } from '../src/node/local-api.ts';
import { withAgent } from './agent-client.ts';
import { type AgentOptions, agentCommand, parseLabel } from './agent-command.ts';
import { printAnswer } from './output.ts';

/** Of the members that pass an event on from here so many are named. */
const neighboursShownMax = 5;

export function registerEvent(program: Command): void {
  agentCommand(program, 'event', 'tell all members something, like a deployment; `events` shows it once on each')
    .argument('<name>', 'what happened, like deploy', parseLabel)
    .argument('[payload]', 'more about it, at most 512 bytes', '')
    .action(onEvent);
}

async function onEvent(event: string, payload: string, options: AgentOptions): Promise<void> {
  await checkPayload(payload);
  const sent = await withAgent(options, (agent) => agent.ask({ kind: 'send-event', name: event, payload }));
  printAnswer({ event, payload, ...sent }, options.json === true, () => sentSentence(event, sent));
}

/** Names those to whom it went from here: at once, on what this node knows (CS-14). */
export function sentSentence(event: string, { neighbours, size }: LocalSent): string {
  if (neighbours.length === 0) return `${event} stays here: this node knows no other member.`;
  const shown = neighbours.slice(0, neighboursShownMax).join(', ');
  const more = neighbours.length > neighboursShownMax ? ` and ${neighbours.length - neighboursShownMax} more` : '';
  const others = size === 2 ? 'the other member' : `all ${size - 1} other members`;
  return `${event} goes by way of ${shown}${more} to ${others}; \`hivemind events\` shows it once on each.`;
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
