/** What nodes of the hivemind arm send each other; all but `datagram` goes over streams. */
import type { NodeNumber } from '../../identity.ts';
import type { Update } from '../../swim/message.ts';
import type { Slice } from '../../swim/slice.ts';
import type { SizedMessage } from './wire-sizes.ts';

export type HivemindPacket =
  /** `process` stands for the boot id, which the keys of the session prove. */
  | { readonly kind: 'datagram'; readonly process: number; readonly messages: readonly SizedMessage[] }
  /** The leader's entry, at another control node. */
  | { readonly kind: 'entry'; readonly admitted: readonly NodeNumber[]; readonly updates: readonly Update[] }
  | { readonly kind: 'join-ask' }
  | {
      readonly kind: 'digest';
      readonly logIndex: number;
      readonly members: readonly Update[];
      readonly slice: Slice | undefined;
    }
  | { readonly kind: 'return-ask'; readonly process: number }
  | { readonly kind: 'returned'; readonly update: Update };

/** A TLS 1.3 handshake, mutual, with self-signed Ed25519 certificates, and the frames of hello and welcome. */
export const handshakeBytes = 2_400;
/** One request and its answer without what they carry. */
export const exchangeBytes = 60;
/** A certificate with a majority's signatures, and a locator, by which one member gets to know another. */
export const memberFactsBytes = 460;
/** An entry for one subject to one follower, with the term and the index around it. */
export const entryBytes = 60;
export const updateBytes = 12;
