/** The processes of a dev cluster: each an agent of its own, in a process group of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { prepareLayout } from '../../roles/nginx/layout.ts';
import { findBinary, NginxProcess } from '../../roles/nginx/process.ts';
import { HivemindError } from '../../src/error.ts';
import { makeFolder } from '../../src/store/folder.ts';
import { socketPath } from '../../src/system/runtime-folder.ts';
import { lastLine } from './last-line.ts';
import { controlNames, memberNames, nginxName, nodeNames } from './plan.ts';

/** An agent that does not end by itself within this is killed. */
const stopPatienceMs = 8_000;

export type OnExit = (name: string, code: number | null, signal: string | null) => void;

export class DevCluster {
  readonly folder: string;
  private readonly children = new Map<string, ChildProcess>();
  /** Agents that ended although nobody ended them, and how. */
  private readonly deaths = new Map<string, string>();
  private readonly killed = new Set<ChildProcess>();
  private readonly onExit: OnExit;
  private stopping = false;

  constructor(folder: string, onExit: OnExit) {
    this.folder = folder;
    this.onExit = onExit;
    makeFolder(this.socketFolder);
  }

  get socketFolder(): string {
    return join(this.folder, 'run');
  }

  socketOf(name: string): string {
    return socketPath(this.socketFolder, `${name}.sock`);
  }

  isRunning(name: string): boolean {
    return this.children.has(name);
  }

  pidOf(name: string): number | undefined {
    return this.children.get(name)?.pid;
  }

  /** An agent that ended by itself and was not started again, and what it said last. */
  firstDeath(): string | undefined {
    const [death] = this.deaths;
    return death?.join(' ');
  }

  /** @throws HivemindError `not-found`, `refused` when it runs already */
  start(name: string): void {
    this.check(name);
    if (this.isRunning(name)) throw new HivemindError('refused', `${name} runs already.`);
    // Its output goes to a file, and it is not in this terminal's group: only this process tells it to stop.
    const logPath = join(this.folder, name, 'agent.log');
    const log = openSync(logPath, 'a', 0o600);
    const logStart = fstatSync(log).size;
    const settings = join(this.folder, name, 'hivemind.yaml');
    const words = ['agent', '--config', settings, '--socket-folder', this.socketFolder, '--json'];
    const program = process.argv[1] as string;
    const child = spawn(process.execPath, [...process.execArgv, program, ...words], {
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    this.children.set(name, child);
    this.deaths.delete(name);
    child.once('exit', (code, signal) => {
      this.children.delete(name);
      if (this.stopping) return;
      this.onExit(name, code, signal);
      if (this.killed.has(child)) return;
      const last = lastLine(logPath, logStart) ?? 'it said nothing';
      this.deaths.set(name, `ended with ${signal ?? `exit code ${code}`}: ${last}`);
    });
  }

  /** As a power failure would: SIGKILL, and nothing is tidied up. */
  async kill(name: string): Promise<void> {
    this.check(name);
    const child = this.children.get(name);
    if (child === undefined)
      throw new HivemindError('refused', `${name} does not run; \`hivemind dev start ${name}\` starts it.`);
    const ended = exited(child);
    this.killed.add(child);
    child.kill('SIGKILL');
    await ended;
  }

  /** Stops all, those that depend on others first, and leaves no process behind. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.stopAll(memberNames);
    await this.stopOrphanedNginx();
    await this.stopAll(controlNames);
  }

  private async stopAll(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.stopOne(name)));
  }

  private async stopOne(name: string): Promise<void> {
    const child = this.children.get(name);
    if (child === undefined) return;
    const ended = exited(child);
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), stopPatienceMs);
    await ended;
    clearTimeout(timer);
  }

  /** nginx outlives an agent that was killed; nobody would adopt it any more. */
  private async stopOrphanedNginx(): Promise<void> {
    const binary = await findBinary('nginx').catch(() => undefined);
    const folder = join(this.folder, nginxName, 'data', 'roles', 'nginx');
    const layout = await prepareLayout(folder).catch(() => undefined);
    if (binary === undefined || layout === undefined) return;
    const nginx = new NginxProcess(binary, layout);
    if (await nginx.adopt()) await nginx.stop();
  }

  private check(name: string): void {
    if (nodeNames.includes(name)) return;
    throw new HivemindError('not-found', `There is no ${name}; the nodes are ${nodeNames.join(', ')}.`);
  }
}

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => child.once('exit', () => resolve()));
}
