import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { concatBytes, equalBytes, toHex, utf8 } from '../../src/bytes.ts';
import { type ExchangeKey, exchangeKeyFrom, sha256 } from '../../src/crypto.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { CookieJar, cookieBytes, cookieLifetimeMs } from '../../src/session/cookie.ts';
import { counterMax, datagramBytesMax, decodeHeader, encodeHeader, headerBytes } from '../../src/session/header.ts';
import { directionKeys, type OwnKeys, type PeerKeys, pairSecret } from '../../src/session/keys.ts';
import * as packet from '../../src/session/packet.ts';
import { RateLimit } from '../../src/session/rate-limit.ts';
import { SentTags, sentTagsMax } from '../../src/session/sent-tags.ts';
import { Session } from '../../src/session/session.ts';
import { evictableAfterMs, retiredBootsMax, SessionTable } from '../../src/session/session-table.ts';
import { ReplayWindow, windowCounters } from '../../src/session/window.ts';
import { addressOf, cluster } from './lab.ts';

const clusterTag = Uint8Array.from(cluster.subarray(0, 4));
const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);
const keyOf = (name: string): ExchangeKey => exchangeKeyFrom(sha256(utf8(name)));
const ownKeys = (number: number): OwnKeys => ({
  number,
  exchangeKey: keyOf(`static ${number}`),
  bootKey: keyOf(`boot ${number}`),
});
const peerKeys = (number: number, boot = `boot ${number}`): PeerKeys => ({
  number,
  exchangeKey: keyOf(`static ${number}`).publicKey,
  boot: keyOf(boot).publicKey,
});
const scope = { cluster, epoch: 1 };

test('each layout decodes what it encodes, in the bytes it says', () => {
  const [boot, nonce, cookie] = [filled(32, 1), filled(16, 2), filled(cookieBytes, 3)];
  const check = <T>(layout: packet.Layout<T>, value: T, bytes: number): void => {
    const encoded = layout.encode(value);
    assert.equal(encoded.length, bytes);
    assert(bytes >= layout.bytesMin);
    assert.deepEqual(layout.decode(encoded), value);
  };
  check(packet.helloLayout, { to: 0xffff_ffff, boot, nonce }, 70);
  check(packet.challengeLayout, { boot, nonce, cookie }, 70);
  check(packet.proveLayout, { boot, cookie, credential: filled(0, 0) }, 54);
  check(packet.proveLayout, { boot, cookie, credential: filled(1_000, 4) }, 1_054);
  check(packet.acceptLayout, { provedCounter: counterMax }, 6);
  check(packet.unknownLayout, { tag: filled(16, 5) }, 16);
});

test('a header decodes to what was encoded, and anything else to its reason', () => {
  const header = { kind: 'data', clusterTag, epoch: 0xffff_ffff, number: 7, counter: counterMax } as const;
  const bytes = encodeHeader(header);
  assert.equal(bytes.length, headerBytes);
  assert.deepEqual(decodeHeader(bytes), header);
  const changed = (at: number, byte: number): Uint8Array => Uint8Array.from(bytes).fill(byte, at, at + 1);
  assert.equal(decodeHeader(changed(0, 0x9f)), 'not-hivemind');
  assert.equal(decodeHeader(changed(1, 2)), 'other-version');
  assert.equal(decodeHeader(changed(2, 0)), 'unknown-kind');
  assert.equal(decodeHeader(changed(2, 7)), 'unknown-kind');
  assert.equal(decodeHeader(bytes.subarray(1)), 'truncated');
  assert.equal(decodeHeader(new Uint8Array(0)), 'truncated');
  assert.equal(decodeHeader(filled(datagramBytesMax + 1, 0x9e)), 'too-large');
});

test('each kind has its lengths: a hello is as long as a challenge, "unknown" as short as the shortest data', () => {
  const { hello, challenge, unknown, data, prove } = packet.datagramLengths;
  assert.equal(hello.min, challenge.max);
  assert.equal(unknown.max, data.min);
  assert.equal(prove.max, headerBytes + packet.proveLayout.bytesMin + packet.credentialBytesMax + 16);
  assert.equal(packet.lengthFault('accept', 42), 'truncated');
  assert.equal(packet.lengthFault('accept', 43), undefined);
  assert.equal(packet.lengthFault('accept', 44), 'too-large');
});

test('the replay window agrees with a set that remembers everything', () => {
  const random = seededRandom(1_024);
  for (const start of [0, 5, 2 ** 32 - 700, counterMax - 100_000]) {
    const window = new ReplayWindow(start);
    const seen = new Set<number>();
    let highest = start;
    for (let step = 0; step < 5_000; step++) {
      const jump = random.below(20) === 0 ? random.below(3_000) : random.below(8);
      const counter = Math.max(0, highest + jump - random.below(1_100));
      const isNew = counter > start && counter > highest - windowCounters && !seen.has(counter);
      assert.equal(window.isNew(counter), isNew, `counter ${counter} with ${highest} the highest`);
      if (!isNew) continue;
      window.mark(counter);
      seen.add(counter);
      highest = Math.max(highest, counter);
    }
    assert.equal(window.highest, highest);
  }
});

test('a cookie is good for its address, number, boot and two seconds, and for no other jar', () => {
  const jar = new CookieJar(filled(32, 1));
  const holder = { address: addressOf(1), number: 1, boot: filled(32, 9) };
  const cookie = jar.issue(holder, 1_000.7);
  assert.equal(cookie.length, cookieBytes);
  assert.equal(jar.issuedMs(cookie, holder, 1_000.7), 1_000);
  assert.equal(jar.issuedMs(cookie, holder, 1_000 + cookieLifetimeMs), 1_000);
  assert.equal(jar.issuedMs(cookie, holder, 1_001 + cookieLifetimeMs), undefined);
  assert.equal(jar.issuedMs(cookie, holder, 999), undefined);
  assert.equal(jar.issuedMs(cookie, { ...holder, address: addressOf(2) }, 1_001), undefined);
  assert.equal(jar.issuedMs(cookie, { ...holder, number: 2 }, 1_001), undefined);
  assert.equal(jar.issuedMs(cookie, { ...holder, boot: filled(32, 8) }, 1_001), undefined);
  assert.equal(new CookieJar(filled(32, 2)).issuedMs(cookie, holder, 1_001), undefined);
});

test('both ends of a pair derive the same two keys, and any other key, number, epoch or cluster others', () => {
  const keysOf = (own: OwnKeys, peer: PeerKeys, within = scope): string[] => {
    const secret = pairSecret(own, peer);
    assert(secret !== undefined);
    const { sending, receiving } = directionKeys(secret, own, peer, within);
    return [toHex(sending), toHex(receiving)];
  };
  const expected = keysOf(ownKeys(1), peerKeys(2));
  assert.deepEqual(keysOf(ownKeys(2), peerKeys(1)).reverse(), expected);
  const other = keyOf('another');
  const variants = [
    keysOf({ ...ownKeys(1), exchangeKey: other }, peerKeys(2)),
    keysOf({ ...ownKeys(1), bootKey: other }, peerKeys(2)),
    keysOf(ownKeys(1), { ...peerKeys(2), exchangeKey: other.publicKey }),
    keysOf(ownKeys(1), { ...peerKeys(2), boot: other.publicKey }),
    keysOf(ownKeys(1), { ...peerKeys(2), number: 3 }),
    keysOf({ ...ownKeys(1), number: 9 }, peerKeys(2)),
    keysOf(ownKeys(1), peerKeys(2), { cluster, epoch: 2 }),
    keysOf(ownKeys(1), peerKeys(2), { cluster: filled(16, 0), epoch: 1 }),
  ];
  assert.equal(new Set([...expected, ...variants.flat()]).size, 2 * (1 + variants.length));
});

test('a boot or static key of low order gives no session', () => {
  const lowOrder = filled(32, 0);
  assert.equal(pairSecret(ownKeys(1), { ...peerKeys(2), boot: lowOrder }), undefined);
  assert.equal(pairSecret(ownKeys(1), { ...peerKeys(2), exchangeKey: lowOrder }), undefined);
});

test('the example in docs/protocol.md is what this code computes', () => {
  const documented = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8').replace(/\s/g, '');
  const low = { number: 1, exchangeKey: exchangeKeyFrom(filled(32, 0x11)), bootKey: exchangeKeyFrom(filled(32, 0x12)) };
  const high = {
    number: 2,
    exchangeKey: exchangeKeyFrom(filled(32, 0x21)),
    bootKey: exchangeKeyFrom(filled(32, 0x22)),
  };
  const within = { cluster: filled(16, 0xcc), epoch: 1 };
  const peer = { number: 2, exchangeKey: high.exchangeKey.publicKey, boot: high.bootKey.publicKey };
  const secret = pairSecret(low, peer) as Uint8Array;
  const { sending, receiving } = directionKeys(secret, low, peer, within);
  const data = Session.between(low, peer, within, 5)?.seal('data', within, new Uint8Array(0), utf8('hello'));
  const own = [low.exchangeKey.publicKey, low.bootKey.publicKey, peer.exchangeKey, peer.boot];
  for (const part of [...own, secret, sending, receiving, data as Uint8Array]) {
    assert(documented.includes(toHex(part)), `${toHex(part)} is not in the example`);
  }
});

const sessionWith = (number: number, firstCounter = 0, boot?: string): Session => {
  const session = Session.between(ownKeys(99), peerKeys(number, boot), scope, firstCounter);
  assert(session !== undefined);
  return session;
};

test('a full table gives the place of the longest unused session away, once that was silent for long enough', () => {
  const table = new SessionTable(3);
  for (const number of [1, 2, 3]) table.put(sessionWith(number), number);
  table.touch(table.get(1) as Session, 10);
  assert.equal(table.makeRoom(4, 1 + evictableAfterMs), false);
  assert.equal(table.makeRoom(3, 1 + evictableAfterMs), true);
  assert.equal(table.makeRoom(4, 2 + evictableAfterMs), true);
  assert.deepEqual(
    [1, 2, 3].map((number) => table.get(number) !== undefined),
    [true, false, true],
  );
});

test('new sessions count on from whatever any dropped session sealed', () => {
  const table = new SessionTable(3);
  const first = sessionWith(1);
  for (let n = 0; n < 5; n++) first.seal('data', scope, filled(0, 0), filled(1, 1));
  table.put(first, 0);
  assert.equal(table.counterFloor, 0);
  table.delete(1);
  assert.equal(table.counterFloor, 5);
  table.release(sessionWith(2, 3));
  assert.equal(table.counterFloor, 5);
});

test('the last eight replaced boots of a peer are retired', () => {
  const table = new SessionTable(3);
  const boots = Array.from({ length: retiredBootsMax + 2 }, (_, start) => `boot 1.${start}`);
  for (const boot of boots) table.put(sessionWith(1, 0, boot), 0);
  const retired = boots.map((boot) => table.isRetired(1, keyOf(boot).publicKey));
  assert.deepEqual(retired, [false, ...new Array(retiredBootsMax).fill(true), false]);
});

test('sent tags are remembered for two seconds, each is taken once, and their number is bounded', () => {
  const tags = new SentTags();
  const session = sessionWith(1);
  const datagramOf = (n: number): Uint8Array => concatBytes(filled(30, 0), sha256(utf8(`${n}`)).subarray(0, 16));
  const tag = (n: number): Uint8Array => datagramOf(n).subarray(-16);
  for (let n = 0; n <= sentTagsMax; n++) tags.remember(datagramOf(n), { session, to: addressOf(1), atMs: 0 });
  assert.equal(tags.take(tag(0), 0), undefined);
  assert.equal(tags.take(tag(1), 2_000)?.session, session);
  assert.equal(tags.take(tag(1), 2_000), undefined);
  assert.equal(tags.take(tag(2), 2_001), undefined);
});

test('a rate limit starts afresh each second', () => {
  const limit = new RateLimit(2);
  assert.deepEqual(
    [0, 10, 20, 1_000, 1_001, 1_002].map((now) => limit.take(now)),
    [true, true, false, true, true, false],
  );
});

test('a session takes nothing before its peer is proven, and opens nothing of another counter', () => {
  const [one, two] = [ownKeys(1), ownKeys(2)];
  const sender = Session.between(one, peerKeys(2), scope, 0) as Session;
  const receiver = Session.between(two, peerKeys(1), scope, 0) as Session;
  const datagram = sender.seal('data', scope, filled(0, 0), utf8('x'));
  const header = decodeHeader(datagram);
  assert(typeof header !== 'string');
  assert(equalBytes(receiver.open(header, datagram, scope) ?? filled(0, 0), utf8('x')));
  assert.equal(receiver.open({ ...header, counter: 1 }, datagram, scope), undefined);
  assert.equal(receiver.takes(0, addressOf(1)), false);
  receiver.prove({ counter: 0, aliveAtMs: 0 });
  assert.equal(receiver.takes(0, addressOf(1)), false);
  assert.equal(receiver.takes(1, addressOf(1)), true);
});
