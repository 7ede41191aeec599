import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes, utf8 } from '../../src/bytes.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { queuedBodiesMax } from '../../src/session/handshake.ts';
import { datagramBytesMax } from '../../src/session/header.ts';
import { bodyBytesMax } from '../../src/session/packet.ts';
import { epochGraceMs } from '../../src/session/sessions.ts';
import { acquainted, addressOf, assertHeals, credentialOf, type Flight, kindOf, Lab, lastOf } from './lab.ts';

test('two members exchange bodies after one handshake, the stranger known by its credential', () => {
  const { lab, one, two } = acquainted();
  assert.deepEqual(
    lab.sent.map(({ bytes }) => kindOf(bytes)),
    ['hello', 'challenge', 'prove', 'accept', 'data', 'data'],
  );
  assert.deepEqual([one.met(), two.met()], [[2], [1]]);
  const met = two.effects.find((effect) => effect.kind === 'established');
  assert(met?.kind === 'established' && met.credential !== undefined);
  assert(equalBytes(met.credential, credentialOf(1)));
  assert(equalBytes(met.boot, one.sessions.boot));
  assert(one.sessions.established(2) && two.sessions.established(1));
  assert.equal(one.sessions.nextTickAt(), undefined);
  assert.deepEqual(two.sessions.sourceOf(1), addressOf(1));
});

test('a body of the greatest length fits a datagram, and a longer one is our own mistake', () => {
  const { lab, one, two } = acquainted();
  lab.say(one, two, 'x'.repeat(bodyBytesMax));
  assert.equal(lastOf(lab, 'data').bytes.length, datagramBytesMax);
  assert.equal(two.heard().at(-1)?.length, bodyBytesMax);
  assert.throws(() => lab.send(one, two, 'x'.repeat(bodyBytesMax + 1)), /broken invariant/);
});

test('hellos from both ends at once give one session, and nothing that was sent is lost or doubled', () => {
  const lab = new Lab();
  const one = lab.start({ number: 1, knows: [2] });
  const two = lab.start({ number: 2, knows: [1] });
  lab.send(one, two, 'from one');
  lab.send(two, one, 'from two');
  lab.deliver();
  assert.deepEqual([one.heard(), two.heard()], [['from two'], ['from one']]);
  assert.deepEqual([one.met(), two.met()], [[2], [1]]);
  assertHeals(lab, one, two);
  assert.deepEqual([one.met(), two.met()], [[2], [1]]);
});

for (const lost of ['hello', 'challenge', 'prove', 'accept', 'data'] as const) {
  test(`the loss of the first ${lost} heals while there is something to send`, () => {
    const lab = new Lab();
    const [one, two] = lab.pair();
    let left = 1;
    lab.loses = ({ bytes }) => kindOf(bytes) === lost && left-- > 0;
    lab.say(one, two, 'first');
    lab.elapse(600);
    assert.deepEqual(two.heard(), lost === 'data' ? [] : ['first']);
    assertHeals(lab, one, two);
    assert.deepEqual([one.met(), two.met()], [[2], [1]]);
  });
}

test('a handshake survives a network that loses a third of everything and doubles and reorders the rest', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const lab = new Lab();
    const one = lab.start({ number: 1, knows: [2] });
    const two = lab.start({ number: 2, knows: [1] });
    lab.loses = () => random.next() < 0.33;
    for (let round = 0; round < 60; round++) {
      lab.send(one, two, `one ${round}`);
      lab.send(two, one, `two ${round}`);
      const flying = lab.intercept();
      const doubled = flying.flatMap((flight) => (random.next() < 0.3 ? [flight, flight] : [flight]));
      for (const { from, to, bytes } of doubled.sort(() => random.next() - 0.5)) {
        lab.inject(to.host === one.address.host ? one : two, from, bytes);
      }
      lab.deliver();
      lab.elapse(200);
    }
    assert(one.heard().length > 10 && two.heard().length > 10, `seed ${seed}`);
    for (const node of [one, two]) {
      assert.equal(new Set(node.heard()).size, node.heard().length, `seed ${seed}: a body came twice`);
      assert.equal(node.met().length, 1, `seed ${seed}`);
    }
  }
});

test('a member that does not answer gets hellos with growing gaps, and none when nothing is left to send', () => {
  const lab = new Lab();
  const one = lab.start({ number: 1, knows: [2] });
  lab.say(one, 2, 'anyone?');
  lab.elapse(20_000);
  assert.equal(lab.sentOf('hello').length, 3);
  assert.equal(one.drops('expired'), 1);
  assert.equal(one.sessions.nextTickAt(), undefined);
});

test('only the newest bodies wait for a handshake, none longer than two seconds', () => {
  const lab = new Lab();
  const [one, two] = lab.pair();
  lab.loses = () => true;
  lab.say(one, two, 'old');
  lab.elapse(1_900);
  for (let n = 0; n < queuedBodiesMax + 2; n++) lab.say(one, two, `body ${n}`);
  assert.equal(one.drops('queue-full'), 3);
  lab.loses = () => false;
  lab.elapse(1_900);
  assert.deepEqual(two.heard(), ['body 2', 'body 3', 'body 4', 'body 5', 'body 6', 'body 7', 'body 8', 'body 9']);
});

test('a body for a number without a certificate goes nowhere, and says so', () => {
  const lab = new Lab();
  const one = lab.start({ number: 1 });
  lab.say(one, 9, 'who are you?');
  assert.equal(lab.sent.length, 0);
  assert.equal(one.drops('no-key'), 1);
});

test('a restarted receiver says unknown, and the session moves to its new boot', () => {
  const { lab, one } = acquainted();
  const again = lab.start({ number: 2, start: 2 });
  lab.say(one, again, 'lost to the restart');
  assert.equal(again.drops('unknown-sender'), 1);
  assert.deepEqual(one.met(), [2, 2]);
  lab.say(one, again, 'after it');
  assert.deepEqual(again.heard(), ['after it']);
  assertHeals(lab, one, again);
});

test('a restarted sender introduces itself anew, and its peer learns of the restart', () => {
  const { lab, two } = acquainted();
  const again = lab.start({ number: 1, start: 2, knows: [2] });
  lab.say(again, two, 'I am back');
  assert.deepEqual(two.heard(), ['hello', 'I am back']);
  assert.deepEqual(two.met(), [1, 1]);
  assertHeals(lab, again, two);
});

test('both restart at once and find each other again', () => {
  const { lab } = acquainted();
  const one = lab.start({ number: 1, start: 2, knows: [2] });
  const two = lab.start({ number: 2, start: 2, knows: [1] });
  assertHeals(lab, one, two);
});

test('a member whose peer believes in an older boot of it heals by the answer "unknown"', () => {
  // 1. One restarts. 2. Two introduces itself to the new boot, but the accept is lost, and two gives up.
  // 3. One counts two as proven, two still has the session with one's old boot.
  const { lab, two } = acquainted();
  const again = lab.start({ number: 1, start: 2, knows: [2] });
  lab.loses = ({ bytes }) => kindOf(bytes) === 'accept';
  lab.say(two, again, 'unknown to the new boot');
  lab.elapse(30_000);
  lab.loses = () => false;
  assert(again.sessions.established(2));
  assert(!equalBytes(two.sessions.bootOf(1) ?? utf8(''), again.sessions.boot));
  lab.say(again, two, 'does not open');
  assert.equal(two.drops('forged'), 1);
  lab.say(again, two, 'opens');
  assert.deepEqual(two.heard(), ['hello', 'opens']);
  assertHeals(lab, again, two);
});

test('HM-11: a new epoch changes the keys under standing sessions, and who is one behind or ahead is heard', () => {
  const { lab, one, two } = acquainted();
  const before = lab.sent.length;
  one.sessions.setEpoch(2, lab.now);
  lab.say(one, two, 'you are behind');
  assert.equal(two.heard().at(-1), 'you are behind');
  assert.deepEqual(two.otherEpochs(), [2], 'and is told so');
  lab.say(two, one, 'am I?');
  assert.equal(one.heard().at(-1), 'am I?');
  assert.deepEqual(one.otherEpochs(), [], 'who is behind finds out by itself');
  two.sessions.setEpoch(2, lab.now);
  lab.say(one, two, 'second epoch');
  lab.say(two, one, 'second epoch too');
  assert.equal(two.heard().at(-1), 'second epoch');
  assert.equal(one.heard().at(-1), 'second epoch too');
  assert.deepEqual(
    lab.sent.slice(before).map(({ bytes }) => kindOf(bytes)),
    ['data', 'data', 'data', 'data'],
  );
  const recorded = lab.sent[before - 2] as Flight;
  lab.inject(two, recorded.from, recorded.bytes);
  assert.equal(two.drops('replayed'), 1, 'counters go on over epochs');
  lab.now += epochGraceMs + 1;
  lab.inject(two, recorded.from, recorded.bytes);
  assert.equal(two.drops('other-epoch'), 1);
});

test('HM-12: who missed an epoch is heard for a minute, and then no more; nor is who is two ahead', () => {
  const { lab, one, two } = acquainted();
  one.sessions.setEpoch(2, lab.now);
  lab.now += epochGraceMs;
  lab.say(two, one, 'still here');
  assert.equal(one.heard().at(-1), 'still here');
  lab.now += 1;
  lab.say(two, one, 'hello?');
  assert.equal(one.drops('other-epoch'), 1);
  one.sessions.setEpoch(3, lab.now);
  lab.say(one, two, 'far ahead');
  assert.equal(two.drops('other-epoch'), 1);
  assert.deepEqual(two.otherEpochs(), [3], 'it is a reason to ask');
});

test('HM-11: an epoch that changes amid a handshake costs a hello, no more', () => {
  const lab = new Lab();
  const [one, two] = lab.pair();
  lab.loses = ({ bytes }) => kindOf(bytes) === 'accept';
  lab.say(one, two, 'hello');
  one.sessions.setEpoch(2, lab.now);
  two.sessions.setEpoch(2, lab.now);
  lab.loses = () => false;
  lab.elapse(600);
  assert.deepEqual(two.heard(), ['hello']);
  assertHeals(lab, one, two);
});

test('a removed member is out: its packets open no more, and its credential does not bring it back', () => {
  const { lab, one, two } = acquainted();
  two.known.delete(1);
  two.removed.add(1);
  two.sessions.forget(1);
  for (let second = 0; second < 5; second++) {
    lab.say(one, two, 'still there?');
    lab.elapse(1_000);
  }
  assert.deepEqual(two.heard(), ['hello']);
  assert(two.drops('bad-credential') > 0 && two.drops('unknown-sender') > 0);
  assert(!two.sessions.established(1));
});

test('a session forgotten and made again never repeats a nonce, nor takes what it took before', () => {
  const { lab, one, two } = acquainted();
  const recorded = lab.sentOf('data');
  for (const node of [two, one]) {
    node.sessions.forget(node === one ? 2 : 1);
    assertHeals(lab, one, two);
    for (const { from, to, bytes } of recorded) lab.inject(to.host === one.address.host ? one : two, from, bytes);
    assert(!one.heard().slice(1).includes('hello back') && !two.heard().slice(1).includes('hello'));
  }
  const sealed = lab.sent.filter(({ bytes }) => ['prove', 'accept', 'data'].includes(kindOf(bytes)));
  const counters = sealed.map(({ from, bytes }) => `${from.host} ${Buffer.from(bytes).readUIntBE(15, 6)}`);
  assert.equal(new Set(counters).size, counters.length);
});
