/**
 * What memberlist's members say, and how long it is on the wire: one byte for the type, then a msgpack map whose keys
 * are the names of the fields. Lengths follow from those names, as the wire structures are documented, with values
 * that favour memberlist: IPv4, names of ten characters, no metadata, small incarnations, no label, no encryption.
 */
import { unreachable } from '../../assert.ts';
import type { Incarnation, NodeNumber } from '../../identity.ts';
import { packetBytesMax } from './memberlist-settings.ts';

/** News of a member, passed on by everybody. */
export type MemberlistRumour =
  | { readonly kind: 'alive'; readonly subject: NodeNumber; readonly incarnation: Incarnation }
  | {
      readonly kind: 'suspect' | 'dead';
      readonly subject: NodeNumber;
      readonly incarnation: Incarnation;
      readonly accuser: NodeNumber;
    };

export type MemberlistMessage =
  | { readonly kind: 'ping' | 'ack' | 'nack'; readonly seq: number }
  | { readonly kind: 'ping-request'; readonly seq: number; readonly target: NodeNumber; readonly nack: boolean }
  | MemberlistRumour;

/** Everything in one datagram. */
export type MemberlistPacket = readonly MemberlistMessage[];

/** The type byte and the head of a map of at most 15 fields. */
const messageHeadBytes = 2;
const nameBytes = 1 + 10;
const addressBytes = 1 + 4;
const portBytes = 3;
const versionsBytes = 1 + 6;
const metadataBytes = 1;
/** Up to 65,535: 18 hours of probes. */
const seqBytes = 3;
const smallNumberBytes = 1;

/** Key and value; keys are shorter than 32 characters and so have one byte before them. */
function field(key: string, valueBytes: number): number {
  return 1 + key.length + valueBytes;
}

const seqField = field('SeqNo', seqBytes);
const nodeField = field('Node', nameBytes);
const incarnationField = field('Incarnation', smallNumberBytes);
/** Who asks, so that the answer needs no look-up. */
const sourceFields =
  field('SourceAddr', addressBytes) + field('SourcePort', portBytes) + field('SourceNode', nameBytes);
const placeFields =
  field('Addr', addressBytes) + field('Port', portBytes) + field('Meta', metadataBytes) + field('Vsn', versionsBytes);

const pingBytes = messageHeadBytes + seqField + nodeField + sourceFields;
const pingRequestBytes =
  messageHeadBytes +
  seqField +
  field('Target', addressBytes) +
  field('Port', portBytes) +
  nodeField +
  field('Nack', smallNumberBytes) +
  sourceFields;
const ackBytes = messageHeadBytes + seqField + field('Payload', smallNumberBytes);
const nackBytes = messageHeadBytes + seqField;
const aliveBytes = messageHeadBytes + incarnationField + nodeField + placeFields;
const accusationBytes = messageHeadBytes + incarnationField + nodeField + field('From', nameBytes);

export function messageBytes(message: MemberlistMessage): number {
  switch (message.kind) {
    case 'ping':
      return pingBytes;
    case 'ping-request':
      return pingRequestBytes;
    case 'ack':
      return ackBytes;
    case 'nack':
      return nackBytes;
    case 'alive':
      return aliveBytes;
    case 'suspect':
    case 'dead':
      return accusationBytes;
    default:
      return unreachable(message);
  }
}

/** Type and CRC-32 before each packet (protocol 5). */
const checksumBytes = 5;
/** Several messages share a packet behind a type and a count; each has its length before it. */
const compoundHeadBytes = 2;
const lengthBytes = 2;

/** The UDP payload. */
export function packetBytes(packet: MemberlistPacket): number {
  const messages = packet.reduce((sum, message) => sum + messageBytes(message), 0);
  return checksumBytes + messages + (packet.length > 1 ? compoundHeadBytes + lengthBytes * packet.length : 0);
}

/** What is left in a packet for news, beside these messages. */
export function roomBeside(packet: MemberlistPacket): number {
  const messages = packet.reduce((sum, message) => sum + lengthBytes + messageBytes(message), 0);
  return packetBytesMax - checksumBytes - compoundHeadBytes - messages;
}

/** What a piece of news takes of that room. */
export function rumourBytes(rumour: MemberlistRumour): number {
  return lengthBytes + messageBytes(rumour);
}

const tableHeadBytes =
  messageHeadBytes +
  field('Nodes', seqBytes) +
  field('UserStateLen', smallNumberBytes) +
  field('Join', smallNumberBytes);
const tableRowBytes = 1 + field('Name', nameBytes) + placeFields + incarnationField + field('State', smallNumberBytes);

/** One direction of a table exchange: the whole membership list, without TCP's headers. */
export function tableBytes(members: number): number {
  return tableHeadBytes + tableRowBytes * members;
}

/** A ping and its ack over a stream. */
export const streamProbeBytes: number = pingBytes + ackBytes;
