/** A certificate: a statement with the signatures of a majority of a control set. */
import { ByteReader, ByteWriter, equalBytes } from '../bytes.ts';
import { type SigningKey, signatureBytes, verifySignature } from '../crypto.ts';
import type { NodeNumber } from '../identity.ts';
import { controlNodesMax, type Genesis } from './genesis.ts';
import { type AdmitStatement, decodeStatement, encodeStatement, type Statement } from './statement.ts';

/** The keys that may sign, and how many of them must. */
export interface ControlSet {
  /** 0 for the genesis's; a statement names the set that signs it. */
  readonly index: number;
  readonly cluster: Uint8Array;
  readonly signingKeys: ReadonlyMap<NodeNumber, Uint8Array>;
}

/** One control node's signature over a statement. */
export interface Share {
  readonly signer: NodeNumber;
  readonly signature: Uint8Array;
}

export interface Certificate<S extends Statement = Statement> {
  readonly statement: S;
  /** The whole certificate as it travels. */
  readonly bytes: Uint8Array;
}

export function controlSetOf(genesis: Genesis): ControlSet {
  const signingKeys = new Map(genesis.control.map((node) => [node.number, node.signingKey]));
  return { index: 0, cluster: genesis.cluster, signingKeys };
}

/** More than half: of 3, 4 and 5 control nodes 2, 3 and 3 (HM-5). */
export function majorityOf(size: number): number {
  return Math.floor(size / 2) + 1;
}

export function signShare(key: SigningKey, signer: NodeNumber, statement: Statement): Share {
  return { signer, signature: key.sign(encodeStatement(statement)) };
}

export function verifyShare(share: Share, statement: Statement, set: ControlSet): boolean {
  const key = set.signingKeys.get(share.signer);
  return key !== undefined && verifySignature(key, encodeStatement(statement), share.signature);
}

export function assembleCertificate<S extends Statement>(statement: S, shares: readonly Share[]): Certificate<S> {
  const out = new ByteWriter().bytes(encodeStatement(statement)).u8(shares.length);
  const ordered = [...shares].sort((a, b) => a.signer - b.signer);
  for (const share of ordered) out.u32(share.signer).raw(share.signature);
  return { statement, bytes: out.finish() };
}

/**
 * The certificate in a peer's bytes, or nothing unless a majority of `set` signed exactly these bytes. No share
 * may be wrong, doubled or out of order: nobody but the signers can make another certificate of one that stands.
 * Whether its time, epoch and number still hold is the caller's to judge.
 */
export function verifyCertificate(bytes: Uint8Array, set: ControlSet): Certificate | undefined {
  return verifyBySet(bytes, (index) => (index === set.index ? set : undefined));
}

/** The same where several sets have signed in turn: the statement names its own. */
export function verifyBySet(
  bytes: Uint8Array,
  setAt: (index: number) => ControlSet | undefined,
): Certificate | undefined {
  const input = new ByteReader(bytes);
  const signed = input.bytes();
  const count = input.u8();
  if (count > controlNodesMax) return undefined;
  const shares = Array.from({ length: count }, () => ({ signer: input.u32(), signature: input.raw(signatureBytes) }));
  const statement = input.done ? decodeStatement(signed) : undefined;
  const set = statement === undefined ? undefined : setAt(statement.controlSet);
  if (statement === undefined || set === undefined || !equalBytes(statement.cluster, set.cluster)) return undefined;
  if (count < majorityOf(set.signingKeys.size)) return undefined;
  let last = 0;
  for (const { signer, signature } of shares) {
    const key = set.signingKeys.get(signer);
    if (key === undefined || signer <= last || !verifySignature(key, signed, signature)) return undefined;
    last = signer;
  }
  return { statement, bytes };
}

export function isAdmission(certificate: Certificate | undefined): certificate is Certificate<AdmitStatement> {
  return certificate?.statement.kind === 'admit';
}
