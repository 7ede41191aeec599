/**
 * The genesis: who the first control nodes are, and the key of the first join token. Its hash is what every
 * token carries and what every member trusts; nothing before the first log entry needs a certificate.
 */
import { ByteReader, ByteWriter, toHex } from '../bytes.ts';
import { publicKeyBytes, sha256 } from '../crypto.ts';
import { type Endpoint, isEndpoint, isLabel, type NodeNumber, type WallMs } from '../identity.ts';
import { readEndpoints, writeEndpoints } from './locator.ts';

export const clusterIdBytes = 16;
export const controlNodesMax = 9;

export interface ControlNode {
  readonly number: NodeNumber;
  readonly name: string;
  /** Ed25519 and X25519 public keys. */
  readonly signingKey: Uint8Array;
  readonly exchangeKey: Uint8Array;
  /** Where it was when the cluster was made; its locators say where it is. */
  readonly endpoints: readonly Endpoint[];
}

export interface Genesis {
  /** Drawn at random: two clusters never share it. */
  readonly cluster: Uint8Array;
  readonly createdAt: WallMs;
  /** Numbered 1, 2, 3 … */
  readonly control: readonly ControlNode[];
  /** The public key of the token that `init` prints, and when it stops to admit. */
  readonly firstToken: { readonly publicKey: Uint8Array; readonly notAfter: WallMs };
  /** The Ed25519 public key that signs recoveries (recovery.ts); no machine keeps the private half. */
  readonly recoveryKey: Uint8Array;
}

const label = 'hivemind/genesis/2';

export function encodeGenesis(genesis: Genesis): Uint8Array {
  const out = new ByteWriter(label).raw(genesis.cluster).u48(genesis.createdAt);
  out.raw(genesis.firstToken.publicKey).u48(genesis.firstToken.notAfter).raw(genesis.recoveryKey);
  out.u8(genesis.control.length);
  for (const node of genesis.control) writeControlNode(out, node);
  return out.finish();
}

export function writeControlNode(out: ByteWriter, node: ControlNode): void {
  out.u32(node.number).text(node.name).raw(node.signingKey).raw(node.exchangeKey);
  writeEndpoints(out, node.endpoints);
}

/** The genesis in these bytes, or nothing: a key that counted twice would be two voters in one hand. */
export function decodeGenesis(bytes: Uint8Array): Genesis | undefined {
  const input = new ByteReader(bytes);
  if (input.text() !== label) return undefined;
  const cluster = input.raw(clusterIdBytes);
  const createdAt = input.u48();
  const firstToken = { publicKey: input.raw(publicKeyBytes), notAfter: input.u48() };
  const recoveryKey = input.raw(publicKeyBytes);
  const count = input.u8();
  if (count < 1 || count > controlNodesMax) return undefined;
  const control = Array.from({ length: count }, () => readControlNode(input));
  const areNumbered = control.every(({ number }, position) => number === position + 1);
  if (!input.done || !areNumbered || !control.every(isControlNode)) return undefined;
  const isOnce = (texts: readonly string[]): boolean => new Set(texts).size === count;
  const keys = control.map((node) => toHex(node.signingKey));
  return isOnce(keys) && isOnce(control.map((node) => node.name))
    ? { cluster, createdAt, control, firstToken, recoveryKey }
    : undefined;
}

/** Whether what was read can be one. */
export function isControlNode({ number, name, endpoints }: ControlNode): boolean {
  return number > 0 && isLabel(name) && endpoints.length > 0 && endpoints.every(isEndpoint);
}

export function readControlNode(input: ByteReader): ControlNode {
  return {
    number: input.u32(),
    name: input.text(),
    signingKey: input.raw(publicKeyBytes),
    exchangeKey: input.raw(publicKeyBytes),
    endpoints: readEndpoints(input),
  };
}

export function genesisHash(genesis: Genesis): Uint8Array {
  return sha256(encodeGenesis(genesis));
}
