/**
 * One process at a time in a folder. Node has no flock, so the lock is a file that names its holder: process id,
 * start time and boot, as the kernel tells them. A holder that is gone, or whose id now belongs to another
 * process, has lost the lock. Processes in different PID namespaces do not see each other: two containers must
 * not share a data folder.
 */
import { randomBytes } from 'node:crypto';
import { linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HivemindError } from '../error.ts';
import { type FolderLock, systemCode } from '../seam/file-system.ts';
import { diskFailure } from './disk-failure.ts';

const lockMagic = 'hivemind-lock/1';
/** Rounds lost to other processes that take over the same stale lock, before giving up. */
const takeOverRoundsMax = 5;

/**
 * Takes the lock of an existing folder.
 *
 * @throws HivemindError `refused` while another process, or this one, holds it; `disk-failed`
 */
export function lockFolder(folder: string): FolderLock {
  const path = join(folder, 'lock');
  const own = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    writeFileSync(own, `${holderText(process.pid)}\n`, { mode: 0o600 });
    try {
      takeOver(own, path, folder);
    } finally {
      rmSync(own, { force: true });
    }
  } catch (thrown) {
    throw diskFailure(folder, thrown);
  }
  return { release: () => rmSync(path, { force: true }) };
}

/** Makes `own` the lock, in the place of a stale one. */
function takeOver(own: string, path: string, folder: string): void {
  for (let round = 0; round < takeOverRoundsMax; round++) {
    if (publish(own, path)) return;
    const holder = readHolder(path);
    if (holder === undefined) continue;
    const pid = Number(holder.split(' ')[2]);
    if (holder === holderText(pid)) throw inUse(folder, pid);
    discard(path, holder, own);
  }
  throw new HivemindError('refused', `Several processes try to open ${folder} at once; start only one of them.`);
}

/** By a link, so that nobody ever sees a lock that is half written. */
function publish(own: string, path: string): boolean {
  return unless('EEXIST', () => linkSync(own, path));
}

function readHolder(path: string): string | undefined {
  let holder: string | undefined;
  unless('ENOENT', () => {
    holder = readFileSync(path, 'utf8').trimEnd();
  });
  return holder;
}

/**
 * Removes a stale lock. Two processes may find it stale: 1. both read the dead holder; 2. the first removes the
 * file and takes the lock; 3. the second would now remove the first one's. So it moves the file aside, looks
 * again at what it moved, and puts a live lock back.
 */
function discard(path: string, staleHolder: string, own: string): void {
  const aside = `${own}.stale`;
  if (!unless('ENOENT', () => renameSync(path, aside))) return;
  if (readHolder(aside) !== staleHolder) publish(aside, path);
  rmSync(aside, { force: true });
}

/** Whether it was done; it was not for the one reason that other processes may give at any time. */
function unless(code: string, work: () => void): boolean {
  try {
    work();
    return true;
  } catch (thrown) {
    if (systemCode(thrown) === code) return false;
    throw thrown;
  }
}

function inUse(folder: string, pid: number): HivemindError {
  const who = pid === process.pid ? 'this process itself' : `process ${pid}`;
  return new HivemindError('refused', `${folder} is in use by ${who}; stop that one, or choose another folder.`);
}

/** What a lock of this process says while it lives; nothing when there is no such process. */
function holderText(pid: number): string | undefined {
  const life = process.platform === 'linux' ? lifeByProc(pid) : lifeBySignal(pid);
  return life === undefined ? undefined : `${lockMagic} pid ${pid} ${life}`;
}

/**
 * Start time (clock ticks since boot) and boot id, see proc(5). A zombie lives no more, unless a thread of it is
 * still inside a call to the disk.
 */
function lifeByProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTicks] = [fields[0], fields[19]];
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    const isGone = state === 'Z' && readdirSync(`/proc/${pid}/task`).length <= 1;
    return isGone ? undefined : `start ${startTicks} boot ${boot}`;
  } catch {
    return undefined;
  }
}

function lifeBySignal(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
    return 'running';
  } catch (thrown) {
    return systemCode(thrown) === 'EPERM' ? 'running' : undefined;
  }
}
