import type { Incarnation, NodeNumber } from '../identity.ts';

/** What the pane published about a member; removals travel as certificates instead. */
export interface Update {
  readonly number: NodeNumber;
  readonly incarnation: Incarnation;
  readonly status: 'alive' | 'down';
}

/** What members say to each other by datagram (SWIM, Das 2002; who may say "down" is ours). */
export type SwimMessage = Ping | Ack | ProbeRequest | StreamClosed | Accusation | Report | Gossip;

export interface Ping {
  readonly kind: 'ping';
  readonly nonce: number;
}

/** Answers a ping or an accusation by its nonce, however late. */
export interface Ack {
  readonly kind: 'ack';
  readonly nonce: number;
  /** The answerer's own incarnation. */
  readonly incarnation: Incarnation;
}

/** SWIM's ping-req: "probe this subject at once and speak for yourself". */
export interface ProbeRequest {
  readonly kind: 'probe-request';
  readonly subject: NodeNumber;
}

/** "Its standing stream to me closed without a goodbye": to its other observers, a reason to ask and to knock now. */
export interface StreamClosed {
  readonly kind: 'stream-closed';
  readonly subject: NodeNumber;
}

/** "It did not answer me." Told to its other observers, to the control nodes and to the subject itself. */
export interface Accusation {
  readonly kind: 'accusation';
  readonly subject: NodeNumber;
  readonly incarnation: Incarnation;
  /** How long ago the accuser's first unanswered probe left. */
  readonly unansweredMs: number;
  /** For the subject: an ack with this nonce clears it. */
  readonly nonce: number;
}

/**
 * Why an observer holds its subject for dead. `silent`: the window ran out. `refused`: the kernel of its machine said
 * twice that nobody listens there any more. `lossy`: too few of ten probes were answered.
 */
export type Evidence = 'silent' | 'refused' | 'lossy';

/** To the control nodes, each second while it holds: a lease, not a vote that stands. */
export interface Report {
  readonly kind: 'report';
  readonly subject: NodeNumber;
  readonly incarnation: Incarnation;
  readonly evidence: Evidence;
}

export interface Gossip {
  readonly kind: 'gossip';
  readonly updates: readonly Update[];
  /** Whatever the floors above spread; opaque here, told apart by content. */
  readonly rumours: readonly Uint8Array[];
}
