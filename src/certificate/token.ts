/**
 * A join token is a signing key, the cluster's id and the hash of the genesis: the pane stores the public half
 * alone, whoever relays a join can steal nothing, and the joiner knows that it talks to the right cluster.
 */
import { ByteReader, concatBytes, equalBytes, fromBase64Url, toBase64Url } from '../bytes.ts';
import { hashBytes, type SigningKey, seedBytes, sha256, signingKeyFrom } from '../crypto.ts';
import { HivemindError } from '../error.ts';
import { clusterIdBytes } from './genesis.ts';

export interface JoinToken {
  readonly key: SigningKey;
  /** The cluster's id: a joiner names it before it has seen the genesis. */
  readonly cluster: Uint8Array;
  readonly genesisHash: Uint8Array;
}

/** What the text of each begins with. */
export const tokenPrefix = 'hm1.';
const checkBytes = 4;

function checkOf(body: Uint8Array): Uint8Array {
  return sha256(body).subarray(0, checkBytes);
}

/** The text that a user copies: prefix, seed, cluster, genesis hash, and four bytes that betray a typing error. */
export function tokenText(seed: Uint8Array, cluster: Uint8Array, genesisHash: Uint8Array): string {
  const body = concatBytes(seed, cluster, genesisHash);
  return tokenPrefix + toBase64Url(concatBytes(body, checkOf(body)));
}

/** @throws HivemindError `token-invalid` */
export function parseToken(text: string): JoinToken {
  const bytes = text.startsWith(tokenPrefix) ? fromBase64Url(text.slice(tokenPrefix.length)) : undefined;
  const input = new ByteReader(bytes ?? new Uint8Array(0));
  const parts = { seed: input.raw(seedBytes), cluster: input.raw(clusterIdBytes), genesisHash: input.raw(hashBytes) };
  const check = input.raw(checkBytes);
  if (!input.done) {
    throw new HivemindError('token-invalid', 'The join token is not one; copy all of it, from "hm1." to its end.');
  }
  if (!equalBytes(check, checkOf(concatBytes(parts.seed, parts.cluster, parts.genesisHash)))) {
    throw new HivemindError('token-invalid', 'The join token has a typing error; copy it again, whole.');
  }
  return { key: signingKeyFrom(parts.seed), cluster: parts.cluster, genesisHash: parts.genesisHash };
}
