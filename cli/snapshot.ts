/** `hivemind snapshot`: what the control pane decided, as a file for the day on which all control nodes are lost. */
import type { Command } from 'commander';
import { type AgentOptions, agentCommand } from './agent-command.ts';
import type { RestoreFlags } from './recovery/restore.ts';

/** What the commands do is loaded when needed, with all that it brings along. */
export function registerSnapshot(program: Command): void {
  const snapshot = program.command('snapshot').description('save the state of the control pane, and restore from it');
  agentCommand(snapshot, 'save', 'write all that is decided to a file; ask the agent of a control node')
    .argument('<file>', 'must not be there yet')
    .action(async (file: string, options: AgentOptions) => {
      const { onSave } = await import('./recovery/snapshot-file.ts');
      await onSave(file, options);
    });
  snapshot
    .command('inspect <file>')
    .description('check a saved snapshot, and show what it holds; needs no agent')
    .option('--json', 'print JSON')
    .action(async (file: string, options: { readonly json?: true }) => {
      const { onInspect } = await import('./recovery/snapshot-file.ts');
      await onInspect(file, options);
    });
  snapshot
    .command('restore <file>')
    .description('when all control nodes are lost: make a new one out of it; without --yes only shows what')
    .option('--recovery-key <file>', 'the recovery.key that `hivemind init` wrote')
    .requiredOption('--out <folder>', 'where its settings and data go; must not be there yet')
    .requiredOption('--name <name>', 'its name; one of a lost control node will do')
    .requiredOption('--bind <address>', 'where it listens; members look first where a lost control node did')
    .option('--advertise <addresses>', 'where others reach it, when that differs')
    .option('--member-data <folder>', "a member's data or a copy: what was amended since, without which none follows")
    .option('--yes', 'do it')
    .option('--json', 'print JSON')
    .action(async (file: string, flags: RestoreFlags) => {
      const { onRestore } = await import('./recovery/restore.ts');
      await onRestore(file, flags);
    });
}
