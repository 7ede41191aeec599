import { HivemindError } from '../error.ts';
import type { Logger } from '../seam/logger.ts';
import { errorFields, type Frame } from './frame.ts';
import type { FrameSocket } from './frame-socket.ts';

/** One request while its handler works on it. */
export interface Call {
  /** Aborts when the asker has given up or is gone. */
  readonly signal: AbortSignal;
  /** Sends an item ahead of the answer; `false` when the asker does not keep up and it was not sent. */
  item(body: Uint8Array): boolean;
}

class RunningCall implements Call {
  isCancelled = false;
  private readonly send: (body: Uint8Array) => boolean;
  /** Made for handlers that look at the signal: for the others it would cost more than reading their request. */
  private controller: AbortController | undefined;

  constructor(send: (body: Uint8Array) => boolean) {
    this.send = send;
  }

  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.isCancelled) this.controller.abort();
    return this.controller.signal;
  }

  item(body: Uint8Array): boolean {
    return !this.isCancelled && this.send(body);
  }

  cancel(): void {
    this.isCancelled = true;
    this.controller?.abort();
  }
}

/** The answering end of a connection: runs the handlers, within a limit, and sends what they give or throw. */
export class Answering {
  private readonly socket: FrameSocket;
  private readonly inFlightMax: number;
  private readonly log: Logger;
  private readonly calls = new Map<number, RunningCall>();

  constructor(socket: FrameSocket, inFlightMax: number, log: Logger) {
    this.socket = socket;
    this.inFlightMax = inFlightMax;
    this.log = log;
  }

  get inFlight(): number {
    return this.calls.size;
  }

  /** Starts `work` for a request. `false` when its id is in use, which no honest asker does. */
  start(id: number, work: (call: Call) => Promise<Uint8Array>): boolean {
    if (this.calls.has(id)) return false;
    if (this.calls.size >= this.inFlightMax) this.fail(id, busy());
    else void this.run(id, work);
    return true;
  }

  /** The handler may run on, and counts until it ends; its answer goes nowhere. */
  cancel(id: number): void {
    this.calls.get(id)?.cancel();
  }

  cancelAll(): void {
    for (const call of this.calls.values()) call.cancel();
  }

  private async run(id: number, work: (call: Call) => Promise<Uint8Array>): Promise<void> {
    const call = new RunningCall((body) => this.socket.send({ kind: 'item', id, body }) === 'sent');
    this.calls.set(id, call);
    try {
      const body = await work(call);
      if (!call.isCancelled) this.answer({ kind: 'answer', id, body });
    } catch (thrown) {
      if (!call.isCancelled) this.fail(id, thrown);
    } finally {
      this.calls.delete(id);
    }
  }

  private answer(frame: Extract<Frame, { kind: 'answer' }>): void {
    const outcome = this.socket.send(frame);
    if (outcome === 'full') this.fail(frame.id, busy());
    if (outcome === 'too-large') {
      const sentence = `The answer takes ${frame.body.length} bytes, more than one frame holds; ask for less at once.`;
      this.fail(frame.id, new HivemindError('frame-invalid', sentence));
    }
  }

  private fail(id: number, thrown: unknown): void {
    if (thrown instanceof HivemindError) {
      this.socket.notify({ kind: 'failure', id, ...errorFields(thrown) });
      return;
    }
    // What went wrong inside is for this node's operator, not for whoever asked.
    this.log.error('a request handler failed', { cause: thrown });
    const sentence = 'The request failed inside the node that was asked; its log says why.';
    this.socket.notify({ kind: 'failure', id, code: 'internal', sentence });
  }
}

function busy(): HivemindError {
  return new HivemindError(
    'busy',
    'The node that was asked has too many requests of this connection; ask again later.',
  );
}
