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
 * Mutually authenticated, ordered byte messages between nodes. Requests are multiplexed over one connection
 * for each target, which is dialled when first needed and closed when idle.
 */
export interface Streams {
  readonly local: Endpoint;
  /**
   * @throws HivemindError `address-unreachable`, `time-out`, `busy`, or whatever the answerer refused with
   */
  request(to: StreamTarget, body: Uint8Array, timeoutMs: number): Promise<StreamAnswer>;
  /** One way, in order while the connection lasts; dropped and counted when it cannot be sent. */
  post(to: StreamTarget, body: Uint8Array): void;
  close(): Promise<void>;
}
