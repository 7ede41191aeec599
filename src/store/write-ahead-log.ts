/**
 * The event log of one control node on disk. The work is done by a thread of its own with synchronous calls:
 * neither does an fsync hold up the event loop, nor do busy threads of libuv's pool hold up the fsync.
 *
 * wal-record.ts describes the format, wal-reader.ts what counts as damage.
 */
import { Worker } from 'node:worker_threads';
import { assert } from '../assert.ts';
import { HivemindError } from '../error.ts';
import type { LogEntry, LogStore, LogWrite, StoredLog } from '../seam/log-store.ts';
import type { WalAnswer, WalRequest, WalWorkerData } from './wal-worker.ts';

/** A segment that reaches this size is the last one no more. */
export const segmentBytesDefault: number = 16 * 1024 * 1024;

export interface WriteAheadLogOptions {
  /** Bytes after which a new segment is begun; 16 MiB by default. One record may pass it. */
  readonly segmentBytesMax?: number;
}

/**
 * The log in `folder`, which is made when it is missing and locked from `load` to `close`.
 *
 * `load` rejects with `data-corrupt` or `data-format` for any damage but a torn last record, with `refused` when
 * another process has the folder open, and with `disk-failed`. A `write` that rejects with `disk-failed` was the
 * last one: every later one rejects with the same error.
 */
export function openWriteAheadLog(folder: string, options: WriteAheadLogOptions = {}): LogStore {
  return new WriteAheadLog({ folder, segmentBytesMax: options.segmentBytesMax ?? segmentBytesDefault });
}

interface Waiting {
  resolve(answer: WalAnswer): void;
  reject(reason: Error): void;
}

class WriteAheadLog implements LogStore {
  private readonly settings: WalWorkerData;
  private worker: Worker | undefined;
  /** In the order of the requests; at most a write and a close. */
  private readonly waiting: Waiting[] = [];
  private failure: Error | undefined;
  private isClosed = false;
  private hasEnded = false;

  constructor(settings: WalWorkerData) {
    this.settings = settings;
  }

  async load(): Promise<StoredLog> {
    assert(this.worker === undefined && !this.isClosed, 'a log is loaded once, first');
    this.worker = this.start();
    const answer = await this.ask({ kind: 'load' });
    assert(answer.kind === 'loaded', 'the thread of the log answers in order');
    return answer.log;
  }

  async write(write: LogWrite): Promise<void> {
    assert(this.worker !== undefined && !this.isClosed, 'a log is written to between load and close');
    if (this.failure !== undefined) throw this.failure;
    assert(this.waiting.length === 0, 'one write to the log is in flight at a time');
    await this.ask({ kind: 'write', write: { ...write, entries: write.entries.map(withOwnBuffer) } });
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    if (this.worker === undefined || this.hasEnded) return;
    try {
      await this.ask({ kind: 'close' });
    } finally {
      await this.worker.terminate();
    }
  }

  private start(): Worker {
    const worker = startThread(this.settings);
    worker.on('message', (answer: WalAnswer) => this.onAnswer(answer));
    worker.on('error', (thrown: Error) => this.onEnd(thrown));
    worker.on('exit', () => this.onEnd(new HivemindError('internal', 'The thread of the event log has ended.')));
    worker.unref();
    return worker;
  }

  /** The thread keeps the process alive only while somebody waits for it. */
  private ask(request: WalRequest): Promise<WalAnswer> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.worker?.ref();
      this.worker?.postMessage(request);
    });
  }

  private onAnswer(answer: WalAnswer): void {
    const waiting = this.waiting.shift();
    if (this.waiting.length === 0) this.worker?.unref();
    if (answer.kind === 'failed') {
      this.failure ??= new HivemindError(answer.code, answer.sentence);
      waiting?.reject(this.failure);
    } else {
      waiting?.resolve(answer);
    }
  }

  private onEnd(reason: Error): void {
    this.hasEnded = true;
    this.failure ??= reason;
    for (const waiting of this.waiting.splice(0)) waiting.reject(this.failure);
  }
}

/** A message to a thread copies the whole buffer behind a view, so a payload cut from a large one is copied here. */
function withOwnBuffer(entry: LogEntry): LogEntry {
  const isWhole = entry.payload.byteLength === entry.payload.buffer.byteLength;
  return isWhole ? entry : { ...entry, payload: new Uint8Array(entry.payload) };
}

/**
 * Compiled, the thread runs the JavaScript beside this file. From source, under tsx, a thread does not inherit
 * the loader (privatenumber/tsx#354) and registers it first.
 */
function startThread(workerData: WalWorkerData): Worker {
  if (import.meta.url.endsWith('.js')) return new Worker(new URL('./wal-worker.js', import.meta.url), { workerData });
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const thread = JSON.stringify(new URL('./wal-worker.ts', import.meta.url).href);
  const script = `import(${loader}).then((tsx) => { tsx.register(); return import(${thread}); });`;
  return new Worker(script, { eval: true, execArgv: [], workerData });
}
