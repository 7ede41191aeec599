/** What a node signs itself: its locator, and its request to join by a token. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { concatBytes, equalBytes, utf8 } from '../../src/bytes.ts';
import { type JoinRequest, verifyJoinRequest } from '../../src/certificate/join-request.ts';
import { signLocator, verifyLocator } from '../../src/certificate/locator.ts';
import { parseToken, tokenText } from '../../src/certificate/token.ts';
import { HivemindError } from '../../src/error.ts';
import type { Endpoint } from '../../src/identity.ts';
import { alterations, atlasSeed, clusterId, Founders, filled, role, signingKey, truncations } from './cluster.ts';

const founders = new Founders();
const otherCluster = filled(16, 0xdd);
const empty = new Uint8Array(0);

const endpoints: readonly Endpoint[] = [
  { host: '10.0.0.21', port: 7100 },
  { host: 'fd00::21', port: 7100 },
];

describe('a locator', () => {
  const own = signLocator(signingKey(atlasSeed), clusterId, 3, endpoints);

  test('says where its owner is, to whoever knows the cluster', () => {
    assert.deepEqual(verifyLocator(own.bytes, clusterId), own);
    assert(equalBytes(own.signingKey, signingKey(atlasSeed).publicKey));
    assert.equal(verifyLocator(own.bytes, otherCluster), undefined);
  });

  test('that another key signed is none', () => {
    const other = signLocator(signingKey(9), clusterId, 3, endpoints);
    const [ownSigned, otherSignature] = [own.bytes.subarray(0, -64), other.bytes.subarray(-64)];
    assert.equal(verifyLocator(concatBytes(ownSigned, otherSignature), clusterId), undefined);
    assert.equal(
      verifyLocator(concatBytes(ownSigned, signingKey(9).sign(ownSigned.subarray(2))), clusterId),
      undefined,
    );
  });

  test('with any byte altered, cut short or prolonged is none', () => {
    for (const altered of alterations(own.bytes)) assert.equal(verifyLocator(altered, clusterId), undefined);
    for (const part of truncations(own.bytes)) assert.equal(verifyLocator(part, clusterId), undefined);
    assert.equal(verifyLocator(concatBytes(own.bytes, Uint8Array.of(0)), clusterId), undefined);
  });

  test('has 1 to 4 addresses, all of them literal and without a zone', () => {
    const verifies = (...given: readonly Endpoint[]): boolean =>
      verifyLocator(signLocator(signingKey(9), clusterId, 0, given).bytes, clusterId) !== undefined;
    const [first] = endpoints as [Endpoint];
    assert(verifies(first) && verifies(first, first, first, first));
    assert(!verifies());
    assert(!verifies(first, first, first, first, first));
    for (const host of ['', 'atlas', 'fe80::1%eth0', '[::1]', '\ufeff10.0.0.21'])
      assert(!verifies({ host, port: 7100 }), host);
    assert(!verifies({ host: '10.0.0.21', port: 0 }));
  });
});

describe('a join token', () => {
  const text = tokenText(filled(32, 0x43), clusterId, founders.hash);
  const refusedAs = (sentence: RegExp) => (thrown: unknown) => {
    assert(thrown instanceof HivemindError && thrown.code === 'token-invalid');
    assert.match(thrown.message, sentence);
    return true;
  };

  test('carries a signing key, the cluster and the hash of its genesis', () => {
    const token = parseToken(text);
    assert(equalBytes(token.key.publicKey, signingKey(0x43).publicKey));
    assert(equalBytes(token.cluster, clusterId));
    assert(equalBytes(token.genesisHash, founders.hash));
    assert.match(text, /^hm1\.[A-Za-z0-9_-]{112}$/);
  });

  test('with a typing error is refused as that, wherever the error is', () => {
    for (let at = 4; at < text.length; at++) {
      const typed = text[at] === 'A' ? 'B' : 'A';
      const mistyped = text.slice(0, at) + typed + text.slice(at + 1);
      assert.throws(() => parseToken(mistyped), refusedAs(/has a typing error; copy it again/), `character ${at}`);
    }
    const swapped = text.slice(0, 4) + [...text.slice(4)].reverse().join('');
    assert.throws(() => parseToken(swapped), refusedAs(/typing error/));
  });

  test('cut short, prolonged or not a token at all is refused as that', () => {
    const others = ['', 'hm1.', 'hm1', `${text}A`, `${text}AA`, `${text}AAAA`, ` ${text}`, `${text}\n`, text.slice(4)];
    const marred = [`hm2.${text.slice(4)}`, `HM1.${text.slice(4)}`, text.replace(/.$/, '*'), `${text}==`];
    const parts = Array.from(text, (_, length) => text.slice(0, length));
    for (const other of [...others, ...marred, ...parts]) {
      assert.throws(() => parseToken(other), refusedAs(/is not one; copy all of it, from "hm1." to its end/), other);
    }
  });
});

describe('a join request', () => {
  const roles = [
    role('nginx', { requires: ['host'], bootstrapFrom: ['nginx', 'host'], consumes: ['host'] }),
    role('host'),
  ];
  const request = founders.joinRequest({ roles });
  const verify = (bytes: Uint8Array): JoinRequest | undefined => verifyJoinRequest(bytes, clusterId, founders.hash);
  const signed = request.bytes.subarray(0, -128);
  const body = signed.subarray(2);

  test('carries what its node wishes, with the roles as their types declare them (HM-16)', () => {
    const { bytes, locator, ...fields } = request;
    const read = verify(request.bytes);
    assert.deepEqual({ ...read, bytes, locator }, { ...fields, bytes, locator });
    assert(equalBytes(read?.locator.bytes ?? empty, locator.bytes));
    assert(equalBytes(request.signingKey, signingKey(atlasSeed).publicKey));
    assert(equalBytes(request.tokenKey, signingKey(0x43).publicKey));
    assert.deepEqual(verify(founders.joinRequest({ roles: [] }).bytes)?.roles, []);
  });

  test('is signed by the key of its node and by that of its token', () => {
    const [node, token] = [signingKey(atlasSeed).sign(body), signingKey(0x43).sign(body)];
    assert(verify(concatBytes(signed, node, token)));
    const other = signingKey(9).sign(body);
    for (const pair of [
      [token, node],
      [node, node],
      [token, token],
      [other, token],
      [node, other],
    ]) {
      assert.equal(verify(concatBytes(signed, ...pair)), undefined);
    }
    assert.equal(verify(concatBytes(signed, node)), undefined);
  });

  test('for another genesis or another cluster is none', () => {
    assert.equal(verifyJoinRequest(request.bytes, clusterId, filled(32, 1)), undefined);
    assert.equal(verifyJoinRequest(request.bytes, otherCluster, founders.hash), undefined);
    const foreign = signLocator(signingKey(atlasSeed), otherCluster, 1, endpoints);
    assert.equal(verify(founders.joinRequest({ locator: foreign }).bytes), undefined);
  });

  test('with the locator of another key is none', () => {
    const locator = signLocator(signingKey(9), clusterId, 1, endpoints);
    assert.equal(verify(founders.joinRequest({ locator }).bytes), undefined);
    const unsigned = { ...locator, bytes: utf8('somewhere') };
    assert.equal(verify(founders.joinRequest({ locator: unsigned }).bytes), undefined);
  });

  test('names its roles, and those that they relate to, by labels and within limits', () => {
    const many = (count: number): string[] => Array.from({ length: count }, (_, each) => `role-${each}`);
    assert(verify(founders.joinRequest({ roles: many(16).map((name) => role(name)) }).bytes));
    assert.equal(verify(founders.joinRequest({ roles: many(17).map((name) => role(name)) }).bytes), undefined);
    assert.equal(verify(founders.joinRequest({ roles: [role('Host')] }).bytes), undefined);
    for (const field of ['requires', 'bootstrapFrom', 'consumes'] as const) {
      assert(verify(founders.joinRequest({ roles: [role('dns', { [field]: many(16) })] }).bytes), field);
      assert.equal(
        verify(founders.joinRequest({ roles: [role('dns', { [field]: many(17) })] }).bytes),
        undefined,
        field,
      );
      assert.equal(
        verify(founders.joinRequest({ roles: [role('dns', { [field]: ['a.b'] })] }).bytes),
        undefined,
        field,
      );
    }
  });

  test('with any byte altered, cut short or prolonged is none', () => {
    for (const altered of alterations(request.bytes)) assert.equal(verify(altered), undefined);
    for (const part of truncations(request.bytes)) assert.equal(verify(part), undefined);
    assert.equal(verify(concatBytes(request.bytes, Uint8Array.of(0))), undefined);
    assert.equal(verify(empty), undefined);
  });
});
