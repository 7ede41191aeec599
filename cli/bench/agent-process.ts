/** The process of one agent: started here, watched, and ended by its pid. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Launch } from './product.ts';

/** All that run: none outlives the bench, however that ends. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class AgentProcess {
  /** Resolves when it has ended, with how. */
  readonly ended: Promise<string>;
  private readonly child: ChildProcess;
  private readonly log: string;
  private isKilled = false;

  /** @param gid absent where the bench may not choose it */
  constructor(launch: Launch, log: string, gid: number | undefined) {
    this.log = log;
    const output = openSync(log, 'a', 0o600);
    this.child = spawn(launch.program, launch.words, {
      stdio: ['ignore', output, output, ...(launch.endsWithParent ? (['ipc'] as const) : [])],
      ...(gid === undefined ? {} : { gid }),
    });
    closeSync(output);
    running.add(this.child);
    this.ended = new Promise((resolve) => {
      const end = (how: string): void => {
        running.delete(this.child);
        resolve(how);
      };
      this.child.once('error', ({ message }) => end(message));
      this.child.once('exit', (code, signal) => end(signal ?? `exit code ${code}`));
    });
  }

  /** Nothing when it could not be started. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  get wasKilled(): boolean {
    return this.isKilled;
  }

  /** The last thing that it said, for an error about its end. */
  get lastWords(): string {
    return readFileSync(this.log, 'utf8').trimEnd().split('\n').at(-1) ?? '';
  }

  pause(): void {
    this.child.kill('SIGSTOP');
  }

  resume(): void {
    this.child.kill('SIGCONT');
  }

  /** As a power failure would; a paused one ends, too. */
  async kill(): Promise<void> {
    this.isKilled = true;
    this.child.kill('SIGKILL');
    await this.ended;
  }
}
