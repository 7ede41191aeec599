/**
 * A signing key for people to keep and to copy: a prefix that says what it is for, then seed, cluster, genesis hash and
 * four bytes that betray a typing error, in base64url.
 */
import { ByteReader, concatBytes, equalBytes, fromBase64Url, toBase64Url } from '../bytes.ts';
import { hashBytes, type SigningKey, seedBytes, sha256, signingKeyFrom } from '../crypto.ts';
import { clusterIdBytes } from './genesis.ts';

export interface ClusterSecret {
  readonly key: SigningKey;
  /** The id of the cluster that it is of. */
  readonly cluster: Uint8Array;
  readonly genesisHash: Uint8Array;
}

const checkBytes = 4;

function checkOf(body: Uint8Array): Uint8Array {
  return sha256(body).subarray(0, checkBytes);
}

export function secretText(prefix: string, seed: Uint8Array, cluster: Uint8Array, genesisHash: Uint8Array): string {
  const body = concatBytes(seed, cluster, genesisHash);
  return prefix + toBase64Url(concatBytes(body, checkOf(body)));
}

/** `foreign`: this is none, or not all of one. `mistyped`: a character of it is wrong. */
export function parseSecret(prefix: string, text: string): ClusterSecret | 'foreign' | 'mistyped' {
  const bytes = text.startsWith(prefix) ? fromBase64Url(text.slice(prefix.length)) : undefined;
  const input = new ByteReader(bytes ?? new Uint8Array(0));
  const parts = { seed: input.raw(seedBytes), cluster: input.raw(clusterIdBytes), genesisHash: input.raw(hashBytes) };
  const check = input.raw(checkBytes);
  if (!input.done) return 'foreign';
  if (!equalBytes(check, checkOf(concatBytes(parts.seed, parts.cluster, parts.genesisHash)))) return 'mistyped';
  return { key: signingKeyFrom(parts.seed), cluster: parts.cluster, genesisHash: parts.genesisHash };
}
