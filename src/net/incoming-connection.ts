import type { TLSSocket } from 'node:tls';
import type { Endpoint, NodeNumber } from '../identity.ts';
import type { Clock } from '../seam/clock.ts';
import type { Logger } from '../seam/logger.ts';
import type { PostHandler, RequestHandler, StreamPeer } from '../seam/streams.ts';
import { Answering } from './answering.ts';
import { requestsInFlightMax } from './asking.ts';
import { type Frame, frameBytesMax, type Open, type Request, sentenceCharactersMax } from './frame.ts';
import { type CloseReason, FrameSocket } from './frame-socket.ts';
import { IdleWatch } from './idle-watch.ts';
import type { StreamCounters } from './stream-counters.ts';
import { judgeOpen, type Proved, type StreamSelf, type VerifyPeer } from './stream-handshake.ts';
import type { StreamLimits } from './stream-limits.ts';
import { provedKey } from './tls-session.ts';

/** What a node gives to each connection that others make to it. */
export interface IncomingContext {
  readonly self: () => StreamSelf;
  readonly ownKey: Uint8Array;
  readonly verifyPeer: VerifyPeer;
  readonly onRequest: RequestHandler;
  readonly onPost: PostHandler;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits: StreamLimits;
  readonly counters: StreamCounters;
  onWelcomed(connection: IncomingConnection): void;
  onClosed(connection: IncomingConnection, reason: CloseReason): void;
}

/** One connection that came with bytes: TLS, then `open`, then `welcome` or `refused`, then requests and posts. */
export class IncomingConnection {
  /** Who is at the other end, once it was welcomed. */
  peer: StreamPeer | undefined;
  readonly closed: Promise<void>;
  private readonly context: IncomingContext;
  private readonly stream: TLSSocket;
  private readonly remote: Endpoint;
  private readonly socket: FrameSocket;
  private readonly stopHandshakeTimer: () => void;
  private idle: IdleWatch | undefined;
  private answering: Answering | undefined;

  constructor(stream: TLSSocket, remote: Endpoint, context: IncomingContext) {
    this.context = context;
    this.stream = stream;
    this.remote = remote;
    this.socket = new FrameSocket(stream, {
      onFrame: (frame) => this.onFrame(frame),
      onClose: (reason) => this.onClose(reason),
    });
    this.closed = this.socket.closed;
    this.stopHandshakeTimer = context.clock.after(context.limits.handshakeMs, () => this.socket.destroy('broken'));
  }

  get number(): NodeNumber | undefined {
    return this.peer?.kind === 'member' ? this.peer.number : undefined;
  }

  get isClosing(): boolean {
    return this.socket.isClosing;
  }

  /** Closes in good order. */
  close(): void {
    if (this.peer) this.socket.close({ kind: 'goodbye' });
    else this.socket.destroy('goodbye');
  }

  private onFrame(frame: Frame): void {
    this.idle?.touch();
    if (this.peer && this.answering) this.onPeerFrame(frame, this.peer, this.answering);
    else if (frame.kind === 'open') this.onOpen(frame);
    else this.socket.destroy('malformed');
  }

  private onOpen(open: Open): void {
    const publicKey = provedKey(this.stream);
    if (publicKey === undefined) this.refuse('key-invalid', 'Show an Ed25519 certificate of your own key.');
    else this.judge(open, { publicKey, remote: this.remote });
  }

  private judge(open: Open, proved: Proved): void {
    const { ownKey, verifyPeer } = this.context;
    const self = this.context.self();
    const verdict = judgeOpen(open, self, ownKey, proved, verifyPeer);
    if (verdict.kind === 'refused') this.refuse(verdict.code, verdict.sentence);
    else this.welcome(verdict.peer, self);
  }

  private refuse(code: string, sentence: string): void {
    this.context.counters.refusalsSent++;
    this.socket.close({ kind: 'refused', code, sentence: sentence.slice(0, sentenceCharactersMax) });
  }

  private welcome(peer: StreamPeer, self: StreamSelf): void {
    const { limits, log, clock } = this.context;
    this.stopHandshakeTimer();
    this.peer = peer;
    const isMember = peer.kind === 'member';
    if (isMember) this.socket.incomingBytesMax = frameBytesMax;
    const inFlightMax = isMember ? requestsInFlightMax : limits.strangerRequestsMax;
    const answering = new Answering(this.socket, inFlightMax, log);
    this.answering = answering;
    if (!isMember) {
      this.idle = new IdleWatch(
        clock,
        limits.strangerIdleMs,
        () => answering.inFlight > 0,
        () => this.close(),
      );
    }
    this.socket.notify({ kind: 'welcome', number: self.number, boot: self.boot, epoch: self.epoch });
    this.context.onWelcomed(this);
  }

  private onPeerFrame(frame: Frame, peer: StreamPeer, answering: Answering): void {
    switch (frame.kind) {
      case 'request':
        this.onRequest(frame, peer, answering);
        break;
      case 'post':
        this.context.counters.postsReceived++;
        this.context.onPost(peer, frame.body);
        break;
      case 'cancel':
        answering.cancel(frame.id);
        break;
      default:
        this.socket.destroy('malformed');
    }
  }

  private onRequest(frame: Request, peer: StreamPeer, answering: Answering): void {
    this.context.counters.requestsReceived++;
    if (!answering.start(frame.id, () => this.context.onRequest(peer, frame.body))) this.socket.destroy('malformed');
  }

  private onClose(reason: CloseReason): void {
    this.stopHandshakeTimer();
    this.idle?.stop();
    this.answering?.cancelAll();
    this.context.onClosed(this, reason);
  }
}
