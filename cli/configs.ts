/** What nodes published: `config ls` for any role, `service ls` for the services of hosts. */
import type { Command } from 'commander';
import { hostRole } from '../roles/host/contract.ts';
import { withAgent } from './agent-client.ts';
import { type AgentOptions, agentCommand, parseLabel, showAnswer } from './agent-command.ts';
import { printAnswer } from './output.ts';
import { renderConfigs, renderServices } from './render-configs.ts';
import { servicesOf } from './service.ts';

interface ServicesOptions extends AgentOptions {
  readonly all?: true;
}

export function registerServices(program: Command): void {
  const service = program.command('service').description('look at the services that hosts publish');
  agentCommand(service, 'ls', 'list the services of all hosts')
    .option('--all', 'list those of hosts that are down, too, as --json always does')
    .action(onServices);
}

export function registerConfigs(program: Command): void {
  const config = program.command('config').description('look at what nodes publish for a role');
  agentCommand(config, 'ls', 'list whose config for a role is known, and its version')
    .argument('<role>', 'the role that it is published for', parseLabel)
    .action((role: string, options: AgentOptions) => showAnswer(options, { kind: 'configs', role }, renderConfigs));
}

async function onServices(options: ServicesOptions): Promise<void> {
  const { configs } = await withAgent(options, (agent) => agent.ask({ kind: 'configs', role: hostRole }));
  printAnswer({ services: servicesOf(configs) }, options.json === true, ({ services }, paint) =>
    renderServices(services, options.all === true, paint),
  );
}
