/**
 * What follows the header in each kind of packet. A layout is a pair, encode and decode, with the length that
 * it needs; `lengthFault` holds a datagram against its kind's length first, so decoding cannot fall short.
 */
import { ByteReader, ByteWriter } from '../bytes.ts';
import { aeadTagBytes, publicKeyBytes } from '../crypto.ts';
import type { NodeNumber } from '../identity.ts';
import { cookieBytes } from './cookie.ts';
import type { DropReason } from './drop.ts';
import { datagramBytesMax, headerBytes, type PacketKind } from './header.ts';

export interface Layout<T> {
  /** The least number of bytes that this takes. */
  readonly bytesMin: number;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** "I am this boot. Are you who I think lives there?" Not sealed: the two may share no keys yet. */
export interface Hello {
  /** The member that is meant. */
  readonly to: NodeNumber;
  readonly boot: Uint8Array;
  /** Random; the challenge echoes it. */
  readonly nonce: Uint8Array;
}

/** "Show that you receive at your address." The challenger keeps nothing; not sealed. */
export interface Challenge {
  readonly boot: Uint8Array;
  /** The hello's. */
  readonly nonce: Uint8Array;
  /** To be brought back within `cookieLifetimeMs`. */
  readonly cookie: Uint8Array;
}

/** "I receive there, I hold the keys, and this is why you should know me." In the clear, authenticated by its tag. */
export interface Prove {
  readonly boot: Uint8Array;
  readonly cookie: Uint8Array;
  /** Certificate and locator; opaque here. */
  readonly credential: Uint8Array;
}

/** "Your prove arrived, and I hold the keys too." Sealed. */
export interface Accept {
  /** The counter of the prove that it answers: it shows that the acceptor is recent. */
  readonly provedCounter: number;
}

/** "I cannot open what you sent." Not sealed; it counts for nothing but a reason to say hello. */
export interface Unknown {
  /** The last 16 bytes of that packet. */
  readonly tag: Uint8Array;
}

export const handshakeNonceBytes = 16;
const counterBytes = 6;
const numberBytes = 4;

const challengePayloadBytes = publicKeyBytes + handshakeNonceBytes + cookieBytes;
/** A hello is as long as the challenge that it asks for, so that nobody gains by sending one in another's name. */
const helloPaddingBytes = challengePayloadBytes - numberBytes - publicKeyBytes - handshakeNonceBytes;

export const helloLayout: Layout<Hello> = {
  bytesMin: challengePayloadBytes,
  encode: ({ to, boot, nonce }) =>
    new ByteWriter().u32(to).raw(boot).raw(nonce).raw(new Uint8Array(helloPaddingBytes)).finish(),
  decode(bytes) {
    const reader = new ByteReader(bytes);
    return { to: reader.u32(), boot: reader.raw(publicKeyBytes), nonce: reader.raw(handshakeNonceBytes) };
  },
};

export const challengeLayout: Layout<Challenge> = {
  bytesMin: challengePayloadBytes,
  encode: ({ boot, nonce, cookie }) => new ByteWriter().raw(boot).raw(nonce).raw(cookie).finish(),
  decode(bytes) {
    const reader = new ByteReader(bytes);
    const boot = reader.raw(publicKeyBytes);
    return { boot, nonce: reader.raw(handshakeNonceBytes), cookie: reader.raw(cookieBytes) };
  },
};

/** Without the tag, which follows. */
export const proveLayout: Layout<Prove> = {
  bytesMin: publicKeyBytes + cookieBytes,
  encode: ({ boot, cookie, credential }) => new ByteWriter().raw(boot).raw(cookie).raw(credential).finish(),
  decode(bytes) {
    const reader = new ByteReader(bytes);
    const boot = reader.raw(publicKeyBytes);
    const cookie = reader.raw(cookieBytes);
    return { boot, cookie, credential: reader.raw(bytes.length - proveLayout.bytesMin) };
  },
};

/** What is sealed in an accept. */
export const acceptLayout: Layout<Accept> = {
  bytesMin: counterBytes,
  encode: ({ provedCounter }) => new ByteWriter().u48(provedCounter).finish(),
  decode: (bytes) => ({ provedCounter: new ByteReader(bytes).u48() }),
};

export const unknownLayout: Layout<Unknown> = {
  bytesMin: aeadTagBytes,
  encode: ({ tag }) => tag,
  decode: (bytes) => ({ tag: new ByteReader(bytes).raw(aeadTagBytes) }),
};

export function payloadOf(datagram: Uint8Array): Uint8Array {
  return datagram.subarray(headerBytes);
}

/** The part of a prove that travels in the clear: its payload but for the tag. */
export function withoutTag(payload: Uint8Array): Uint8Array {
  return payload.subarray(0, payload.length - aeadTagBytes);
}

/** The largest body that `Sessions.send` takes. */
export const bodyBytesMax: number = datagramBytesMax - headerBytes - aeadTagBytes;
/** The largest credential that fits a prove. */
export const credentialBytesMax: number = bodyBytesMax - proveLayout.bytesMin;

interface Lengths {
  readonly min: number;
  readonly max: number;
}

const fixed = (payloadBytes: number): Lengths => ({
  min: headerBytes + payloadBytes,
  max: headerBytes + payloadBytes,
});
const atLeast = (payloadBytes: number): Lengths => ({ min: headerBytes + payloadBytes, max: datagramBytesMax });

/** The length of a whole datagram of each kind. */
export const datagramLengths: Readonly<Record<PacketKind, Lengths>> = {
  hello: fixed(helloLayout.bytesMin),
  challenge: fixed(challengeLayout.bytesMin),
  prove: atLeast(proveLayout.bytesMin + aeadTagBytes),
  data: atLeast(aeadTagBytes),
  unknown: fixed(unknownLayout.bytesMin),
  accept: fixed(acceptLayout.bytesMin + aeadTagBytes),
};

export function lengthFault(kind: PacketKind, datagramBytes: number): DropReason | undefined {
  const { min, max } = datagramLengths[kind];
  if (datagramBytes < min) return 'truncated';
  return datagramBytes > max ? 'too-large' : undefined;
}
