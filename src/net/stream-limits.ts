/** The bounds of node-to-node streams, in one place; each has its default beside it in `streamLimits`. */
export interface StreamLimits {
  /** From an accepted connection to its first byte. */
  readonly silenceMs: number;
  /** From its first byte to its welcome or refusal. */
  readonly handshakeMs: number;
  /** From dialling one address to being welcomed there. */
  readonly dialMs: number;
  /** A failed dial is remembered so long, lest posts to a dead node spin; below the 500 ms of a second try. */
  readonly redialPauseMs: number;
  /** An outgoing connection that nobody used so long, and that is not held, is closed. */
  readonly idleMs: number;
  /** The same for what a stranger keeps open here. */
  readonly strangerIdleMs: number;
  /** Incoming connections in all; what comes on top is closed unanswered. */
  readonly incomingMax: number;
  /** Of one member: more are left over from its earlier lives, so the oldest is closed. */
  readonly incomingPerMemberMax: number;
  /** Incoming connections that no member has proved to be its own, in all and from one address. */
  readonly guestsMax: number;
  readonly guestsPerAddressMax: number;
  /** Outgoing connections; beyond, an unused one that is not held is closed for each new one. */
  readonly outgoingMax: number;
  /** Requests of one stranger that are worked on at a time. */
  readonly strangerRequestsMax: number;
}

export const streamLimits: StreamLimits = {
  silenceMs: 2_000,
  handshakeMs: 5_000,
  dialMs: 3_000,
  redialPauseMs: 300,
  idleMs: 60_000,
  strangerIdleMs: 15_000,
  incomingMax: 1_024,
  incomingPerMemberMax: 4,
  guestsMax: 256,
  guestsPerAddressMax: 32,
  outgoingMax: 1_024,
  strangerRequestsMax: 4,
};
