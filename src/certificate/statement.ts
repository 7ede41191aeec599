/** What a majority of control nodes signs: who belongs, who no longer does, who signs from now on, and a new epoch. */
import { unreachable } from '../assert.ts';
import { ByteReader, ByteWriter, toHex } from '../bytes.ts';
import { hashBytes, publicKeyBytes } from '../crypto.ts';
import { type Epoch, isLabel, type NodeNumber, rolesPerNodeMax, type WallMs } from '../identity.ts';
import { clusterIdBytes, controlNodesMax } from './genesis.ts';

/** Why a number was removed for good. */
export const removalReasons = ['left', 'removed', 'reaped'] as const;
export type RemovalReason = (typeof removalReasons)[number];

/** "This number is this name with these keys and roles." No addresses: those change, and a locator has them. */
export interface AdmitStatement {
  readonly kind: 'admit';
  readonly cluster: Uint8Array;
  readonly epoch: Epoch;
  /** Which control set signs: 0 is the genesis's. */
  readonly controlSet: number;
  readonly number: NodeNumber;
  readonly name: string;
  readonly signingKey: Uint8Array;
  readonly exchangeKey: Uint8Array;
  readonly roles: readonly string[];
  readonly notBefore: WallMs;
  readonly notAfter: WallMs;
}

/** "This number does not belong any more, and never will again." */
export interface RemoveStatement {
  readonly kind: 'remove';
  readonly cluster: Uint8Array;
  readonly epoch: Epoch;
  readonly controlSet: number;
  readonly number: NodeNumber;
  readonly reason: RemovalReason;
}

/** What every amendment of the charter says. */
export interface Amending {
  readonly cluster: Uint8Array;
  readonly epoch: Epoch;
  /** The set that signs: the one before, where this makes another. */
  readonly controlSet: number;
  /** Its place among the amendments of the charter, from 1. */
  readonly amendment: number;
  /** The hash of the amendment before it, or of the genesis: a charter does not fork. */
  readonly previous: Uint8Array;
  /** Numbers from this on are given out under it: whoever signed before cannot admit them any more. */
  readonly nextNumber: NodeNumber;
}

/** What a control node signs by, and is spoken to by. */
export interface ControlKeys {
  readonly number: NodeNumber;
  readonly name: string;
  readonly signingKey: Uint8Array;
  readonly exchangeKey: Uint8Array;
}

/** "From now on these sign." The set has the index after the one that signs this. */
export interface ControlSetStatement extends Amending {
  readonly kind: 'control-set';
  /** By ascending number, 1 to 9. */
  readonly nodes: readonly ControlKeys[];
}

/** "From now on it is this epoch; of those admitted before, only these belong." What was removed can be forgotten. */
export interface EpochStatement extends Amending {
  readonly kind: 'epoch';
  /** SHA-256 of the numbers that belong, as a set of numbers is encoded. */
  readonly membersHash: Uint8Array;
  /** When it was asked for, by the time of the log: whoever hears of it late must not take it for new. */
  readonly at: WallMs;
}

/** Changes what the genesis says: each is signed by the control set that was in force before it. */
export type Amendment = ControlSetStatement | EpochStatement;

/** About one member. */
export type MemberStatement = AdmitStatement | RemoveStatement;

export type Statement = MemberStatement | Amendment;

const labels = {
  admit: 'hivemind/admit/1',
  remove: 'hivemind/remove/1',
  'control-set': 'hivemind/control-set/1',
  epoch: 'hivemind/epoch/1',
} as const;

export function encodeStatement(statement: Statement): Uint8Array {
  const out = new ByteWriter(labels[statement.kind]).raw(statement.cluster);
  out.u32(statement.epoch).u32(statement.controlSet);
  switch (statement.kind) {
    case 'admit':
      return writeAdmission(out.u32(statement.number), statement).finish();
    case 'remove':
      return out.u32(statement.number).u8(removalReasons.indexOf(statement.reason)).finish();
    case 'control-set':
      return writeNodes(writePlace(out, statement), statement).finish();
    case 'epoch':
      return writePlace(out, statement).raw(statement.membersHash).u48(statement.at).finish();
    default:
      return unreachable(statement);
  }
}

function writeAdmission(out: ByteWriter, statement: AdmitStatement): ByteWriter {
  out.text(statement.name).raw(statement.signingKey).raw(statement.exchangeKey);
  out.u8(statement.roles.length);
  for (const role of statement.roles) out.text(role);
  return out.u48(statement.notBefore).u48(statement.notAfter);
}

function writePlace(out: ByteWriter, { amendment, previous, nextNumber }: Amendment): ByteWriter {
  return out.u32(amendment).raw(previous).u32(nextNumber);
}

function writeNodes(out: ByteWriter, { nodes }: ControlSetStatement): ByteWriter {
  out.u8(nodes.length);
  for (const node of nodes) out.u32(node.number).text(node.name).raw(node.signingKey).raw(node.exchangeKey);
  return out;
}

export function decodeStatement(bytes: Uint8Array): Statement | undefined {
  const input = new ByteReader(bytes);
  const label = input.text();
  const head = { cluster: input.raw(clusterIdBytes), epoch: input.u32(), controlSet: input.u32() };
  switch (label) {
    case labels.admit:
      return readAdmission(input, head);
    case labels.remove:
      return readRemoval(input, head);
    case labels['control-set']:
      return readControlSet(input, head);
    case labels.epoch:
      return readEpoch(input, head);
    default:
      return undefined;
  }
}

type Head = Pick<Statement, 'cluster' | 'epoch' | 'controlSet'>;

function readRemoval(input: ByteReader, head: Head): RemoveStatement | undefined {
  const number = input.u32();
  const reason = removalReasons[input.u8()];
  return input.done && reason !== undefined ? { kind: 'remove', ...head, number, reason } : undefined;
}

function readPlace(input: ByteReader): Pick<Amendment, 'amendment' | 'previous' | 'nextNumber'> {
  return { amendment: input.u32(), previous: input.raw(hashBytes), nextNumber: input.u32() };
}

/** A key, a number or a name that counted twice would be two votes in one hand. */
function readControlSet(input: ByteReader, head: Head): ControlSetStatement | undefined {
  const place = readPlace(input);
  const count = input.u8();
  if (count < 1 || count > controlNodesMax) return undefined;
  const nodes = Array.from({ length: count }, () => ({
    number: input.u32(),
    name: input.text(),
    signingKey: input.raw(publicKeyBytes),
    exchangeKey: input.raw(publicKeyBytes),
  }));
  const isAscending = nodes.every(({ number }, at) => number > (nodes[at - 1]?.number ?? 0));
  if (!input.done || !isAscending || !nodes.every(({ name }) => isLabel(name))) return undefined;
  const keys = new Set(nodes.map(({ signingKey }) => toHex(signingKey)));
  const names = new Set(nodes.map(({ name }) => name));
  return keys.size === count && names.size === count ? { kind: 'control-set', ...head, ...place, nodes } : undefined;
}

function readEpoch(input: ByteReader, head: Head): EpochStatement | undefined {
  const place = readPlace(input);
  const membersHash = input.raw(hashBytes);
  const at = input.u48();
  return input.done ? { kind: 'epoch', ...head, ...place, membersHash, at } : undefined;
}

function readAdmission(input: ByteReader, head: Head): AdmitStatement | undefined {
  const number = input.u32();
  const name = input.text();
  const signingKey = input.raw(publicKeyBytes);
  const exchangeKey = input.raw(publicKeyBytes);
  const roleCount = input.u8();
  if (roleCount > rolesPerNodeMax) return undefined;
  const roles = Array.from({ length: roleCount }, () => input.text());
  const notBefore = input.u48();
  const notAfter = input.u48();
  if (!input.done || !isLabel(name) || !roles.every(isLabel)) return undefined;
  return { kind: 'admit', ...head, number, name, signingKey, exchangeKey, roles, notBefore, notAfter };
}
