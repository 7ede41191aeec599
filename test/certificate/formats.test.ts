/** The examples in docs/formats.md are what this version writes: the canonical encodings never drift. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { toHex, utf8 } from '../../src/bytes.ts';
import { verifyCertificate } from '../../src/certificate/certificate.ts';
import { decodeGenesis, encodeGenesis } from '../../src/certificate/genesis.ts';
import { verifyJoinRequest } from '../../src/certificate/join-request.ts';
import { signLocator, verifyLocator } from '../../src/certificate/locator.ts';
import { signRecovery, verifyRecovery } from '../../src/certificate/recovery.ts';
import { recoveryKeyText } from '../../src/certificate/recovery-key.ts';
import { encodeStatement } from '../../src/certificate/statement.ts';
import { parseToken, tokenText } from '../../src/certificate/token.ts';
import { signConfig } from '../../src/config/config.ts';
import { chainHash, chainStart } from '../../src/seam/log-store.ts';
import { encodeCommand } from '../../src/wire/command.ts';
import {
  atlasSeed,
  clusterId,
  Founders,
  filled,
  firstTokenSeed,
  foundedAt,
  recoverySeed,
  role,
  signingKey,
} from './cluster.ts';

const document = readFileSync(new URL('../../docs/formats.md', import.meta.url), 'utf8');
const examples = new Map(
  [...document.matchAll(/^```text\n([^\n]+)\n([^`]+)\n```$/gm)].map(([, name, body]) => [
    name,
    body?.replaceAll('\n', ''),
  ]),
);

function example(name: string): Uint8Array {
  const hex = examples.get(name);
  assert(hex !== undefined && /^([0-9a-f]{2})+$/.test(hex), `docs/formats.md has no example "${name}"`);
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

const founders = new Founders(3);
const locator = signLocator(signingKey(atlasSeed), clusterId, 1, [
  { host: '10.0.0.21', port: 7100 },
  { host: 'fd00::21', port: 7100 },
]);
const dns = role('dns', { requires: ['host'], bootstrapFrom: ['dns', 'host'], consumes: ['host'] });
const value = Uint8Array.of(0x81, 0xa1, 0x61, 0x01);
const payload = encodeCommand({ kind: 'withdraw-admission', at: foundedAt, number: 4 });
const firstHash = chainHash(chainStart, { index: 1, term: 1, kind: 'opening', payload: new Uint8Array(0) });

const written: Readonly<Record<string, Uint8Array>> = {
  genesis: encodeGenesis(founders.genesis),
  'genesis hash': founders.hash,
  'admit statement': encodeStatement(founders.admission()),
  'remove statement': encodeStatement(founders.removal()),
  'certificate of the admission': founders.certificate(founders.admission(), [1, 2]).bytes,
  'certificate of the removal': founders.certificate(founders.removal(), [1, 2]).bytes,
  recovery: signRecovery(founders.recovery(founders.charter), signingKey(recoverySeed), signingKey(1)),
  locator: locator.bytes,
  'join request': founders.joinRequest({ roles: [role('host'), dns], locator }).bytes,
  'config signature': signConfig(signingKey(atlasSeed), clusterId, { owner: 4, role: 'host', seq: 1, value }).signature,
  'payload of entry 2': payload,
  'hash of entry 1': firstHash,
  'hash of entry 2': chainHash(firstHash, { index: 2, term: 1, kind: 'command', payload }),
};

for (const [name, bytes] of Object.entries(written)) {
  test(`the ${name} is written as docs/formats.md shows it`, () => {
    assert.equal(toHex(bytes), toHex(example(name)));
  });
}

test('the token is written as docs/formats.md shows it', () => {
  assert.equal(tokenText(filled(32, firstTokenSeed), clusterId, founders.hash), examples.get('token'));
});

test('the recovery key is written as docs/formats.md shows it', () => {
  assert.equal(recoveryKeyText(filled(32, recoverySeed), founders.genesis), examples.get('recovery key'));
});

test('every example is checked', () => {
  assert.deepEqual([...examples.keys()].sort(), [...Object.keys(written), 'token', 'recovery key'].sort());
});

test('the examples of docs/formats.md are read', () => {
  assert.deepEqual(decodeGenesis(example('genesis')), founders.genesis);
  const admission = verifyCertificate(example('certificate of the admission'), founders.set);
  assert.deepEqual(admission?.statement, founders.admission());
  assert.equal(verifyCertificate(example('certificate of the removal'), founders.set)?.statement.kind, 'remove');
  assert.equal(verifyRecovery(example('recovery'), founders.genesis)?.statement.node.name, 'control-1');
  assert.equal(verifyLocator(example('locator'), clusterId)?.version, 1);
  assert.equal(verifyJoinRequest(example('join request'), clusterId, founders.hash)?.name, 'atlas');
  assert.equal(toHex(parseToken(examples.get('token') ?? '').genesisHash), toHex(founders.hash));
});

test('a statement laid out by hand, field after field, is the one in docs/formats.md', () => {
  const text = (words: string): string => toHex(Uint8Array.of(0, words.length)) + toHex(utf8(words));
  const { signingKey: key, exchangeKey } = founders.admission();
  const keys = toHex(key) + toHex(exchangeKey);
  const head = `${text('hivemind/admit/1')}${'cc'.repeat(16)}00000001${'00000000'}00000004${text('atlas')}`;
  const times = [foundedAt, foundedAt + 86_400_000].map((each) => each.toString(16).padStart(12, '0')).join('');
  assert.equal(`${head}${keys}02${text('host')}${text('dns')}${times}`, toHex(example('admit statement')));
});
