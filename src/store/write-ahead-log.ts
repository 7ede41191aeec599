/**
 * The event log of one control node on disk. The work is done by a thread of its own with synchronous calls:
 * neither does an fsync hold up the event loop, nor do busy threads of libuv's pool hold up the fsync. Snapshots
 * are written by a second thread, so that they hold up no write.
 *
 * wal-record.ts and log-snapshot.ts describe the formats, wal-reader.ts what counts as damage.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../assert.ts';
import { HivemindError } from '../error.ts';
import type { LogIndex } from '../identity.ts';
import type { LogSnapshot, LogStore, LogTrouble, LogWrite, StoredLog } from '../seam/log-store.ts';
import { LogThread } from './log-thread.ts';
import { Mailbox } from './mailbox.ts';
import { packWrite } from './packed-write.ts';
import type { SnapshotRequest, SnapshotWorkerData } from './snapshot-worker.ts';
import type { ThreadAnswer } from './thread-answer.ts';
import { TroubleWatch } from './trouble-watch.ts';
import type { WalRequest, WalWorkerData } from './wal-worker.ts';
import { segmentBytesDefault } from './wal-writer.ts';

/** How long after a full disk the same write is tried again. */
export const fullRetryMs = 1_000;

export interface WriteAheadLogOptions {
  /** Bytes after which a new segment is begun; 4 MiB by default. One record may pass it. */
  readonly segmentBytesMax?: number;
  /** Told when a write does not end as it should, and why; with nothing when it has ended. */
  readonly onTrouble?: (trouble: LogTrouble | undefined) => void;
}

/**
 * The log in `folder`, which is made when it is missing and locked from `load` to `close`.
 *
 * `load` rejects with `data-format` for files of another version, with `refused` when another process has the
 * folder open, and with `disk-failed`. Where the disk is full, `write` and `compact` go on trying. Any other error
 * of the disk rejects with `disk-failed`, and then every later call rejects with the same error.
 */
export function openWriteAheadLog(folder: string, options: WriteAheadLogOptions = {}): LogStore {
  return new WriteAheadLog(folder, options);
}

/** What comes of a request, once the disk has room for it. */
type Outcome = Exclude<ThreadAnswer, { readonly kind: 'full' | 'failed' }>;

class WriteAheadLog implements LogStore {
  private readonly folder: string;
  private readonly segmentBytesMax: number;
  private readonly trouble: TroubleWatch;
  private walThread: LogThread<WalRequest> | undefined;
  private snapshotThread: LogThread<SnapshotRequest> | undefined;
  private isWriting = false;
  private isCompacting = false;
  private failure: Error | undefined;
  private readonly closing = new AbortController();

  constructor(folder: string, { segmentBytesMax, onTrouble }: WriteAheadLogOptions) {
    this.folder = folder;
    this.segmentBytesMax = segmentBytesMax ?? segmentBytesDefault;
    this.trouble = new TroubleWatch(onTrouble ?? (() => {}));
  }

  async load(): Promise<StoredLog> {
    assert(this.walThread === undefined && !this.isClosed, 'a log is loaded once, first');
    this.walThread = startWalThread(this.folder, this.segmentBytesMax);
    const answer = await this.askWal(() => ({ kind: 'load' }));
    assert(answer.kind === 'loaded', 'the thread of the log answers in order');
    return answer.log;
  }

  async write(write: LogWrite): Promise<void> {
    assert(!this.isWriting, 'one write to the log is in flight at a time');
    this.isWriting = true;
    this.trouble.onWriteBegin();
    try {
      await this.askWal(() => requestFor(write));
    } finally {
      this.isWriting = false;
      this.trouble.onEnd('write');
    }
  }

  async compact(snapshot: LogSnapshot, keepFrom: LogIndex): Promise<void> {
    assert(!this.isCompacting, 'one snapshot of the log is taken at a time');
    assert(keepFrom <= snapshot.index + 1, 'what a snapshot does not cover is kept');
    this.isCompacting = true;
    try {
      await this.askSnapshot({ kind: 'save', snapshot: withOwnBuffers(snapshot) });
      const forgotten = await this.askWal(() => ({ kind: 'forget', keepFrom }));
      assert(forgotten.kind === 'forgotten', 'the thread of the log answers in order');
      await this.askSnapshot({ kind: 'remove', names: forgotten.names });
    } finally {
      this.isCompacting = false;
      this.trouble.onEnd('compact');
    }
  }

  async healed(): Promise<void> {
    await this.askWal(() => ({ kind: 'healed' }));
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.closing.abort();
    await this.snapshotThread?.end();
    try {
      await this.walThread?.ask({ kind: 'close' }).catch(() => {});
    } finally {
      await this.walThread?.end();
    }
  }

  private get isClosed(): boolean {
    return this.closing.signal.aborted;
  }

  private async askWal(make: () => WalRequest): Promise<Outcome> {
    assert(this.walThread !== undefined && !this.isClosed, 'a log is used between load and close');
    const { walThread } = this;
    return await this.untilRoom('write', () => walThread.ask(make()));
  }

  private async askSnapshot(request: SnapshotRequest): Promise<Outcome> {
    assert(this.walThread !== undefined && !this.isClosed, 'a log is used between load and close');
    this.snapshotThread ??= startSnapshotThread(this.folder);
    const { snapshotThread } = this;
    return await this.untilRoom('compact', () => snapshotThread.ask(request));
  }

  /** Asks again and again while the disk is full. */
  private async untilRoom(work: 'write' | 'compact', ask: () => Promise<ThreadAnswer>): Promise<Outcome> {
    for (;;) {
      if (this.failure !== undefined) throw this.failure;
      const answer = await ask().catch((thrown: Error) => this.fail(thrown));
      if (answer.kind === 'failed') return this.fail(new HivemindError(answer.code, answer.sentence));
      if (answer.kind !== 'full') return answer;
      this.trouble.onFull(work);
      await this.waitForRoom(answer.sentence);
    }
  }

  /** The first failure is the one that everybody is told. */
  private fail(thrown: Error): never {
    this.failure ??= thrown;
    throw this.failure;
  }

  private async waitForRoom(sentence: string): Promise<void> {
    try {
      await sleep(fullRetryMs, undefined, { signal: this.closing.signal });
    } catch {
      throw new HivemindError('disk-failed', sentence);
    }
  }
}

function requestFor(write: LogWrite): WalRequest {
  const packed = packWrite(write);
  if (write.snapshot === undefined) return { kind: 'write', packed };
  return { kind: 'install', snapshot: withOwnBuffers(write.snapshot), rest: packed };
}

/** A message to a thread copies the whole buffer behind a view. */
function withOwnBuffers(snapshot: LogSnapshot): LogSnapshot {
  const { chain, configuration, state } = snapshot;
  return { ...snapshot, chain: own(chain), configuration: own(configuration), state: own(state) };
}

function own(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}

function startWalThread(folder: string, segmentBytesMax: number): LogThread<WalRequest> {
  const mailbox = new Mailbox();
  const data: WalWorkerData = { folder, segmentBytesMax, mailbox: mailbox.memory };
  return new LogThread(new URL('./wal-worker.js', import.meta.url), data, mailbox);
}

function startSnapshotThread(folder: string): LogThread<SnapshotRequest> {
  const data: SnapshotWorkerData = { folder };
  return new LogThread(new URL('./snapshot-worker.js', import.meta.url), data);
}
