/**
 * How long a datagram would be, without making it: msgpack's lengths, added up. A test holds this against what
 * `encodeDatagramBody` really makes of random messages.
 */
import { unreachable } from '../../assert.ts';
import type { KeepAlive, KeepAliveAnswer, PaneHealth, ViewChanges } from '../../control/keep-alive.ts';
import type { NodeNumber } from '../../identity.ts';
import { headerBytes } from '../../session/header.ts';
import type { Gossip, SwimMessage, Update } from '../../swim/message.ts';
import type { Slice } from '../../swim/slice.ts';

export type SizedMessage = SwimMessage | KeepAlive | KeepAliveAnswer;

/** The tag behind the sealed body. */
export const sealBytes = 16;

/** The UDP payload of one datagram: header, sealed body, tag. */
export function datagramBytes(messages: readonly SizedMessage[]): number {
  return headerBytes + bodyBytes(messages) + sealBytes;
}

/** The list of messages, each an array of its kind's number and its fields. */
export function bodyBytes(messages: readonly SizedMessage[]): number {
  let bytes = listHeadBytes(messages.length);
  for (const message of messages) bytes += messageBytes(message);
  return bytes;
}

/** The head of an array of fewer than 16, and the number of the kind. */
const recordHeadBytes = 1;
const taggedHeadBytes = 2;
/** A word's position in its list, a truth value, and nothing at all. */
const wordBytes = 1;
const floatBytes = 9;

function messageBytes(message: SizedMessage): number {
  switch (message.kind) {
    case 'ping':
      return taggedHeadBytes + uintBytes(message.nonce);
    case 'ack':
      return taggedHeadBytes + uintBytes(message.nonce) + uintBytes(message.incarnation);
    case 'probe-request':
    case 'stream-closed':
      return taggedHeadBytes + uintBytes(message.subject);
    case 'accusation':
      return (
        taggedHeadBytes +
        uintBytes(message.subject) +
        uintBytes(message.incarnation) +
        uintBytes(message.unansweredMs) +
        uintBytes(message.nonce)
      );
    case 'report':
      return taggedHeadBytes + uintBytes(message.subject) + uintBytes(message.incarnation) + wordBytes;
    case 'gossip':
      return taggedHeadBytes + gossipBytes(message);
    case 'keep-alive':
      return taggedHeadBytes + keepAliveBytes(message);
    case 'keep-alive-answer':
      return taggedHeadBytes + answerBytes(message);
    default:
      return unreachable(message);
  }
}

function gossipBytes({ updates, rumours }: Gossip): number {
  let bytes = updatesBytes(updates) + listHeadBytes(rumours.length);
  for (const { length } of rumours) bytes += blobBytes(length);
  return bytes;
}

function updatesBytes(updates: readonly Update[]): number {
  let bytes = listHeadBytes(updates.length);
  for (const { number, incarnation } of updates) {
    bytes += recordHeadBytes + uintBytes(number) + uintBytes(incarnation) + wordBytes;
  }
  return bytes;
}

function keepAliveBytes({ nonce, logIndex, viewHash, load }: KeepAlive): number {
  const { cores, load15, memoryFreeBytes, memoryTotalBytes } = load;
  const loadBytes =
    recordHeadBytes +
    uintBytes(cores) +
    (Number.isInteger(load15) ? uintBytes(load15) : floatBytes) +
    uintBytes(memoryFreeBytes) +
    uintBytes(memoryTotalBytes);
  return uintBytes(nonce) + uintBytes(logIndex) + blobBytes(viewHash.length) + loadBytes;
}

function answerBytes({ nonce, charter, logIndex, health, size, changes }: KeepAliveAnswer): number {
  const changesBytes = changes === undefined ? wordBytes : viewChangesBytes(changes);
  const numberBytes = uintBytes(nonce) + uintBytes(charter) + uintBytes(logIndex) + uintBytes(size);
  return numberBytes + healthBytes(health) + changesBytes;
}

function healthBytes({ since, leader, silent }: PaneHealth): number {
  let bytes = recordHeadBytes + wordBytes + uintBytes(since) + uintBytes(leader) + listHeadBytes(silent.length);
  for (const each of silent) bytes += recordHeadBytes + uintBytes(each.number) + uintBytes(each.since);
  return bytes + wordBytes;
}

function viewChangesBytes({ reaches, updates, removed, admitted, slice }: ViewChanges): number {
  const lists = updatesBytes(updates) + numbersBytes(removed) + numbersBytes(admitted);
  const sliceBytes = slice === undefined ? wordBytes : sliceLength(slice);
  return recordHeadBytes + uintBytes(reaches) + lists + sliceBytes + wordBytes;
}

function sliceLength({ subjects, observers, reserve, control, peers }: Slice): number {
  let bytes = recordHeadBytes + listHeadBytes(subjects.length);
  for (const watched of subjects) {
    bytes += recordHeadBytes + uintBytes(watched.number) + numbersBytes(watched.observers);
  }
  return bytes + numbersBytes(observers) + numbersBytes(reserve) + numbersBytes(control) + numbersBytes(peers);
}

function numbersBytes(numbers: readonly NodeNumber[]): number {
  let bytes = listHeadBytes(numbers.length);
  for (const number of numbers) bytes += uintBytes(number);
  return bytes;
}

function blobBytes(length: number): number {
  return length + (length < 0x100 ? 2 : 3);
}

/** An unsigned integer; beyond 32 bits it travels as a float. */
function uintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x100) return 2;
  if (value < 0x1_0000) return 3;
  return value < 0x1_0000_0000 ? 5 : floatBytes;
}

function listHeadBytes(length: number): number {
  if (length < 16) return 1;
  return length < 0x1_0000 ? 3 : 5;
}
