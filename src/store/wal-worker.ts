/** The thread of the write-ahead log: it answers one request after another and does nothing else. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert, unreachable } from '../assert.ts';
import { type ErrorCode, HivemindError } from '../error.ts';
import type { LogWrite, StoredLog } from '../seam/log-store.ts';
import { WalWriter } from './wal-writer.ts';

export interface WalWorkerData {
  readonly folder: string;
  readonly segmentBytesMax: number;
}

export type WalRequest =
  | { readonly kind: 'load' }
  | { readonly kind: 'write'; readonly write: LogWrite }
  | { readonly kind: 'close' };

/** In the order of the requests. */
export type WalAnswer =
  | { readonly kind: 'loaded'; readonly log: StoredLog }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly sentence: string };

const port = parentPort;
assert(port !== null, 'the write-ahead log runs in a thread of its own');
const { folder, segmentBytesMax } = workerData as WalWorkerData;
const writer = new WalWriter(folder, segmentBytesMax);

port.on('message', (request: WalRequest) => port.postMessage(answer(request)));

/** Whatever is not an operating error ends the thread, and the node with it. */
function answer(request: WalRequest): WalAnswer {
  try {
    return perform(request);
  } catch (thrown) {
    if (!(thrown instanceof HivemindError)) throw thrown;
    return { kind: 'failed', code: thrown.code, sentence: thrown.message };
  }
}

function perform(request: WalRequest): WalAnswer {
  switch (request.kind) {
    case 'load':
      return { kind: 'loaded', log: writer.load() };
    case 'write':
      writer.write(request.write);
      return { kind: 'done' };
    case 'close':
      writer.close();
      return { kind: 'done' };
    default:
      return unreachable(request);
  }
}
