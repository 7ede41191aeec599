/** What a sealed datagram's body holds: a list of messages. Numbers are never reused. */
import {
  bool,
  bytes,
  type Codec,
  decode,
  encode,
  fixedBytes,
  float,
  list,
  optional,
  record,
  uint,
  variants,
  word,
} from '../codec.ts';
import {
  changesMax,
  type KeepAlive,
  type KeepAliveAnswer,
  type MachineLoad,
  type PaneHealth,
  type SilentControlNode,
  silentControlNodesMax,
  type ViewChanges,
  votings,
} from '../control/keep-alive.ts';
import type { WallMs } from '../identity.ts';
import type { RaftMessage } from '../raft/message.ts';
import type { SwimMessage, Update } from '../swim/message.ts';
import { counter, incarnation, nodeNumber, nodeNumberOrNone, nonce } from './fields.ts';
import { raftMessage } from './raft.ts';
import { slice } from './slice.ts';

/** A message between control nodes: by stream alone, loss that TCP mends too slowly would cost the pane its leader. */
export interface RaftDatagram {
  readonly kind: 'raft';
  readonly message: RaftMessage;
  /** Whether such a datagram of the receiver's came lately: then these pass both ways. */
  readonly heard: boolean;
  /** The sender's time of day. */
  readonly wall: WallMs;
}

export type DatagramMessage = SwimMessage | KeepAlive | KeepAliveAnswer | RaftDatagram;

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

/** Bytes by which a member and the pane compare what the member should know. */
export const viewHashBytes = 8;

const viewChanges: Codec<ViewChanges> = record<ViewChanges>({
  reaches: counter,
  updates: list(update, changesMax),
  removed: list(nodeNumber, changesMax),
  admitted: list(nodeNumber, changesMax),
  slice: optional(slice),
  resync: bool,
});

export const paneHealth: Codec<PaneHealth> = record<PaneHealth>({
  state: word('healthy', 'degraded'),
  since: counter,
  leader: nodeNumberOrNone,
  silent: list(record<SilentControlNode>({ number: nodeNumber, since: counter }), silentControlNodesMax),
  voting: word(...votings),
});

const message: Codec<DatagramMessage> = variants<DatagramMessage>({
  ping: [1, { nonce }],
  ack: [2, { nonce, incarnation }],
  'probe-request': [3, { subject: nodeNumber }],
  accusation: [4, { subject: nodeNumber, incarnation, unansweredMs: uint(unansweredMsMax), nonce }],
  report: [5, { subject: nodeNumber, incarnation, evidence: word('silent', 'refused', 'lossy') }],
  gossip: [6, { updates: list(update, updatesMax), rumours: list(bytes(rumourBytesMax), rumoursMax) }],
  'keep-alive': [7, { nonce, logIndex: counter, viewHash: fixedBytes(viewHashBytes), load }],
  'keep-alive-answer': [
    8,
    { nonce, charter: counter, logIndex: counter, health: paneHealth, size: counter, changes: optional(viewChanges) },
  ],
  'stream-closed': [9, { subject: nodeNumber }],
  raft: [10, { message: raftMessage, heard: bool, wall: counter }],
});

const body: Codec<readonly DatagramMessage[]> = list(message, messagesMax);

export function encodeDatagramBody(messages: readonly DatagramMessage[]): Uint8Array {
  return encode(body, messages);
}

export function decodeDatagramBody(sealed: Uint8Array): readonly DatagramMessage[] | undefined {
  return decode(body, sealed);
}
