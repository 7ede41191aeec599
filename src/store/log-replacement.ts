/** Puts a snapshot in the place of a whole event log, while no agent runs on it: what a recovery does. */
import { join } from 'node:path';
import { HivemindError } from '../error.ts';
import { type FileSystem, systemCode } from '../seam/file-system.ts';
import type { HardState, LogSnapshot, StoredLog } from '../seam/log-store.ts';
import { diskFailure } from './disk-failure.ts';
import { logSnapshotFileName, logSnapshotNames, unfinishedSuffix } from './log-snapshot.ts';
import { quarantineMarkerName, readQuarantine } from './quarantine.ts';
import { isSegmentName, readLog } from './wal-reader.ts';
import { laterHardState } from './wal-replay.ts';
import { WalWriter } from './wal-writer.ts';

/**
 * What the log in a folder holds; `damage` when some of it was set aside and has not come back. It changes nothing.
 *
 * @throws HivemindError `not-found` where there is none; `data-corrupt` for damage that no start has set aside yet;
 *   `data-format`, `disk-failed`
 */
export function peekLog(files: FileSystem, folder: string): Omit<StoredLog, 'repairs'> {
  try {
    const marker = readQuarantine(files, folder);
    const reading = readLog(files, folder);
    if (reading.kind === 'damaged') {
      const advice = 'start the node once, which sets that aside, and stop it again';
      throw new HivemindError('data-corrupt', `${reading.damage.what}; ${advice}.`);
    }
    const { hardState, snapshot, entries } = reading;
    return {
      hardState: laterHardState(hardState, marker?.hardState ?? hardState),
      ...(snapshot !== undefined && { snapshot }),
      entries,
      ...(marker !== undefined && { damage: marker.sentence }),
    };
  } catch (thrown) {
    const isMissing = systemCode(thrown) === 'ENOENT';
    if (!isMissing) throw diskFailure(folder, thrown);
    throw new HivemindError('not-found', `There is no event log in ${folder}; name a control node's settings.`);
  }
}

/**
 * Copies the log's files into a folder below its own, and lets `snapshot` take their place. Whenever it is cut short,
 * the log is the old one or the new one, and may be replaced again: the new one counts from the moment at which its
 * snapshot has its name, and until then nothing of the old one was changed but the term.
 *
 * @returns where the copies are; nothing when there was no log
 * @throws HivemindError `refused` while an agent uses it, `disk-failed`
 */
export function replaceLog(
  files: FileSystem,
  folder: string,
  replacement: { readonly hardState: HardState; readonly snapshot: LogSnapshot },
): string | undefined {
  try {
    files.makeFolder(folder);
    const writer = new WalWriter({ files, folder });
    // Refused where somebody has it open, before anything is copied: a copy of a log in motion is none.
    files.lock(folder).release();
    const aside = copyLog(files, folder, replacement.snapshot);
    const { damage } = writer.load();
    try {
      writer.write({ ...replacement, entries: [] });
      if (damage !== undefined) writer.healed();
    } finally {
      writer.close();
    }
    forgetOlder(files, folder, replacement.snapshot);
    return aside;
  } catch (thrown) {
    throw diskFailure(folder, thrown);
  }
}

function copyLog(files: FileSystem, folder: string, { index }: LogSnapshot): string | undefined {
  const names = files.list(folder).filter(isOfLog);
  if (names.length === 0) return undefined;
  const aside = join(folder, `before-recovery-${index.toString(16).padStart(16, '0')}`);
  files.makeFolder(aside);
  for (const name of names) {
    const file = files.create(join(aside, name));
    try {
      file.write(files.read(join(folder, name)), 0);
      file.sync();
    } finally {
      file.close();
    }
  }
  files.syncFolder(aside);
  files.syncFolder(folder);
  return aside;
}

function isOfLog(name: string): boolean {
  if (name.endsWith(unfinishedSuffix)) return false;
  return isSegmentName(name) || logSnapshotNames([name]).length > 0 || name === quarantineMarkerName;
}

/** An older snapshot must never stand in for this one: it is of another log. */
function forgetOlder(files: FileSystem, folder: string, { index }: LogSnapshot): void {
  const newest = logSnapshotFileName(index);
  for (const name of logSnapshotNames(files.list(folder))) if (name !== newest) files.remove(join(folder, name));
  files.syncFolder(folder);
}
