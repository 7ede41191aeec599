import { HivemindError } from '../error.ts';
import { systemCode } from '../seam/file-system.ts';

/** What the operating system says, in words, where its own are no help. */
const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the disk (ENOSPC); free some',
  EDQUOT: "the user's disk quota is used up (EDQUOT); free some space or raise it",
  EROFS: 'the file system is read-only (EROFS); mount it writable',
  EACCES: 'permission is denied (EACCES); give it to the user that runs this node',
  EPERM: 'permission is denied (EPERM); give it to the user that runs this node',
  EMFILE: 'this process has too many open files (EMFILE); raise its limit',
};

/**
 * Turns an error of the file system into a HivemindError `disk-failed` that names the path and says what to do.
 * Anything else that was thrown is given back as it is.
 */
export function diskFailure(path: string, thrown: unknown): unknown {
  const code = systemCode(thrown);
  if (code === undefined) return thrown;
  const reason = reasons[code] ?? `the operating system reports "${(thrown as Error).message}"; check the disk`;
  return new HivemindError('disk-failed', `Cannot use ${path}: ${reason}, then start the node again.`, thrown);
}

/** The disk, or the user's part of it, is full: nothing is wrong with what is on it, and it may end. */
export class DiskFull extends HivemindError {
  constructor(path: string, thrown: unknown) {
    super('disk-failed', `Cannot write to ${path}: ${reasons[String(systemCode(thrown))]}.`, thrown);
    this.name = 'DiskFull';
  }
}

/** Whether the disk had no room for what was asked. */
export function isDiskFull(thrown: unknown): boolean {
  const code = systemCode(thrown);
  return code === 'ENOSPC' || code === 'EDQUOT';
}
