import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { systemClock } from '../../src/system/clock.ts';
import { eventLoopLag, machineLoad } from '../../src/system/load.ts';
import { systemRandom } from '../../src/system/random.ts';
import { runtimeFolder, socketPath } from '../../src/system/runtime-folder.ts';

describe('the system clock', () => {
  it('counts whole milliseconds and never fires early', async () => {
    for (let round = 0; round < 20; round++) {
      const start = systemClock.now();
      assert(Number.isInteger(start));
      await new Promise<void>((resolve) => void systemClock.after(3, resolve));
      assert(systemClock.now() >= start + 3);
    }
    assert(Math.abs(systemClock.wallNow() - Date.now()) < 1_000);
  });

  it('stops a timer, once, twice and after it has fired', async () => {
    let fired = 0;
    const stopped = systemClock.after(5, () => fired++);
    stopped();
    stopped();
    const done = systemClock.after(0, () => fired++);
    assert.equal(fired, 0, 'never within the call');
    await sleep(30);
    done();
    assert.equal(fired, 1);
  });

  it('waits longer than a timer of Node can', async () => {
    let fired = false;
    const stop = systemClock.after(2 ** 40, () => {
      fired = true;
    });
    await sleep(20);
    stop();
    assert.equal(fired, false);
  });
});

describe('the system randomness', () => {
  it('stays within its bounds and reaches all of them', () => {
    const seen = new Set(Array.from({ length: 300 }, () => systemRandom.below(5)));
    assert.deepEqual([...seen].sort(), [0, 1, 2, 3, 4]);
    for (let round = 0; round < 1_000; round++) {
      const drawn = systemRandom.next();
      assert(drawn >= 0 && drawn < 1);
    }
    assert.equal(systemRandom.bytes(33).length, 33);
    assert.notDeepEqual(systemRandom.bytes(32), systemRandom.bytes(32));
  });
});

describe('the logger', () => {
  const script = (options: string): string => `
    import { createLogger } from '${new URL('../../src/system/logger.ts', import.meta.url).href}';
    const log = await createLogger(${options});
    log.debug('quiet');
    log.with({ node: 'a' }).with({ role: 'dns' }).info('hello', { port: 53 });
    log.error('broken', { error: new Error('cause') });
    process.kill(process.pid, 'SIGKILL');`;
  const linesOf = async (options: string, stream: 'stdout' | 'stderr'): Promise<Record<string, unknown>[]> => {
    const run = promisify(execFile)(process.execPath, [
      '--import',
      'tsx',
      '--input-type=module',
      '-e',
      script(options),
    ]);
    const killed: Record<typeof stream, string> = await run.catch((thrown) => thrown);
    const lines = killed[stream].trim().split('\n');
    return lines.map((line) => JSON.parse(line));
  };

  it('writes one JSON line each, with UTC times, and all of them before a crash (PF-22)', async () => {
    const [hello, broken, ...more] = await linesOf(`{ level: 'info' }`, 'stderr');
    assert.equal(more.length, 0);
    assert.match(String(hello?.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual({ ...hello, time: 0 }, { level: 'info', time: 0, node: 'a', role: 'dns', port: 53, msg: 'hello' });
    assert.match(JSON.stringify(broken?.error), /"message":"cause"/);
  });

  it('writes to stdout when asked, at the level asked for', async () => {
    const lines = await linesOf(`{ level: 'debug', destination: 'stdout' }`, 'stdout');
    assert.deepEqual(
      lines.map(({ level, msg }) => [level, msg]),
      [
        ['debug', 'quiet'],
        ['info', 'hello'],
        ['error', 'broken'],
      ],
    );
  });
});

function blockFor(durationMs: number): void {
  const until = performance.now() + durationMs;
  while (performance.now() < until);
}

describe('the load', () => {
  it('of the machine is what the operating system says (DC-6, PF-16)', () => {
    const load = machineLoad();
    assert(load.cores >= 1 && load.load15 >= 0);
    assert(load.memoryFreeBytes > 0 && load.memoryFreeBytes <= load.memoryTotalBytes);
  });

  it('of the event loop is the longest blockage since it was read last', async () => {
    const lag = eventLoopLag();
    blockFor(300);
    await sleep(60);
    blockFor(500);
    const duringMs = lag.maxMsSinceLastRead();
    assert(duringMs >= 440 && duringMs < 5_000, `${duringMs} ms`);
    blockFor(300);
    await sleep(60);
    const afterMs = lag.maxMsSinceLastRead();
    assert(afterMs >= 240 && afterMs < 5_000, `${afterMs} ms`);
    lag.stop();
  });
});

describe('the runtime folder', () => {
  const withFolder = async (check: (folder: string) => Promise<void>): Promise<void> => {
    const folder = await mkdtemp(join(tmpdir(), 'hm-'));
    await check(folder).finally(() => rm(folder, { recursive: true }));
  };

  it('is the one in HIVEMIND_RUNTIME_DIR, else under XDG_RUNTIME_DIR, made for its owner alone', () =>
    withFolder(async (folder) => {
      assert.equal(runtimeFolder({ XDG_RUNTIME_DIR: folder }), join(folder, 'hivemind'));
      const environment = { HIVEMIND_RUNTIME_DIR: join(folder, 'own'), XDG_RUNTIME_DIR: folder };
      assert.equal(runtimeFolder(environment), join(folder, 'own'));
      assert.equal(runtimeFolder(environment), join(folder, 'own'), 'again, now that it exists');
      assert.equal((await stat(join(folder, 'own'))).mode & 0o777, 0o700);
    }));

  it('is refused when others may enter it, or when it is a link', () =>
    withFolder(async (folder) => {
      await mkdir(join(folder, 'open'));
      await chmod(join(folder, 'open'), 0o755);
      await symlink(folder, join(folder, 'link'));
      for (const name of ['open', 'link']) {
        const environment = { HIVEMIND_RUNTIME_DIR: join(folder, name) };
        assert.throws(() => runtimeFolder(environment), { code: 'refused', message: /set HIVEMIND_RUNTIME_DIR/ });
      }
    }));

  it('takes the socket whose path would be too long, under a name that listens', () =>
    withFolder(async (folder) => {
      const environment = { HIVEMIND_RUNTIME_DIR: join(folder, 'run') };
      assert.equal(socketPath(folder, 'agent.sock', environment), join(folder, 'agent.sock'));
      const path = socketPath(join(folder, 'x'.repeat(100)), 'agent.sock', environment);
      assert.match(path, /\/run\/[0-9a-f]{24}$/);
      assert.equal(socketPath(join(folder, 'x'.repeat(100)), 'agent.sock', environment), path);
      assert.notEqual(socketPath(join(folder, 'y'.repeat(100)), 'agent.sock', environment), path);
      const server = createServer().listen(path);
      await new Promise((resolve) => server.once('listening', resolve));
      assert((await stat(path)).isSocket());
      await new Promise((resolve) => server.close(resolve));
    }));

  it('says so when its own path is too long for any socket', () =>
    withFolder(async (folder) => {
      const environment = { HIVEMIND_RUNTIME_DIR: join(folder, 'z'.repeat(100)) };
      assert.throws(() => socketPath('/x'.repeat(60), 'agent.sock', environment), { code: 'refused' });
    }));
});
