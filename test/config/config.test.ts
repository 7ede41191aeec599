/** Whose word counts, which of two words is newer, and what one holder tells another. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { toHex, u48Max, utf8 } from '../../src/bytes.ts';
import { type Config, Configs, configsPerRoleMax, type HeldSeq, signConfig } from '../../src/config/config.ts';
import type { NodeNumber, Seq } from '../../src/identity.ts';
import { clusterId, filled, signingKey } from '../certificate/cluster.ts';

/** The key of the member with this number. */
const keyOf = (owner: NodeNumber): Uint8Array => signingKey(owner).publicKey;

function config(owner: NodeNumber, seq: Seq, { role = 'host', value = utf8(`${owner}/${seq}`) } = {}): Config {
  return signConfig(signingKey(owner), clusterId, { owner, role, seq, value });
}

function holding(...configs: readonly Config[]): Configs {
  const held = new Configs(clusterId);
  for (const each of configs) assert.equal(held.put(each, keyOf(each.owner)), 'newer');
  return held;
}

const numbers = (configs: readonly Config[]): readonly NodeNumber[] => configs.map(({ owner }) => owner);

describe('a config', () => {
  test('replaces an older one, and never a newer one (HM-25)', () => {
    const held = holding(config(4, 2));
    const put = (seq: Seq): string => held.put(config(4, seq, { value: utf8('new') }), keyOf(4));
    assert.equal(put(1), 'older');
    assert.equal(put(2), 'known');
    assert.deepEqual(held.get('host', 4), config(4, 2));
    assert.equal(put(3), 'newer');
    assert.equal(put(u48Max), 'newer');
    assert.equal(put(3), 'older');
    assert.equal(held.get('host', 4)?.seq, u48Max);
  });

  test('is one for each owner and role', () => {
    const held = holding(config(4, 2), config(5, 1), config(4, 1, { role: 'dns' }));
    assert.deepEqual(held.roles(), ['dns', 'host']);
    assert.deepEqual(held.held('host'), [
      { owner: 4, seq: 2 },
      { owner: 5, seq: 1 },
    ]);
    assert.deepEqual(held.held('dns'), [{ owner: 4, seq: 1 }]);
    assert.deepEqual(held.list('nginx'), []);
    assert.equal(held.get('dns', 5), undefined);
  });

  test('is its owner’s word: signed by another, altered, or of an owner unknown, it is forged', () => {
    const right = config(4, 2);
    const forgeries: readonly Config[] = [
      signConfig(signingKey(5), clusterId, right),
      signConfig(signingKey(4), filled(16, 0xdd), right),
      { ...right, owner: 5 },
      { ...right, role: 'dns' },
      { ...right, seq: 3 },
      { ...right, value: utf8('4/3') },
      { ...right, signature: right.signature.map((byte, at) => (at === 63 ? byte ^ 1 : byte)) },
      { ...right, signature: new Uint8Array(0) },
    ];
    const held = holding(config(4, 1), config(5, 1));
    for (const forged of forgeries) assert.equal(held.put(forged, keyOf(forged.owner)), 'forged');
    assert.equal(held.put(right, undefined), 'forged');
    assert.equal(held.put(right, keyOf(5)), 'forged');
    assert.equal(held.put(right, new Uint8Array(3)), 'forged');
    assert.equal(held.get('host', 4)?.seq, 1);
    assert.equal(held.put(right, keyOf(4)), 'newer');
  });

  test('that is forged does no harm to what is held, though its seq is higher', () => {
    const held = holding(config(4, 2));
    const hash = toHex(held.hash('host'));
    assert.equal(held.put({ ...config(4, 2), seq: 1_000_000 }, keyOf(4)), 'forged');
    assert.equal(toHex(held.hash('host')), hash);
    assert.equal(held.put(config(4, 3), keyOf(4)), 'newer');
  });

  test('has a seq from 1 to 2^48−1, whatever a peer says', () => {
    const held = new Configs(clusterId);
    for (const seq of [0, -1, u48Max + 1, Number.MAX_SAFE_INTEGER]) {
      assert.equal(held.put({ ...config(4, 1), seq }, keyOf(4)), 'forged', `seq ${seq}`);
    }
    assert.equal(held.put(config(4, 0), keyOf(4)), 'forged');
    assert.deepEqual(held.roles(), []);
  });

  test(`is held for ${configsPerRoleMax} owners of a role; a known one still may change`, () => {
    const held = new Configs(clusterId);
    const signed = config(1, 1);
    for (let owner = 2; owner <= configsPerRoleMax; owner++) fill(held, { ...signed, owner });
    assert.equal(held.put(signed, keyOf(1)), 'newer');
    const late = signConfig(signingKey(1), clusterId, { ...signed, owner: configsPerRoleMax + 1 });
    assert.equal(held.put(late, keyOf(1)), 'full');
    assert.equal(held.put(config(1, 2), keyOf(1)), 'newer');
    assert.equal(held.put(config(1, 1, { role: 'dns' }), keyOf(1)), 'newer');
  });
});

/** Puts a config of an owner whose key is that of member 1: ten thousand keys would take long. */
function fill(held: Configs, { owner, role, seq, value }: Config): void {
  const signed = signConfig(signingKey(1), clusterId, { owner, role, seq, value });
  assert.equal(held.put(signed, keyOf(1)), 'newer');
}

describe('the hash of a role’s configs', () => {
  test('is equal exactly where the same owners are held at the same seqs', () => {
    const one = holding(config(4, 2), config(5, 1), config(4, 9, { role: 'dns' }));
    const other = holding(config(5, 1), config(4, 1), config(4, 2));
    assert.equal(toHex(one.hash('host')), toHex(other.hash('host')));
    assert.equal(one.hash('host').length, 16);
    const different = [
      holding(config(4, 2)),
      holding(config(5, 2), config(4, 1)),
      holding(config(4, 2), config(5, 2)),
      holding(config(4, 2), config(5, 1), config(6, 1)),
      new Configs(clusterId),
    ];
    const hashes = new Set([one, ...different].map((each) => toHex(each.hash('host'))));
    assert.equal(hashes.size, different.length + 1);
  });
});

describe('what one holder tells another', () => {
  const held = holding(config(4, 2), config(5, 1), config(6, 7), config(7, 3));
  const theirs: readonly HeldSeq[] = [
    { owner: 4, seq: 2 },
    { owner: 5, seq: 3 },
    { owner: 6, seq: 6 },
    { owner: 9, seq: 1 },
  ];

  test('is what it has newer or alone', () => {
    assert.deepEqual(numbers(held.newerThan('host', theirs, 10_000)), [6, 7]);
    assert.deepEqual(numbers(held.newerThan('host', [], 10_000)), [4, 5, 6, 7]);
    assert.deepEqual(numbers(held.newerThan('host', held.held('host'), 10_000)), []);
    assert.deepEqual(numbers(held.newerThan('dns', [], 10_000)), []);
  });

  test('and what it lacks or has older', () => {
    assert.deepEqual(held.olderThan('host', theirs), [5, 9]);
    assert.deepEqual(held.olderThan('host', held.held('host')), []);
    assert.deepEqual(held.olderThan('dns', theirs), [4, 5, 6, 9]);
  });

  test('comes in pages of a size, at least one config to a page', () => {
    const value = new Uint8Array(1_000);
    const many = holding(...[4, 5, 6, 7, 8].map((owner) => config(owner, 1, { value })));
    assert.equal(many.newerThan('host', [], 2_500).length, 2);
    assert.equal(many.newerThan('host', [], 1).length, 1);
    const small = holding(...[4, 5, 6, 7, 8].map((owner) => config(owner, 1, { value: new Uint8Array(0) })));
    assert(small.newerThan('host', [], 200).length < 5, 'signatures count as well');
  });

  test('in the end leaves both with the newest of everything, page by page', () => {
    const seqs = fc.uniqueArray(
      fc.record({ owner: fc.integer({ min: 1, max: 6 }), seq: fc.integer({ min: 1, max: 4 }) }),
      {
        selector: ({ owner }) => owner,
      },
    );
    fc.assert(
      fc.property(seqs, seqs, fc.nat(600), (mine, yours, bytesMax) => {
        const [a, b] = [mine, yours].map((each) => holding(...each.map(({ owner, seq }) => config(owner, seq)))) as [
          Configs,
          Configs,
        ];
        const pull = (to: Configs, from: Configs): boolean => {
          const page = from.newerThan('host', to.held('host'), bytesMax);
          for (const each of page) assert.equal(to.put(each, keyOf(each.owner)), 'newer');
          return page.length > 0;
        };
        const wanted = a.olderThan('host', b.held('host'));
        let rounds = 0;
        while (pull(a, b) || pull(b, a)) assert(++rounds < 20);
        assert.equal(toHex(a.hash('host')), toHex(b.hash('host')));
        for (const owner of wanted)
          assert.equal(a.get('host', owner)?.seq, yours.find((each) => each.owner === owner)?.seq);
        for (const { owner, seq } of [...mine, ...yours]) assert((a.get('host', owner)?.seq ?? 0) >= seq);
      }),
      { seed: 8 },
    );
  });
});

describe('an owner that is removed', () => {
  test('takes all its configs along, and is told of each', () => {
    const held = holding(config(4, 2), config(5, 1), config(4, 1, { role: 'dns' }));
    const gone = held.forget(4);
    assert.deepEqual(gone.map(({ role, seq }) => [role, seq]).sort(), [
      ['dns', 1],
      ['host', 2],
    ]);
    assert.deepEqual(held.roles(), ['host']);
    assert.deepEqual(numbers(held.list('host')), [5]);
    assert.equal(toHex(held.hash('host')), toHex(holding(config(5, 1)).hash('host')));
    assert.equal(toHex(held.hash('dns')), toHex(new Configs(clusterId).hash('dns')));
    assert.deepEqual(held.forget(4), []);
  });
});
