/** The vectors of the standards, and what hostile keys, signatures and packets come to. */
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { describe, test } from 'node:test';
import { concatBytes, toHex, utf8 } from '../../src/bytes.ts';
import {
  exchangeKeyFrom,
  hkdf,
  hmacSha256,
  open,
  rawEd25519Key,
  seal,
  sha256,
  signingKeyFrom,
  verifySignature,
} from '../../src/crypto.ts';

function hex(...parts: readonly string[]): Uint8Array {
  return Uint8Array.from(Buffer.from(parts.join(''), 'hex'));
}

describe('the hashes are those of the standards', () => {
  test('SHA-256 of "abc" (FIPS 180-2), however it is cut into parts', () => {
    const digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    assert.equal(toHex(sha256(utf8('abc'))), digest);
    assert.equal(toHex(sha256(utf8('a'), new Uint8Array(0), utf8('bc'))), digest);
  });

  test('HMAC-SHA-256 (RFC 4231, case 2)', () => {
    const mac = hmacSha256(utf8('Jefe'), utf8('what do ya want '), utf8('for nothing?'));
    assert.equal(toHex(mac), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
  });

  test('HKDF-SHA-256 (RFC 5869, cases 1 and 3)', () => {
    const secret = new Uint8Array(22).fill(0x0b);
    const salted = hkdf(secret, hex('000102030405060708090a0b0c'), hex('f0f1f2f3f4f5f6f7f8f9'), 42);
    const wanted = '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865';
    assert.equal(toHex(salted), wanted);
    const unsalted = hkdf(secret, new Uint8Array(0), new Uint8Array(0), 42);
    assert.equal(
      toHex(unsalted),
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    );
  });
});

/** RFC 8032 §7.1: seed, public key, message, signature. */
const signatures: readonly (readonly [string, string, string, string])[] = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155' +
      '5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
      '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac' +
      '18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
];

describe('Ed25519', () => {
  test('signs and verifies as RFC 8032 §7.1 says', () => {
    for (const [seed, publicKey, message, signature] of signatures) {
      const key = signingKeyFrom(hex(seed));
      assert.equal(toHex(key.publicKey), publicKey);
      assert.equal(toHex(key.sign(hex(message))), signature);
      assert(verifySignature(hex(publicKey), hex(message), hex(signature)));
    }
  });

  test('a signature holds for its key, its message and itself alone', () => {
    const key = signingKeyFrom(new Uint8Array(32).fill(1));
    const message = utf8('who belongs');
    const signature = key.sign(message);
    assert(!verifySignature(signingKeyFrom(new Uint8Array(32).fill(2)).publicKey, message, signature));
    assert(!verifySignature(key.publicKey, utf8('who belonged'), signature));
    for (let at = 0; at < signature.length; at++) {
      const altered = Uint8Array.from(signature);
      altered[at] = (altered[at] as number) ^ 1;
      assert(!verifySignature(key.publicKey, message, altered), `byte ${at}`);
    }
  });

  test('the other spelling of a signature, its scalar plus the order of the group, is refused', () => {
    const key = signingKeyFrom(new Uint8Array(32).fill(1));
    const signature = key.sign(utf8('a'));
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    let scalar = BigInt(`0x${toHex(Uint8Array.from(signature.subarray(32)).reverse())}`) + order;
    const other = Uint8Array.from(signature);
    for (let at = 32; at < 64; at++, scalar >>= 8n) other[at] = Number(scalar & 0xffn);
    assert(verifySignature(key.publicKey, utf8('a'), signature));
    assert(!verifySignature(key.publicKey, utf8('a'), other));
  });

  test('keys and signatures of any other length give false, never an exception', () => {
    const key = signingKeyFrom(new Uint8Array(32).fill(1));
    const signature = key.sign(utf8('a'));
    for (const length of [0, 1, 31, 33, 64]) {
      assert(!verifySignature(new Uint8Array(length), utf8('a'), signature));
    }
    for (const length of [0, 32, 63, 65]) {
      assert(!verifySignature(key.publicKey, utf8('a'), new Uint8Array(length)));
    }
    assert(!verifySignature(new Uint8Array(32).fill(0xff), utf8('a'), signature), 'no point of the curve');
  });

  test('the raw key is read from an Ed25519 SubjectPublicKeyInfo and from no other', () => {
    const key = signingKeyFrom(new Uint8Array(32).fill(1));
    const spki = createPublicKey(key.toPem()).export({ format: 'der', type: 'spki' });
    assert.equal(toHex(rawEd25519Key(spki) ?? new Uint8Array(0)), toHex(key.publicKey));
    assert.equal(rawEd25519Key(spki.subarray(1)), undefined);
    assert.equal(rawEd25519Key(concatBytes(spki, new Uint8Array(1))), undefined);
    const exchange = concatBytes(hex('302a300506032b656e032100'), new Uint8Array(32));
    assert.equal(rawEd25519Key(exchange), undefined);
  });

  test('a seed of another length is a fault of ours', () => {
    for (const length of [0, 31, 33, 64]) {
      assert.throws(() => signingKeyFrom(new Uint8Array(length)), /broken invariant/);
      assert.throws(() => exchangeKeyFrom(new Uint8Array(length)), /broken invariant/);
    }
  });
});

describe('X25519', () => {
  test('two ends agree as RFC 7748 §6.1 says', () => {
    const alice = exchangeKeyFrom(hex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'));
    const bob = exchangeKeyFrom(hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'));
    assert.equal(toHex(alice.publicKey), '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
    assert.equal(toHex(bob.publicKey), 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
    const secret = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
    assert.equal(toHex(alice.agree(bob.publicKey) ?? new Uint8Array(0)), secret);
    assert.equal(toHex(bob.agree(alice.publicKey) ?? new Uint8Array(0)), secret);
  });

  test('a point of low order agrees on nothing', () => {
    const key = exchangeKeyFrom(new Uint8Array(32).fill(7));
    const low = [
      '0000000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000000',
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    ];
    for (const point of low) {
      assert.equal(key.agree(hex(point)), undefined, point);
      const highBit = hex(point);
      highBit[31] = (highBit[31] as number) | 0x80;
      assert.equal(key.agree(highBit), undefined, `${point}, with the bit that is ignored`);
    }
  });

  test('a key of another length agrees on nothing', () => {
    const key = exchangeKeyFrom(new Uint8Array(32).fill(7));
    for (const length of [0, 31, 33]) assert.equal(key.agree(new Uint8Array(length).fill(9)), undefined);
  });
});

describe('AES-256-GCM', () => {
  const key = hex('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308');
  const nonce = hex('cafebabefacedbaddecaf888');
  const header = hex('feedfacedeadbeeffeedfacedeadbeefabaddad2');
  const body = hex(
    'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72',
    '1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
  );
  const sealed = hex(
    '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa',
    '8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662',
    '76fc6ece0f4e1768cddf8853bb2d551b',
  );

  test('seals and opens as the specification of GCM says (McGrew and Viega, case 16)', () => {
    assert.equal(toHex(seal(key, nonce, header, body)), toHex(sealed));
    assert.equal(toHex(open(key, nonce, header, sealed) ?? new Uint8Array(0)), toHex(body));
  });

  test('an empty body is a tag alone', () => {
    const tag = seal(key, nonce, header, new Uint8Array(0));
    assert.equal(tag.length, 16);
    assert.equal(open(key, nonce, header, tag)?.length, 0);
  });

  test('a bit turned in key, nonce, header or sealed bytes opens nothing', () => {
    const turned = (bytes: Uint8Array, at: number): Uint8Array =>
      bytes.map((byte, here) => (here === at ? byte ^ 4 : byte));
    for (let at = 0; at < key.length; at++) assert.equal(open(turned(key, at), nonce, header, sealed), undefined);
    for (let at = 0; at < nonce.length; at++) assert.equal(open(key, turned(nonce, at), header, sealed), undefined);
    for (let at = 0; at < header.length; at++) assert.equal(open(key, nonce, turned(header, at), sealed), undefined);
    for (let at = 0; at < sealed.length; at++) assert.equal(open(key, nonce, header, turned(sealed, at)), undefined);
  });

  test('cut short at any length it opens nothing', () => {
    for (let length = 0; length < sealed.length; length++) {
      assert.equal(open(key, nonce, header, sealed.subarray(0, length)), undefined);
    }
  });
});
