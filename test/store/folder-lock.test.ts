/** The lock of a folder among real processes: dead ones, zombies, and those that take it at the same moment. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { lockFolder } from '../../src/store/folder-lock.ts';
import { asAnotherUser } from './another-user.ts';
import { failsWith } from './refusal.ts';

let top: string;
let folder: string;
let lock: string;

before(() => {
  top = mkdtempSync(join(tmpdir(), 'hivemind-lock-'));
});
beforeEach(() => {
  folder = mkdtempSync(join(top, 'test-'));
  lock = join(folder, 'lock');
});
after(() => rmSync(top, { recursive: true }));

/** Takes the lock and gives it back; nothing stays behind. */
function takeAndRelease(): void {
  lockFolder(folder).release();
  assert.deepEqual(readdirSync(folder), []);
}

/** What the lock of this very process says. */
function ownText(): string {
  const elsewhere = mkdtempSync(join(top, 'other-'));
  const held = lockFolder(elsewhere);
  const text = readFileSync(join(elsewhere, 'lock'), 'utf8');
  held.release();
  return text;
}

/** What the lock of another process says, as proc(5) tells it. */
function textOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return ownText()
    .replace(/pid \d+/, `pid ${pid}`)
    .replace(/start \d+/, `start ${start}`);
}

const isLinux = process.platform === 'linux';

describe('the lock of a folder', () => {
  it('goes to one at a time, and is free again when it is given back', () => {
    const held = lockFolder(folder);
    assert.throws(() => lockFolder(folder), failsWith('refused', /is in use by this process itself; stop that one/));
    held.release();
    takeAndRelease();
  });

  it('is held by a living process, and not by one that has ended and was not waited for', {
    skip: !isLinux,
  }, async () => {
    // The child ends when its parent has become a program that waits for nobody.
    const script = 'until [ "$(cat /proc/$$/comm)" = sleep ]; do :; done & echo $!; exec sleep 60';
    const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [said] = await once(parent.stdout, 'data');
      const zombie = Number(String(said));
      await untilZombie(zombie);
      writeFileSync(lock, textOf(parent.pid as number));
      assert.throws(() => lockFolder(folder), failsWith('refused', new RegExp(`in use by process ${parent.pid};`)));
      writeFileSync(lock, textOf(zombie));
      takeAndRelease();
    } finally {
      await end(parent);
    }
  });

  it('is not given where the lock cannot be read', () => {
    mkdirSync(lock);
    assert.throws(() => lockFolder(folder), failsWith('disk-failed', /EISDIR/));
    assert.deepEqual(readdirSync(folder), ['lock']);
  });

  it('is not given where there is no such folder', () => {
    assert.throws(() => lockFolder(join(folder, 'missing')), failsWith('disk-failed', /ENOENT/));
  });

  it('is not given where this user may not write', async () => {
    chmodSync(folder, 0o500);
    const denied = failsWith('disk-failed', /permission is denied \(EACCES\); give it to the user that runs this node/);
    await asAnotherUser(() => assert.throws(() => lockFolder(folder), denied));
  });

  it('is given up when somebody else is always there first', () => {
    // Such a link is there for whoever wants its name, and not there for whoever reads it.
    symlinkSync(join(folder, 'nowhere'), lock);
    assert.throws(() => lockFolder(folder), failsWith('refused', /Several processes try to open .* start only one/));
    assert.deepEqual(readdirSync(folder), ['lock']);
  });
});

describe('a stale lock that two processes find at once', { skip: !isLinux }, () => {
  /** Whoever reads the lock waits for `meanwhile`, a shell command, and then reads that a dead process holds it. */
  async function whileReading(meanwhile: string, work: () => void): Promise<void> {
    execFileSync('mkfifo', [lock]);
    const script = `exec 3>lock; rm lock; ${meanwhile}; echo 'hivemind-lock/1 pid 999999999 start 1 boot none' >&3`;
    const other = spawn('sh', ['-c', script], { cwd: folder, stdio: 'inherit' });
    try {
      work();
    } finally {
      await end(other);
    }
  }

  it('goes to the second when the first has only removed it', async () => {
    await whileReading(':', takeAndRelease);
  });

  it('stays with the first when that one has taken it meanwhile', async () => {
    const text = ownText();
    writeFileSync(join(folder, 'next'), text);
    const refused = failsWith('refused', /is in use by this process itself/);
    await whileReading('mv next lock', () => assert.throws(() => lockFolder(folder), refused));
    assert.deepEqual(readdirSync(folder), ['lock']);
    assert.equal(readFileSync(lock, 'utf8'), text);
  });
});

describe('the lock of a folder where there is no /proc', () => {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor;
  const lockOf = (pid: number): string => `hivemind-lock/1 pid ${pid} running\n`;
  beforeEach(() => Object.defineProperty(process, 'platform', { ...platform, value: 'darwin' }));
  after(() => Object.defineProperty(process, 'platform', platform));

  it('is held while there is a process with that id', () => {
    writeFileSync(lock, lockOf(process.ppid));
    assert.throws(() => lockFolder(folder), failsWith('refused', new RegExp(`in use by process ${process.ppid};`)));
  });

  it('is held by a process of another user as well, whom nobody may signal', async () => {
    const isRoot = process.geteuid?.() === 0;
    const other = isRoot ? spawn('sleep', ['60'], { uid: 65_534, stdio: 'ignore' }) : undefined;
    const pid = other?.pid ?? 1;
    writeFileSync(lock, lockOf(pid));
    for (const path of [top, folder]) chmodSync(path, 0o777);
    try {
      await asAnotherUser(() => {
        assert.throws(() => process.kill(pid, 0), { code: 'EPERM' });
        assert.throws(() => lockFolder(folder), failsWith('refused', new RegExp(`in use by process ${pid};`)));
      });
    } finally {
      if (other !== undefined) await end(other);
    }
  });

  it('is free when there is none', () => {
    writeFileSync(lock, lockOf(999_999_999));
    takeAndRelease();
  });
});

async function untilZombie(pid: number): Promise<void> {
  while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) await new Promise(setImmediate);
}

async function end(child: ChildProcess): Promise<void> {
  const ended = child.exitCode === null ? once(child, 'exit') : undefined;
  child.kill('SIGKILL');
  await ended;
}
