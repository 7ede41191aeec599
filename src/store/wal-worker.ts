/** The thread of the write-ahead log: it answers one request after another and does nothing else. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { assert, unreachable } from '../assert.ts';
import type { LogIndex } from '../identity.ts';
import type { LogSnapshot } from '../seam/log-store.ts';
import { localFileSystem } from './local-file-system.ts';
import { unpackWrite } from './packed-write.ts';
import { failureAnswer, type ThreadAnswer } from './thread-answer.ts';
import { WalWriter } from './wal-writer.ts';

export interface WalWorkerData {
  readonly folder: string;
  readonly segmentBytesMax: number;
  /** Counts the requests. The thread sleeps on it, which costs less than the event loop of a thread. */
  readonly requests: Int32Array;
}

export type WalRequest =
  | { readonly kind: 'load' }
  | { readonly kind: 'write'; readonly packed: ArrayBuffer; readonly snapshot?: LogSnapshot }
  | { readonly kind: 'forget'; readonly keepFrom: LogIndex }
  | { readonly kind: 'healed' }
  | { readonly kind: 'close' };

const port = parentPort;
assert(port !== null, 'the write-ahead log runs in a thread of its own');
const { folder, segmentBytesMax, requests } = workerData as WalWorkerData;
const writer = new WalWriter({ files: localFileSystem, folder, segmentBytesMax });

for (let isOpen = true; isOpen; ) {
  const seen = Atomics.load(requests, 0);
  const received = receiveMessageOnPort(port) as { readonly message: WalRequest } | undefined;
  if (received === undefined) {
    Atomics.wait(requests, 0, seen);
    continue;
  }
  port.postMessage(answer(received.message));
  isOpen = received.message.kind !== 'close';
}

function answer(request: WalRequest): ThreadAnswer {
  try {
    return perform(request);
  } catch (thrown) {
    return failureAnswer(thrown, request.kind === 'write');
  }
}

function perform(request: WalRequest): ThreadAnswer {
  switch (request.kind) {
    case 'load':
      return { kind: 'loaded', log: writer.load() };
    case 'write': {
      const { packed, snapshot } = request;
      writer.write({ ...unpackWrite(packed), ...(snapshot !== undefined && { snapshot }) });
      return { kind: 'done' };
    }
    case 'forget':
      return { kind: 'forgotten', names: writer.forgetBelow(request.keepFrom) };
    case 'healed':
      writer.healed();
      return { kind: 'done' };
    case 'close':
      writer.close();
      return { kind: 'done' };
    default:
      return unreachable(request);
  }
}
