/**
 * TLS as streams use it: version 1.3 only, both ends with a certificate, no authorities, no resumption. What a
 * certificate proves here is possession of its key; whose key that is, the membership knows.
 */
import { constants, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { rawEd25519Key } from '../crypto.ts';
import { HivemindError } from '../error.ts';
import type { Endpoint } from '../identity.ts';
import type { TlsIdentity } from './tls-identity.ts';

export interface TlsContext {
  readonly secure: SecureContext;
  /** This node's own raw Ed25519 key. */
  readonly publicKey: Uint8Array;
}

/** @throws HivemindError `key-invalid` */
export function tlsContext(identity: TlsIdentity): TlsContext {
  try {
    const publicKey = certifiedKey(new X509Certificate(identity.certificatePem));
    if (publicKey === undefined) throw new Error('its key is not an Ed25519 key');
    const secure = createSecureContext({
      key: identity.keyPem,
      cert: identity.certificatePem,
      minVersion: 'TLSv1.3',
      // With no tickets and no session store every connection proves its key anew.
      secureOptions: constants.SSL_OP_NO_TICKET,
    });
    return { secure, publicKey };
  } catch (cause) {
    throw new HivemindError('key-invalid', "This node's TLS certificate or key is unusable; make it anew.", cause);
  }
}

/** A peer that vanished without a word is noticed this long after its last packet, and a few probes more. */
export const keepAliveMs = 30_000;

/** Dials; `secureConnect` follows, or `error`. Never give it a `session`: a resumed peer shows no certificate. */
export function dialTls(context: TlsContext, to: Endpoint): TLSSocket {
  const stream = connect({
    host: to.host,
    port: to.port,
    secureContext: context.secure,
    rejectUnauthorized: false,
  });
  stream.setNoDelay(true);
  stream.setKeepAlive(true, keepAliveMs);
  return stream;
}

/** Answers on an accepted connection; `secure` follows, or `close`. */
export function answerTls(context: TlsContext, raw: Socket): TLSSocket {
  return new TLSSocket(raw, {
    isServer: true,
    secureContext: context.secure,
    requestCert: true,
    rejectUnauthorized: false,
  });
}

/** The Ed25519 key that the other end has proved to hold; nothing when it showed none, or one of another kind. */
export function provedKey(stream: TLSSocket): Uint8Array | undefined {
  if (stream.isSessionReused()) return undefined;
  const certificate = stream.getPeerX509Certificate();
  return certificate && certifiedKey(certificate);
}

function certifiedKey(certificate: X509Certificate): Uint8Array | undefined {
  try {
    return rawEd25519Key(certificate.publicKey.export({ format: 'der', type: 'spki' }));
  } catch {
    return undefined;
  }
}
