/** Dialling: one address after the other, until the node that is meant welcomes us. */
import type { TLSSocket } from 'node:tls';
import { equalBytes } from '../bytes.ts';
import { HivemindError } from '../error.ts';
import { type Endpoint, endpointText, isEndpoint } from '../identity.ts';
import type { Clock } from '../seam/clock.ts';
import type { StreamPeer, StreamTarget } from '../seam/streams.ts';
import { errorOf, type Frame, frameMagic, frameVersion, type Open, type Welcome } from './frame.ts';
import { FrameSocket } from './frame-socket.ts';
import { OutgoingConnection } from './outgoing-connection.ts';
import type { StreamSelf } from './stream-handshake.ts';
import type { StreamLimits } from './stream-limits.ts';
import { dialTls, provedKey, type TlsContext } from './tls-session.ts';

export interface DialContext {
  readonly self: () => StreamSelf;
  readonly tls: TlsContext;
  readonly clock: Clock;
  readonly limits: StreamLimits;
}

/** Each address but the last gets a share of the time that the asker has, and no less than this. */
const dialShareMsMin = 500;

/**
 * Tries the target's addresses in order. `timeoutMs` is how long the asker will wait.
 *
 * @throws HivemindError `address-unreachable`, or what a node there refused with
 */
export async function dialTarget(
  to: StreamTarget,
  timeoutMs: number,
  context: DialContext,
  signal: AbortSignal,
): Promise<OutgoingConnection> {
  const failures: HivemindError[] = [];
  const { dialMs } = context.limits;
  const endpoints = to.endpoints.filter(isEndpoint);
  const shareMs = Math.min(dialMs, Math.max(dialShareMsMin, timeoutMs / endpoints.length));
  for (const [position, endpoint] of endpoints.entries()) {
    const limitMs = position === endpoints.length - 1 ? dialMs : shareMs;
    try {
      return await new Dial(endpoint, to, context, limitMs, signal).done;
    } catch (thrown) {
      if (!(thrown instanceof HivemindError)) throw thrown;
      failures.push(thrown);
    }
  }
  throw dialError(failures);
}

/** A refusal in words tells more than an address that does not answer. */
function dialError(failures: readonly HivemindError[]): HivemindError {
  const [first] = failures;
  if (first === undefined) {
    return new HivemindError('address-unreachable', 'No address of that node is known yet; ask again later.');
  }
  const telling = failures.find((each) => each.code !== 'address-unreachable');
  if (telling || failures.length === 1) return telling ?? first;
  const sentences = failures.map((each) => each.message).join(' ');
  return new HivemindError('address-unreachable', sentences, new AggregateError(failures));
}

/** One attempt at one address: TCP, TLS, the key, `open`, `welcome`, all within one time limit. */
class Dial {
  readonly done: Promise<OutgoingConnection>;
  private readonly endpoint: Endpoint;
  private readonly to: StreamTarget;
  private readonly context: DialContext;
  private readonly self: StreamSelf;
  private readonly stream: TLSSocket;
  private readonly stop: () => void;
  private resolve: (connection: OutgoingConnection) => void = () => {};
  private reject: (error: HivemindError) => void = () => {};

  constructor(endpoint: Endpoint, to: StreamTarget, context: DialContext, limitMs: number, signal: AbortSignal) {
    this.endpoint = endpoint;
    this.to = to;
    this.context = context;
    this.self = context.self();
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.stream = dialTls(context.tls, endpoint);
    this.stream.once('secureConnect', () => this.onSecure());
    this.stream.on('error', (cause) => this.fail(this.unreachable(cause)));
    this.stream.once('close', () => this.fail(this.unreachable()));
    const onAbort = (): void => this.fail(new HivemindError('address-unreachable', 'This node is shutting down.'));
    signal.addEventListener('abort', onAbort);
    const stopTimer = context.clock.after(limitMs, () => this.fail(this.timedOut(limitMs)));
    this.stop = () => {
      stopTimer();
      signal.removeEventListener('abort', onAbort);
    };
    if (signal.aborted) onAbort();
  }

  private onSecure(): void {
    const publicKey = provedKey(this.stream);
    const { publicKey: wanted } = this.to;
    if (publicKey === undefined || (wanted && !equalBytes(wanted, publicKey))) this.fail(this.wrongNode());
    else this.sendOpen(publicKey);
  }

  private sendOpen(publicKey: Uint8Array): void {
    const socket: FrameSocket = new FrameSocket(this.stream, {
      onFrame: (frame) => this.onFrame(frame, socket, publicKey),
      onClose: () => {},
    });
    socket.send(this.open());
  }

  private open(): Open {
    const { cluster, epoch, number: initiator } = this.self;
    return {
      kind: 'open',
      magic: frameMagic,
      version: frameVersion,
      cluster,
      epoch,
      initiator,
      target: this.to.number,
      targetKey: this.to.publicKey ?? new Uint8Array(0),
      credential: this.self.credential(),
    };
  }

  private onFrame(frame: Frame, socket: FrameSocket, publicKey: Uint8Array): void {
    const { number } = this.to;
    if (frame.kind === 'refused') this.fail(errorOf(frame));
    else if (frame.kind !== 'welcome' || (number !== 0 && frame.number !== number)) this.fail(this.wrongNode());
    else this.onWelcome(frame, socket, publicKey);
  }

  private onWelcome(welcome: Welcome, socket: FrameSocket, publicKey: Uint8Array): void {
    const { number } = this.to;
    this.stop();
    const proved = { publicKey, remote: this.endpoint };
    // Only a number and a key together say who that is; anything else is what the other end claims.
    const isMember = number !== 0 && this.to.publicKey !== undefined;
    const peer: StreamPeer = isMember ? { kind: 'member', number, ...proved } : { kind: 'stranger', ...proved };
    this.resolve(
      new OutgoingConnection(socket, {
        peer,
        boot: welcome.boot,
        openedAs: this.self.number,
        whom: this.whom(),
        clock: this.context.clock,
        idleMs: this.context.limits.idleMs,
      }),
    );
  }

  /** Does nothing any more once the dial has succeeded. */
  private fail(error: HivemindError): void {
    this.stop();
    this.reject(error);
    this.stream.destroy();
  }

  private whom(): string {
    const address = endpointText(this.endpoint);
    return this.to.number === 0 ? `the node at ${address}` : `node ${this.to.number} at ${address}`;
  }

  private unreachable(cause?: NodeJS.ErrnoException): HivemindError {
    const sentence = `Cannot reach ${this.whom()}: ${reasonOf(cause)}`;
    return new HivemindError('address-unreachable', sentence, cause);
  }

  private timedOut(limitMs: number): HivemindError {
    const sentence = `No answer from ${this.whom()} within ${Math.round(limitMs)} ms; check the address and firewalls.`;
    return new HivemindError('address-unreachable', sentence);
  }

  private wrongNode(): HivemindError {
    const sentence = `Another node answers in place of ${this.whom()}; look its address up again.`;
    return new HivemindError('address-unreachable', sentence);
  }
}

function reasonOf(cause: NodeJS.ErrnoException | undefined): string {
  switch (cause?.code) {
    case undefined:
    case 'ECONNRESET':
      return 'it closed the connection; check that it is a hivemind node that is not overloaded.';
    case 'ECONNREFUSED':
      return 'nothing listens there; check the address, and that the node runs.';
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
      return 'there is no route to it; check the network.';
    default:
      return `${cause?.message ?? 'unknown'}.`;
  }
}
