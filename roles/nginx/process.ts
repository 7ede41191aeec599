/**
 * One nginx: found, tested, started, adopted, signalled, stopped. It is a process group of its own, so that it
 * outlives an agent that was killed; the next agent recognises it by its pid file and its prefix.
 */
import { execFile, spawn } from 'node:child_process';
import { access, constants, open, readdir, readFile, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { HivemindError } from '../../src/role/role.ts';
import type { Layout } from './layout.ts';

/** Stopping: how long open requests may take, then how long nginx may, before it is killed. Below `roleStopMs`. */
export const quitMs = 5000;
export const terminateMs = 2000;
export const testTimeoutMs = 20_000;
export const testOutputBytesMax = 1_048_576;
const pollMs = 25;

/** Where system programs lie; an ordinary user's PATH often leaves them out. */
const sbinFolders = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin', '/usr/local/bin'];

/** @throws HivemindError `role-failed` when there is no such program */
export async function findBinary(name: string): Promise<string> {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''), ...sbinFolders];
  const candidates = name.includes('/') ? [name] : folders.map((folder) => join(folder, name));
  for (const candidate of candidates) {
    const isThere = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return candidate;
  }
  const sentence =
    name === 'nginx'
      ? 'nginx is not installed; install it with: apt-get install nginx'
      : `There is no program ${name}; install nginx, or name its program as "binary".`;
  throw new HivemindError('role-failed', sentence);
}

/** What `nginx -t` found wrong. */
export interface ConfigurationFault {
  readonly message: string;
  /** Where, when nginx says so. */
  readonly file?: string;
}

export interface Workers {
  /** Take new connections. After a reload old ones are among them for a moment. */
  readonly accepting: number;
  /** Only finish what they had accepted before a reload. */
  readonly retiring: number;
}

export class NginxProcess {
  private readonly binary: string;
  private readonly layout: Layout;
  private found: number | undefined;

  constructor(binary: string, layout: Layout) {
    this.binary = binary;
    this.layout = layout;
  }

  /** The master process; nothing before `start` or `adopt`. */
  get pid(): number | undefined {
    return this.found;
  }

  /** Has nginx itself judge a configuration. It says nothing of ports: a taken one passes. */
  async test(configuration: string): Promise<ConfigurationFault | undefined> {
    const arguments_ = ['-t', '-p', this.layout.folder, '-e', 'stderr', '-c', configuration];
    const output = await run(this.binary, arguments_);
    if (output.isSuccess) return undefined;
    const line = /\[emerg\] (?:\d+#\d+: )?(.*)/.exec(output.text)?.[1] ?? output.text.trim().slice(0, 500);
    const file = / in (\/.*):\d+$/.exec(line)?.[1];
    return file === undefined ? { message: line } : { message: line, file };
  }

  /** Takes over an nginx that an earlier agent left running on this prefix. */
  async adopt(): Promise<boolean> {
    const pid = await this.noted();
    if (pid === undefined || !(await this.isOurs(pid))) return false;
    this.found = pid;
    return true;
  }

  async start(): Promise<void> {
    await endOrphans(this.found ?? (await this.noted()));
    await rm(this.layout.socket, { force: true });
    const log = await open(this.layout.errorLog, 'a', 0o640);
    try {
      const { folder, errorLog, configuration } = this.layout;
      const child = spawn(this.binary, ['-p', folder, '-e', errorLog, '-c', configuration], {
        cwd: folder,
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
      });
      await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
      child.unref();
      this.found = child.pid;
    } finally {
      await log.close();
    }
  }

  async isRunning(): Promise<boolean> {
    return this.found !== undefined && (await this.isOurs(this.found));
  }

  /** Asks for the configuration that the link names now. Nothing tells whether it takes it: verify. */
  async reload(): Promise<void> {
    await this.signal('SIGHUP');
  }

  /** Zeros where the system does not tell: that is, elsewhere than on Linux. */
  async workers(): Promise<Workers> {
    if (this.found === undefined) return { accepting: 0, retiring: 0 };
    const children = await readFile(`/proc/${this.found}/task/${this.found}/children`, 'utf8').catch(() => '');
    const titles = await Promise.all(children.split(' ').filter(Boolean).map(Number).map(commandLine));
    const all = titles.filter((title) => title.startsWith('nginx: worker process')).length;
    const retiring = titles.filter((title) => title.startsWith('nginx: worker process is shutting down')).length;
    return { accepting: all - retiring, retiring };
  }

  /** Lets open requests end, then does not wait any longer. Resolves when the process is gone. */
  async stop(): Promise<void> {
    if (!(await this.isRunning())) return endOrphans(this.found);
    await this.signal('SIGQUIT');
    if (await this.isGoneWithin(quitMs)) return;
    await this.signal('SIGTERM');
    if (await this.isGoneWithin(terminateMs)) return;
    if (this.found !== undefined && (await this.isOurs(this.found))) sendSignal(-this.found, 'SIGKILL');
    await this.isGoneWithin(terminateMs);
  }

  /** The master that the pid file names; perhaps long gone. */
  private async noted(): Promise<number | undefined> {
    const text = await readFile(this.layout.pidFile, 'utf8').catch(() => '');
    return /^\d{1,10}\n?$/.test(text) ? Number(text) : undefined;
  }

  private async signal(name: NodeJS.Signals): Promise<void> {
    if (this.found !== undefined && (await this.isOurs(this.found))) sendSignal(this.found, name);
  }

  private async isGoneWithin(limitMs: number): Promise<boolean> {
    for (let waitedMs = 0; waitedMs < limitMs; waitedMs += pollMs) {
      if (!(await this.isRunning())) return true;
      await pause(pollMs);
    }
    return !(await this.isRunning());
  }

  /** A pid may be anybody's by now: only a command line with our prefix is ours. */
  private async isOurs(pid: number): Promise<boolean> {
    return (await commandLine(pid)).includes(` -p ${this.layout.folder} `);
  }
}

function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (thrown) {
    const isGone = thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH';
    if (!isGone) throw thrown;
  }
}

/** The command line of a process; empty when there is none. */
async function commandLine(pid: number): Promise<string> {
  const own = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
  if (own !== undefined) return own.replaceAll('\0', ' ');
  if (process.platform === 'linux') return '';
  return (await run('ps', ['-ww', '-o', 'command=', '-p', String(pid)])).text;
}

/**
 * Workers outlive a master that was killed, and keep its ports for ever. They still carry its number as their process
 * group. Linux only: elsewhere the next start names the port as taken.
 */
async function endOrphans(master: number | undefined): Promise<void> {
  if (master === undefined || (await commandLine(master)) !== '') return;
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  for (const pid of pids) if (await isWorkerOf(master, pid)) sendSignal(pid, 'SIGTERM');
  for (let waitedMs = 0; waitedMs < terminateMs; waitedMs += pollMs) {
    const left = await Promise.all(pids.map((pid) => isWorkerOf(master, pid)));
    if (!left.includes(true)) return;
    await pause(pollMs);
  }
}

async function isWorkerOf(master: number, pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(group) === master && (await commandLine(pid)).startsWith('nginx: worker process');
}

interface Output {
  readonly isSuccess: boolean;
  readonly text: string;
}

function run(program: string, arguments_: readonly string[]): Promise<Output> {
  return new Promise((resolve) => {
    const limits = { timeout: testTimeoutMs, maxBuffer: testOutputBytesMax, encoding: 'utf8' } as const;
    execFile(program, arguments_, limits, (error, stdout, stderr) => {
      const text = `${stdout}${stderr}`;
      resolve({ isSuccess: error === null, text: text === '' && error !== null ? error.message : text });
    });
  });
}
