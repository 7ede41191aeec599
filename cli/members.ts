import type { Command } from 'commander';
import type { LocalMembers } from '../src/node/local-api.ts';
import { withAgent } from './agent-client.ts';
import { type AgentOptions, agentCommand, parseLabel, showAnswer } from './agent-command.ts';
import { printAnswer } from './output.ts';
import { renderMembers, renderNode } from './render-members.ts';

interface MembersOptions extends AgentOptions {
  readonly role?: string;
  readonly all?: true;
}

export function registerMembers(program: Command): void {
  agentCommand(program, 'members', 'list who belongs to the cluster, and who is alive')
    .option('--role <role>', 'only members with this role', parseLabel)
    .option('--all', 'list those that are down, too, as --json always does')
    .action(onMembers);
}

export function registerNode(program: Command): void {
  const node = program.command('node').description('look at one node');
  agentCommand(node, 'show', 'show all that is known of a member')
    .argument('<name>', 'the name of the member', parseLabel)
    .action((name: string, options: AgentOptions) => showAnswer(options, { kind: 'node', name }, renderNode));
}

async function onMembers(options: MembersOptions): Promise<void> {
  const { role, all } = options;
  const answer = await withAgent(options, (agent) => agent.ask({ kind: 'members' }));
  const members = answer.members.filter((member) => role === undefined || member.roles.includes(role));
  const chosen: LocalMembers = { ...answer, members };
  printAnswer(chosen, options.json === true, (shown, paint) => renderMembers(shown, all === true, paint));
}
