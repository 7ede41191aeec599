/** The benchmarks of whole agents: they run as commands of the built program, because that is what users run. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

export interface AgentBench {
  /** As filters name it, and as the word after `hivemind bench`. */
  readonly name: string;
  /** Few agents and one run: a minute or two. By hand it takes more of both. */
  readonly flags: readonly string[];
}

export const agentBenches: readonly AgentBench[] = [
  { name: 'gossip', flags: ['--nodes', '16', '--runs', '1'] },
  { name: 'control', flags: ['--runs', '1', '--seconds', '5', '--busy', '10'] },
];

/**
 * Builds the program and runs it; its figures go to standard output, or come back as its JSON.
 *
 * @throws Error when a measurement failed
 */
export function runAgentBench({ name, flags }: AgentBench, asJson: boolean): unknown {
  run('npm', ['run', '-s', 'build'], 'inherit');
  const words = [join('dist', 'cli', 'main.js'), 'bench', name, ...flags];
  if (!asJson) return run(process.execPath, words, 'inherit');
  return JSON.parse(run(process.execPath, [...words, '--json'], 'pipe'));
}

function run(program: string, words: readonly string[], output: 'inherit' | 'pipe'): string {
  const { status, stdout } = spawnSync(program, words, {
    cwd: root,
    stdio: ['ignore', output, 'inherit'],
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${program} ${words.join(' ')} ended with exit code ${status}.`);
  return stdout;
}
