/**
 * The cryptography that the cores are built on, as pure functions: the same input gives the same output,
 * and every key comes from a seed that the caller drew. SHA-256, HKDF-SHA-256 (RFC 5869), AES-256-GCM,
 * Ed25519 (RFC 8032) and X25519 (RFC 7748), all by node:crypto.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hash,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { assert } from './assert.ts';
import { concatBytes, toHex } from './bytes.ts';

export const seedBytes = 32;
export const publicKeyBytes = 32;
export const signatureBytes = 64;
export const hashBytes = 32;
export const aeadKeyBytes = 32;
export const aeadNonceBytes = 12;
export const aeadTagBytes = 16;

export interface SigningKey {
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
  /** PKCS #8 PEM, for the TLS stack. */
  toPem(): string;
}

export interface ExchangeKey {
  readonly publicKey: Uint8Array;
  /** The shared secret, or nothing when the peer's key is a point of low order. */
  agree(peerPublicKey: Uint8Array): Uint8Array | undefined;
}

// RFC 8410: the DER around a raw seed or public key is a constant prefix.
const ed25519Seed = Buffer.from('302e020100300506032b657004220420', 'hex');
const ed25519Public = Buffer.from('302a300506032b6570032100', 'hex');
const x25519Seed = Buffer.from('302e020100300506032b656e04220420', 'hex');

function privateKey(prefix: Buffer, seed: Uint8Array): KeyObject {
  assert(seed.length === seedBytes, `a key is made from ${seedBytes} bytes`);
  return createPrivateKey({ key: Buffer.concat([prefix, seed]), format: 'der', type: 'pkcs8' });
}

/** Public keys made ready for use: making one has its price. The oldest make room. */
const readyKeysMax = 1_024;
const readyKeys = new Map<string, KeyObject>();

/** As a JSON Web Key (RFC 8037): OpenSSL takes eight times as long to find out what a DER holds. */
function publicKey(curve: 'Ed25519' | 'X25519', raw: Uint8Array): KeyObject {
  const x = Buffer.from(raw).toString('base64url');
  const name = curve + x;
  const ready = readyKeys.get(name);
  if (ready !== undefined) return ready;
  const [oldest] = readyKeys.keys();
  if (readyKeys.size >= readyKeysMax) readyKeys.delete(oldest as string);
  const made = createPublicKey({ key: { kty: 'OKP', crv: curve, x }, format: 'jwk' });
  readyKeys.set(name, made);
  return made;
}

function rawPublicKey(key: KeyObject): Uint8Array {
  return Uint8Array.from(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-publicKeyBytes));
}

/** The raw key of an Ed25519 public key in DER (SubjectPublicKeyInfo), or nothing for any other kind. */
export function rawEd25519Key(spki: Uint8Array): Uint8Array | undefined {
  const der = Buffer.from(spki);
  if (der.length !== ed25519Public.length + publicKeyBytes) return undefined;
  if (!der.subarray(0, ed25519Public.length).equals(ed25519Public)) return undefined;
  return Uint8Array.from(der.subarray(ed25519Public.length));
}

export function signingKeyFrom(seed: Uint8Array): SigningKey {
  const key = privateKey(ed25519Seed, seed);
  return {
    publicKey: rawPublicKey(key),
    sign: (message) => sign(null, message, key),
    toPem: () => key.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

/** Signatures found right: certificates and locators come again with every digest. The oldest make room. */
const rightSignaturesMax = 4_096;
const rightSignatures = new Set<string>();

/** Whether `signature` is the holder's over `message`. Hostile input gives false, never an exception. */
export function verifySignature(holder: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (holder.length !== publicKeyBytes || signature.length !== signatureBytes) return false;
  const claim = toHex(sha256(holder, signature, message));
  if (rightSignatures.has(claim)) return true;
  if (!isRight(holder, message, signature)) return false;
  const [oldest] = rightSignatures;
  if (rightSignatures.size >= rightSignaturesMax) rightSignatures.delete(oldest as string);
  rightSignatures.add(claim);
  return true;
}

function isRight(holder: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(null, message, publicKey('Ed25519', holder), signature);
  } catch {
    return false;
  }
}

export function exchangeKeyFrom(seed: Uint8Array): ExchangeKey {
  const key = privateKey(x25519Seed, seed);
  return {
    publicKey: rawPublicKey(key),
    agree(peerPublicKey) {
      if (peerPublicKey.length !== publicKeyBytes) return undefined;
      try {
        return diffieHellman({ privateKey: key, publicKey: publicKey('X25519', peerPublicKey) });
      } catch {
        return undefined;
      }
    },
  };
}

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  // In one call it takes two thirds of the time, and the event log hashes each of its entries.
  if (only !== undefined && parts.length === 1) return hash('sha256', only, 'buffer');
  const hasher = createHash('sha256');
  for (const part of parts) hasher.update(part);
  return hasher.digest();
}

export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

export function hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, length));
}

/** AES-256-GCM: the ciphertext with its 16-byte tag behind it. A nonce must never repeat under one key. */
export function seal(key: Uint8Array, nonce: Uint8Array, header: Uint8Array, body: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(header);
  return concatBytes(cipher.update(body), cipher.final(), cipher.getAuthTag());
}

/** The body that `seal` took, or nothing when key, nonce, header or bytes differ in any bit. */
export function open(
  key: Uint8Array,
  nonce: Uint8Array,
  header: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < aeadTagBytes) return undefined;
  const tagAt = sealed.length - aeadTagBytes;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(header);
  decipher.setAuthTag(sealed.subarray(tagAt));
  try {
    return concatBytes(decipher.update(sealed.subarray(0, tagAt)), decipher.final());
  } catch {
    return undefined;
  }
}
