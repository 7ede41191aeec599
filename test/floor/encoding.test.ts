/** The canonical encoding of what is signed, msgpack within bounds, and the codecs on top of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  ByteReader,
  ByteWriter,
  concatBytes,
  equalBytes,
  fromBase64Url,
  fromHex,
  fromUtf8,
  toBase64Url,
  toHex,
  u48Max,
  utf8,
} from '../../src/bytes.ts';
import {
  anything,
  bool,
  bytes,
  type Codec,
  decode,
  encode,
  fixedBytes,
  float,
  list,
  optional,
  readWith,
  record,
  text,
  uint,
  variants,
  word,
} from '../../src/codec.ts';
import { pack, packedDepthMax, packedValuesMax, unpack } from '../../src/packed.ts';
import { seededRandom } from '../../src/seam/random.ts';

const byteString = fc.uint8Array({ maxLength: 80 });

describe('bytes', () => {
  test('are equal by content alone', () => {
    assert(equalBytes(Uint8Array.of(1, 2), Buffer.of(1, 2)));
    assert(equalBytes(new Uint8Array(0), new Uint8Array(0)));
    assert(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)));
    assert(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0)));
  });

  test('joined are a copy', () => {
    const part = Uint8Array.of(1, 2);
    const joined = concatBytes(part, new Uint8Array(0), Uint8Array.of(3));
    part[0] = 9;
    assert.equal(toHex(joined), '010203');
    assert.equal(concatBytes().length, 0);
  });

  test('survive hexadecimal and base64url, parts of a larger buffer too', () => {
    fc.assert(
      fc.property(byteString, (given) => {
        const part = concatBytes(Uint8Array.of(255), given, Uint8Array.of(255)).subarray(1, 1 + given.length);
        assert.deepEqual(Uint8Array.from(fromHex(toHex(part)) ?? [0]), given);
        assert.deepEqual(Uint8Array.from(fromBase64Url(toBase64Url(part)) ?? [0]), given);
      }),
      { seed: 1 },
    );
  });

  test('hexadecimal takes either case and nothing but whole pairs of digits', () => {
    assert.equal(toHex(fromHex('0aFf') ?? new Uint8Array(0)), '0aff');
    for (const odd of ['0', 'abc', '0g', ' 00', '00\n', '0x00', '00 00']) assert.equal(fromHex(odd), undefined, odd);
  });

  test('base64url takes the one text of each byte string', () => {
    assert.deepEqual([...(fromBase64Url('_-8') ?? [])], [0xff, 0xef]);
    // Padding, the other alphabet, spaces, a length that no bytes have, bits that no byte takes.
    for (const odd of ['_-8=', '/+8', '_-8 ', '\n_-8', 'A', 'AAAAA', '_-9', 'AB']) {
      assert.equal(fromBase64Url(odd), undefined, JSON.stringify(odd));
    }
  });

  test('text is well-formed UTF-8, and each text has one encoding', () => {
    assert.equal(fromUtf8(utf8('zwölf 🐝')), 'zwölf 🐝');
    assert.equal(fromUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)), '\ufeffa');
    const malformed = [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x61, 0x80]];
    for (const each of malformed) assert.equal(fromUtf8(Uint8Array.from(each)), undefined, each.join());
  });
});

describe('the canonical encoding', () => {
  test('is big-endian integers of a fixed width, and lengths before what varies', () => {
    const out = new ByteWriter('ab').u8(1).u16(0x203).u32(0x4050607).u48(0x8090a0b0c0d);
    out.raw(Uint8Array.of(0xee)).bytes(Uint8Array.of(0xdd, 0xcc)).blob(Uint8Array.of(0xbb)).text('é');
    assert.equal(
      toHex(out.finish()),
      '00026162' + '01' + '0203' + '04050607' + '08090a0b0c0d' + 'ee' + '0002ddcc' + '00000001bb' + '0002c3a9',
    );
  });

  test('is read as it was written', () => {
    const value = fc.record(
      {
        label: fc.string({ unit: 'binary' }),
        small: fc.nat(0xff),
        short: fc.nat(0xffff),
        word: fc.nat(0xffff_ffff),
        long: fc.maxSafeNat().map((number) => number % (u48Max + 1)),
        raw: fc.uint8Array({ minLength: 4, maxLength: 4 }),
        bytes: byteString,
        blob: byteString,
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(value, (given) => {
        const out = new ByteWriter(given.label).u8(given.small).u16(given.short).u32(given.word).u48(given.long);
        const input = new ByteReader(out.raw(given.raw).bytes(given.bytes).blob(given.blob).finish());
        const [label, small, short] = [input.text(), input.u8(), input.u16()];
        const [wide, long, raw] = [input.u32(), input.u48(), input.raw(4)];
        const read = { label, small, short, word: wide, long, raw, bytes: input.bytes(), blob: input.blob() };
        assert.deepEqual(read, given);
        assert(input.done);
      }),
      { seed: 2 },
    );
  });

  test('a number that does not fit its width is a fault of ours', () => {
    for (const write of [
      (out: ByteWriter) => out.u8(256),
      (out: ByteWriter) => out.u16(-1),
      (out: ByteWriter) => out.u32(2 ** 32),
      (out: ByteWriter) => out.u48(u48Max + 1),
      (out: ByteWriter) => out.bytes(new Uint8Array(65_536)),
    ]) {
      assert.throws(() => write(new ByteWriter()), RangeError);
    }
    assert.equal(new ByteWriter().u48(u48Max).finish().length, 6);
  });

  test('of hostile bytes gives zeros and nothing once something is missing, and is never done then', () => {
    const whole = new ByteWriter('label')
      .u32(7)
      .bytes(Uint8Array.of(1, 2, 3))
      .finish();
    for (let length = 0; length < whole.length; length++) {
      const input = new ByteReader(whole.subarray(0, length));
      input.text();
      input.u32();
      input.bytes();
      assert(!input.done, `${length} bytes`);
      assert.equal(input.u8(), 0);
      assert.equal(input.u48(), 0);
      assert.equal(input.raw(0).length, 0);
      assert.equal(input.blob().length, 0);
      assert.equal(input.text(), '');
      assert(!input.done);
    }
  });

  test('with anything left over is not done', () => {
    const input = new ByteReader(Uint8Array.of(0, 1, 2));
    input.u16();
    assert(!input.done);
    input.u8();
    assert(input.done);
  });

  test('text that is no UTF-8 is as good as missing', () => {
    const input = new ByteReader(new ByteWriter().bytes(Uint8Array.of(0xff)).u8(7).finish());
    assert.equal(input.text(), '');
    assert.equal(input.u8(), 0);
    assert(!input.done);
  });

  test('a huge length reads nothing and takes no memory', () => {
    const input = new ByteReader(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 2));
    assert.equal(input.blob().length, 0);
    assert(!input.done);
  });

  test('what was read is a copy', () => {
    const source = Uint8Array.of(0, 1, 7);
    const read = new ByteReader(source).bytes();
    source[2] = 9;
    assert.equal(read[0], 7);
  });
});

const nested = (depth: number): Uint8Array => Uint8Array.of(...new Array<number>(depth - 1).fill(0x91), 0x90);
const refuse = (given: readonly number[] | Uint8Array, why: string): void => {
  assert.equal(unpack(Uint8Array.from(given)), undefined, why);
};

/** A packed body with some of everything that is allowed. */
const sample: unknown = {
  nil: null,
  flags: [true, false],
  integers: [0, 127, 128, 255, 256, 65_535, 65_536, 0xffff_ffff, -1, -32, -33, -128, -129, -32_768, -0x8000_0000],
  floats: [0.5, -1e300, 2 ** 40, Number.MAX_SAFE_INTEGER],
  texts: ['', 'a', 'x'.repeat(31), 'x'.repeat(32), 'é'.repeat(200), 'x'.repeat(70_000)],
  bytes: [new Uint8Array(0), new Uint8Array(300), new Uint8Array(70_000)],
  lists: [[], new Array(16).fill(1), new Array(300).fill(0)],
  maps: [{}, Object.fromEntries(Array.from({ length: 40 }, (_, each) => [`key-${each}`, each]))],
};

describe('packed values', () => {
  test('come back as they were', () => {
    assert.deepEqual(plain(unpack(pack(sample))), sample);
    for (const each of [null, true, 0, 1.5, 'a', [], {}]) assert.deepEqual(unpack(pack(each)), each);
  });

  test('leave out what is undefined, as JSON does', () => {
    assert.deepEqual(unpack(pack({ a: undefined, b: 1 })), { b: 1 });
    assert.deepEqual(unpack(pack([1, undefined])), [1, null]);
    assert.equal(unpack(pack(undefined)), null);
  });

  test('whatever JSON can say comes back', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8, noUnicodeString: false }), (value) => {
        const expected = JSON.parse(JSON.stringify(value).replaceAll('"__proto__":', '"__proto_":')) as unknown;
        assert.deepEqual(unpack(pack(value)), expected);
      }),
      { seed: 3 },
    );
  });

  test('cut short at any byte are nothing', () => {
    const packed = pack({ a: [1, 300, 70_000, -5, 0.5, 'text', Uint8Array.of(1, 2), null, true, { b: {} }] });
    for (let length = 0; length < packed.length; length++) refuse(packed.subarray(0, length), `${length} bytes`);
  });

  test('with anything behind them are nothing', () => {
    for (const value of [null, 0, 'a', [], {}, [1, 2]])
      refuse(concatBytes(pack(value), Uint8Array.of(0xc0)), 'left over');
  });

  test('of extension types, timestamps, 64-bit integers, float32 and the unused type are nothing', () => {
    refuse([0xc1], 'never used');
    for (const fixed of [1, 2, 4, 8, 16]) {
      const type = 0xd4 + Math.log2(fixed);
      refuse([type, 0x01, ...new Array<number>(fixed).fill(0)], `fixext ${fixed}`);
      refuse([type, 0xff, ...new Array<number>(fixed).fill(0)], `timestamp in fixext ${fixed}`);
      // msgpackr's own: records, typed arrays, errors, regular expressions, sets.
      for (const name of [0x72, 0x74, 0x65, 0x78, 0x73])
        refuse([type, name, ...new Array<number>(fixed).fill(0)], 'own');
    }
    refuse([0xc7, 1, 5, 0], 'ext8');
    refuse([0xc8, 0, 1, 5, 0], 'ext16');
    refuse([0xc9, 0, 0, 0, 1, 5, 0], 'ext32');
    refuse([0xcf, 0, 0, 0, 0, 0, 0, 0, 1], 'uint64');
    refuse([0xd3, 0, 0, 0, 0, 0, 0, 0, 1], 'int64');
    refuse([0xca, 0, 0, 0, 0], 'float32');
    refuse([0x91, 0xc7, 0, 5], 'inside a list');
    for (const own of [new Date(0), 5n]) refuse(pack([own]), String(own));
  });

  test('nest to a limit and no deeper, however deep the bytes go', () => {
    assert.notEqual(unpack(nested(packedDepthMax)), undefined);
    refuse(nested(packedDepthMax + 1), 'one deeper');
    refuse(new Uint8Array(1_000_000).fill(0x91), 'a million lists');
    refuse(new Uint8Array(1_000_000).fill(0x81), 'a million maps');
  });

  test('are counted to a limit and no further', () => {
    const inLists = (count: number): Uint8Array => pack(new Array(count).fill(0));
    assert.notEqual(unpack(inLists(packedValuesMax - 1)), undefined);
    refuse(inLists(packedValuesMax), 'one more value');
    const lists = new Array(256).fill(new Array(255).fill(0));
    assert.equal(1 + 256 + 256 * 255, packedValuesMax + 1);
    refuse(pack(lists), 'one more in all');
  });

  test('that announce more than there is are nothing at once', () => {
    for (const head of [0xdc, 0xdd, 0xde, 0xdf, 0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb]) {
      refuse([head, 0xff, 0xff, 0xff, 0xff], `head ${head.toString(16)}`);
      refuse([head, 0xff, 0xff, 0xff, 0xff, ...new Array<number>(100).fill(0)], `head ${head.toString(16)} and some`);
      refuse([head], 'the head alone');
    }
    refuse([0x92, 0xdd, 0xff, 0xff, 0xff, 0xff, 0], 'inside a list');
  });

  test('have strings for keys of maps', () => {
    assert.deepEqual(unpack(Uint8Array.of(0x81, 0xa1, 0x61, 0x01)), { a: 1 });
    refuse([0x81, 0x01, 0x01], 'a number');
    refuse([0x81, 0xc0, 0x01], 'nil');
    refuse([0x81, 0xc4, 0x01, 0x61, 0x01], 'bytes');
    refuse([0x81, 0x90, 0x01], 'a list');
    refuse([0x82, 0xa1, 0x61, 0x80, 0x05, 0x01], 'the second one a number');
  });

  test('named __proto__ change no object but their own', () => {
    const hostile = concatBytes(Uint8Array.of(0x81, 0xa9), utf8('__proto__'), pack({ polluted: true }));
    const value = unpack(hostile) as Record<string, unknown>;
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.equal(value.polluted, undefined);
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
    for (const name of ['constructor', 'prototype', 'toString', 'hasOwnProperty']) {
      const odd = unpack(concatBytes(Uint8Array.of(0x81), pack(name), pack({ polluted: true })));
      assert.equal(Object.getPrototypeOf(odd), Object.prototype, name);
    }
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });

  test('are copies that do not change with the bytes they came from', () => {
    const packed = Uint8Array.from(pack([Uint8Array.of(1, 2, 3)]));
    const [value] = unpack(packed) as [Uint8Array];
    packed.fill(0);
    assert.deepEqual([...value], [1, 2, 3]);
  });

  test('of 50,000 random byte strings none throws', () => {
    const random = seededRandom(20);
    const heads = [
      0x80, 0x81, 0x90, 0x91, 0x92, 0xa1, 0xc0, 0xc4, 0xc7, 0xcb, 0xcc, 0xd4, 0xd9, 0xdc, 0xdd, 0xde, 0xdf,
    ];
    for (let round = 0; round < 50_000; round++) {
      const given = random.bytes(random.below(40));
      for (let at = 0; at < given.length; at++)
        if (random.below(3) === 0) given[at] = heads[random.below(heads.length)] as number;
      assert.doesNotThrow(() => unpack(given));
    }
  });

  test('with bytes changed are nothing or a value, never an exception', () => {
    const random = seededRandom(21);
    const packed = pack({ a: [1, 'text', Uint8Array.of(1, 2), { b: [null, true, 0.5] }], c: { d: 'e' } });
    for (let round = 0; round < 20_000; round++) {
      const given = Uint8Array.from(packed);
      for (let change = 0; change <= random.below(3); change++) given[random.below(given.length)] = random.below(256);
      assert.doesNotThrow(() => unpack(given));
    }
  });
});

function reads<T>(codec: Codec<T>, value: unknown): boolean {
  return readWith(codec, value) !== undefined;
}

interface Bee {
  readonly name: string;
  readonly age: number;
  readonly hive?: string | undefined;
}

const bee: Codec<Bee> = record<Bee>({ name: text(8), age: uint(255), hive: optional(text(8)) });

type Message =
  | { readonly kind: 'ping'; readonly nonce: number }
  | { readonly kind: 'bye' }
  | { readonly kind: 'bee'; readonly bee: Bee };
const message: Codec<Message> = variants<Message>({ ping: [1, { nonce: uint(99) }], bye: [3, {}], bee: [4, { bee }] });

describe('codecs', () => {
  test('integers have a range and no fraction', () => {
    for (const good of [0, 1, 255]) assert(reads(uint(255), good));
    for (const bad of [-1, 256, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '1', null, true, [1], 1n]) {
      assert(!reads(uint(255), bad), String(bad));
    }
    assert(reads(uint(), Number.MAX_SAFE_INTEGER));
    assert(!reads(uint(), Number.MAX_SAFE_INTEGER + 1));
  });

  test('floats are finite', () => {
    for (const good of [0, -1.5, 1e300]) assert(reads(float, good));
    for (const bad of [Number.NaN, Number.NEGATIVE_INFINITY, '1', null]) assert(!reads(float, bad), String(bad));
    assert.equal(decode(float, Uint8Array.of(0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0)), undefined);
  });

  test('booleans are booleans', () => {
    assert.equal(readWith(bool, false), false);
    for (const bad of [0, 1, null, 'true']) assert(!reads(bool, bad), String(bad));
  });

  test('texts and bytes have a length', () => {
    assert(reads(text(3), 'abc') && !reads(text(3), 'abcd') && !reads(text(3), 3));
    assert(
      reads(
        text(3, (each) => each.startsWith('a')),
        'abc',
      ) &&
        !reads(
          text(3, (each) => each.startsWith('a')),
          'bbc',
        ),
    );
    assert(reads(bytes(2), new Uint8Array(2)) && !reads(bytes(2), new Uint8Array(3)) && !reads(bytes(2), [1, 2]));
    assert(reads(fixedBytes(2), new Uint8Array(2)));
    assert(!reads(fixedBytes(2), new Uint8Array(1)) && !reads(fixedBytes(2), 'ab'));
  });

  test('lists have a length, and items that are all right', () => {
    assert.deepEqual(readWith(list(uint(9), 3), [1, 2, 3]), [1, 2, 3]);
    for (const bad of [[1, 2, 3, 4], [1, 10], { 0: 1 }, 'abc', null]) assert(!reads(list(uint(9), 3), bad));
  });

  test('what is optional is there or nil', () => {
    assert.equal(readWith(optional(uint(9)), 7), 7);
    assert.equal(encode(optional(uint(9)), undefined)[0], 0xc0);
    assert.equal(decode(optional(uint(9)), Uint8Array.of(0xc0)), undefined);
    assert(!reads(optional(uint(9)), 10));
  });

  test('words travel as their position', () => {
    const size = word('small', 'large');
    assert.deepEqual([size.write('small'), size.write('large')], [0, 1]);
    assert.equal(readWith(size, 1), 'large');
    for (const bad of [2, -1, 0.5, Number.NaN, 'small', 'length', null, [0]]) assert(!reads(size, bad), String(bad));
  });

  test('anything is whatever packs', () => {
    assert.deepEqual(decode(anything, encode(anything, { a: [1, 'b', null] })), { a: [1, 'b', null] });
  });

  test('records travel by position, without keys', () => {
    assert.deepEqual(unpack(encode(bee, { name: 'maja', age: 3 })), ['maja', 3, null]);
    assert.deepEqual(decode(bee, encode(bee, { name: 'maja', age: 3, hive: 'oak' })), {
      name: 'maja',
      age: 3,
      hive: 'oak',
    });
    assert.deepEqual(decode(bee, encode(bee, { name: 'maja', age: 3 })), { name: 'maja', age: 3 });
  });

  test('fields that a later version added are ignored, fields that are missing refused', () => {
    assert.deepEqual(decode(bee, pack(['maja', 3, 'oak', 'a queen', { of: 'England' }])), {
      name: 'maja',
      age: 3,
      hive: 'oak',
    });
    for (const bad of [[], ['maja'], ['maja', 3], [3, 'maja', null], { name: 'maja', age: 3, hive: null }, null]) {
      assert.equal(decode(bee, pack(bad)), undefined, JSON.stringify(bad));
    }
  });

  test('unions travel as their number, then the fields', () => {
    const examples: readonly Message[] = [
      { kind: 'ping', nonce: 7 },
      { kind: 'bye' },
      { kind: 'bee', bee: { name: 'maja', age: 3 } },
    ];
    assert.deepEqual(
      examples.map((each) => unpack(encode(message, each))),
      [[1, 7], [3], [4, ['maja', 3, null]]],
    );
    for (const each of examples) assert.deepEqual(decode(message, encode(message, each)), each);
  });

  test('of an unknown kind, or of none, are refused', () => {
    for (const bad of [[2], [0, 7], [1.5, 7], ['ping', 7], [[1], 7], [null], [], 1, 'ping', { 0: 1, 1: 7 }]) {
      assert.equal(decode(message, pack(bad)), undefined, JSON.stringify(bad));
    }
    assert.equal(decode(message, pack([1])), undefined);
    assert.equal(decode(message, pack([1, 100])), undefined);
    assert.deepEqual(decode(message, pack([3, 'later'])), { kind: 'bye' });
  });

  test('decode what is no msgpack to nothing', () => {
    assert.equal(decode(bee, new Uint8Array(0)), undefined);
    assert.equal(decode(bee, Uint8Array.of(0xc1)), undefined);
  });

  test('a fault of ours inside a codec is not taken for malformed bytes', () => {
    const faulty: Codec<number> = { write: (value) => value, read: () => (undefined as unknown as string).length };
    assert.throws(() => decode(faulty, pack(1)), TypeError);
  });
});

/** Bytes as Uint8Array, whatever kind of buffer they came in. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}
