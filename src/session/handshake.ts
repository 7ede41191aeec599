/**
 * The initiator's half of a handshake. Whatever gets lost, it begins again with a hello; the responder keeps
 * nothing until it has seen a prove, so there is nothing to resume.
 */
import { equalBytes } from '../bytes.ts';
import type { Endpoint, MonotonicMs, NodeNumber } from '../identity.ts';
import type { Session } from './session.ts';

/** A hello without an accept is repeated after this, then after twice as long each time … */
export const helloRetryMs = 500;
/** … up to this. */
export const helloRetryMsMax = 4_000;
/** A challenge answers a hello that left at most so long ago. */
export const challengeWaitMs = 10_000;
/** Challenges that one hello may have answered, a doubled or forged one included: each costs key exchanges. */
export const challengesPerHelloMax = 3;
/** Bodies that wait for one handshake; the newest are kept. */
export const queuedBodiesMax = 8;
/** A body that waited for longer is not worth sending; a handshake that nobody wanted for so long is given up. */
export const queuedBodyMs = 2_000;

interface QueuedBody {
  readonly body: Uint8Array;
  readonly queuedAtMs: MonotonicMs;
}

export class Handshake {
  readonly to: NodeNumber;
  /** The same for all hellos, so that the answer to an earlier one is still good. */
  readonly nonce: Uint8Array;
  private destination: Endpoint;
  private sentAtMs: MonotonicMs = Number.NEGATIVE_INFINITY;
  private wantedUntilMs: MonotonicMs;
  private retryMs = helloRetryMs;
  private challengesLeft = 0;
  private queue: QueuedBody[] = [];
  private proving: { readonly session: Session; readonly counter: number; readonly atMs: MonotonicMs } | undefined;

  constructor(to: NodeNumber, nonce: Uint8Array, at: Endpoint, now: MonotonicMs) {
    this.to = to;
    this.nonce = nonce;
    this.destination = at;
    this.wantedUntilMs = now + queuedBodyMs;
  }

  /** Where hello, prove and the waiting bodies go. */
  get at(): Endpoint {
    return this.destination;
  }

  get retryAtMs(): MonotonicMs {
    return this.sentAtMs + this.retryMs;
  }

  /** The session that waits for an accept. */
  get session(): Session | undefined {
    return this.proving?.session;
  }

  isWanted(now: MonotonicMs): boolean {
    return now <= this.wantedUntilMs;
  }

  /** There is still something to send, now to this address. */
  want(at: Endpoint, now: MonotonicMs): void {
    this.destination = at;
    this.wantedUntilMs = now + queuedBodyMs;
  }

  onHelloSent(now: MonotonicMs): void {
    if (this.sentAtMs !== Number.NEGATIVE_INFINITY) this.retryMs = Math.min(2 * this.retryMs, helloRetryMsMax);
    this.sentAtMs = now;
    this.challengesLeft = challengesPerHelloMax;
  }

  /** Whether a challenge answers a recent hello; it is then counted. */
  takesChallenge(nonce: Uint8Array, now: MonotonicMs): boolean {
    if (!equalBytes(nonce, this.nonce) || now - this.sentAtMs > challengeWaitMs) return false;
    return --this.challengesLeft >= 0;
  }

  /** A prove is about to be sealed. Only the first one of a session sets what an accept must echo at least. */
  onProve(session: Session, now: MonotonicMs): void {
    if (this.proving?.session !== session) this.proving = { session, counter: session.nextCounter, atMs: now };
  }

  /** When the first prove left, if the echoed counter is that of a prove of this handshake. */
  provedAtMs(echoedCounter: number): MonotonicMs | undefined {
    return this.proving !== undefined && echoedCounter >= this.proving.counter ? this.proving.atMs : undefined;
  }

  /** @returns whether another body had to go for it */
  enqueue(body: Uint8Array, now: MonotonicMs): boolean {
    this.queue.push({ body, queuedAtMs: now });
    if (this.queue.length <= queuedBodiesMax) return false;
    this.queue.shift();
    return true;
  }

  /** Empties the queue: the bodies that are still worth sending, and the number of the others. */
  drain(now: MonotonicMs): { readonly bodies: readonly Uint8Array[]; readonly expired: number } {
    const queued = this.queue;
    this.queue = [];
    const bodies = queued.filter(({ queuedAtMs }) => now - queuedAtMs <= queuedBodyMs).map(({ body }) => body);
    return { bodies, expired: queued.length - bodies.length };
  }
}
