/** What a user may write for an address or a name, and what an operating error says. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AssertionError, assert as hold, unreachable } from '../../src/assert.ts';
import { errorCodes, HivemindError, isErrorCode, toHivemindError } from '../../src/error.ts';
import { endpointText, isEndpoint, isLabel, isPort, parseAddress, wallText } from '../../src/identity.ts';

const addresses: Readonly<Record<string, readonly [host: string, port: number]>> = {
  '10.0.0.5': ['10.0.0.5', 7100],
  '10.0.0.5:7200': ['10.0.0.5', 7200],
  '10.0.0.5:1': ['10.0.0.5', 1],
  '10.0.0.5:65535': ['10.0.0.5', 65_535],
  '0.0.0.0:7100': ['0.0.0.0', 7100],
  '::': ['::', 7100],
  '::1': ['::1', 7100],
  '[::1]': ['::1', 7100],
  '[::1]:7200': ['::1', 7200],
  'fd00::5': ['fd00::5', 7100],
  '[fd00::5]:7200': ['fd00::5', 7200],
  '::ffff:10.0.0.5': ['::ffff:10.0.0.5', 7100],
  localhost: ['localhost', 7100],
  'localhost:7200': ['localhost', 7200],
  'node.example': ['node.example', 7100],
  'node.example.:7200': ['node.example.', 7200],
  'Node-1.Example:7200': ['Node-1.Example', 7200],
  '7100.example': ['7100.example', 7100],
  ' 10.0.0.5:7200\n': ['10.0.0.5', 7200],
};

const nonsense: readonly string[] = [
  '',
  ' ',
  ':',
  ':7100',
  '7100',
  'a b',
  'a b:7100',
  'node_1',
  '-node',
  'node-',
  'node..example',
  '.example',
  `${'a'.repeat(64)}.example`,
  `${'a.'.repeat(127)}example`,
  '999.1.1.1',
  '999.1.1.1:7100',
  '10.0.0',
  '10.0.0.5.6',
  '256.0.0.1',
  '10.0.0.5:',
  '10.0.0.5:0',
  '10.0.0.5:65536',
  '10.0.0.5:99999',
  '10.0.0.5:100000',
  '10.0.0.5:-1',
  '10.0.0.5:71o0',
  '10.0.0.5:7100:7100',
  '10.0.0.5/24',
  'node:7100/path',
  'udp://10.0.0.5:7100',
  '[]:7100',
  '[::1',
  '::1]',
  '[::1]7100',
  '[::1]:',
  '[::1]:0',
  '[10.0.0.5]:7100',
  '[node.example]:7100',
  '[[::1]]:7100',
  ':::1',
  '1::2::3',
  'fe80::1%eth0',
  '[fe80::1%eth0]:7100',
];

describe('an address', () => {
  test('is an IP address or a name, with a port or without', () => {
    for (const [text, [host, port]] of Object.entries(addresses)) {
      assert.deepEqual(parseAddress(text), { host, port }, text);
    }
  });

  test('without a port has the one that is given as usual', () => {
    assert.deepEqual(parseAddress('dns.example', 53), { host: 'dns.example', port: 53 });
    assert.deepEqual(parseAddress('dns.example:54', 53), { host: 'dns.example', port: 54 });
    assert.deepEqual(parseAddress('::1', 53), { host: '::1', port: 53 });
  });

  test('of any other form is refused with its text and an example', () => {
    for (const text of nonsense) {
      assert.throws(
        () => parseAddress(text),
        (thrown: HivemindError) => {
          assert(thrown instanceof HivemindError, text);
          assert.equal(thrown.code, 'address-invalid');
          assert.equal(
            thrown.message,
            `"${text}" is not an address; write an IP address or a name, with or without a port, ` +
              'like 10.0.0.5:7100 or [fd00::5]:7100.',
          );
          return true;
        },
        `"${text}" was taken for an address`,
      );
    }
  });
});

describe('an endpoint', () => {
  test('is shown as a user would write it', () => {
    assert.equal(endpointText({ host: '10.0.0.5', port: 7100 }), '10.0.0.5:7100');
    assert.equal(endpointText({ host: 'fd00::5', port: 7100 }), '[fd00::5]:7100');
    for (const host of ['10.0.0.5', '::1', 'fd00::5', '::ffff:10.0.0.5']) {
      assert.deepEqual(parseAddress(endpointText({ host, port: 7200 })), { host, port: 7200 });
    }
  });

  test('is a literal address with a port, and no name, bracket or zone', () => {
    for (const host of ['10.0.0.5', '::1', 'fd00::5']) assert(isEndpoint({ host, port: 7100 }), host);
    for (const host of ['', 'localhost', '[::1]', 'fe80::1%eth0', '10.0.0.5:7100', ' 10.0.0.5', '999.1.1.1']) {
      assert(!isEndpoint({ host, port: 7100 }), host);
    }
    for (const port of [0, -1, 65_536, 1.5, Number.NaN]) assert(!isEndpoint({ host: '::1', port }), `port ${port}`);
  });

  test('has a port between 1 and 65,535', () => {
    assert(isPort(1) && isPort(65_535));
    assert(![0, 65_536, -1, 7100.5, Number.POSITIVE_INFINITY, Number.NaN].some(isPort));
  });
});

describe('a label', () => {
  test('is 1 to 63 lower-case letters, digits and hyphens, and begins and ends without one (RFC 1123 §2.1)', () => {
    for (const label of ['a', '0', 'host-a', 'a--b', '3com', 'x'.repeat(63)]) assert(isLabel(label), label);
  });

  test('is nothing else', () => {
    const others = [
      '',
      'A',
      'host_a',
      'a.b',
      '-a',
      'a-',
      '-',
      'x'.repeat(64),
      'é',
      'a b',
      'a\n',
      '\ufeffa',
      '__proto__',
    ];
    for (const label of others) assert(!isLabel(label), JSON.stringify(label));
  });
});

describe('a time', () => {
  test('is shown in UTC and ends in Z (PF-22)', () => {
    assert.equal(wallText(0), '1970-01-01T00:00:00.000Z');
    assert.equal(wallText(1_767_312_000_123), '2026-01-02T00:00:00.123Z');
  });
});

describe('an error', () => {
  test('has a code that programs know, a sentence, and its cause', () => {
    const cause = new Error('ENOSPC');
    const error = new HivemindError('disk-failed', 'The disk is full; make room.', cause);
    assert.equal(error.code, 'disk-failed');
    assert.equal(error.message, 'The disk is full; make room.');
    assert.equal(error.cause, cause);
    assert(!('cause' in new HivemindError('busy', 'Try again.')));
  });

  test('codes are lower-case words, each listed once', () => {
    assert.equal(new Set(errorCodes).size, errorCodes.length);
    assert(errorCodes.every((code) => /^[a-z]+(-[a-z]+)*$/.test(code) && isErrorCode(code)));
    assert(!isErrorCode('constructor') && !isErrorCode(''));
  });

  test('whatever was thrown becomes one, and one stays itself', () => {
    const own = new HivemindError('busy', 'Try again.');
    assert.equal(toHivemindError(own), own);
    assert.equal(toHivemindError(new TypeError('odd')).code, 'internal');
    assert.equal(toHivemindError(new TypeError('odd')).message, 'odd');
    assert.equal(toHivemindError(7).message, '7');
  });

  test('a broken invariant is not an operating error', () => {
    assert.throws(() => hold(false, 'numbers are never reused'), AssertionError);
    assert.doesNotThrow(() => hold(true, 'numbers are never reused'));
    assert.throws(() => unreachable({ kind: 'new' } as never), /unexpected case \{"kind":"new"\}/);
  });
});
