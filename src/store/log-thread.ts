/** A thread that answers requests in their order, and keeps the process alive only while somebody waits for one. */
import { Worker } from 'node:worker_threads';
import { HivemindError } from '../error.ts';
import type { Mailbox } from './mailbox.ts';
import type { ThreadAnswer } from './thread-answer.ts';

interface Waiting {
  resolve(answer: ThreadAnswer): void;
  reject(reason: Error): void;
}

export class LogThread<Request extends { readonly kind: string; readonly packed?: Uint8Array<ArrayBuffer> }> {
  private readonly worker: Worker;
  private readonly mailbox: Mailbox | undefined;
  private readonly waiting: Waiting[] = [];
  private ended: Error | undefined;

  /**
   * @param script a file beside this one that was compiled from one of the same name
   * @param mailbox where the thread sleeps, and takes what is packed
   */
  constructor(script: URL, workerData: object, mailbox?: Mailbox) {
    this.mailbox = mailbox;
    this.worker = startThread(script, workerData);
    this.worker.on('message', (answer: ThreadAnswer) => this.onAnswer(answer));
    this.worker.on('error', (thrown: Error) => this.onEnd(thrown));
    this.worker.on('exit', () => this.onEnd(new HivemindError('internal', 'A thread of the event log has ended.')));
    this.worker.unref();
  }

  /** Rejects when the thread ends, or has ended, without an answer. */
  ask(request: Request): Promise<ThreadAnswer> {
    return new Promise((resolve, reject) => {
      if (this.ended !== undefined) return reject(this.ended);
      // First, because it may throw: nobody waits for the answer to what was not handed over.
      this.hand(request);
      if (this.waiting.length === 0) this.worker.ref();
      this.waiting.push({ resolve, reject });
    });
  }

  private hand(request: Request): void {
    const { packed } = request;
    const isInBox = packed !== undefined && this.mailbox?.put(packed) === true;
    if (!isInBox) this.worker.postMessage(request, packed === undefined ? [] : [packed.buffer]);
    this.mailbox?.ring();
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }

  private onAnswer(answer: ThreadAnswer): void {
    const waiting = this.waiting.shift();
    if (this.waiting.length === 0) this.worker.unref();
    waiting?.resolve(answer);
  }

  private onEnd(reason: Error): void {
    this.ended ??= reason;
    for (const waiting of this.waiting.splice(0)) waiting.reject(this.ended);
  }
}

/**
 * Compiled, the thread runs the JavaScript beside this file. From source, under tsx, a thread does not inherit
 * the loader (privatenumber/tsx#354) and registers it first.
 */
function startThread(script: URL, workerData: object): Worker {
  if (import.meta.url.endsWith('.js')) return new Worker(script, { workerData });
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const source = JSON.stringify(script.href.replace(/\.js$/, '.ts'));
  const code = `import(${loader}).then((tsx) => { tsx.register(); return import(${source}); });`;
  return new Worker(code, { eval: true, execArgv: [], workerData });
}
