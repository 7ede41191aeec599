/** A locator: a node's own signed list of addresses. Anyone may relay it, nobody can forge it. */
import { ByteReader, ByteWriter } from '../bytes.ts';
import { publicKeyBytes, type SigningKey, signatureBytes, verifySignature } from '../crypto.ts';
import { type Endpoint, endpointsPerNodeMax, isEndpoint } from '../identity.ts';

export interface Locator {
  readonly signingKey: Uint8Array;
  /** Rises with each start of the node, by the time of day; the highest one holds. */
  readonly version: number;
  /** 1 to 4 addresses, the preferred first. */
  readonly endpoints: readonly Endpoint[];
  /** The whole locator as its owner signed it. */
  readonly bytes: Uint8Array;
}

const label = 'hivemind/locator/1';

export function signLocator(
  key: SigningKey,
  cluster: Uint8Array,
  version: number,
  endpoints: readonly Endpoint[],
): Locator {
  const out = new ByteWriter(label).raw(cluster).raw(key.publicKey).u48(version);
  writeEndpoints(out, endpoints);
  const signed = out.finish();
  const bytes = new ByteWriter().bytes(signed).raw(key.sign(signed)).finish();
  return { signingKey: key.publicKey, version, endpoints, bytes };
}

/** The locator in a peer's bytes, or nothing when it is malformed, of another cluster, or not signed by its key. */
export function verifyLocator(bytes: Uint8Array, cluster: Uint8Array): Locator | undefined {
  const outer = new ByteReader(bytes);
  const signed = outer.bytes();
  const signature = outer.raw(signatureBytes);
  if (!outer.done) return undefined;
  const input = new ByteReader(signed);
  if (input.text() !== label || Buffer.compare(input.raw(cluster.length), cluster) !== 0) return undefined;
  const signingKey = input.raw(publicKeyBytes);
  const version = input.u48();
  const endpoints = readEndpoints(input);
  if (!input.done || endpoints.length === 0 || !endpoints.every(isEndpoint)) return undefined;
  if (!verifySignature(signingKey, signed, signature)) return undefined;
  return { signingKey, version, endpoints, bytes };
}

export function writeEndpoints(out: ByteWriter, endpoints: readonly Endpoint[]): void {
  out.u8(endpoints.length);
  for (const endpoint of endpoints) out.text(endpoint.host).u16(endpoint.port);
}

/** At most as many endpoints as a node may have; more reads as none, which no caller accepts. */
export function readEndpoints(input: ByteReader): readonly Endpoint[] {
  const count = input.u8();
  if (count > endpointsPerNodeMax) return [];
  return Array.from({ length: count }, () => ({ host: input.text(), port: input.u16() }));
}
