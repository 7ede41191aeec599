#!/usr/bin/env node
/**
 * The program `hivemind`. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no agent reachable. Every
 * failure is one sentence on stderr; see failure.ts.
 */
import { Command } from 'commander';
import { registerAgent } from './agent/command.ts';
import { registerBench } from './bench/command.ts';
import { registerBrake } from './brake.ts';
import { registerConfigs, registerServices } from './configs.ts';
import { registerControl } from './control.ts';
import { registerLeave, registerRemove, registerStop } from './departure.ts';
import { registerDev } from './dev/command.ts';
import { registerEpoch } from './epoch.ts';
import { registerEvent } from './event.ts';
import { exitCodes, reportFailure } from './failure.ts';
import { registerEvents, registerLog } from './history.ts';
import { registerInit } from './init.ts';
import { registerJoin } from './join.ts';
import { registerMembers, registerNode } from './members.ts';
import { endWithReader, printNote } from './output.ts';
import { registerSim } from './sim.ts';
import { registerSnapshot } from './snapshot.ts';
import { registerRoles, registerStatus } from './status.ts';
import { registerTags } from './tags.ts';
import { registerToken } from './token.ts';
import { packageVersion } from './version.ts';

type Register = (program: Command) => void;

/** All commands, in the order and under the headings of `hivemind --help`. */
const commands: readonly (readonly [heading: string, registers: readonly Register[]])[] = [
  ['Run it:', [registerDev, registerInit, registerAgent, registerJoin]],
  ['Look at the cluster:', [registerStatus, registerMembers, registerNode, registerLog, registerEvents]],
  ['Look at its work:', [registerRoles, registerServices, registerConfigs, registerControl]],
  [
    'Change it:',
    [
      registerToken,
      registerTags,
      registerEvent,
      registerBrake,
      registerEpoch,
      registerSnapshot,
      registerLeave,
      registerRemove,
      registerStop,
    ],
  ],
  ['Measure it:', [registerSim, registerBench]],
];

function program(): Command {
  const hivemind = new Command('hivemind')
    .description('A quorum decides who belongs, gossip tells who is alive, roles put it to work.')
    .version(packageVersion())
    .exitOverride()
    // Failures are told in one place, reportFailure.
    .configureOutput({ outputError: () => {} })
    .showSuggestionAfterError();
  for (const [heading, registers] of commands) {
    hivemind.commandsGroup(heading);
    for (const register of registers) register(hivemind);
  }
  return hivemind.commandsGroup('More:').helpCommand('help [command]', 'show the help of a command');
}

async function main(words: readonly string[]): Promise<void> {
  if (process.platform === 'win32') {
    printNote('hivemind does not run on Windows; use Linux, macOS or the Windows Subsystem for Linux.');
    process.exitCode = exitCodes.failed;
    return;
  }
  endWithReader();
  process.on('uncaughtException', (thrown) => process.exit(reportFailure(thrown, words)));
  try {
    await program().parseAsync(words, { from: 'user' });
  } catch (thrown) {
    process.exitCode = reportFailure(thrown, words);
  }
}

await main(process.argv.slice(2));
