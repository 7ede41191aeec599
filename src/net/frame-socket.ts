import type { Socket } from 'node:net';
import { encodeFrame, type Frame, FrameDecoder, fitsFrame, frameBytesMax, guestFrameBytesMax } from './frame.ts';

/** Bytes that may wait for a reader; what comes on top is not sent. */
export const queuedBytesMax: number = 8 * 1024 * 1024;
/** Beyond that, room for the small frames that say so; a peer that fills even this does not read at all. */
const queuedNoticeBytesMax = 1024 * 1024;
/** A closing stream may take this long to hand over what is queued and to be closed by the peer. */
const lingerMs = 1_000;

export type SendOutcome =
  | 'sent'
  /** The queue is full. */
  | 'full'
  | 'too-large'
  | 'closed';

export type CloseReason =
  /** One end closed it on purpose and said so. */
  | 'goodbye'
  /** It ended without a word: the other process or the network died, or this end gave up one that does not read. */
  | 'broken'
  /** The peer sent what is no frame, or none that belongs here. */
  | 'malformed';

export interface FrameListener {
  onFrame(frame: Frame): void;
  /** Called once; nothing follows. */
  onClose(reason: CloseReason): void;
}

/** A byte stream that speaks in frames, with bounds in both directions. */
export class FrameSocket {
  /** The largest frame taken from the peer; raised once it is known. */
  incomingBytesMax: number = guestFrameBytesMax;
  /** The largest frame that the peer takes. */
  outgoingBytesMax: number = frameBytesMax;
  /** Resolves when the stream is gone and the listener was told. */
  readonly closed: Promise<void>;
  private readonly stream: Socket;
  private readonly decoder: FrameDecoder = new FrameDecoder();
  private listener: FrameListener;
  private closing: CloseReason | undefined;

  constructor(stream: Socket, listener: FrameListener) {
    this.stream = stream;
    this.listener = listener;
    stream.on('data', (chunk: Uint8Array) => this.onData(chunk));
    // What broke does not matter to anybody: `close` follows.
    stream.on('error', () => {});
    this.closed = new Promise((resolve) => {
      stream.once('close', () => {
        this.closing ??= 'broken';
        this.listener.onClose(this.closing);
        resolve();
      });
    });
  }

  /** Whether nothing can be sent any more. */
  get isClosing(): boolean {
    return this.closing !== undefined;
  }

  /** Hands the stream over, when its handshake is done, to whom the rest concerns. */
  listen(listener: FrameListener): void {
    this.listener = listener;
  }

  send(frame: Frame): SendOutcome {
    if (this.closing) return 'closed';
    const bytes = encodeFrame(frame);
    if (!fitsFrame(bytes, this.outgoingBytesMax)) return 'too-large';
    if (this.stream.writableLength + bytes.length > queuedBytesMax) return 'full';
    this.write(bytes);
    return 'sent';
  }

  /** Sends a small frame that the peer must not miss; gives up a peer that does not read. */
  notify(frame: Frame): void {
    if (this.closing) return;
    if (this.stream.writableLength > queuedBytesMax + queuedNoticeBytesMax) this.destroy('broken');
    else this.write(encodeFrame(frame));
  }

  /**
   * Sends what is queued and a last frame; the peer closes when it has read it. Closing here at once could cost it
   * that frame:
   *
   * 1. This end sends goodbye and closes. The peer has not read it yet and writes.
   * 2. This end's kernel, which knows no such connection any more, answers with a reset.
   * 3. The peer's next write fails, and its stream is gone with the goodbye unread: to it this process has died.
   */
  close(last: Frame): void {
    if (this.closing) return;
    this.closing = 'goodbye';
    this.stream.end(encodeFrame(last));
    setTimeout(() => this.stream.destroy(), lingerMs).unref();
  }

  destroy(reason: CloseReason): void {
    this.closing ??= reason;
    this.stream.destroy();
  }

  /** All that is sent in one turn leaves in one system call, and over TLS in one record. */
  private write(bytes: Uint8Array): void {
    if (this.stream.writableCorked === 0) {
      this.stream.cork();
      process.nextTick(() => this.stream.uncork());
    }
    this.stream.write(bytes);
  }

  private onData(chunk: Uint8Array): void {
    if (this.closing) return;
    this.decoder.push(chunk);
    while (!this.closing) {
      const frame = this.decoder.next(this.incomingBytesMax);
      if (frame === undefined) return;
      if (frame === 'malformed') this.destroy('malformed');
      else if (frame.kind === 'goodbye') this.destroy('goodbye');
      else this.listener.onFrame(frame);
    }
  }
}
