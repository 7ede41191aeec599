/** What the control nodes stand for: the genesis, the statements that they sign, and how many of them must. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter, concatBytes, equalBytes, toHex } from '../../src/bytes.ts';
import {
  assembleCertificate,
  controlSetOf,
  isAdmission,
  majorityOf,
  type Share,
  signShare,
  verifyCertificate,
  verifyShare,
} from '../../src/certificate/certificate.ts';
import {
  type ControlNode,
  decodeGenesis,
  encodeGenesis,
  type Genesis,
  genesisHash,
} from '../../src/certificate/genesis.ts';
import { decodeStatement, encodeStatement, removalReasons, type Statement } from '../../src/certificate/statement.ts';
import type { Endpoint, NodeNumber } from '../../src/identity.ts';
import { seededRandom } from '../../src/seam/random.ts';
import {
  alterations,
  atlasSeed,
  clusterId,
  exchangeKey,
  Founders,
  filled,
  foundedAt,
  signingKey,
  truncations,
} from './cluster.ts';

const founders = new Founders();
const otherCluster = filled(16, 0xdd);

/** Bytes with a few of them changed, inserted or cut, the same ones in each run. */
function mutations(bytes: Uint8Array, rounds: number): readonly Uint8Array[] {
  const random = seededRandom(bytes.length);
  return Array.from({ length: rounds }, () => {
    const at = random.below(bytes.length);
    const end = at + random.below(4);
    return concatBytes(bytes.subarray(0, at), random.bytes(random.below(4)), bytes.subarray(end));
  });
}

/** Whoever decodes other bytes must not take them for a value that would be encoded differently. */
function assertOneEncoding<T>(
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => T | undefined,
  encode: (value: T) => Uint8Array,
): void {
  const bom = Uint8Array.of(0xef, 0xbb, 0xbf);
  const marked = Array.from(bytes, (_, at) => concatBytes(bytes.subarray(0, at), bom, bytes.subarray(at)));
  for (const given of [...mutations(bytes, 2_000), ...alterations(bytes), ...truncations(bytes), ...marked]) {
    const value = decode(given);
    if (value !== undefined) assert.equal(toHex(encode(value)), toHex(given));
  }
}

const changedGenesis = (changes: Partial<Genesis>): Genesis => ({ ...founders.genesis, ...changes });
const changedFounder = (changes: Partial<ControlNode>, number: NodeNumber = 2): Genesis =>
  changedGenesis({
    control: founders.genesis.control.map((node) => (node.number === number ? { ...node, ...changes } : node)),
  });
const readsGenesis = (genesis: Genesis): boolean => decodeGenesis(encodeGenesis(genesis)) !== undefined;

describe('the genesis', () => {
  test('of one to nine control nodes comes back as it was', () => {
    for (let size = 1; size <= 9; size++) {
      const { genesis } = new Founders(size);
      assert.deepEqual(decodeGenesis(encodeGenesis(genesis)), genesis, `${size} control nodes`);
    }
    assert(
      readsGenesis(
        changedFounder({
          endpoints: [
            { host: 'fd00::5', port: 1 },
            { host: '10.0.0.5', port: 65_535 },
          ],
        }),
      ),
    );
  });

  test('has a hash that any change changes', () => {
    const { firstToken } = founders.genesis;
    const others: readonly Genesis[] = [
      founders.genesis,
      new Founders(3, otherCluster).genesis,
      new Founders(4).genesis,
      changedGenesis({ createdAt: foundedAt + 1 }),
      changedGenesis({ firstToken: { ...firstToken, notAfter: firstToken.notAfter + 1 } }),
      changedGenesis({ firstToken: { ...firstToken, publicKey: signingKey(9).publicKey } }),
      changedFounder({ name: 'control-b' }),
      changedFounder({ signingKey: signingKey(9).publicKey }),
      changedFounder({ exchangeKey: exchangeKey(9) }),
      changedFounder({ endpoints: [{ host: '10.0.0.2', port: 7101 }] }),
    ];
    const hashes = new Set(others.map((genesis) => toHex(genesisHash(genesis))));
    assert.equal(hashes.size, others.length);
    assert(hashes.has(toHex(founders.hash)));
  });

  test('with no control node, with ten, or numbered otherwise than 1, 2, 3 is none', () => {
    assert(!readsGenesis(changedGenesis({ control: [] })));
    assert(!readsGenesis(new Founders(10).genesis));
    assert(!readsGenesis(changedFounder({ number: 4 })));
    assert(!readsGenesis(changedGenesis({ control: [...founders.genesis.control].reverse() })));
  });

  test('counts no key and no name twice: one hand must not have two votes (HM-5)', () => {
    assert(!readsGenesis(changedFounder({ signingKey: signingKey(1).publicKey })));
    assert(!readsGenesis(changedFounder({ name: 'control-1' })));
  });

  test('names its control nodes by labels, with an address each', () => {
    for (const name of ['', 'Control', 'a.b', 'x'.repeat(64)]) assert(!readsGenesis(changedFounder({ name })), name);
    const endpoint = { host: '10.0.0.2', port: 7100 };
    for (const endpoints of [
      [],
      new Array<Endpoint>(5).fill(endpoint),
      [{ ...endpoint, port: 0 }],
      [{ ...endpoint, host: 'b' }],
    ]) {
      assert(!readsGenesis(changedFounder({ endpoints }, 3)), JSON.stringify(endpoints));
    }
  });

  test('cut short, prolonged or of another label is none', () => {
    const bytes = encodeGenesis(founders.genesis);
    for (const part of truncations(bytes)) assert.equal(decodeGenesis(part), undefined);
    assert.equal(decodeGenesis(concatBytes(bytes, Uint8Array.of(0))), undefined);
    const other = Uint8Array.from(bytes);
    other[18] = 0x32;
    assert.equal(decodeGenesis(other), undefined);
  });

  test('has one encoding', () => assertOneEncoding(encodeGenesis(founders.genesis), decodeGenesis, encodeGenesis));
});

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const u32 = fc.nat(0xffff_ffff);
const wall = fc.nat(0xffff_ffff).map((each) => each * 65_536);
const signed = { cluster: fc.uint8Array({ minLength: 16, maxLength: 16 }), epoch: u32, controlSet: u32 };
const head = { ...signed, number: u32 };
const place = { ...signed, amendment: u32, previous: key, nextNumber: u32 };
const controlKeys = fc.record(
  { number: u32.filter((each) => each > 0), name: label, signingKey: key, exchangeKey: key },
  { noNullPrototype: true },
);
/** By ascending number, and nobody twice. */
const controlNodes = fc
  .uniqueArray(controlKeys, { minLength: 1, maxLength: 9, selector: ({ number }) => number })
  .map((nodes) => nodes.sort((a, b) => a.number - b.number))
  .filter((nodes) => new Set(nodes.map(({ name }) => name)).size === nodes.length)
  .filter((nodes) => new Set(nodes.map(({ signingKey: each }) => toHex(each))).size === nodes.length);
const statement: fc.Arbitrary<Statement> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('admit' as const),
      ...head,
      name: label,
      signingKey: key,
      exchangeKey: key,
      roles: fc.array(label, { maxLength: 16 }),
      notBefore: wall,
      notAfter: wall,
    },
    { noNullPrototype: true },
  ),
  fc.record(
    { kind: fc.constant('remove' as const), ...head, reason: fc.constantFrom(...removalReasons) },
    { noNullPrototype: true },
  ),
  fc.record({ kind: fc.constant('control-set' as const), ...place, nodes: controlNodes }, { noNullPrototype: true }),
  fc.record({ kind: fc.constant('epoch' as const), ...place, membersHash: key, at: wall }, { noNullPrototype: true }),
);

describe('a statement', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(statement, (given) => {
        assert.deepEqual(decodeStatement(encodeStatement(given)), given);
      }),
      { seed: 4 },
    );
  });

  test('has one encoding', () => {
    const amendments = [founders.successors(founders.charter, [1, 2, 4]), founders.nextEpoch(founders.charter)];
    for (const each of [founders.admission(), founders.removal(), ...amendments])
      assertOneEncoding(encodeStatement(each), decodeStatement, encodeStatement);
  });

  test('is never another statement, whatever its fields hold', () => {
    fc.assert(
      fc.property(statement, statement, (one, other) => {
        const same = equalBytes(encodeStatement(one), encodeStatement(other));
        assert.equal(same, JSON.stringify(one) === JSON.stringify(other));
      }),
      { seed: 5 },
    );
  });

  test('of a name that is no label, of too many roles, or of an unknown reason is none', () => {
    const reads = (each: Statement): boolean => decodeStatement(encodeStatement(each)) !== undefined;
    assert(reads(founders.admission({ roles: [] })));
    assert(reads(founders.admission({ roles: new Array<string>(16).fill('host') })));
    assert(!reads(founders.admission({ roles: new Array<string>(17).fill('host') })));
    assert(!reads(founders.admission({ roles: ['Host'] })));
    assert(!reads(founders.admission({ name: 'atlas.lab' })));
    const removal = encodeStatement(founders.removal());
    for (const [at, reason] of removalReasons.entries()) {
      const [last] = encodeStatement(founders.removal({ reason })).slice(-1);
      assert.equal(last, at);
    }
    removal[removal.length - 1] = removalReasons.length;
    assert.equal(decodeStatement(removal), undefined);
  });
});

/** A certificate put together by hand, as a liar would. */
function forge(signed: Uint8Array, shares: readonly Share[], count = shares.length): Uint8Array {
  const out = new ByteWriter().bytes(signed).u8(count);
  for (const share of shares) out.u32(share.signer).raw(share.signature);
  return out.finish();
}

describe('a certificate', () => {
  const majorities: readonly (readonly [size: number, majority: number])[] = [
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [6, 4],
    [7, 4],
    [8, 5],
    [9, 5],
  ];

  test('needs more than half of the control nodes: of 3, 4 and 5 it takes 2, 3 and 3 (HM-5)', () => {
    for (const [size, majority] of majorities) {
      assert.equal(majorityOf(size), majority);
      const cluster = new Founders(size);
      for (let signers = 0; signers <= size; signers++) {
        const { bytes } = cluster.certificate(cluster.admission({ number: 20 }), cluster.numbers.slice(0, signers));
        const verified = verifyCertificate(bytes, cluster.set);
        assert.equal(verified !== undefined, signers >= majority, `${signers} of ${size}`);
      }
    }
  });

  test('counts whichever of them signed, in the order of their numbers', () => {
    const admission = founders.admission();
    const shares = founders.shares(admission, [3, 1]);
    const { bytes } = assembleCertificate(admission, shares);
    assert.equal(toHex(bytes), toHex(assembleCertificate(admission, [...shares].reverse()).bytes));
    assert.deepEqual(verifyCertificate(bytes, founders.set), { statement: admission, bytes });
    assert.equal(verifyCertificate(forge(encodeStatement(admission), shares), founders.set), undefined);
  });

  test('counts a control node once, however often it signed (HM-5)', () => {
    const admission = founders.admission();
    const [share] = founders.shares(admission, [1]) as [Share];
    for (const times of [2, 3, 9]) {
      const { bytes } = assembleCertificate(admission, new Array<Share>(times).fill(share));
      assert.equal(verifyCertificate(bytes, founders.set), undefined, `${times} times`);
    }
    const underOtherNames = founders.numbers.map((signer) => ({ ...share, signer }));
    assert.equal(verifyCertificate(forge(encodeStatement(admission), underOtherNames), founders.set), undefined);
  });

  test('signed by anybody else is none', () => {
    const admission = founders.admission();
    const stranger = signShare(signingKey(atlasSeed), 4, admission);
    const posing = signShare(signingKey(atlasSeed), 2, admission);
    const [honest] = founders.shares(admission, [1]) as [Share];
    for (const share of [stranger, posing]) {
      assert(!verifyShare(share, admission, founders.set));
      assert.equal(verifyCertificate(assembleCertificate(admission, [honest, share]).bytes, founders.set), undefined);
    }
    assert(verifyShare(honest, admission, founders.set));
    assert(!verifyShare(honest, founders.admission({ number: 5 }), founders.set));
  });

  test('with a wrong share beside a majority of right ones is none: nobody can make it into many', () => {
    const admission = founders.admission();
    const right = founders.shares(admission, [1, 2]);
    for (const signer of [3, 4]) {
      const bytes = forge(encodeStatement(admission), [...right, { signer, signature: filled(64, 7) }]);
      assert.equal(verifyCertificate(bytes, founders.set), undefined);
    }
  });

  test('of another cluster or another control set is none', () => {
    const elsewhere = founders.admission({ cluster: otherCluster });
    assert.equal(verifyCertificate(founders.certificate(elsewhere).bytes, founders.set), undefined);
    assert.equal(
      verifyCertificate(founders.certificate(founders.admission({ controlSet: 1 })).bytes, founders.set),
      undefined,
    );
    const { bytes } = founders.certificate(founders.admission());
    assert.equal(verifyCertificate(bytes, { ...founders.set, index: 1 }), undefined);
    assert.equal(verifyCertificate(bytes, new Founders(3, otherCluster).set), undefined);
    const strangers = new Map(founders.numbers.map((number) => [number, signingKey(0x60 + number).publicKey]));
    assert.equal(verifyCertificate(bytes, { ...founders.set, signingKeys: strangers }), undefined);
    assert(verifyCertificate(bytes, founders.set));
  });

  test('with any byte altered is none, with however many signatures', () => {
    for (const given of [founders.admission(), founders.removal()]) {
      for (const signers of [
        [1, 2],
        [1, 2, 3],
      ]) {
        const { bytes } = founders.certificate(given, signers);
        alterations(bytes).forEach((altered, at) => {
          assert.equal(verifyCertificate(altered, founders.set), undefined, `byte ${at} of a ${given.kind}`);
        });
      }
    }
  });

  test('cut short or prolonged is none', () => {
    const { bytes } = founders.certificate(founders.admission());
    for (const part of truncations(bytes)) assert.equal(verifyCertificate(part, founders.set), undefined);
    assert.equal(verifyCertificate(concatBytes(bytes, Uint8Array.of(0)), founders.set), undefined);
  });

  test('that announces more shares than any control set has is none', () => {
    const signed = encodeStatement(founders.admission());
    const shares = new Array<Share>(10).fill({ signer: 1, signature: filled(64, 1) });
    for (const count of [10, 255])
      assert.equal(verifyCertificate(forge(signed, shares, count), founders.set), undefined);
  });

  test('of what is no statement is none, though a majority signed it', () => {
    const signed = concatBytes(encodeStatement(founders.admission()), Uint8Array.of(0));
    const shares = [1, 2].map((signer) => ({ signer, signature: signingKey(signer).sign(signed) }));
    assert.equal(verifyCertificate(forge(signed, shares), founders.set), undefined);
  });

  test('of an admission is told from one of a removal', () => {
    assert(isAdmission(verifyCertificate(founders.certificate(founders.admission()).bytes, founders.set)));
    assert(!isAdmission(verifyCertificate(founders.certificate(founders.removal()).bytes, founders.set)));
    assert(!isAdmission(undefined));
  });

  test('is checked against the control set that the genesis names', () => {
    const { index, cluster, signingKeys } = controlSetOf(founders.genesis);
    assert.equal(index, 0);
    assert(equalBytes(cluster, clusterId));
    assert.deepEqual([...signingKeys.keys()], [1, 2, 3]);
  });
});
