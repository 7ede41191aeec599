/**
 * The 21 bytes that open every datagram. They travel in the clear and are authenticated with whatever
 * follows them under a session's keys.
 */
import { ByteReader, ByteWriter } from '../bytes.ts';
import type { Epoch, NodeNumber } from '../identity.ts';
import type { DropReason } from './drop.ts';

/** The largest datagram that is sent or read: it fits an Ethernet frame inside IPv6 and a tunnel or two. */
export const datagramBytesMax = 1_400;
export const headerBytes = 21;
export const clusterTagBytes = 4;
/** Counters are 0 … 2^48−1; at a million packets a second they last nine years. */
export const counterMax: number = 2 ** 48 - 1;

const magic = 0x9e;
const version = 1;

/** The number of each kind on the wire. Numbers are never reused. */
const kindNumbers = { hello: 1, challenge: 2, prove: 3, data: 4, unknown: 5, accept: 6 } as const;
export type PacketKind = keyof typeof kindNumbers;
const kinds: ReadonlyMap<number, PacketKind> = new Map(
  (Object.keys(kindNumbers) as PacketKind[]).map((kind) => [kindNumbers[kind], kind]),
);

export interface Header {
  readonly kind: PacketKind;
  /** The first 4 bytes of the cluster's id: it tells clusters apart, the keys keep them apart. */
  readonly clusterTag: Uint8Array;
  readonly epoch: Epoch;
  /** The sender's. */
  readonly number: NodeNumber;
  /** The position among all that the sender sealed under these keys; 0 in packets that are not sealed. */
  readonly counter: number;
}

export function encodeHeader(header: Header): Uint8Array {
  return new ByteWriter()
    .u8(magic)
    .u8(version)
    .u8(kindNumbers[header.kind])
    .raw(header.clusterTag)
    .u32(header.epoch)
    .u32(header.number)
    .u48(header.counter)
    .finish();
}

/** The header of hostile bytes, or why they have none. */
export function decodeHeader(datagram: Uint8Array): Header | DropReason {
  if (datagram.length > datagramBytesMax) return 'too-large';
  if (datagram.length < headerBytes) return 'truncated';
  const reader = new ByteReader(datagram);
  if (reader.u8() !== magic) return 'not-hivemind';
  if (reader.u8() !== version) return 'other-version';
  const kind = kinds.get(reader.u8());
  if (kind === undefined) return 'unknown-kind';
  const clusterTag = reader.raw(clusterTagBytes);
  return { kind, clusterTag, epoch: reader.u32(), number: reader.u32(), counter: reader.u48() };
}
