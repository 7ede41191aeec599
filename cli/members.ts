import type { Command } from 'commander';
import { withAgent } from './agent-client.ts';
import { agentCommand, consistentOption, parseLabel, type ReadOptions } from './agent-command.ts';
import { printAnswer } from './output.ts';
import { membersWith, renderMembers, renderNode } from './render-members.ts';

interface MembersOptions extends ReadOptions {
  readonly role?: string;
  readonly all?: true;
}

export function registerMembers(program: Command): void {
  consistentOption(agentCommand(program, 'members', 'list who belongs to the cluster, and who is alive'))
    .option('--role <role>', 'only members with this role', parseLabel)
    .option('--all', 'list those that are down, too, as --json always does')
    .action(onMembers);
}

export function registerNode(program: Command): void {
  const node = program.command('node').description('look at one node');
  consistentOption(agentCommand(node, 'show', 'show all that is known of a member'))
    .argument('<name>', 'the name of the member', parseLabel)
    .action(onNode);
}

async function onMembers(options: MembersOptions): Promise<void> {
  const { role, all, consistent = false } = options;
  const answer = await withAgent(options, (agent) => agent.ask({ kind: 'members', consistent }));
  const asJson = options.json === true;
  const printed = asJson ? { ...answer, members: membersWith(role, answer.members) } : answer;
  printAnswer(printed, asJson, (shown, paint) => renderMembers(shown, { role, withDown: all === true }, paint));
}

async function onNode(name: string, options: ReadOptions): Promise<void> {
  const node = await withAgent(options, async (agent) => {
    const shown = await agent.ask({ kind: 'node', name, consistent: options.consistent === true });
    const { tags } = await agent.ask({ kind: 'tags', name });
    return { ...shown, tags };
  });
  printAnswer(node, options.json === true, renderNode);
}
