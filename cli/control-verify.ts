/** `hivemind control verify`: checks the event log in a data folder while no node runs on it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { localFileSystem } from '../src/store/local-file-system.ts';
import { checkLog } from '../src/store/log-check.ts';
import { printAnswer } from './output.ts';
import { renderLogCheck } from './render-control.ts';

export function registerControlVerify(control: Command): void {
  control
    .command('verify <folder>')
    .description('check the event log in the data folder of a stopped control node: checksums, hash chain, terms')
    .option('--json', 'print JSON')
    .action((folder: string, options: { readonly json?: true }) => {
      const inside = join(folder, 'log');
      const check = checkLog(localFileSystem, existsSync(inside) ? inside : folder);
      printAnswer(check, options.json === true, renderLogCheck);
    });
}
