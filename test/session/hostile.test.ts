import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, equalBytes, utf8 } from '../../src/bytes.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { cookieLifetimeMs } from '../../src/session/cookie.ts';
import { challengeWaitMs } from '../../src/session/handshake.ts';
import { encodeHeader, headerBytes } from '../../src/session/header.ts';
import { challengeLayout, helloLayout } from '../../src/session/packet.ts';
import { unknownsPerSecondMax } from '../../src/session/sessions.ts';
import {
  acquainted,
  addressOf,
  assertHeals,
  cluster,
  elsewhere,
  type Flight,
  kindOf,
  Lab,
  type LabNode,
  lastOf,
} from './lab.ts';

test('recorded data is dropped when it comes again, from wherever', () => {
  const { lab, two } = acquainted();
  const recorded = lab.sentOf('data').find(({ to }) => to.host === two.address.host) as Flight;
  for (const from of [recorded.from, elsewhere]) {
    assert.deepEqual(lab.inject(two, from, recorded.bytes), [{ kind: 'dropped', reason: 'replayed', from }]);
  }
  assert.deepEqual(two.heard(), ['hello']);
  assert.deepEqual(two.sessions.sourceOf(1), addressOf(1));
});

test('a recorded prove is dropped: replayed while its cookie lives, stale after, and from any other address', () => {
  const { lab, two } = acquainted();
  const prove = lastOf(lab, 'prove');
  lab.inject(two, prove.from, prove.bytes);
  assert.equal(two.drops('replayed'), 1);
  lab.inject(two, elsewhere, prove.bytes);
  lab.now += cookieLifetimeMs + 1;
  lab.inject(two, prove.from, prove.bytes);
  assert.equal(two.drops('stale-cookie'), 2);
  assert.deepEqual(two.met(), [1]);
});

test('a recorded hello from another address changes nothing, and its answer is no longer than itself', () => {
  const { lab, one, two } = acquainted();
  const hello = lastOf(lab, 'hello');
  const [answer] = lab.inject(two, elsewhere, hello.bytes);
  assert(answer?.kind === 'datagram' && answer.bytes.length <= hello.bytes.length);
  assert.deepEqual(answer.to, elsewhere);
  lab.inject(one, two.address, answer.bytes);
  assert.equal(one.drops('unsolicited'), 1);
  lab.intercept();
  assertHeals(lab, one, two);
});

test('a challenge is believed only while its nonce is fresh, and sends the prove where the hello went', () => {
  const lab = new Lab();
  const [one, two] = lab.pair();
  lab.send(one, two, 'hello');
  const [hello] = lab.intercept();
  const [challenge] = lab.inject(two, one.address, hello?.bytes as Uint8Array);
  lab.intercept();
  assert(challenge?.kind === 'datagram');
  const [prove] = lab.inject(one, elsewhere, challenge.bytes);
  assert(prove?.kind === 'datagram');
  assert.deepEqual(prove.to, two.address);
  lab.now += challengeWaitMs + 1;
  lab.inject(one, two.address, challenge.bytes);
  assert.equal(one.drops('unsolicited'), 1);
});

test('one hello has only a few challenges answered, however many come', () => {
  const lab = new Lab();
  const [one, two] = lab.pair();
  lab.loses = ({ bytes }) => kindOf(bytes) === 'prove';
  lab.say(one, two, 'hello');
  const challenge = lastOf(lab, 'challenge');
  for (let n = 0; n < 50; n++) lab.inject(one, two.address, challenge.bytes);
  assert.equal(lab.sentOf('prove').length, 3);
});

test('a boot that was replaced cannot come back, neither by a recorded prove nor alive', () => {
  const { lab, one, two } = acquainted();
  const older = lastOf(lab, 'prove');
  const newer = lab.start({ number: 1, start: 2, knows: [2] });
  lab.say(newer, two, 'newer');
  lab.inject(two, older.from, older.bytes);
  assert.equal(two.drops('retired-boot'), 1);
  // The old process runs on beside the new one, with the same identity.
  for (let second = 0; second < 5; second++) {
    const effects = one.sessions.send(2, two.address, utf8('older'), lab.now);
    for (const effect of effects) if (effect.kind === 'datagram') lab.inject(two, one.address, effect.bytes);
    lab.deliver();
    lab.elapse(1_000);
  }
  assert(equalBytes(two.sessions.bootOf(1) ?? utf8(''), newer.sessions.boot));
  assert(!two.heard().includes('older'));
  assertHeals(lab, newer, two);
});

test('a forged challenge cannot lead back to a boot that was replaced', () => {
  const { lab, one, two: older } = acquainted();
  const newer = lab.start({ number: 2, start: 2, knows: [1] });
  assertHeals(lab, one, newer);
  newer.sessions.forget(1);
  lab.loses = ({ bytes }) => kindOf(bytes) === 'challenge';
  lab.say(one, newer, 'unknown to you');
  const { nonce } = helloLayout.decode(lastOf(lab, 'hello').bytes.subarray(headerBytes));
  const header = { kind: 'challenge', clusterTag: cluster.subarray(0, 4), epoch: 1, number: 2, counter: 0 } as const;
  const payload = challengeLayout.encode({ boot: older.sessions.boot, nonce, cookie: new Uint8Array(22) });
  lab.inject(one, elsewhere, concatBytes(encodeHeader(header), payload));
  assert.equal(one.drops('retired-boot'), 1);
  lab.loses = () => false;
  assertHeals(lab, one, newer);
});

test('a recorded accept proves nothing to an initiator that begins anew', () => {
  const { lab, one, two } = acquainted();
  const recorded = lastOf(lab, 'accept');
  one.sessions.forget(2);
  lab.loses = ({ bytes }) => kindOf(bytes) === 'accept';
  lab.say(one, two, 'again');
  lab.inject(one, two.address, recorded.bytes);
  assert.equal(one.drops('replayed'), 1);
  assert(!one.sessions.established(2));
  lab.inject(one, two.address, lastOf(lab, 'accept').bytes);
  assert(one.sessions.established(2));
});

test('a prove of an older boot, held back until a newer boot was proven, does not displace it', () => {
  const lab = new Lab();
  const [one, two] = lab.pair();
  lab.loses = ({ bytes }) => kindOf(bytes) === 'prove';
  lab.say(one, two, 'held back');
  const held = lastOf(lab, 'prove');
  lab.loses = () => false;
  lab.now += 100;
  const newer = lab.start({ number: 1, start: 2, knows: [2] });
  lab.say(newer, two, 'newer');
  lab.inject(two, held.from, held.bytes);
  assert.equal(two.drops('stale-cookie'), 1);
  assert.deepEqual(two.met(), [1]);
  assert(equalBytes(two.sessions.bootOf(1) ?? utf8(''), newer.sessions.boot));
});

test('packets of another cluster, another epoch, this very number or another target each have their reason', () => {
  const { lab, two } = acquainted();
  const foreign = new Lab().start({ number: 1, knows: [2, 3], cluster: new Uint8Array(16) });
  const later = new Lab().start({ number: 1, knows: [2, 3], epoch: 7 });
  const twin = new Lab().start({ number: 2, start: 9, knows: [2, 3] });
  const misled = new Lab().start({ number: 4, knows: [3] });
  const packetOf = (node: LabNode, to: number): Uint8Array => {
    const [effect] = node.sessions.send(to, addressOf(to), utf8('x'), lab.now);
    assert(effect?.kind === 'datagram');
    return effect.bytes;
  };
  lab.inject(two, elsewhere, packetOf(foreign, 2));
  assert.equal(two.drops('other-cluster'), 1);
  assert.deepEqual(lab.inject(two, elsewhere, packetOf(later, 2)), [
    { kind: 'dropped', reason: 'other-epoch', from: elsewhere },
    { kind: 'other-epoch', from: elsewhere, epoch: 7, number: 1, proven: false },
  ]);
  lab.inject(two, elsewhere, packetOf(twin, 3));
  assert.equal(two.drops('own-number'), 1);
  lab.inject(two, elsewhere, packetOf(misled, 3));
  assert.equal(two.drops('wrong-target'), 1);
  assert.equal(lab.intercept().length, 0);
});

test('packets may be reordered by up to the window, each is taken once, and later ones are dropped', () => {
  const { lab, one, two } = acquainted();
  const flights: Flight[] = [];
  for (let n = 0; n < 1_200; n++) {
    lab.send(one, two, `${n}`);
    flights.push(...lab.intercept());
  }
  for (const { from, bytes } of [...flights].reverse()) lab.inject(two, from, bytes);
  assert.equal(two.heard().length, 1 + 1_024);
  assert.equal(two.drops('replayed'), 1_200 - 1_024);
  for (const { from, bytes } of flights) lab.inject(two, from, bytes);
  assert.equal(two.heard().length, 1 + 1_024);
});

test('a member that moves is followed by the source of its newest packet, not by a late one', () => {
  const { lab, one, two } = acquainted();
  lab.send(one, two, 'first');
  lab.send(one, two, 'second');
  const [first, second] = lab.intercept() as [Flight, Flight];
  lab.inject(two, { host: '2001:db8::5', port: 7100 }, second.bytes);
  lab.inject(two, elsewhere, first.bytes);
  assert.deepEqual(two.sessions.sourceOf(1), { host: '2001:db8::5', port: 7100 });
  assert.deepEqual(two.heard(), ['hello', 'second', 'first']);
});

test('a flipped bit anywhere in data is dropped and counted, and the packet itself still counts after', () => {
  const { lab, one, two } = acquainted();
  lab.send(one, two, 'intact');
  const [flight] = lab.intercept() as [Flight];
  const total = (): number => Object.values(two.sessions.dropped()).reduce((sum, count) => sum + count, 0);
  const before = total();
  for (let at = 0; at < flight.bytes.length; at++) {
    const flipped = Uint8Array.from(flight.bytes);
    flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
    assert(lab.inject(two, flight.from, flipped).every(({ kind }) => kind !== 'body' && kind !== 'established'));
    assert.equal(total(), before + at + 1, `byte ${at}`);
  }
  lab.inject(two, flight.from, flight.bytes);
  assert.equal(two.heard().at(-1), 'intact');
});

test('a flipped bit in prove or accept establishes nothing', () => {
  for (const kind of ['prove', 'accept'] as const) {
    const lab = new Lab();
    const [one, two] = lab.pair();
    lab.loses = ({ bytes }) => kindOf(bytes) === kind;
    lab.say(one, two, 'hello');
    const target = kind === 'prove' ? two : one;
    const { from, bytes } = lastOf(lab, kind);
    // The long credential in steps: each try counts against the proves of a second.
    for (let at = 0; at < bytes.length; at += at > 80 && at < bytes.length - 20 ? 7 : 1) {
      const flipped = Uint8Array.from(bytes);
      flipped[at] = (flipped[at] as number) ^ 0x10;
      lab.inject(target, from, flipped);
      assert.equal(target.met().length, 0, `byte ${at} of ${kind}`);
    }
    lab.inject(target, from, bytes);
    assert.equal(target.met().length, 1);
  }
});

/** Every packet of a handshake and some data, in both directions, and bytes that are no packet. */
function hostilePacket(recorded: readonly Flight[], random: ReturnType<typeof seededRandom>): Uint8Array {
  const original = Uint8Array.from((recorded[random.below(recorded.length)] as Flight).bytes);
  const choice = random.below(4);
  if (choice === 0) return random.bytes(random.below(1_500));
  if (choice === 1) return original.subarray(0, random.below(original.length));
  if (choice === 2) return Uint8Array.from([...original.subarray(0, 3 + random.below(20)), ...random.bytes(80)]);
  const at = random.below(original.length);
  for (const changed of [at, (at + random.below(original.length)) % original.length].slice(random.below(2))) {
    original[changed] = (original[changed] as number) ^ (1 + random.below(255));
  }
  return original;
}

test('20,000 hostile packets from unproven addresses throw nothing, yield nothing and amplify nothing', () => {
  const { lab, one, two } = acquainted();
  lab.say(one, lab.start({ number: 2, start: 2 }), 'for an unknown among the recorded');
  const recorded = [...lab.sent];
  const random = seededRandom(20_000);
  for (let n = 0; n < 20_000; n++) {
    const packet = hostilePacket(recorded, random);
    const from = { host: `192.0.2.${random.below(250)}`, port: 1 + random.below(60_000) };
    const effects = lab.inject(n % 2 === 0 ? one : two, from, packet);
    let answered = 0;
    for (const effect of effects) {
      assert(effect.kind !== 'body' && effect.kind !== 'established', `packet ${n}`);
      if (effect.kind === 'datagram') answered += effect.bytes.length;
    }
    assert(answered <= packet.length, `packet ${n} of ${packet.length} bytes was answered by ${answered}`);
    lab.intercept();
    lab.now += 10;
  }
});

test('answers to data that does not open are limited, and the limit is counted', () => {
  const { lab, two } = acquainted();
  const stranger = { ...(lab.sentOf('data')[0] as Flight) };
  const forged = Uint8Array.from(stranger.bytes);
  forged[forged.length - 1] = (forged.at(-1) as number) ^ 1;
  for (let n = 0; n < unknownsPerSecondMax + 50; n++) lab.inject(two, elsewhere, forged);
  assert.equal(lab.intercept().length, unknownsPerSecondMax);
  assert.equal(two.drops('rate-limited'), 50);
  lab.now += 1_000;
  lab.inject(two, elsewhere, forged);
  assert.equal(lab.intercept().length, 1);
});

test('"unknown" is believed only with the tag of a packet that left for that member in the last two seconds', () => {
  const { lab, one, two } = acquainted();
  two.sessions.forget(1);
  lab.send(one, two, 'unknown to you');
  const [data] = lab.intercept() as [Flight];
  lab.inject(two, one.address, data.bytes);
  const [unknown] = lab.intercept() as [Flight];
  const guessed = Uint8Array.from(unknown.bytes);
  guessed[guessed.length - 1] = (guessed.at(-1) as number) ^ 1;
  lab.inject(one, two.address, guessed);
  lab.now += 2_001;
  lab.inject(one, two.address, unknown.bytes);
  assert.equal(one.drops('unsolicited'), 2);
  assert.equal(lab.intercept().length, 0);
  assertHeals(lab, one, two);
});
