/** Holds a log on disk against all that it promises, and changes nothing. */
import { join } from 'node:path';
import { HivemindError } from '../error.ts';
import type { LogIndex, Term } from '../identity.ts';
import { type FileSystem, systemCode } from '../seam/file-system.ts';
import type { HardState } from '../seam/log-store.ts';
import { diskFailure } from './disk-failure.ts';
import { decodeLogSnapshot, indexOfLogSnapshot, logSnapshotNames } from './log-snapshot.ts';
import { quarantineMarkerName, readQuarantine } from './quarantine.ts';
import { isSegmentName, readLog } from './wal-reader.ts';

export interface LogCheck {
  /** Of the first and the last entry that is kept; both 0 when there is none. */
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** Of the last entry, or of the snapshot's: of two logs the one with the higher term, then index, is newer. */
  readonly lastTerm: Term;
  readonly entries: number;
  readonly segments: number;
  readonly snapshots: number;
  /** What the newest snapshot covers; 0 without one. */
  readonly snapshotIndex: LogIndex;
  readonly hardState: HardState;
  /** What the node repairs at its next start, in a sentence each; it costs nothing. */
  readonly repairs: readonly string[];
}

/**
 * Walks all segments and snapshots: checksums, hash chain, order of terms.
 *
 * @throws HivemindError `data-corrupt` for the first damage, `not-found` where there is no log, `refused` while a
 * node runs on it, `data-format`, `disk-failed`
 */
export function checkLog(files: FileSystem, folder: string): LogCheck {
  const names = namesIn(files, folder);
  const lock = files.lock(folder);
  try {
    return check(files, folder, names);
  } catch (thrown) {
    throw diskFailure(folder, thrown);
  } finally {
    lock.release();
  }
}

function namesIn(files: FileSystem, folder: string): readonly string[] {
  try {
    const names = files.list(folder);
    if (names.some(isOfLog)) return names;
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw diskFailure(folder, thrown);
  }
  throw new HivemindError('not-found', `${folder} holds no event log; name the data folder of a control node.`);
}

function isOfLog(name: string): boolean {
  return isSegmentName(name) || indexOfLogSnapshot(name) > 0 || name === quarantineMarkerName;
}

function check(files: FileSystem, folder: string, names: readonly string[]): LogCheck {
  const marker = readQuarantine(files, folder);
  if (marker !== undefined) throw new HivemindError('data-corrupt', marker.sentence);
  const reading = readLog(files, folder);
  if (reading.kind === 'damaged') throw damaged(reading.damage.what);
  const snapshots = logSnapshotNames(names);
  for (const name of snapshots) {
    const path = join(folder, name);
    const snapshot = decodeLogSnapshot(files.read(path));
    if (snapshot.kind === 'damaged') throw damaged(`${path} is damaged at byte ${snapshot.offset}`);
  }
  const { entries, hardState, repairs } = reading;
  return {
    firstIndex: entries[0]?.index ?? 0,
    lastIndex: entries.at(-1)?.index ?? 0,
    lastTerm: entries.at(-1)?.term ?? reading.snapshot?.term ?? 0,
    entries: entries.length,
    segments: names.filter((name) => isSegmentName(name)).length,
    snapshots: snapshots.length,
    snapshotIndex: reading.snapshot?.index ?? 0,
    hardState,
    repairs,
  };
}

function damaged(what: string): HivemindError {
  const advice = 'start the node, which sets that aside and gets it back from the others, or restore it from a copy';
  return new HivemindError('data-corrupt', `${what}; ${advice}.`);
}
