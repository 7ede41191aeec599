import type { Command } from 'commander';
import { withAgent } from './agent-client.ts';
import { type AgentOptions, agentCommand, showAnswer } from './agent-command.ts';
import { printAnswer } from './output.ts';
import { renderRoles, renderStatus } from './render-status.ts';

export function registerStatus(program: Command): void {
  agentCommand(program, 'status', 'show how this node is, and whether the control pane has a quorum').action(
    (options: AgentOptions) => showAnswer(options, { kind: 'status' }, renderStatus),
  );
}

export function registerRoles(program: Command): void {
  const role = program.command('role').description('look at what this node does');
  agentCommand(role, 'ls', 'list the roles of this node').action(onRoles);
}

async function onRoles(options: AgentOptions): Promise<void> {
  const { name, roles } = await withAgent(options, (agent) => agent.ask({ kind: 'status' }));
  printAnswer({ node: name, roles }, options.json === true, (answer, paint) => renderRoles(answer.roles, paint));
}
