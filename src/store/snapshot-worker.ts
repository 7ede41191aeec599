/** The thread that writes snapshots and removes what they made needless, so that no write to the log waits for it. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert, unreachable } from '../assert.ts';
import type { LogSnapshot } from '../seam/log-store.ts';
import { DiskFull, diskFailure, isDiskFull } from './disk-failure.ts';
import { localFileSystem } from './local-file-system.ts';
import { saveLogSnapshot } from './log-snapshot.ts';
import { failureAnswer, type ThreadAnswer } from './thread-answer.ts';
import { removeFiles } from './wal-writer.ts';

export interface SnapshotWorkerData {
  readonly folder: string;
}

export type SnapshotRequest =
  | { readonly kind: 'save'; readonly snapshot: LogSnapshot }
  | { readonly kind: 'remove'; readonly names: readonly string[] };

const port = parentPort;
assert(port !== null, 'snapshots are written by a thread of its own');
const { folder } = workerData as SnapshotWorkerData;

port.on('message', (request: SnapshotRequest) => port.postMessage(answer(request)));

function answer(request: SnapshotRequest): ThreadAnswer {
  try {
    perform(request);
    return { kind: 'done' };
  } catch (thrown) {
    return failureAnswer(isDiskFull(thrown) ? new DiskFull(folder, thrown) : diskFailure(folder, thrown), true);
  }
}

function perform(request: SnapshotRequest): void {
  switch (request.kind) {
    case 'save':
      saveLogSnapshot(localFileSystem, folder, request.snapshot);
      break;
    case 'remove':
      removeFiles(localFileSystem, folder, request.names);
      break;
    default:
      unreachable(request);
  }
}
