import type { Command } from 'commander';
import { type AgentOptions, agentCommand, showAnswer } from './agent-command.ts';
import { registerControlVerify } from './control-verify.ts';
import { renderPane } from './render-control.ts';

export function registerControl(program: Command): void {
  const control = program.command('control').description('look at the control pane');
  registerControlVerify(control);
  agentCommand(control, 'ls', 'list the control nodes as each answers for itself').action((options: AgentOptions) =>
    showAnswer(options, { kind: 'pane' }, renderPane),
  );
}
