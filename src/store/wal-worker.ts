/** The thread of the write-ahead log: it answers one request after another and does nothing else. */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { assert, unreachable } from '../assert.ts';
import type { LogIndex } from '../identity.ts';
import type { LogSnapshot } from '../seam/log-store.ts';
import { localFileSystem } from './local-file-system.ts';
import { Mailbox } from './mailbox.ts';
import { unpackWrite } from './packed-write.ts';
import { failureAnswer, type ThreadAnswer } from './thread-answer.ts';
import { WalWriter } from './wal-writer.ts';

export interface WalWorkerData {
  readonly folder: string;
  readonly segmentBytesMax: number;
  /** Where it is rung for each request. The thread sleeps there, which costs less than the event loop of a thread. */
  readonly mailbox: SharedArrayBuffer;
}

export type WalRequest =
  | { readonly kind: 'load' }
  /** In the mailbox as well: whatever lies there is such a one. */
  | { readonly kind: 'write'; readonly packed: Uint8Array<ArrayBuffer> }
  /** A snapshot, and what is to be written with it. */
  | { readonly kind: 'install'; readonly snapshot: LogSnapshot; readonly rest: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'forget'; readonly keepFrom: LogIndex }
  | { readonly kind: 'healed' }
  | { readonly kind: 'close' };

const port = parentPort;
assert(port !== null, 'the write-ahead log runs in a thread of its own');
const { folder, segmentBytesMax, mailbox } = workerData as WalWorkerData;
const box = new Mailbox(mailbox);
const writer = new WalWriter({ files: localFileSystem, folder, segmentBytesMax });

for (let isOpen = true; isOpen; ) {
  const packed = box.take();
  const request: WalRequest = packed === undefined ? message() : { kind: 'write', packed };
  port.postMessage(answer(request));
  isOpen = request.kind !== 'close';
}

function message(): WalRequest {
  const received: { readonly message: WalRequest } | undefined = receiveMessageOnPort(port as MessagePort);
  assert(received !== undefined, 'a ring without anything in the box is for a message');
  return received.message;
}

function answer(request: WalRequest): ThreadAnswer {
  try {
    return perform(request);
  } catch (thrown) {
    return failureAnswer(thrown, request.kind === 'write' || request.kind === 'install');
  }
}

function perform(request: WalRequest): ThreadAnswer {
  switch (request.kind) {
    case 'load':
      return { kind: 'loaded', log: writer.load() };
    case 'write':
      writer.write(unpackWrite(request.packed));
      return { kind: 'done' };
    case 'install':
      writer.write({ ...unpackWrite(request.rest), snapshot: request.snapshot });
      return { kind: 'done' };
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
