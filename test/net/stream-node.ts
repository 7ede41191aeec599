/** A node with streams, as the tests of src/net need it: real sockets on loopback, no membership. */
import { signingKeyFrom } from '../../src/crypto.ts';
import type { NodeNumber } from '../../src/identity.ts';
import type { PeerClaim, PeerVerdict } from '../../src/net/stream-handshake.ts';
import { listenStreams, type StreamOptions, type TlsStreams } from '../../src/net/streams.ts';
import { createTlsIdentity, type TlsIdentity } from '../../src/net/tls-identity.ts';
import type { Clock } from '../../src/seam/clock.ts';
import { silentLogger } from '../../src/seam/logger.ts';
import type { StreamTarget } from '../../src/seam/streams.ts';

export const clock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
};

export const cluster = Buffer.alloc(16, 0xc1);
const seedOf = (number: NodeNumber): Uint8Array => Buffer.alloc(32, number);
export const keyOf = (number: NodeNumber): Uint8Array => signingKeyFrom(seedOf(number)).publicKey;
const identities = new Map<NodeNumber, Promise<TlsIdentity>>();

export function identityOf(number: NodeNumber): Promise<TlsIdentity> {
  const known = identities.get(number) ?? createTlsIdentity(seedOf(number));
  identities.set(number, known);
  return known;
}

/** Members are 1 to 9, each with the key of its number; 66 was removed; every other key is a stranger's. */
export function verifyPeer(claim: PeerClaim): PeerVerdict {
  if (Buffer.from(claim.publicKey).equals(keyOf(66))) {
    return { kind: 'refused', code: 'not-admitted', sentence: 'Node 66 was removed; join again.' };
  }
  for (let number = 1; number <= 9; number++) {
    if (Buffer.from(claim.publicKey).equals(keyOf(number))) return { kind: 'member', number };
  }
  return { kind: 'stranger' };
}

export interface Changes extends Partial<StreamOptions> {
  /** What the node calls itself, if not by the number of its key. */
  readonly number?: NodeNumber;
  readonly cluster?: Uint8Array;
}

/** Listens as the node whose key is that of this number. */
export async function listenAs(key: NodeNumber, changes: Changes = {}): Promise<TlsStreams> {
  return await listenStreams({
    host: '127.0.0.1',
    port: 0,
    tls: await identityOf(key),
    self: () => ({
      number: changes.number ?? key,
      epoch: 1,
      cluster: changes.cluster ?? cluster,
      boot: Buffer.alloc(32, key),
      credential: () => new Uint8Array(0),
    }),
    verifyPeer,
    onRequest: async (_, body) => body,
    onPost: () => {},
    clock,
    log: silentLogger,
    ...changes,
  });
}

export function targetAt(port: number, number: NodeNumber): StreamTarget {
  return { endpoints: [{ host: '127.0.0.1', port }], number, publicKey: keyOf(number) };
}
