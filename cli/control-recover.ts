/** `hivemind control recover`: the way out when most control nodes are lost for good. */
import type { Command } from 'commander';
import type { RecoverFlags } from './recovery/recover.ts';

export function registerControlRecover(control: Command): void {
  control
    .command('recover')
    .description('when most control nodes are lost for good: go on with this one alone; without --yes only shows what')
    .requiredOption('-c, --config <file>', 'the settings of the control node that is left', 'hivemind.yaml')
    .option('--recovery-key <file>', 'the recovery.key that `hivemind init` wrote')
    .option('--keep <names>', 'other control nodes that live, like c2,c3: members without a vote until promoted')
    .option('--yes', 'do it')
    .option('--json', 'print JSON')
    .action(async (flags: RecoverFlags) => {
      // Loaded when needed, with what it brings along.
      const { onRecover } = await import('./recovery/recover.ts');
      await onRecover(flags);
    });
}
