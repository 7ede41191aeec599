import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { HivemindError } from '../../src/error.ts';
import { encodeFrame, type Frame, FrameDecoder, frameBytesMax, frameMagic } from '../../src/net/frame.ts';
import type { ClosedPeer, TlsStreams } from '../../src/net/streams.ts';
import type { TlsIdentity } from '../../src/net/tls-identity.ts';
import type { StreamPeer } from '../../src/seam/streams.ts';
import { ask, bytes, pause, start, targetOf, textOf, until } from './stream-lab.ts';
import { cluster, identityOf, keyOf, verifyPeer } from './stream-node.ts';

test('two nodes ask each other; each knows by key who the other is (EC-4, EC-8)', async () => {
  const heard: StreamPeer[] = [];
  const onRequest = async (from: StreamPeer, body: Uint8Array): Promise<Uint8Array> => {
    heard.push(from);
    return body;
  };
  const [one, two] = [await start(1, { onRequest }), await start(2, { onRequest })];
  const answer = await one.request(targetOf(two, 2), bytes('hello'), 3_000);
  assert.equal(textOf(answer.body), 'hello');
  assert.deepEqual(answer.from, { kind: 'member', number: 2, publicKey: keyOf(2), remote: two.local });
  assert.equal(await ask(two, targetOf(one, 1), 'hello back'), 'hello back');
  assert.deepEqual(
    heard.map((peer) => peer.kind === 'member' && peer.number),
    [1, 2],
  );
  const outgoing = one.peersConnected().find((each) => each.direction === 'outgoing');
  assert.deepEqual(outgoing?.boot, Buffer.alloc(32, 2));
});

test('a hundred requests at once share one dial; answers out of order reach their askers (EC-13, EC-14)', async () => {
  const [one, two] = [
    await start(1),
    await start(2, {
      onRequest: async (_, body) => {
        await pause(Number(textOf(body)) % 2 === 0 ? 20 : 0);
        return body;
      },
    }),
  ];
  const texts = Array.from({ length: 100 }, (_, position) => String(position));
  const answers = await Promise.all(texts.map((text) => ask(one, targetOf(two, 2), text)));
  assert.deepEqual(answers, texts);
  assert.equal(one.counters.dials, 1);
  assert.equal(two.counters.accepted, 1);
});

test('bodies up to the limit travel whole; a larger one is an error in words', async () => {
  const [one, two] = [await start(1), await start(2)];
  const large = Buffer.alloc(frameBytesMax - 100, 7);
  const { body } = await one.request(targetOf(two, 2), large, 5_000);
  assert.ok(large.equals(body));
  const tooLarge = one.request(targetOf(two, 2), Buffer.alloc(frameBytesMax), 3_000);
  await assert.rejects(tooLarge, { code: 'frame-invalid' });
});

test('posts arrive in order, even those from before the connection; the undeliverable are counted', async () => {
  const heard: string[] = [];
  const one = await start(1);
  const two = await start(2, { onPost: (_, body) => heard.push(textOf(body)) });
  for (const text of ['a', 'b', 'c']) one.post(targetOf(two, 2), bytes(text));
  await until(() => heard.length === 3);
  assert.deepEqual(heard, ['a', 'b', 'c']);
  const to = { endpoints: [{ host: '127.0.0.1', port: 1 }], number: 3, publicKey: keyOf(3) };
  for (let times = 0; times < 50; times++) one.post(to, bytes('x'));
  await until(() => one.counters.postsDropped === 50);
  for (let times = 0; times < 50; times++) one.post(to, bytes('x'));
  assert.equal(one.counters.postsDropped, 100);
  assert.equal(one.counters.dials, 2, 'a failed dial is remembered, so that posts do not spin');
});

test('a wrong target is refused, nobody is told anything, the asker hears of the stale address (EC-9)', async () => {
  const calls: string[] = [];
  const one = await start(1);
  const two = await start(2, {
    onRequest: async (_, body) => {
      calls.push('request');
      return body;
    },
    verifyPeer: (claim) => {
      calls.push('verify');
      return verifyPeer(claim);
    },
  });
  const byKey = { endpoints: [two.local], number: 0, publicKey: keyOf(3) };
  const byNumber = { endpoints: [two.local], number: 3 };
  for (const target of [targetOf(two, 3), byKey, byNumber]) {
    await assert.rejects(ask(one, target, 'x'), { code: 'address-unreachable', message: /^Another node/ });
  }
  assert.deepEqual(calls, []);
  assert.equal(two.counters.refusalsSent, 1, 'where the key was known, nothing was sent at all');
});

test('the next address is tried when another node answers at the first (EC-9)', async () => {
  const [one, two, three] = [await start(1), await start(2), await start(3)];
  const target = {
    endpoints: [{ host: '127.0.0.1', port: 1 }, two.local, three.local],
    number: 3,
    publicKey: keyOf(3),
  };
  const answer = await one.request(target, bytes('x'), 3_000);
  assert.deepEqual(answer.from.remote, three.local);
});

test('an impostor that claims the right number with another key is not talked to', async () => {
  let isHeard = false;
  const one = await start(1);
  const impostor = await start(77, {
    number: 2,
    verifyPeer: () => {
      isHeard = true;
      return { kind: 'stranger' };
    },
  });
  await assert.rejects(ask(one, targetOf(impostor, 2), 'secret'), { code: 'address-unreachable' });
  await until(() => impostor.counters.handshakesFailed === 1);
  assert.equal(isHeard, false);
});

test('a stranger gets what the handler allows, no large frames, and four requests at a time', async () => {
  const release: (() => void)[] = [];
  const two = await start(2, {
    onRequest: async (from, body) => {
      if (textOf(body) === 'wait') await new Promise<void>((resolve) => release.push(resolve));
      else if (from.kind === 'stranger' && textOf(body) !== 'join') {
        throw new HivemindError('not-admitted', 'Join first; a stranger may ask for nothing else.');
      }
      return body;
    },
  });
  const stranger = await start(100, { number: 0 });
  const seed = { endpoints: [two.local], number: 0 };
  assert.equal(await ask(stranger, seed, 'join'), 'join');
  await assert.rejects(ask(stranger, seed, 'steal'), { code: 'not-admitted', message: /^Join first/ });
  const waiting = Array.from({ length: 4 }, () => ask(stranger, seed, 'wait'));
  await assert.rejects(ask(stranger, seed, 'join'), { code: 'busy' });
  for (const free of release) free();
  await Promise.all(waiting);
  await assert.rejects(stranger.request(seed, Buffer.alloc(20_000), 3_000), { code: 'frame-invalid' });
  const liar = await start(101, { number: 5 });
  await assert.rejects(liar.request(seed, Buffer.alloc(20_000), 3_000), { code: 'address-unreachable' });
  await until(() => two.counters.malformed === 1);
});

test('who was a stranger and became a member dials again, as a member', async () => {
  let number = 0;
  const kinds: string[] = [];
  const two = await start(2, {
    onRequest: async (from, body) => {
      kinds.push(from.kind);
      return body;
    },
    verifyPeer: (claim) => (claim.number === 0 ? { kind: 'stranger' } : verifyPeer(claim)),
  });
  const self = { epoch: 1, cluster, boot: Buffer.alloc(32), credential: (): Uint8Array => bytes('certificate') };
  const joiner = await start(5, { self: () => ({ number, ...self }) });
  const seed = { endpoints: [two.local], number: 0 };
  await ask(joiner, seed, 'join');
  number = 5;
  await ask(joiner, seed, 'work');
  assert.deepEqual(kinds, ['stranger', 'member']);
});

test('a refusal reaches the caller with its code and sentence', async () => {
  const two = await start(2);
  const removed = await start(66);
  await assert.rejects(ask(removed, targetOf(two, 2), 'x'), {
    code: 'not-admitted',
    message: 'Node 66 was removed; join again.',
  });
  const elsewhere = await start(3, { cluster: Buffer.alloc(16, 0xee) });
  await assert.rejects(ask(elsewhere, targetOf(two, 2), 'x'), { code: 'cluster-mismatch', message: /another cluster/ });
});

test('a time-out frees the request at both ends and leaves the connection in use (EC-13)', async () => {
  const [one, two] = [
    await start(1),
    await start(2, {
      onRequest: (_, body) => (textOf(body) === 'never' ? new Promise(() => {}) : Promise.resolve(body)),
    }),
  ];
  await ask(one, targetOf(two, 2), 'x');
  const startedAt = performance.now();
  await assert.rejects(ask(one, targetOf(two, 2), 'never', 50), { code: 'time-out', message: /^Node 2 at .* 50 ms/ });
  assert.ok(performance.now() - startedAt < 2_000);
  assert.equal(await ask(one, targetOf(two, 2), 'y'), 'y');
  assert.equal(one.counters.dials, 1);
});

test('what goes wrong inside a handler is told as internal, without its details', async () => {
  const [one, two] = [
    await start(1),
    await start(2, { onRequest: async () => Promise.reject(new TypeError('secret of the node')) }),
  ];
  const asked = ask(one, targetOf(two, 2), 'x');
  await assert.rejects(asked, { code: 'internal', message: /^The request failed inside the node/ });
});

/** Speaks the protocol by hand over TLS with a member's key. */
class HandMadePeer {
  readonly frames: (Frame | 'malformed')[] = [];
  readonly closed: Promise<unknown>;
  private readonly stream: Socket;

  constructor(to: TlsStreams, identity?: TlsIdentity) {
    const credentials = identity ? { key: identity.keyPem, cert: identity.certificatePem } : {};
    const decoder = new FrameDecoder();
    this.stream = connectTls({ ...to.local, rejectUnauthorized: false, ...credentials });
    this.stream.on('error', () => {});
    this.stream.on('data', (chunk: Uint8Array) => {
      decoder.push(chunk);
      for (let frame = decoder.next(frameBytesMax); frame; frame = decoder.next(frameBytesMax)) this.frames.push(frame);
    });
    this.closed = new Promise((resolve) => this.stream.once('close', resolve));
  }

  write(...parts: readonly Uint8Array[]): void {
    this.stream.write(Buffer.concat(parts));
  }
}

const hello = encodeFrame({
  kind: 'open',
  magic: frameMagic,
  version: 1,
  cluster,
  epoch: 1,
  initiator: 4,
  target: 2,
  targetKey: keyOf(2),
  credential: new Uint8Array(0),
});

test('frames that are malformed or do not belong cost their own connection and nothing else (EC-15)', async () => {
  const [one, two] = [await start(1), await start(2)];
  await ask(one, targetOf(two, 2), 'before');
  const four = await identityOf(4);
  const request = encodeFrame({ kind: 'request', id: 1, body: bytes('x') });
  const cases: readonly (readonly Uint8Array[])[] = [
    [bytes('GET / HTTP/1.1\r\n\r\n')],
    [request],
    [Buffer.from([0, 0, 0, 0])],
    [hello, hello],
    [hello, encodeFrame({ kind: 'answer', id: 1, body: bytes('x') })],
    [hello, Buffer.from([0xff, 0xff, 0xff, 0xff])],
    [hello, Buffer.from([0, 0, 0, 3, 0xc7, 0xff, 0])],
  ];
  for (const written of cases) {
    const peer = new HandMadePeer(two, four);
    peer.write(...written);
    await peer.closed;
  }
  await until(() => two.counters.malformed === cases.length);
  assert.equal(await ask(one, targetOf(two, 2), 'after'), 'after');
  assert.equal(two.counters.accepted, 1 + cases.length);
});

test('other versions are refused in words, and so is a peer without a key', async () => {
  const two = await start(2);
  const newer = new HandMadePeer(two, await identityOf(4));
  const version2 = Buffer.from(hello);
  version2[4 + 1 + 1 + 9] = 2;
  newer.write(version2);
  await newer.closed;
  assert.equal((newer.frames[0] as Extract<Frame, { kind: 'refused' }>).code, 'frame-invalid');
  const nameless = new HandMadePeer(two);
  nameless.write(hello);
  await nameless.closed;
  assert.equal((nameless.frames[0] as Extract<Frame, { kind: 'refused' }>).code, 'key-invalid');
});

test('random bytes, silence and half-open connections on the raw port end at the handshake time limit', async () => {
  const two = await start(2, { limits: { silenceMs: 400, handshakeMs: 400 } });
  const one = await start(1);
  const raw = ['', '\x16\x03\x01', 'x'.repeat(5_000)].map((junk) => {
    const socket = connect(two.local);
    socket.on('error', () => {});
    socket.resume();
    socket.write(Buffer.from(junk, 'latin1'));
    return once(socket, 'close');
  });
  const silent = new HandMadePeer(two, await identityOf(4));
  await Promise.all([...raw, silent.closed]);
  await until(() => two.counters.handshakesFailed === 4);
  assert.equal(await ask(one, targetOf(two, 2), 'x'), 'x');
});

test('too many unknown connections from one address are turned away while members stay served', async () => {
  const two = await start(2, { limits: { guestsPerAddressMax: 3 } });
  const one = await start(1);
  assert.equal(await ask(one, targetOf(two, 2), 'x'), 'x');
  const raw = Array.from({ length: 6 }, () => {
    const socket = connect(two.local).on('error', () => {});
    socket.write('x');
    return socket;
  });
  await until(() => two.counters.turnedAway === 3);
  assert.equal(await ask(one, targetOf(two, 2), 'y'), 'y');
  for (const socket of raw) socket.destroy();
  const three = await start(3);
  await until(() => two.counters.handshakesFailed === 3);
  assert.equal(await ask(three, targetOf(two, 2), 'z'), 'z');
});

test('a fifth connection of one member replaces its oldest', async () => {
  const two = await start(2);
  const four = await identityOf(4);
  const peers: HandMadePeer[] = [];
  for (let count = 1; count <= 5; count++) {
    const peer = new HandMadePeer(two, four);
    peers.push(peer);
    peer.write(hello);
    await until(() => peer.frames.length > 0);
  }
  await peers[0]?.closed;
  assert.deepEqual(
    peers.map((peer) => peer.frames.map((frame) => (frame === 'malformed' ? frame : frame.kind))),
    [['welcome', 'goodbye'], ['welcome'], ['welcome'], ['welcome'], ['welcome']],
  );
});

test('TLS before 1.3 is not spoken, and no session is resumed', async () => {
  const two = await start(2);
  const options = { ...two.local, rejectUnauthorized: false };
  const older = connectTls({ ...options, maxVersion: 'TLSv1.2' });
  await assert.rejects(once(older, 'secureConnect'));
  const first = connectTls(options);
  const [session] = (await once(first, 'session')) as [Buffer];
  const second = connectTls({ ...options, session });
  await once(second, 'secureConnect');
  assert.equal(second.getProtocol(), 'TLSv1.3');
  assert.equal(second.isSessionReused(), false);
  first.destroy();
  second.destroy();
});

test('a lost connection fails whoever waits on it, and the next request dials anew', async () => {
  const closed: ClosedPeer[] = [];
  const one = await start(1, { onPeerClosed: (peer) => closed.push(peer) });
  const relays: Socket[] = [];
  const two = await start(2, {
    onRequest: (_, body) => (textOf(body) === 'x' ? Promise.resolve(body) : new Promise(() => {})),
  });
  const relay: Server = createServer((socket) => {
    const onward = connect(two.local);
    for (const end of [socket, onward]) end.on('error', () => {});
    socket.pipe(onward).pipe(socket);
    relays.push(socket);
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  const { port } = relay.address() as { port: number };
  const target = { endpoints: [{ host: '127.0.0.1', port }], number: 2, publicKey: keyOf(2) };
  await ask(one, target, 'x');
  const waiting = assert.rejects(ask(one, target, 'wait'), {
    code: 'address-unreachable',
    message: /closed before it/,
  });
  relays[0]?.destroy();
  await waiting;
  assert.equal(closed[0]?.reason, 'broken');
  assert.equal(await ask(one, target, 'x'), 'x');
  relay.close();
  await one.close();
});

test('idle connections are closed in good order, by the dialler, and by the answerer for strangers', async () => {
  const [two, one] = [await start(2), await start(1, { limits: { idleMs: 150 } })];
  await ask(one, targetOf(two, 2), 'x');
  await until(() => one.peersConnected().length === 0 && two.peersConnected().length === 0);
  const host = await start(3, { limits: { strangerIdleMs: 150 } });
  const stranger = await start(100, { number: 0 });
  await ask(stranger, { endpoints: [host.local], number: 0 }, 'x');
  await until(() => stranger.peersConnected().length === 0);
});

test('a removed member is disconnected in both directions', async () => {
  const [one, two] = [await start(1), await start(2)];
  await ask(one, targetOf(two, 2), 'x');
  await ask(two, targetOf(one, 1), 'x');
  assert.equal(two.peersConnected().length, 2);
  two.disconnect(1);
  await until(() => two.peersConnected().length === 0 && one.peersConnected().length === 0);
});

test('nodes talk over IPv6, and a dual-stack one knows its IPv4 peers by their dotted addresses', async () => {
  const [six, both] = [await start(1, { host: '::1' }), await start(2, { host: '::' })];
  assert.equal(await ask(both, targetOf(six, 1), 'x'), 'x');
  const four = await start(3);
  await four.request(
    { ...targetOf(both, 2), endpoints: [{ host: '127.0.0.1', port: both.local.port }] },
    bytes('x'),
    3_000,
  );
  const incoming = both.peersConnected().find((each) => each.direction === 'incoming');
  assert.equal(incoming?.peer.remote.host, '127.0.0.1');
});

test('a taken TCP port, an unusable key and no address are errors in words', async () => {
  const one = await start(1);
  await assert.rejects(start(2, { port: one.local.port }), {
    code: 'port-in-use',
    message: /^Another process already uses TCP/,
  });
  await assert.rejects(start(2, { tls: { keyPem: 'x', certificatePem: 'y' } }), { code: 'key-invalid' });
  await assert.rejects(ask(one, { endpoints: [], number: 9 }, 'x'), {
    code: 'address-unreachable',
    message: /^No address/,
  });
});

test('after closing, requests fail at once and nothing keeps the process', async () => {
  const [one, two] = [await start(1), await start(2, { onRequest: () => new Promise(() => {}) })];
  const waiting = assert.rejects(ask(one, targetOf(two, 2), 'x'), { code: 'address-unreachable' });
  await until(() => two.counters.requestsReceived === 1);
  await one.close();
  await waiting;
  await assert.rejects(ask(one, targetOf(two, 2), 'x'), { code: 'address-unreachable', message: /shutting down/ });
});
