import { HivemindError } from '../error.ts';
import { type Answer, errorOf, type Failure, type Item, requestIdMax } from './frame.ts';
import type { FrameSocket } from './frame-socket.ts';

/** Requests of one connection that still wait for their answer, at either end. */
export const requestsInFlightMax = 256;

/** What becomes of one request: `onAnswer` or `onFailure`, once, and items before it if it subscribed. */
export interface Reply {
  onAnswer(body: Uint8Array): void;
  onFailure(error: HivemindError): void;
  onItem?(body: Uint8Array): void;
}

/** The asking end of a connection: gives out ids and leads whatever comes back to whoever asked (EC-13). */
export class Asking {
  private readonly socket: FrameSocket;
  /** Names the other end in a sentence, like "node 7 at 10.0.0.5:7100". */
  private readonly whom: string;
  private readonly goneCode: 'address-unreachable' | 'agent-unreachable';
  private readonly replies = new Map<number, Reply>();
  private lastId = 0;

  constructor(socket: FrameSocket, whom: string, goneCode: 'address-unreachable' | 'agent-unreachable') {
    this.socket = socket;
    this.whom = whom;
    this.goneCode = goneCode;
  }

  get inFlight(): number {
    return this.replies.size;
  }

  /** Sends a request; what it returns takes it back and frees its id. */
  ask(kind: 'request' | 'subscribe', body: Uint8Array, reply: Reply): () => void {
    const refusal = this.inFlight >= requestsInFlightMax ? this.busy() : undefined;
    if (refusal) return refuse(reply, refusal);
    const id = this.freeId();
    this.replies.set(id, reply);
    const failed = this.sendError(this.socket.send({ kind, id, body }), body.length);
    if (failed === undefined) return () => this.cancel(id);
    this.replies.delete(id);
    return refuse(reply, failed);
  }

  onAnswer(frame: Answer): void {
    this.take(frame.id)?.onAnswer(frame.body);
  }

  onFailure(frame: Failure): void {
    this.take(frame.id)?.onFailure(errorOf(frame));
  }

  onItem(frame: Item): void {
    this.replies.get(frame.id)?.onItem?.(frame.body);
  }

  /** The connection is gone: nobody who asked waits any longer. */
  onClose(why: HivemindError = this.gone()): void {
    const waiting = [...this.replies.values()];
    this.replies.clear();
    for (const reply of waiting) reply.onFailure(why);
  }

  private cancel(id: number): void {
    if (this.replies.delete(id)) this.socket.notify({ kind: 'cancel', id });
  }

  /** Nothing for an answer that came after its asker had given up. */
  private take(id: number): Reply | undefined {
    const reply = this.replies.get(id);
    this.replies.delete(id);
    return reply;
  }

  private freeId(): number {
    do this.lastId = this.lastId === requestIdMax ? 1 : this.lastId + 1;
    while (this.replies.has(this.lastId));
    return this.lastId;
  }

  private sendError(outcome: ReturnType<FrameSocket['send']>, bodyBytes: number): HivemindError | undefined {
    switch (outcome) {
      case 'sent':
        return undefined;
      case 'full':
        return this.busy();
      case 'too-large':
        return new HivemindError(
          'frame-invalid',
          `A request of ${bodyBytes} bytes is more than ${this.whom} takes at once; send it in parts.`,
        );
      case 'closed':
        return this.gone();
    }
  }

  private gone(): HivemindError {
    return new HivemindError(this.goneCode, `The connection to ${this.whom} closed before it answered; ask again.`);
  }

  private busy(): HivemindError {
    return new HivemindError('busy', `Too much is waiting for ${this.whom} already; ask again later.`);
  }
}

function refuse(reply: Reply, error: HivemindError): () => void {
  reply.onFailure(error);
  return () => {};
}
