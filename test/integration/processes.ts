/** Real processes of the compiled program, and the ports they listen on. What is started here is ended by its pid. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HivemindError } from '../../src/error.ts';
import type { FolderLock } from '../../src/seam/file-system.ts';
import { lockFolder } from '../../src/store/folder-lock.ts';

export const root: string = join(import.meta.dirname, '../..');
/** What users run as `hivemind`. */
export const program: string = join(root, 'dist/cli/main.js');

/** An agent that takes longer to be ready never will be. */
export const readyMs = 60_000;
const stopMs = 8_000;
const pollMs = 25;
const compileMs = 120_000;
/** Lines of each agent that a failure shows. */
const tailLines = 3;

let compiled: Promise<void> | undefined;

/** Brings `dist` up to date, once in this process and one process at a time. */
export function compile(): Promise<void> {
  compiled ??= compileAlone();
  return compiled;
}

async function compileAlone(): Promise<void> {
  const dist = join(root, 'dist');
  mkdirSync(dist, { recursive: true });
  const lock = await until('dist is free to compile into', () => tryLock(dist), compileMs);
  try {
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const child = spawn(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root });
    const { code, stdout } = await outcomeOf(child);
    assert.equal(code, 0, stdout);
  } finally {
    lock.release();
  }
}

function tryLock(folder: string): FolderLock | undefined {
  try {
    return lockFolder(folder);
  } catch (thrown) {
    if (thrown instanceof HivemindError && thrown.code === 'refused') return undefined;
    throw thrown;
  }
}

/** Asks again and again until there is an answer, and gives that; what the last attempt threw is the reason. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs: number,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  let last: unknown;
  do {
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
      last = undefined;
    } catch (thrown) {
      last = thrown;
    }
    await sleep(pollMs);
  } while (performance.now() < deadline);
  throw new Error(`Not within ${withinMs} ms: ${what}.`, { cause: last });
}

/** Ports below those that the system gives to outgoing connections, which could take a stopped agent's port. */
const portMin = 10_000;
const portMax = 30_000;

/** A port that is free on loopback for UDP and TCP alike. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  return await until(
    'a port is free',
    async () => {
      const port = portMin + Math.floor(Math.random() * (portMax - portMin));
      return (await isFree(host, port)) && port;
    },
    5_000,
  );
}

async function isFree(host: string, port: number): Promise<boolean> {
  const udp = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const tcp = createServer();
  try {
    udp.bind(port, host);
    await once(udp, 'listening');
    tcp.listen(port, host);
    await once(tcp, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    udp.close();
    tcp.close();
  }
}

/** How a command ended and what it said. */
export interface Outcome {
  /** Nothing when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}

const {
  NO_COLOR: _noColor,
  HIVEMIND_SOCKET: _noSocket,
  NODE_OPTIONS: _noOptions,
  HIVEMIND_DEBUG: _noDebug,
  ...inherited
} = process.env;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
process.once('SIGTERM', () => process.exit(1));

/** @param place words that run the rest of the command somewhere else, in a process of the same pid */
export function launch(words: readonly string[], folder: string, place: readonly string[] = []): ChildProcess {
  const env = { ...inherited, HIVEMIND_RUNTIME_DIR: join(folder, 'run') };
  const [tool, ...rest] = [...place, process.execPath, program, ...words] as [string, ...string[]];
  const child = spawn(tool, rest, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.once('close', () => running.delete(child));
  return child;
}

/** One `hivemind agent` or `hivemind join`. */
export class Agent {
  readonly name: string;
  readonly pid: number;
  /** What it has printed so far. */
  stdout = '';
  /** Its log so far, one JSON object per line. */
  stderr = '';
  readonly ended: Promise<Outcome>;
  private readonly child: ChildProcess;
  private isOver = false;

  constructor(name: string, words: readonly string[], folder: string, place: readonly string[] = []) {
    this.name = name;
    this.child = launch(words, folder, place);
    this.pid = this.child.pid as number;
    for (const channel of ['stdout', 'stderr'] as const) {
      this.child[channel]?.setEncoding('utf8').on('data', (text: string) => {
        this[channel] += text;
      });
    }
    this.ended = once(this.child, 'close').then(([code]) => {
      this.isOver = true;
      return { code: code as number | null, stdout: this.stdout, stderr: this.stderr };
    });
  }

  get isRunning(): boolean {
    return !this.isOver;
  }

  /** The lines of its log that say `message`. */
  logged(message: string): readonly Readonly<Record<string, unknown>>[] {
    const lines = this.stderr.split('\n').filter((line) => line.startsWith('{'));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line.msg === message);
  }

  /** Waits until it printed a match. @throws Error when it ends before, with what it said */
  async says(pattern: RegExp, withinMs: number = readyMs): Promise<RegExpExecArray> {
    const found = await until(
      `${this.name} says ${pattern}`,
      () => pattern.exec(this.stdout) ?? (this.isOver && this.tail()),
      withinMs,
    );
    if (typeof found === 'string') throw new Error(`It ended without saying ${pattern}:\n${found}`);
    return found;
  }

  tail(): string {
    const lastLines = (text: string): string => text.trimEnd().split('\n').slice(-tailLines).join('\n');
    return `— ${this.name} —\n${lastLines(this.stdout)}\n${lastLines(this.stderr)}`;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Waits until it has ended by itself. */
  async ends(withinMs: number = readyMs): Promise<Outcome> {
    await until(`${this.name} ends`, () => this.isOver, withinMs);
    return await this.ended;
  }

  /** Ends it at once, as a crash does. */
  async kill(): Promise<Outcome> {
    this.signal('SIGKILL');
    return await this.ended;
  }

  /** Ends it in good order; one that does not end is killed, and the test fails. */
  async stop(): Promise<Outcome> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const late = sleep(stopMs, undefined, { ref: false }).then(async () => {
      await this.kill();
      throw new Error(`${this.name} did not stop within ${stopMs} ms.\n${this.tail()}`);
    });
    return await Promise.race([this.ended, late]);
  }
}

/** What a person reads when a command fails: one sentence, and nothing of the program's inside. */
export function assertSentence({ stderr }: Outcome): void {
  const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  assert.equal(lines.length, 1, stderr);
  assert.match(lines[0] ?? '', /^\S.* .*[.?]$/, stderr);
  assert.doesNotMatch(stderr, /^\s+at |Error:|node:internal/m);
}

/** Whether there is such a program; with HIVEMIND_REQUIRE_TOOLS=1 its absence fails the tests that need it. */
export async function missing(tool: string, ...words: readonly string[]): Promise<string | false> {
  const isThere = await new Promise<boolean>((resolve) => execFile(tool, words, (error) => resolve(error === null)));
  return isThere || process.env.HIVEMIND_REQUIRE_TOOLS === '1' ? false : `${tool} is not installed`;
}
