/**
 * The X.509 certificate that TLS insists on. It says nothing that anybody believes: peers read the Ed25519 key
 * out of it and ask whether a certified member holds that key. So it names nobody and never expires.
 */
import { webcrypto } from 'node:crypto';
import { toHex } from '../bytes.ts';
import { sha256, signingKeyFrom } from '../crypto.ts';

export interface TlsIdentity {
  /** The signing key, PKCS #8. Secret. */
  readonly keyPem: string;
  readonly certificatePem: string;
}

/** RFC 5280 §4.1.2.5: the date that means "no well-defined expiration". */
const neverExpires = new Date('9999-12-31T23:59:59Z');
const sinceEver = new Date('2020-01-01T00:00:00Z');
/** RFC 5280 §4.1.2.2 allows up to 20 octets; the first must stay positive. */
const serialBytes = 8;

/**
 * Makes the self-signed Ed25519 certificate (RFC 8410) of a node's signing key. The same seed gives the same
 * certificate; loading the libraries takes about 0.1 s, so store what this returns beside the key.
 */
export async function createTlsIdentity(signingSeed: Uint8Array): Promise<TlsIdentity> {
  await import('reflect-metadata');
  const { PemConverter, X509CertificateGenerator } = await import('@peculiar/x509');
  const key = signingKeyFrom(signingSeed);
  const keyPem = key.toPem();
  const algorithm = { name: 'Ed25519' };
  const privateKeyDer = PemConverter.decodeFirst(keyPem);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: `01${toHex(sha256(key.publicKey).subarray(0, serialBytes))}`,
    name: 'CN=hivemind node',
    notBefore: sinceEver,
    notAfter: neverExpires,
    signingAlgorithm: algorithm,
    keys: {
      privateKey: await webcrypto.subtle.importKey('pkcs8', privateKeyDer, algorithm, false, ['sign']),
      publicKey: await webcrypto.subtle.importKey('raw', key.publicKey, algorithm, true, ['verify']),
    },
  });
  return { keyPem, certificatePem: certificate.toString('pem') };
}
