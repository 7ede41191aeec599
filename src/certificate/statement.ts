/** What a majority of control nodes signs: that a node belongs, or that it no longer does. */
import { ByteReader, ByteWriter } from '../bytes.ts';
import { publicKeyBytes } from '../crypto.ts';
import { type Epoch, isLabel, type NodeNumber, rolesPerNodeMax, type WallMs } from '../identity.ts';
import { clusterIdBytes } from './genesis.ts';

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

export type Statement = AdmitStatement | RemoveStatement;

const labels = { admit: 'hivemind/admit/1', remove: 'hivemind/remove/1' } as const;

export function encodeStatement(statement: Statement): Uint8Array {
  const out = new ByteWriter(labels[statement.kind]).raw(statement.cluster);
  out.u32(statement.epoch).u32(statement.controlSet).u32(statement.number);
  if (statement.kind === 'remove') return out.u8(removalReasons.indexOf(statement.reason)).finish();
  out.text(statement.name).raw(statement.signingKey).raw(statement.exchangeKey);
  out.u8(statement.roles.length);
  for (const role of statement.roles) out.text(role);
  return out.u48(statement.notBefore).u48(statement.notAfter).finish();
}

export function decodeStatement(bytes: Uint8Array): Statement | undefined {
  const input = new ByteReader(bytes);
  const label = input.text();
  const head = {
    cluster: input.raw(clusterIdBytes),
    epoch: input.u32(),
    controlSet: input.u32(),
    number: input.u32(),
  };
  if (label === labels.remove) {
    const reason = removalReasons[input.u8()];
    return input.done && reason !== undefined ? { kind: 'remove', ...head, reason } : undefined;
  }
  return label === labels.admit ? readAdmission(input, head) : undefined;
}

type Head = Pick<Statement, 'cluster' | 'epoch' | 'controlSet' | 'number'>;

function readAdmission(input: ByteReader, head: Head): AdmitStatement | undefined {
  const name = input.text();
  const signingKey = input.raw(publicKeyBytes);
  const exchangeKey = input.raw(publicKeyBytes);
  const roleCount = input.u8();
  if (roleCount > rolesPerNodeMax) return undefined;
  const roles = Array.from({ length: roleCount }, () => input.text());
  const notBefore = input.u48();
  const notAfter = input.u48();
  if (!input.done || !isLabel(name) || !roles.every(isLabel)) return undefined;
  return { kind: 'admit', ...head, name, signingKey, exchangeKey, roles, notBefore, notAfter };
}
