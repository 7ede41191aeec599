/** The brake on convictions: it holds when too many members are accused at once to be believed. */
import { type Command, Option } from 'commander';
import { HivemindError } from '../src/error.ts';
import { withAgent } from './agent-client.ts';
import { type AgentOptions, agentCommand } from './agent-command.ts';
import { parseDuration } from './duration.ts';
import { printAnswer } from './output.ts';
import { renderBrake } from './render-brake.ts';

interface ReleaseOptions extends AgentOptions {
  readonly for: number;
}

const releaseDefault = '10m';

export function registerBrake(program: Command): void {
  const brake = program.command('brake').description('look at, or release, what holds mass convictions back');
  agentCommand(brake, 'status', 'show whether it holds, and who is accused').action(onStatus);
  agentCommand(brake, 'release', 'let those who are accused be convicted, for a while')
    .addOption(
      new Option('--for <duration>', 'for how long, at most 1h')
        .argParser(parseDuration)
        .default(parseDuration(releaseDefault), releaseDefault),
    )
    .action(onRelease);
}

async function onStatus(options: AgentOptions): Promise<void> {
  const status = await withAgent(options, async (agent) => {
    const brake = await agent.ask({ kind: 'brake' });
    const { view } = await agent.ask({ kind: 'status' });
    return { ...brake, members: view.cluster };
  });
  printAnswer(status, options.json === true, renderBrake);
}

async function onRelease(options: ReleaseOptions): Promise<void> {
  await checkRelease(options.for);
  const released = await withAgent(options, async (agent) => {
    const { index } = await agent.ask({ kind: 'release-brake', forMs: options.for });
    // It is decided, whatever becomes of the second question.
    const brake = await agent.ask({ kind: 'brake' }).catch(() => undefined);
    return { index, releasedUntil: brake?.releasedUntil };
  });
  printAnswer(released, options.json === true, ({ index, releasedUntil }) => {
    const until = releasedUntil === undefined ? '; `hivemind brake status` says until when' : ` until ${releasedUntil}`;
    return `The brake is released${until}, as decided by log entry ${index}.`;
  });
}

/** @throws HivemindError `usage` */
async function checkRelease(forMs: number): Promise<void> {
  const { brakeReleaseMsMax } = await import('../src/control/apply.ts');
  if (forMs <= brakeReleaseMsMax) return;
  throw new HivemindError('usage', 'The brake is released for 1h at most; release it again when that is over.');
}
