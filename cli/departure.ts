/** Ways out: of the cluster for good (`leave`, `remove`), or of this machine for a while (`stop`). */
import type { Command } from 'commander';
import { type AgentOptions, agentCommand, parseLabel, showAnswer } from './agent-command.ts';
import { onlyAgent } from './agent-socket.ts';
import { decidedBy } from './decided-by.ts';

export function registerLeave(program: Command): void {
  agentCommand(program, 'leave', 'take this node out of the cluster for good').action(async (options: AgentOptions) =>
    showAnswer(await onlyAgent(options), { kind: 'leave' }, ({ index }) => `This node leaves, ${decidedBy(index)}.`),
  );
}

export function registerRemove(program: Command): void {
  agentCommand(program, 'remove', 'take another node out of the cluster for good')
    .argument('<name>', 'the name of the member', parseLabel)
    .action((name: string, options: AgentOptions) =>
      showAnswer(options, { kind: 'remove', name }, ({ index }) => `${name} is removed, ${decidedBy(index)}.`),
    );
}

export function registerStop(program: Command): void {
  agentCommand(program, 'stop', 'end the agent in good order; its node remains a member').action(
    async (options: AgentOptions) => showAnswer(await onlyAgent(options), { kind: 'stop' }, () => 'The agent ends.'),
  );
}
