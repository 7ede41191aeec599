/**
 * Unary calls of gRPC over one HTTP/2 connection (RFC 9113), with nothing that a bench does without: headers are sent
 * in full and those of answers are not read. It takes a third of the processor time of Node's own client, which on a
 * machine that runs the servers too would be taken from them.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { HivemindError } from '../../../src/error.ts';

const frameHeadBytes = 9;
const frames = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const endStream = 0x1;
const acknowledged = 0x1;
const endHeaders = 0x4;
/** Before every message: one byte that says "not compressed", and the length. */
const messageHeadBytes = 5;
/** The peer may send 64 KiB unasked; a quarter of it is given back at a time. */
const windowStepBytes = 16_384;
/** Nor does this end send more than 64 KiB unasked: so many calls of the bench, of some 300 bytes each, stay below. */
const callsInFlightMax = 128;

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** `:method: POST` and `:scheme: http`, by their places in HPACK's static table. */
const indexedHeaders = Buffer.from([0x83, 0x86]);

interface Call {
  readonly resolve: (message: Uint8Array) => void;
  readonly reject: (error: HivemindError) => void;
  /** What came of the answer's message, with its head. */
  readonly pieces: Uint8Array[];
}

export class GrpcConnection {
  private readonly socket: Socket;
  private readonly headers = new Map<string, Uint8Array>();
  private readonly calls = new Map<number, Call>();
  private readonly where: string;
  private nextStream = 1;
  private received: Buffer = Buffer.alloc(0);
  private unreturnedBytes = 0;

  private constructor(socket: Socket, where: string) {
    this.socket = socket;
    this.where = where;
    socket.setNoDelay(true);
    socket.write(Buffer.concat([preface, frame(frames.settings, 0, 0)]));
    socket.on('data', (chunk) => this.onData(chunk));
    socket.on('error', () => {});
    socket.once('close', () => this.onClose());
  }

  /** @throws when nobody listens there */
  static async open(host: string, port: number): Promise<GrpcConnection> {
    const socket = connect({ host, port });
    await once(socket, 'connect');
    return new GrpcConnection(socket, `${host}:${port}`);
  }

  /** @throws HivemindError `refused` when the call fails, `busy`, `address-unreachable` when the connection is gone */
  call(path: string, message: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) {
        reject(this.gone());
        return;
      }
      if (this.calls.size >= callsInFlightMax) {
        reject(new HivemindError('busy', `${this.where} has ${callsInFlightMax} calls open; wait for an answer.`));
        return;
      }
      const stream = this.nextStream;
      this.nextStream += 2;
      this.calls.set(stream, { resolve, reject, pieces: [] });
      const head = Buffer.alloc(messageHeadBytes);
      head.writeUInt32BE(message.length, 1);
      const asked = frame(frames.headers, endHeaders, stream, this.headersOf(path));
      this.socket.write(Buffer.concat([asked, frame(frames.data, endStream, stream, Buffer.concat([head, message]))]));
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private headersOf(path: string): Uint8Array {
    const known = this.headers.get(path);
    if (known !== undefined) return known;
    const fields = { ':path': path, ':authority': this.where, 'content-type': 'application/grpc', te: 'trailers' };
    const literals = Object.entries(fields).map(([name, value]) => literal(name, value));
    const encoded = Buffer.concat([indexedHeaders, ...literals]);
    this.headers.set(path, encoded);
    return encoded;
  }

  private onData(chunk: Buffer): void {
    this.received = this.received.length === 0 ? chunk : Buffer.concat([this.received, chunk]);
    let at = 0;
    while (this.received.length - at >= frameHeadBytes) {
      const end = at + frameHeadBytes + this.received.readUIntBE(at, 3);
      if (end > this.received.length) break;
      const [kind = 0, flags = 0] = this.received.subarray(at + 3, at + 5);
      this.onFrame(kind, flags, this.received.readUInt32BE(at + 5), this.received.subarray(at + frameHeadBytes, end));
      at = end;
    }
    this.received = this.received.subarray(at);
  }

  private onFrame(kind: number, flags: number, stream: number, payload: Uint8Array): void {
    if (kind === frames.settings && (flags & acknowledged) === 0) this.answer(frames.settings);
    else if (kind === frames.ping && (flags & acknowledged) === 0) this.answer(frames.ping, payload);
    else if (kind === frames.goAway) this.socket.destroy();
    else if (kind === frames.data) this.onPiece(stream, payload);
    const isLast = (kind === frames.data || kind === frames.headers) && (flags & endStream) !== 0;
    if (isLast || kind === frames.reset) this.settle(stream);
  }

  private answer(kind: number, payload?: Uint8Array): void {
    this.socket.write(frame(kind, acknowledged, 0, payload));
  }

  /** Where a window ends, the rest of a message comes in another frame. */
  private onPiece(stream: number, payload: Uint8Array): void {
    if (payload.length > 0) this.calls.get(stream)?.pieces.push(payload.slice());
    this.unreturnedBytes += payload.length;
    if (this.unreturnedBytes < windowStepBytes) return;
    const returned = Buffer.alloc(4);
    returned.writeUInt32BE(this.unreturnedBytes);
    this.unreturnedBytes = 0;
    this.socket.write(frame(frames.windowUpdate, 0, 0, returned));
  }

  /** A call that failed has trailers alone. */
  private settle(stream: number): void {
    const call = this.calls.get(stream);
    this.calls.delete(stream);
    if (call === undefined) return;
    if (call.pieces.length > 0) call.resolve(Buffer.concat(call.pieces).subarray(messageHeadBytes));
    else call.reject(new HivemindError('refused', `The server at ${this.where} refused a call; see its log.`));
  }

  private onClose(): void {
    for (const call of this.calls.values()) call.reject(this.gone());
    this.calls.clear();
  }

  private gone(): HivemindError {
    return new HivemindError('address-unreachable', `The connection to ${this.where} is gone; open another one.`);
  }
}

function frame(kind: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Uint8Array {
  const whole = Buffer.allocUnsafe(frameHeadBytes + payload.length);
  whole.writeUIntBE(payload.length, 0, 3);
  whole[3] = kind;
  whole[4] = flags;
  whole.writeUInt32BE(stream, 5);
  whole.set(payload, frameHeadBytes);
  return whole;
}

/** A header field that neither end has to remember (RFC 7541, 6.2.2); names and values are short ASCII. */
function literal(name: string, value: string): Uint8Array {
  return Buffer.from(`\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`);
}
