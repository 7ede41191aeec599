/**
 * Why a packet went no further. Bytes of strangers never cause an exception: they are dropped, and each
 * reason has a counter of its own, so that an operator can tell noise from an attack from a mistake.
 */
export const dropReasons = [
  /** Longer than any packet of its kind. */
  'too-large',
  /** Shorter than any packet of its kind. */
  'truncated',
  /** Another protocol: the first byte is not ours. */
  'not-hivemind',
  'other-version',
  'unknown-kind',
  /** A node of another cluster; an address that was given out anew, say. */
  'other-cluster',
  'other-epoch',
  /** It bears this node's own number: reflected, or sent by a copy of this node's identity. */
  'own-number',
  /** A hello for another member: this address was once that member's. */
  'wrong-target',
  /** An answer to nothing that was sent from here, or sent too long ago. */
  'unsolicited',
  /** The cookie is not ours for that address and boot, or no longer valid, or older than the boot in use. */
  'stale-cookie',
  /** The sender is unknown, and its credential does not make it known. */
  'bad-credential',
  /** A boot that a later one of the same member has replaced. */
  'retired-boot',
  /** It does not open under the keys of the session it claims to belong to. */
  'forged',
  /** Its counter was seen before, or is too old to tell. */
  'replayed',
  /** It opens, but the peer has not yet shown that it is recent. */
  'unproven',
  /** Data of a member without a session here. */
  'unknown-sender',
  'rate-limited',
  /** All `sessionsMax` sessions are in use. */
  'sessions-full',
  /** On the way out: all `handshakesMax` handshakes are under way. */
  'handshakes-full',
  /** On the way out: more than `queuedBodiesMax` bodies waited for one handshake; the oldest went. */
  'queue-full',
  /** On the way out: the handshake took longer than `queuedBodyMs`. */
  'expired',
  /** On the way out: the directory has no exchange key of the recipient. */
  'no-key',
] as const;

export type DropReason = (typeof dropReasons)[number];

export function noDrops(): Record<DropReason, number> {
  return Object.fromEntries(dropReasons.map((reason) => [reason, 0])) as Record<DropReason, number>;
}
