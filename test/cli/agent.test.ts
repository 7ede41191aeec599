/** Agents as processes of their own, where the machine they run on does not play along. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withAgent } from '../../cli/agent-client.ts';
import type { StepLine } from '../../cli/dev/report.ts';

const program = join(import.meta.dirname, '../../cli/main.ts');
const tsx = import.meta.resolve('tsx');
const childTimeoutMs = 90_000;
const readyMs = 30_000;
const pollMs = 100;

const folder = mkdtempSync(join(tmpdir(), 'hivemind-agent-'));
const runtime = join(folder, 'run');
const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

type Output = 'pipe' | number;

function start(words: readonly string[], outputs: readonly [Output, Output], runtimeFolder = runtime): ChildProcess {
  const child = spawn(process.execPath, ['--import', tsx, program, ...words], {
    cwd: folder,
    env: { ...process.env, HIVEMIND_RUNTIME_DIR: runtimeFolder },
    stdio: ['ignore', ...outputs],
    timeout: childTimeoutMs,
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  return child;
}

async function outcomeOf(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** A cluster of one, whose only node is called `name`; gives the path of its settings. */
async function found(name: string): Promise<string> {
  const control = `${name}=127.0.0.1:${await freePort()}`;
  const out = `cluster-${name}`;
  const { code, stderr } = await outcomeOf(start(['init', '--control', control, '--out', out], ['pipe', 'pipe']));
  assert.equal(code, 0, stderr);
  return join(folder, out, name, 'hivemind.yaml');
}

/** Waits until the agent answers with a quorum, and gives its name. */
async function answers(name: string): Promise<string> {
  const socket = join(runtime, `${name}.sock`);
  for (let waitedMs = 0; waitedMs < readyMs; waitedMs += pollMs) {
    const status = await withAgent({ socket }, (agent) => agent.ask({ kind: 'status' })).catch(() => undefined);
    if (status?.pane.state === 'healthy') return status.name;
    await sleep(pollMs);
  }
  return 'nobody';
}

describe('an agent that cannot say anything', () => {
  const skip = existsSync('/dev/full') ? false : 'there is no /dev/full';

  test('because its disk is full runs on, and ends in good order', { skip }, async () => {
    const settings = await found('full');
    const full = openSync('/dev/full', 'w');
    const agent = start(['agent', '-c', settings], [full, full]);
    closeSync(full);
    assert.equal(await answers('full'), 'full');
    agent.kill('SIGTERM');
    assert.deepEqual(await once(agent, 'close'), [0, null]);
  });

  test('because nobody reads its output runs on, and ends in good order', async () => {
    const settings = await found('unread');
    const agent = start(['agent', '-c', settings], ['pipe', 'pipe']);
    await once(agent.stdout as NonNullable<ChildProcess['stdout']>, 'data');
    agent.stdout?.destroy();
    agent.stderr?.destroy();
    assert.equal(await answers('unread'), 'unread');
    agent.kill('SIGTERM');
    assert.deepEqual(await once(agent, 'exit'), [0, null]);
  });
});

test('an agent whose socket could not be opened does not ask to be let in', async () => {
  const tooLong = join(folder, 'x'.repeat(100));
  const words = ['join', '127.0.0.1:1', '--token', 'none', '--role', 'host', '--name', 'atlas'];
  const { code, stdout, stderr } = await outcomeOf(start(words, ['pipe', 'pipe'], tooLong));
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /^\S+ is too long for a socket; set HIVEMIND_RUNTIME_DIR to a shorter path\.\n$/);
});

test('a dev cluster of which a node dies at its start says so at once, with what the node said', async () => {
  const data = join(folder, '.hivemind', 'dev', 'host-a', 'data');
  mkdirSync(data, { recursive: true, mode: 0o700 });
  writeFileSync(join(data, 'keys'), 'no keys at all', { mode: 0o600 });
  const { code, stdout } = await outcomeOf(start(['dev', '--once', '--json'], ['pipe', 'pipe']));
  const steps = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as StepLine);
  const failed = steps.filter(({ ok, step }) => !ok && step !== 'nginx');
  assert.equal(code, 1);
  assert.match(failed[0]?.detail ?? '', /^host-a ended with exit code 1: \S*data\/keys .*; the agents' logs are in /);
  assert.deepEqual(
    failed.slice(1).map(({ step }) => step),
    ['ready'],
  );
});
