/** `hivemind agent`: runs the node that a settings file describes, until it is told to stop. */
import type { Command } from 'commander';
import { untilInterrupted } from '../interruption.ts';
import { outliveReader, printLine } from '../output.ts';
import type { AgentStage } from './agent.ts';

/** A stop that takes longer than this is cut short. */
const stopPatienceMs = 15_000;

interface AgentFlags {
  readonly config: string;
  readonly socketFolder?: string;
  readonly json?: boolean;
}

export function registerAgent(program: Command): void {
  program
    .command('agent')
    .description('run the node that a settings file describes, until Ctrl-C')
    .requiredOption('-c, --config <file>', 'its settings', 'hivemind.yaml')
    .option('--socket-folder <folder>', "where its unix socket goes, in place of this user's runtime folder")
    .option('--json', 'print each stage as one line of JSON')
    .action(async (flags: AgentFlags) => {
      const { loadSettings } = await import('../settings-file.ts');
      const settings = await loadSettings(flags.config);
      await runAgent({ ...flags, settings, settingsPath: flags.config, patient: true });
    });
}

export interface RunAgentOptions {
  readonly settings: import('../../src/settings/settings.ts').NodeSettings;
  readonly settingsPath: string;
  readonly socketFolder?: string;
  readonly patient: boolean;
  readonly json?: boolean;
}

/** Starts the agent and resolves when it has stopped: by a signal, by its parent's end, or because it left. */
export async function runAgent(options: RunAgentOptions): Promise<void> {
  outliveReader();
  const [{ startAgent }, { createLogger }, { forgivingLogger }] = await Promise.all([
    import('./agent.ts'),
    import('../../src/system/logger.ts'),
    import('./forgiving-logger.ts'),
  ]);
  const { settings, settingsPath, socketFolder, patient } = options;
  const log = forgivingLogger(await createLogger({ level: settings.log.level }));
  const signal = untilInterrupted();
  const agent = await startAgent({
    settings,
    settingsPath,
    patient,
    log: log.with({ node: settings.name }),
    signal: signalOrParent(signal),
    ...(socketFolder === undefined ? {} : { socketFolder }),
    onStage: (stage) => printLine(options.json ? JSON.stringify(stage) : describeStage(stage)),
  });
  try {
    const why = await Promise.race([agent.ended, aborted(signalOrParent(signal))]);
    printLine(options.json ? JSON.stringify({ stage: 'stopping', why }) : `Stopping: ${why}.`);
  } finally {
    // Whoever asked for the end (`hivemind stop`, `leave`) is owed an answer, which goes out in this turn of the loop.
    await new Promise((resolve) => setImmediate(resolve));
    // It does not keep the process alive, but ends it when a role has left something open.
    setTimeout(() => process.exit(), stopPatienceMs).unref();
    await agent.stop();
  }
}

/** An agent that another process started ends with it: the channel between them closes (a dev cluster's does). */
function signalOrParent(signal: AbortSignal): AbortSignal {
  if (process.send === undefined) return signal;
  const controller = new AbortController();
  process.once('disconnect', () => controller.abort());
  // Listening alone would keep a process alive that has nothing left to do.
  process.channel?.unref();
  return AbortSignal.any([signal, controller.signal]);
}

async function aborted(signal: AbortSignal): Promise<string> {
  return await new Promise((resolve) => {
    const tell = (): void => resolve('interrupted');
    if (signal.aborted) tell();
    signal.addEventListener('abort', tell, { once: true });
  });
}

function describeStage(stage: AgentStage): string {
  switch (stage.stage) {
    case 'listening':
      return `Listening on ${stage.address}, UDP and TCP.`;
    case 'asking':
      return `Asking ${stage.address} to let this node in.`;
    case 'waiting':
      return `Not yet: ${stage.reason} Asking again in ${stage.nextInMs / 1_000} s.`;
    case 'admitted':
      return `Admitted: ${stage.name} is member #${stage.number}, certified by a majority of control nodes.`;
    case 'digest':
      return `Digest: ${stage.members} members known, event log at ${stage.logIndex}.`;
    case 'gossiped':
      return `Gossiped: in touch with ${stage.inTouch} of ${stage.members} other members.`;
    case 'ready':
      return `Ready; its socket is ${stage.socket}.`;
  }
}
