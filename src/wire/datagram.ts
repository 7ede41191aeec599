/** What a sealed datagram's body holds: a list of messages. Numbers are never reused. */
import { bytes, type Codec, decode, encode, fixedBytes, float, list, record, uint, variants, word } from '../codec.ts';
import type { KeepAlive, KeepAliveAnswer, MachineLoad, PaneHealth } from '../control/keep-alive.ts';
import type { SwimMessage, Update } from '../swim/message.ts';
import { counter, epoch, incarnation, nodeNumber, nonce } from './fields.ts';

export type DatagramMessage = SwimMessage | KeepAlive | KeepAliveAnswer;

/** Messages in one datagram, updates and rumours in one gossip message. */
const messagesMax = 64;
const updatesMax = 256;
const rumoursMax = 64;
const rumourBytesMax = 1_200;
const unansweredMsMax = 3_600_000;

const update: Codec<Update> = record<Update>({ number: nodeNumber, incarnation, status: word('alive', 'down') });

const load: Codec<MachineLoad> = record<MachineLoad>({
  cores: uint(65_535),
  load15: float,
  memoryFreeBytes: uint(),
  memoryTotalBytes: uint(),
});

export const paneHealth: Codec<PaneHealth> = record<PaneHealth>({
  state: word('healthy', 'degraded'),
  since: counter,
  leader: nodeNumber,
});

const message: Codec<DatagramMessage> = variants<DatagramMessage>({
  ping: [1, { nonce }],
  ack: [2, { nonce, incarnation }],
  'probe-request': [3, { subject: nodeNumber }],
  accusation: [4, { subject: nodeNumber, incarnation, unansweredMs: uint(unansweredMsMax), nonce }],
  report: [5, { subject: nodeNumber, incarnation }],
  gossip: [6, { updates: list(update, updatesMax), rumours: list(bytes(rumourBytesMax), rumoursMax) }],
  'keep-alive': [7, { nonce, logIndex: counter, load }],
  'keep-alive-answer': [8, { nonce, epoch, logIndex: counter, health: paneHealth, membershipHash: fixedBytes(16) }],
});

const body: Codec<readonly DatagramMessage[]> = list(message, messagesMax);

export function encodeDatagramBody(messages: readonly DatagramMessage[]): Uint8Array {
  return encode(body, messages);
}

export function decodeDatagramBody(sealed: Uint8Array): readonly DatagramMessage[] | undefined {
  return decode(body, sealed);
}
