/**
 * A recovery: the way out when a majority of the control nodes is lost for good. It amends the charter as an epoch and
 * a control set do, and nobody is left whose majority could sign it. So two others sign: the *recovery key*, of which
 * the genesis holds the public half and somebody keeps the private half away from all machines, and the one node that
 * goes on. A minority of control nodes alone, be it taken over, can never make itself the whole.
 */
import { ByteReader, ByteWriter } from '../bytes.ts';
import { hashBytes, type SigningKey, sha256, signatureBytes, verifySignature } from '../crypto.ts';
import type { LogIndex, WallMs } from '../identity.ts';
import {
  type ControlNode,
  clusterIdBytes,
  type Genesis,
  isControlNode,
  readControlNode,
  writeControlNode,
} from './genesis.ts';
import type { Amending } from './statement.ts';

/** Numbers that are left out: the lost control nodes may have given out those behind the last one that is known. */
export const numbersSkipped = 65_536;
/**
 * Indexes of the event log that are left out, for the same reason, and because members who know a higher one than their
 * pane has are told nothing. A snapshot may be old: at 6,000 entries a second so many take 19 days.
 */
export const indexesSkipped = 10_000_000_000;

/** "The others are lost. It is this epoch now, this node signs alone, and of those before only these belong." */
export interface RecoveryStatement extends Amending {
  readonly kind: 'recovery';
  /** The set that is lost, and does not sign; the node's own has the next index. */
  readonly controlSet: number;
  /** SHA-256 of the numbers that belong, as a set of numbers is encoded. */
  readonly membersHash: Uint8Array;
  readonly at: WallMs;
  /**
   * The last entry of the event log that was kept, or, if that is higher, where the log of an earlier recovery went on
   * that is not in it; and the hash chain up to the one that was kept.
   */
  readonly lastIndex: LogIndex;
  readonly lastChain: Uint8Array;
  /** Who goes on: a member, under its number, or a new node. Like those of the genesis it needs no certificate. */
  readonly node: ControlNode;
}

export interface Recovery {
  readonly statement: RecoveryStatement;
  /** Of the statement: the charter's head from then on, and what the event log goes on from. */
  readonly hash: Uint8Array;
}

const label = 'hivemind/recovery/1';

/** @returns the recovery as it travels */
export function signRecovery(statement: RecoveryStatement, recovery: SigningKey, node: SigningKey): Uint8Array {
  const signed = encodeRecovery(statement);
  return new ByteWriter().bytes(signed).raw(recovery.sign(signed)).raw(node.sign(signed)).finish();
}

/** The recovery in a peer's bytes, or nothing unless the genesis's recovery key and its own node signed it. */
export function verifyRecovery(bytes: Uint8Array, { cluster, recoveryKey }: Genesis): Recovery | undefined {
  const input = new ByteReader(bytes);
  const signed = input.bytes();
  const [byKey, byNode] = [input.raw(signatureBytes), input.raw(signatureBytes)];
  const statement = input.done ? decodeRecovery(signed) : undefined;
  if (statement === undefined || Buffer.compare(statement.cluster, cluster) !== 0) return undefined;
  if (!verifySignature(recoveryKey, signed, byKey)) return undefined;
  if (!verifySignature(statement.node.signingKey, signed, byNode)) return undefined;
  return { statement, hash: sha256(signed) };
}

/** The recovery that these bytes claim to be, unverified; nothing when they are another kind of amendment. */
export function recoveryIn(bytes: Uint8Array): RecoveryStatement | undefined {
  return decodeRecovery(new ByteReader(bytes).bytes());
}

/** Where the event log goes on. */
export function resumedIndex({ lastIndex }: RecoveryStatement): LogIndex {
  return lastIndex + indexesSkipped;
}

function encodeRecovery(statement: RecoveryStatement): Uint8Array {
  const { cluster, epoch, controlSet, amendment, previous, nextNumber, membersHash } = statement;
  const out = new ByteWriter(label).raw(cluster).u32(epoch).u32(controlSet);
  out.u32(amendment).raw(previous).u32(nextNumber).raw(membersHash);
  out.u48(statement.at).u48(statement.lastIndex).raw(statement.lastChain);
  writeControlNode(out, statement.node);
  return out.finish();
}

function decodeRecovery(bytes: Uint8Array): RecoveryStatement | undefined {
  const input = new ByteReader(bytes);
  if (input.text() !== label) return undefined;
  const statement = {
    kind: 'recovery',
    ...{ cluster: input.raw(clusterIdBytes), epoch: input.u32(), controlSet: input.u32() },
    ...{ amendment: input.u32(), previous: input.raw(hashBytes), nextNumber: input.u32() },
    ...{ membersHash: input.raw(hashBytes), at: input.u48() },
    ...{ lastIndex: input.u48(), lastChain: input.raw(hashBytes) },
    node: readControlNode(input),
  } as const;
  return input.done && isControlNode(statement.node) ? statement : undefined;
}
