import { HivemindError } from '../error.ts';
import type { Endpoint, NodeNumber } from '../identity.ts';

/** Who is at the other end, as far as the handshake proved it. */
export type StreamPeer =
  /** Holds the key of this certified member. */
  | { readonly kind: 'member'; readonly number: NodeNumber; readonly publicKey: Uint8Array; readonly remote: Endpoint }
  /** Holds this key, which belongs to no member: it may ask to join and little else. */
  | { readonly kind: 'stranger'; readonly publicKey: Uint8Array; readonly remote: Endpoint };

/** Whom to dial. With a number and key the connection counts only if exactly that member answers. */
export interface StreamTarget {
  readonly endpoints: readonly Endpoint[];
  /** 0 when dialling an address of which nothing else is known (a joiner does). */
  readonly number: NodeNumber;
  /** The Ed25519 key that the answerer must hold; nothing when it is not known yet. */
  readonly publicKey?: Uint8Array;
}

export interface StreamAnswer {
  readonly from: StreamPeer;
  readonly body: Uint8Array;
}

/** Answers a request, or throws a HivemindError, which travels back as code and sentence. */
export type RequestHandler = (from: StreamPeer, body: Uint8Array) => Promise<Uint8Array>;
export type PostHandler = (from: StreamPeer, body: Uint8Array) => void;

/**
 * What a knock told. `accepted`: something listens at one of the addresses, though it may be stalled: the kernel
 * answers for it. `refused`: the kernel of a living machine said at every address that nothing listens there.
 * `silent`: anything else; it proves nothing.
 */
export type KnockOutcome = 'accepted' | 'refused' | 'silent';

/**
 * Mutually authenticated, ordered byte messages between nodes. Requests are multiplexed over one connection
 * for each target, which is dialled when first needed and closed when idle, unless it is held.
 */
export interface Streams {
  readonly local: Endpoint;
  /**
   * @throws HivemindError `address-unreachable`, `time-out`, `busy`, or whatever the answerer refused with
   */
  request(to: StreamTarget, body: Uint8Array, timeoutMs: number): Promise<StreamAnswer>;
  /** One way, in order while the connection lasts; dropped and counted when it cannot be sent. */
  post(to: StreamTarget, body: Uint8Array): void;
  /**
   * Asks the kernel at the target's addresses, one after the other, whether anything listens there: a bare
   * connection, reset as soon as it is there. It never rejects and ends within `timeoutMs`.
   */
  knock(to: StreamTarget, timeoutMs: number): Promise<KnockOutcome>;
  /**
   * From now on exactly the connections to these targets, each with number and key, stay open though nobody uses
   * them, and are dialled again when they end; those held before fall back to being closed when idle. A target
   * whose addresses have changed is dialled there from then on.
   */
  hold(targets: readonly StreamTarget[]): void;
  /** Says goodbye on every connection. */
  close(): Promise<void>;
}

/**
 * What a failed request tells about its target's process: `refused` when the kernel of a living machine said at
 * every address that nothing listens there, and otherwise `silent`. A stalled process never refuses.
 */
export function dialOutcomeOf(error: HivemindError): 'refused' | 'silent' {
  return wasRefusedByKernel(error) ? 'refused' : 'silent';
}

/** Several addresses were tried when the cause is an aggregate of what happened at each. */
function wasRefusedByKernel(thrown: unknown): boolean {
  const cause = thrown instanceof HivemindError ? thrown.cause : undefined;
  if (cause instanceof AggregateError) return cause.errors.every(wasRefusedByKernel);
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED';
}
