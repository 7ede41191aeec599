import type { Endpoint, NodeNumber } from '../identity.ts';

/** What the session layer asks about members: synchronous, and answered from the caller's state. */
export interface PeerDirectory {
  /** The static X25519 key of a verified certificate, or nothing when the number is unknown here or removed. */
  exchangeKeyOf(number: NodeNumber): Uint8Array | undefined;
  /**
   * Verifies the credential of a number without a key here, remembers the member and gives its static exchange
   * key; or nothing when the credential is invalid, of another number, or of a removed one.
   *
   * The sender receives at `from` but has not proven yet that the key is its own; `established` says when it has.
   */
  introduce(number: NodeNumber, credential: Uint8Array, from: Endpoint): Uint8Array | undefined;
}
