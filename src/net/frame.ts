/**
 * Frames: what streams carry, between nodes inside TLS and on one machine over a unix socket. A frame is a
 * 32-bit length and one msgpack array: the kind's number, then its fields by position
 * (docs/protocol.md).
 */
import { bytes, type Codec, decode, encode, fixedBytes, text, uint, variants } from '../codec.ts';
import { publicKeyBytes } from '../crypto.ts';
import { type ErrorCode, HivemindError, isErrorCode } from '../error.ts';
import { type Epoch, type NodeNumber, nodeNumberMax } from '../identity.ts';

/** The first frame on every stream starts with these two. */
export const frameMagic = 'hivemind';
export const frameVersion = 1;

/** The largest frame, without its length, between peers that know each other. */
export const frameBytesMax: number = 4 * 1024 * 1024;
/** The same before a welcome, and from strangers after it. */
export const guestFrameBytesMax: number = 16 * 1024;

export const clusterIdBytes = 16;
export const bootIdBytes = 32;
export const credentialBytesMax = 8_192;
/** A longer sentence is cut off by its sender. */
export const sentenceCharactersMax = 1_000;
const codeCharactersMax = 64;
export const requestIdMax = 0xffff_ffff;

export type Frame =
  | Open
  | Welcome
  | Refused
  | Request
  | Answer
  | Failure
  | Post
  | Cancel
  | Goodbye
  | Item
  | Attach
  | Subscribe;

/** The dialler's first frame between nodes: who asks, and for whom. */
export interface Open {
  readonly kind: 'open';
  readonly magic: string;
  readonly version: number;
  readonly cluster: Uint8Array;
  readonly epoch: Epoch;
  /** The dialler's own number; 0 for a stranger. */
  readonly initiator: NodeNumber;
  /** The number that must answer; 0 for any. */
  readonly target: NodeNumber;
  /** The key that must answer; empty for any. */
  readonly targetKey: Uint8Array;
  /** Introduces a member whom the answerer does not know yet; opaque here, may be empty. */
  readonly credential: Uint8Array;
}

/** Answers an `open`. Nothing counts before it. */
export interface Welcome {
  readonly kind: 'welcome';
  readonly number: NodeNumber;
  readonly boot: Uint8Array;
  readonly epoch: Epoch;
}

/** The other answer to an `open` or `attach`; the stream closes behind it. */
export interface Refused {
  readonly kind: 'refused';
  readonly code: string;
  readonly sentence: string;
}

export interface Request {
  readonly kind: 'request';
  /** Chosen by the asker; free again after its answer, failure or cancel. */
  readonly id: number;
  readonly body: Uint8Array;
}

export interface Answer {
  readonly kind: 'answer';
  readonly id: number;
  readonly body: Uint8Array;
}

export interface Failure {
  readonly kind: 'failure';
  readonly id: number;
  readonly code: string;
  readonly sentence: string;
}

/** One way: nothing comes back. */
export interface Post {
  readonly kind: 'post';
  readonly body: Uint8Array;
}

/** The asker waits no longer; no answer follows. */
export interface Cancel {
  readonly kind: 'cancel';
  readonly id: number;
}

/** The sender closes in good order: it did not die. */
export interface Goodbye {
  readonly kind: 'goodbye';
}

/** One of many for a `subscribe`, until its answer or failure. */
export interface Item {
  readonly kind: 'item';
  readonly id: number;
  readonly body: Uint8Array;
}

/** The first frame on a unix socket. */
export interface Attach {
  readonly kind: 'attach';
  readonly magic: string;
  readonly version: number;
}

/** A request that is answered by items first. */
export interface Subscribe {
  readonly kind: 'subscribe';
  readonly id: number;
  readonly body: Uint8Array;
}

const number = uint(nodeNumberMax);
const id = uint(requestIdMax);
const body = bytes(frameBytesMax);
const magic = text(frameMagic.length);
const version = uint(0xffff);
const code = text(codeCharactersMax);
const sentence = text(sentenceCharactersMax);

/** All kinds with their numbers on the wire. A number is never used again for something else. */
const frames: Codec<Frame> = variants<Frame>({
  open: [
    1,
    {
      magic,
      version,
      cluster: fixedBytes(clusterIdBytes),
      epoch: uint(),
      initiator: number,
      target: number,
      targetKey: bytes(publicKeyBytes),
      credential: bytes(credentialBytesMax),
    },
  ],
  welcome: [2, { number, boot: fixedBytes(bootIdBytes), epoch: uint() }],
  refused: [3, { code, sentence }],
  request: [4, { id, body }],
  answer: [5, { id, body }],
  failure: [6, { id, code, sentence }],
  post: [7, { body }],
  cancel: [8, { id }],
  goodbye: [9, {}],
  item: [10, { id, body }],
  attach: [11, { magic, version }],
  subscribe: [12, { id, body }],
});

const lengthBytes = 4;

/** A frame's bytes, its length in front. */
export function encodeFrame(frame: Frame): Uint8Array {
  const packed = encode(frames, frame);
  const whole = Buffer.allocUnsafe(lengthBytes + packed.length);
  whole.writeUInt32BE(packed.length, 0);
  whole.set(packed, lengthBytes);
  return whole;
}

/** Whether a frame from `encodeFrame` is within what the other end takes. */
export function fitsFrame(encoded: Uint8Array, bytesMax: number): boolean {
  return encoded.length <= lengthBytes + bytesMax;
}

/** The code and sentence that an error travels as. */
export function errorFields(error: HivemindError): { readonly code: string; readonly sentence: string } {
  return { code: error.code, sentence: error.message.slice(0, sentenceCharactersMax) };
}

/** The error in a refusal or failure; a code that only newer versions know reads as `refused`. */
export function errorOf(frame: Refused | Failure): HivemindError {
  const known: ErrorCode = isErrorCode(frame.code) ? frame.code : 'refused';
  return new HivemindError(known, frame.sentence);
}

/**
 * Cuts a byte stream into frames. It holds no more than one frame and one chunk, whatever length a peer
 * announces and however small the pieces that it sends.
 */
export class FrameDecoder {
  private held: Buffer = Buffer.alloc(0);
  private start = 0;
  private end = 0;
  /** Whether `held` was allocated here, with room behind `end`; a chunk that was adopted has none. */
  private hasRoom = false;

  push(chunk: Uint8Array): void {
    const waiting = this.end - this.start;
    if (waiting === 0) {
      this.hold(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length), chunk.length, false);
      return;
    }
    if (!this.hasRoom || this.end + chunk.length > this.held.length) {
      const grown = Buffer.allocUnsafe(2 * (waiting + chunk.length));
      this.held.copy(grown, 0, this.start, this.end);
      this.hold(grown, waiting, true);
    }
    this.held.set(chunk, this.end);
    this.end += chunk.length;
  }

  /** The next whole frame; nothing when more bytes are needed; `malformed` when the stream is past saving. */
  next(bytesMax: number): Frame | 'malformed' | undefined {
    const waiting = this.end - this.start;
    if (waiting < lengthBytes) return undefined;
    const length = this.held.readUInt32BE(this.start);
    if (length === 0 || length > bytesMax) return 'malformed';
    if (waiting < lengthBytes + length) return undefined;
    const bodyAt = this.start + lengthBytes;
    const frame = decode(frames, this.held.subarray(bodyAt, bodyAt + length));
    this.start = bodyAt + length;
    return frame ?? 'malformed';
  }

  private hold(bytes: Buffer, end: number, hasRoom: boolean): void {
    this.held = bytes;
    this.start = 0;
    this.end = end;
    this.hasRoom = hasRoom;
  }
}
