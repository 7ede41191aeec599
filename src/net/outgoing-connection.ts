import type { NodeNumber } from '../identity.ts';
import type { Clock } from '../seam/clock.ts';
import type { StreamPeer } from '../seam/streams.ts';
import { Asking, type Reply } from './asking.ts';
import { type Frame, frameBytesMax, guestFrameBytesMax } from './frame.ts';
import type { CloseReason, FrameSocket } from './frame-socket.ts';
import { IdleWatch } from './idle-watch.ts';

export interface OutgoingOptions {
  readonly peer: StreamPeer;
  readonly boot: Uint8Array;
  /** The number under which this node introduced itself. */
  readonly openedAs: NodeNumber;
  /** Names the peer in a sentence. */
  readonly whom: string;
  readonly clock: Clock;
  readonly idleMs: number;
}

/** A connection that this node dialled, once it was welcomed: requests and posts go out on it. */
export class OutgoingConnection {
  readonly peer: StreamPeer;
  /** The boot id that the peer gave with its welcome. */
  readonly boot: Uint8Array;
  readonly openedAs: NodeNumber;
  /** Whether it stays open though nobody uses it. */
  isStanding: () => boolean = () => false;
  /** Called once, after whoever waited was told. */
  onClosed: (reason: CloseReason) => void = () => {};
  readonly closed: Promise<void>;
  private readonly socket: FrameSocket;
  private readonly asking: Asking;
  private readonly idle: IdleWatch;

  /** Takes over a socket whose handshake is done. */
  constructor(socket: FrameSocket, options: OutgoingOptions) {
    this.peer = options.peer;
    this.boot = options.boot;
    this.openedAs = options.openedAs;
    this.socket = socket;
    this.closed = socket.closed;
    this.asking = new Asking(socket, options.whom, 'address-unreachable');
    this.idle = new IdleWatch(
      options.clock,
      options.idleMs,
      () => this.isBusy || this.isStanding(),
      () => this.close(),
    );
    socket.incomingBytesMax = frameBytesMax;
    socket.outgoingBytesMax = options.openedAs === 0 ? guestFrameBytesMax : frameBytesMax;
    socket.listen({ onFrame: (frame) => this.onFrame(frame), onClose: (reason) => this.onClose(reason) });
  }

  /** Whether nothing can be asked any more. */
  get isClosing(): boolean {
    return this.socket.isClosing;
  }

  get isBusy(): boolean {
    return this.asking.inFlight > 0;
  }

  /** Asks; what it returns takes the request back. */
  request(body: Uint8Array, reply: Reply): () => void {
    this.idle.touch();
    return this.asking.ask('request', body, reply);
  }

  /** Whether it was queued. */
  post(body: Uint8Array): boolean {
    this.idle.touch();
    return this.socket.send({ kind: 'post', body }) === 'sent';
  }

  /** Closes in good order; whoever waits is told at once that the connection is gone. */
  close(): void {
    this.socket.close({ kind: 'goodbye' });
    this.asking.onClose();
  }

  private onFrame(frame: Frame): void {
    this.idle.touch();
    switch (frame.kind) {
      case 'answer':
        this.asking.onAnswer(frame);
        break;
      case 'failure':
        this.asking.onFailure(frame);
        break;
      default:
        this.socket.destroy('malformed');
    }
  }

  private onClose(reason: CloseReason): void {
    this.idle.stop();
    this.asking.onClose();
    this.onClosed(reason);
  }
}
