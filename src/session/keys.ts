/**
 * The keys of a pair of boots. Each of the two members has a static X25519 key, which its certificate names,
 * and a boot key, drawn at each start, whose public half is the boot's id. All four exchanges between them go
 * into the secret, so a session needs both keys of both ends: a stolen static key neither opens what was
 * recorded nor lets its thief pose to its owner as someone else.
 *
 * Nothing here depends on who began: handshakes from both ends at once give one session.
 */
import { ByteWriter, concatBytes } from '../bytes.ts';
import { aeadKeyBytes, type ExchangeKey, hkdf } from '../crypto.ts';
import type { Epoch, NodeNumber } from '../identity.ts';

export interface OwnKeys {
  readonly number: NodeNumber;
  readonly exchangeKey: ExchangeKey;
  readonly bootKey: ExchangeKey;
}

export interface PeerKeys {
  readonly number: NodeNumber;
  readonly exchangeKey: Uint8Array;
  readonly boot: Uint8Array;
}

/** Where keys are valid. */
export interface Scope {
  /** The cluster's id, 16 bytes. */
  readonly cluster: Uint8Array;
  readonly epoch: Epoch;
}

export interface DirectionKeys {
  readonly sending: Uint8Array;
  readonly receiving: Uint8Array;
}

/** The 128 bytes that only these two boots can compute, or nothing when one of the peer's keys is of low order. */
export function pairSecret(own: OwnKeys, peer: PeerKeys): Uint8Array | undefined {
  const ownStatic = own.exchangeKey.agree(peer.boot);
  const peerStatic = own.bootKey.agree(peer.exchangeKey);
  const statics = own.exchangeKey.agree(peer.exchangeKey);
  const boots = own.bootKey.agree(peer.boot);
  if (!ownStatic || !peerStatic || !statics || !boots) return undefined;
  const [lowStatic, highStatic] = own.number < peer.number ? [ownStatic, peerStatic] : [peerStatic, ownStatic];
  return concatBytes(statics, lowStatic, highStatic, boots);
}

/** HKDF-SHA-256 (RFC 5869) over a pair's secret: 32 bytes from the lower number to the higher, 32 bytes back. */
export function directionKeys(secret: Uint8Array, own: OwnKeys, peer: PeerKeys, scope: Scope): DirectionKeys {
  const ends = [
    { number: own.number, boot: own.bootKey.publicKey },
    { number: peer.number, boot: peer.boot },
  ] as const;
  const [low, high] = own.number < peer.number ? ends : ([ends[1], ends[0]] as const);
  const salt = new ByteWriter().raw(scope.cluster).u32(scope.epoch).finish();
  const info = new ByteWriter('hivemind/datagram/1').u32(low.number).u32(high.number).raw(low.boot).raw(high.boot);
  const keys = hkdf(secret, salt, info.finish(), 2 * aeadKeyBytes);
  const [lowToHigh, highToLow] = [keys.subarray(0, aeadKeyBytes), keys.subarray(aeadKeyBytes)];
  return own.number < peer.number
    ? { sending: lowToHigh, receiving: highToLow }
    : { sending: highToLow, receiving: lowToHigh };
}
