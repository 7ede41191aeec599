import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { rawEd25519Key, signingKeyFrom } from '../../src/crypto.ts';
import type { Endpoint } from '../../src/identity.ts';
import { resolveAddress } from '../../src/net/resolve.ts';
import { createTlsIdentity } from '../../src/net/tls-identity.ts';
import { bindDatagrams, type UdpDatagrams } from '../../src/net/udp.ts';
import { type Logger, silentLogger } from '../../src/seam/logger.ts';

interface Received {
  readonly from: Endpoint;
  readonly text: string;
}

async function bind(host: string, port = 0): Promise<UdpDatagrams> {
  return bindDatagrams({ host, port, log: silentLogger });
}

function firstDatagram(socket: UdpDatagrams): Promise<Received> {
  return new Promise((resolve) =>
    socket.onDatagram((from, bytes) => resolve({ from, text: Buffer.from(bytes).toString() })),
  );
}

for (const host of ['127.0.0.1', '::1']) {
  test(`datagrams travel over ${host} and are counted`, async () => {
    const [a, b] = [await bind(host), await bind(host)];
    const received = firstDatagram(b);
    a.send(b.local, Buffer.from('hello'));
    assert.deepEqual(await received, { from: a.local, text: 'hello' });
    assert.equal(a.counters.sent, 1);
    assert.equal(b.counters.receivedBytes, 5);
    await Promise.all([a.close(), b.close()]);
  });
}

test('a dual-stack socket talks to IPv4 peers under their dotted addresses, both ways', async () => {
  const both = await bind('::');
  const four = await bind('127.0.0.1');
  const atBoth = firstDatagram(both);
  four.send({ host: '127.0.0.1', port: both.local.port }, Buffer.from('ask'));
  const { from } = await atBoth;
  assert.deepEqual(from, four.local);
  const atFour = firstDatagram(four);
  both.send(from, Buffer.from('answer'));
  assert.equal((await atFour).text, 'answer');
  await Promise.all([both.close(), four.close()]);
});

test('what cannot be sent is counted and never thrown', async () => {
  const socket = await bind('127.0.0.1');
  socket.send({ host: '::1', port: 7100 }, Buffer.from('x'));
  socket.send({ host: '127.0.0.1', port: 0 }, Buffer.from('x'));
  socket.send({ host: 'not an address', port: 7100 }, Buffer.from('x'));
  socket.send({ host: '127.0.0.1', port: 7100 }, Buffer.alloc(70_000));
  await new Promise((resolve) => setImmediate(resolve));
  await socket.close();
  socket.send({ host: '127.0.0.1', port: 7100 }, Buffer.from('x'));
  assert.equal(socket.counters.sendFailures, 5);
  assert.equal(socket.counters.sent, 0);
});

test('a taken UDP port is an error that names the address and what to do', async () => {
  const first = await bind('127.0.0.1');
  await assert.rejects(bind('127.0.0.1', first.local.port), {
    code: 'port-in-use',
    message: new RegExp(`^Another process already uses UDP 127.0.0.1:${first.local.port}; stop it, or choose`),
  });
  await first.close();
  await assert.rejects(bind('203.0.113.7'), { code: 'address-invalid' });
});

test('a receive buffer far below what was asked for is reported once, with what to do', async () => {
  const warnings: string[] = [];
  const log: Logger = { ...silentLogger, warn: (message) => warnings.push(message) };
  const socket = await bindDatagrams({ host: '127.0.0.1', port: 0, receiveBufferBytes: 65_536, log });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /rmem_max/);
  await socket.close();
});

test('addresses resolve to endpoints, IPv4 first, and a name that does not resolve says so', async () => {
  assert.deepEqual(await resolveAddress({ host: 'fd00::5', port: 1 }), [{ host: 'fd00::5', port: 1 }]);
  const [first] = await resolveAddress({ host: 'localhost', port: 7100 });
  assert.deepEqual(first, { host: '127.0.0.1', port: 7100 });
  await assert.rejects(resolveAddress({ host: 'no-such-host.invalid', port: 7100 }), {
    code: 'address-unreachable',
    message: /^The name no-such-host\.invalid does not resolve/,
  });
});

test('a TLS certificate is self-signed by the signing key, and the same for the same seed', async () => {
  const seed = Buffer.alloc(32, 9);
  const identity = await createTlsIdentity(seed);
  const certificate = new X509Certificate(identity.certificatePem);
  const spki = certificate.publicKey.export({ format: 'der', type: 'spki' });
  assert.deepEqual(rawEd25519Key(spki), signingKeyFrom(seed).publicKey);
  assert.ok(certificate.verify(certificate.publicKey));
  assert.equal(identity.keyPem, signingKeyFrom(seed).toPem());
  assert.deepEqual(await createTlsIdentity(seed), identity);
});
