/**
 * The private half of the key that signs recoveries, as `init` writes it for its operator: text, so that it can be kept
 * in a password manager or on paper.
 */
import { equalBytes } from '../bytes.ts';
import type { SigningKey } from '../crypto.ts';
import { HivemindError } from '../error.ts';
import { type Genesis, genesisHash } from './genesis.ts';
import { parseSecret, secretText } from './secret-text.ts';

const prefix = 'hmr1.';

export function recoveryKeyText(seed: Uint8Array, genesis: Genesis): string {
  return secretText(prefix, seed, genesis.cluster, genesisHash(genesis));
}

/** @throws HivemindError `key-invalid`; `cluster-mismatch` for that of another cluster than `genesis` */
export function parseRecoveryKey(text: string, genesis: Genesis): SigningKey {
  const secret = parseSecret(prefix, text.trim());
  if (secret === 'foreign') {
    const sentence =
      'The recovery key is not one; it is what `hivemind init` wrote into recovery.key, from "hmr1." on.';
    throw new HivemindError('key-invalid', sentence);
  }
  if (secret === 'mistyped') {
    throw new HivemindError('key-invalid', 'The recovery key has a typing error; copy it again, whole.');
  }
  if (equalBytes(secret.genesisHash, genesisHash(genesis)) && equalBytes(secret.key.publicKey, genesis.recoveryKey)) {
    return secret.key;
  }
  const sentence = 'The recovery key is that of another cluster; use the one that `hivemind init` wrote for this one.';
  throw new HivemindError('cluster-mismatch', sentence);
}
