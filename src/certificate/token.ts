/**
 * A join token is a signing key, the cluster's id and the hash of the genesis: the pane stores the public half
 * alone, whoever relays a join can steal nothing, and the joiner knows that it talks to the right cluster, which it
 * must name before it has seen the genesis.
 */
import { HivemindError } from '../error.ts';
import { type ClusterSecret, parseSecret, secretText } from './secret-text.ts';

export type JoinToken = ClusterSecret;

/** What the text of each begins with. */
export const tokenPrefix = 'hm1.';

/** The text that a user copies. */
export function tokenText(seed: Uint8Array, cluster: Uint8Array, genesisHash: Uint8Array): string {
  return secretText(tokenPrefix, seed, cluster, genesisHash);
}

/** @throws HivemindError `token-invalid` */
export function parseToken(text: string): JoinToken {
  const token = parseSecret(tokenPrefix, text);
  if (token === 'foreign') {
    throw new HivemindError('token-invalid', 'The join token is not one; copy all of it, from "hm1." to its end.');
  }
  if (token === 'mistyped') {
    throw new HivemindError('token-invalid', 'The join token has a typing error; copy it again, whole.');
  }
  return token;
}
