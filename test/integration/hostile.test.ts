/** Strangers at the door: whatever they send is counted by its reason, and the cluster does not notice. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { parseToken } from '../../src/certificate/token.ts';
import { exchangeKeyFrom } from '../../src/crypto.ts';
import { parseAddress } from '../../src/identity.ts';
import { listenStreams, type TlsStreams } from '../../src/net/streams.ts';
import { createTlsIdentity } from '../../src/net/tls-identity.ts';
import { silentLogger } from '../../src/seam/logger.ts';
import { decodeHeader } from '../../src/session/header.ts';
import { systemClock } from '../../src/system/clock.ts';
import { encodeRequest, type PeerRequest } from '../../src/wire/peer-message.ts';
import { Cluster } from './cluster.ts';
import { Relay } from './relay.ts';

let cluster: Cluster;
let other: Cluster;
let relay: Relay;
let otherRelay: Relay;
let stranger: TlsStreams;
const host = '127.0.0.1';
const everybody = ['c1', 'c2', 'c3', 'target'];
const packetsEach = 200;
const requestMs = 5_000;

before(async () => {
  [cluster, other] = await Promise.all([Cluster.found(3), Cluster.found(1)]);
  relay = await joinBehindRelay(cluster);
  otherRelay = await joinBehindRelay(other);
  await cluster.until(
    'packets were captured',
    () => dataPackets(relay).length >= 20 && otherRelay.captured.length >= 5,
  );
  stranger = await openStranger();
});
after(async () => {
  await stranger.close();
  for (const each of [relay, otherRelay]) each.close();
  await Promise.all([cluster.close(), other.close()]);
});
afterEach(async () => {
  for (const name of everybody) {
    assert.deepEqual(
      await cluster.members(name),
      everybody.map((each) => `${each} alive`),
    );
    assert.equal((await cluster.ask(name, { kind: 'status' })).pane.state, 'healthy');
    const convicted = (await cluster.events(name)).filter(({ kind }) => kind === 'down');
    assert.deepEqual(convicted, []);
  }
});

/** A member that everybody reaches through a wire of ours only. */
async function joinBehindRelay(where: Cluster): Promise<Relay> {
  const bind = parseAddress(await where.addressFor('target'));
  const wire = await Relay.open(bind.port);
  await where.join({
    name: 'target',
    through: 'c1',
    token: where.founded.token,
    role: 'host',
    flags: ['--advertise', wire.address],
  });
  return wire;
}

const targetPort = (): number => parseAddress(cluster.addressOf('target')).port;

function dataPackets(wire: Relay): readonly Buffer[] {
  return wire.captured.filter((bytes) => {
    const header = decodeHeader(bytes);
    return typeof header === 'object' && header.kind === 'data';
  });
}

/** Sends these to the target from an address of their own, and gives how its counters of drops rose. */
async function dropsAfter(packets: readonly Uint8Array[]): Promise<ReadonlyMap<string, number>> {
  const drops = async (): Promise<Readonly<Record<string, number>>> =>
    (await cluster.ask('target', { kind: 'status' })).drops;
  const before = await drops();
  const socket = createSocket('udp4');
  for (const packet of packets) {
    await new Promise((resolve) => socket.send(packet, targetPort(), host, resolve));
    await sleep(1);
  }
  socket.close();
  return await cluster.until(`the target counted ${packets.length} drops`, async () => {
    const risen = Object.entries(await drops()).map(
      ([reason, count]) => [reason, count - (before[reason] ?? 0)] as const,
    );
    const total = risen.reduce((sum, [, count]) => sum + count, 0);
    return total >= packets.length && new Map(risen.filter(([, count]) => count > 0));
  });
}

const countOf = (drops: ReadonlyMap<string, number>, ...reasons: readonly string[]): number =>
  reasons.reduce((sum, reason) => sum + (drops.get(reason) ?? 0), 0);

describe('a datagram', () => {
  test('of random bytes is dropped as none of ours, whatever its length', async () => {
    const noise = Array.from({ length: packetsEach }, (_, position) => randomBytes(position * 15));
    const drops = await dropsAfter(noise);
    assert(countOf(drops, 'not-hivemind', 'truncated', 'too-large') >= packetsEach - 5, JSON.stringify([...drops]));
    for (const reason of ['not-hivemind', 'truncated', 'too-large']) assert(countOf(drops, reason) > 0, reason);
  });

  test('that was cut short is dropped, wherever the cut is', async () => {
    const [whole] = dataPackets(relay).slice(-1);
    assert(whole !== undefined);
    const drops = await dropsAfter(Array.from({ length: whole.length }, (_, length) => whole.subarray(0, length)));
    const known = countOf(drops, 'truncated', 'forged', 'replayed', 'unproven');
    assert(countOf(drops, 'truncated') >= 21 && known >= whole.length, JSON.stringify([...drops]));
  });

  test('that was recorded is dropped when it is played again', async () => {
    const recorded = dataPackets(relay).slice(-20);
    const drops = await dropsAfter(recorded);
    assert(countOf(drops, 'replayed') >= recorded.length, JSON.stringify([...drops]));
  });

  test('that was recorded and changed is dropped: its header is authenticated, too', async () => {
    const changed = dataPackets(relay)
      .slice(-20)
      .map((bytes, position) => {
        const copy = Buffer.from(bytes);
        // Kind and sender stay; the counter moves ahead, or one bit of the sealed part flips with it.
        copy.writeUInt8(1, 15);
        if (position % 2 === 0) copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1;
        return copy;
      });
    const drops = await dropsAfter(changed);
    assert(countOf(drops, 'forged') >= changed.length, JSON.stringify([...drops]));
  });

  test('of another cluster is dropped as such', async () => {
    const foreign = otherRelay.captured.slice(0, 50);
    const drops = await dropsAfter(foreign);
    assert.equal(countOf(drops, 'other-cluster'), foreign.length);
  });
});

describe('a TCP connection', () => {
  const connections: Socket[] = [];
  after(() => {
    for (const connection of connections) connection.destroy();
  });

  test('with garbage, with another protocol or with nothing costs nobody else anything', async () => {
    const words = [randomBytes(4_096), Buffer.from('GET / HTTP/1.1\r\nHost: hive\r\n\r\n'), Buffer.alloc(0)];
    for (let round = 0; round < 7; round++) {
      for (const said of words) {
        const connection = connect(targetPort(), host).on('error', () => {});
        connections.push(connection);
        await once(connection, 'connect');
        connection.write(said);
      }
    }
    const { counters } = await cluster.until('failed handshakes are counted', async () => {
      const status = await cluster.ask('target', { kind: 'status' });
      return (status.counters.handshakesFailed ?? 0) >= 14 && status;
    });
    assert((counters.accepted ?? 0) >= connections.length);
    const { code, stderr } = await cluster.run('members', '-n', 'target');
    assert.equal(code, 0, stderr);
  });

  test('of TLS that shows no certificate is refused before it may ask anything (HM-27)', async () => {
    const { port } = parseAddress(cluster.addressOf('c1'));
    const client = connectTls({ host, port, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
    client.on('error', () => {});
    await once(client, 'secureConnect');
    client.write(randomBytes(64));
    client.resume();
    await once(client, 'close');
    assert(client.destroyed);
  });
});

/** A key of its own that no member has, as a joiner's. */
async function openStranger(): Promise<TlsStreams> {
  const { cluster: id } = parseToken(cluster.founded.token);
  const boot = exchangeKeyFrom(randomBytes(32)).publicKey;
  return await listenStreams({
    host,
    port: 0,
    tls: await createTlsIdentity(randomBytes(32)),
    self: () => ({ number: 0, epoch: 0, cluster: id, boot, credential: () => new Uint8Array(0) }),
    verifyPeer: () => ({ kind: 'stranger' }),
    onRequest: () => Promise.reject(new Error('Nobody asks a stranger.')),
    onPost: () => {},
    clock: systemClock,
    log: silentLogger,
  });
}

describe('a stranger with a key', () => {
  const publicKey = randomBytes(32);
  const forMembers: readonly PeerRequest[] = [
    { kind: 'digest', atLeast: 0 },
    { kind: 'facts', numbers: [1] },
    { kind: 'log', from: 1, most: 10, atLeast: 0 },
    { kind: 'read-index', hops: 0 },
    { kind: 'pane-status' },
    { kind: 'config-sync', role: 'host', hash: randomBytes(16), held: [], ownOnly: false },
    { kind: 'role', role: 'host', body: new Uint8Array(1) },
    { kind: 'ask-pane', from: 4, ask: { kind: 'remove', number: 4 }, hops: 0 },
    {
      kind: 'ask-pane',
      from: 1,
      ask: { kind: 'create-token', publicKey, roles: ['host'], notAfter: Date.now() + 60_000, usesMax: 0 },
      hops: 0,
    },
  ];

  test('may ask to join and nothing else; each request is one line in the log (HM-27, HM-28)', async () => {
    for (const name of ['c1', 'target']) {
      const agent = cluster.agent(name);
      const linesBefore = agent.stderr.length;
      const target = { endpoints: [parseAddress(cluster.addressOf(name))], number: 0 };
      for (const request of forMembers) {
        await assert.rejects(stranger.request(target, encodeRequest(request), requestMs), { code: 'not-admitted' });
      }
      await assert.rejects(stranger.request(target, randomBytes(100), requestMs), { code: 'frame-invalid' });
      const join = encodeRequest({ kind: 'join', request: randomBytes(200), hops: 0 });
      await assert.rejects(stranger.request(target, join, requestMs), { code: 'token-invalid' });
      await sleep(100);
      const lines = agent.stderr
        .slice(linesBefore)
        .split('\n')
        .filter((line) => line.includes('"from":"stranger"'));
      const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      assert.deepEqual(
        told.map(({ msg, request, code }) => [msg, request, code]),
        [
          ...forMembers.map(({ kind }) => ['request refused', kind, 'not-admitted']),
          ['request refused', 'unreadable', 'frame-invalid'],
          ['request refused', 'join', 'token-invalid'],
        ],
      );
      for (const { level, time, remote, tookMs } of told) {
        assert.deepEqual([level, remote, typeof tookMs], ['info', host, 'number']);
        assert.match(String(time), /Z$/);
      }
    }
  });

  test('left no trace in the event log (HM-22)', async () => {
    const { entries } = await cluster.ask('c1', { kind: 'log', from: 1, most: 100 });
    assert.deepEqual(
      entries.filter(({ kind }) => kind !== 'leader-elected').map(({ kind }) => kind),
      ['begin-admission', 'complete-admission'],
    );
  });
});
