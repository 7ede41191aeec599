import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import packet from 'dns-packet';
import { connectionIdleMs } from '../../../roles/dns/connection.ts';
import dns, { type DnsSettings, dnsSettings } from '../../../roles/dns/dns.ts';
import { connectionsPerClientMax } from '../../../roles/dns/server.ts';
import { HivemindError, type RunningRole } from '../../../src/role/role.ts';
import { Cluster, freePort, member, service } from './cluster.ts';
import { type Dug, dig, digMissing } from './dig.ts';

const soa = /^hive\.internal\. 7 IN SOA ns1\.node\.hive\.internal\. hostmaster\.hive\.internal\. \d+ 60 10 604800 7$/;

interface Running {
  readonly cluster: Cluster<DnsSettings>;
  readonly port: number;
  readonly role: RunningRole;
}

async function start(): Promise<Running> {
  const port = await freePort();
  const zones = ['hive.internal', 'lab.test'];
  const settings = dnsSettings.parse({ zones, listen: [`127.0.0.1:${port}`], negativeTtlSeconds: 7 });
  const cluster = new Cluster(member(5, 'ns1', '10.0.0.50', 'dns'), settings);
  cluster.meet(
    member(1, 'c1', '10.0.0.1', 'control'),
    member(2, 'atlas', '10.0.0.20', 'host'),
    member(3, 'boreas', '10.0.0.30', 'host'),
  );
  const role = await dns.start(cluster.context);
  cluster.publish(
    'atlas',
    service('git', '10.0.0.21', { domains: ['git.lab.test'], tags: ['v2', 'blue'] }),
    service('web', '10.0.0.20', { addresses: ['10.0.0.20', 'fd00::20'], weight: 3, port: 80 }),
    service('ill', '10.0.0.22', { healthy: false }),
  );
  cluster.publish(
    'boreas',
    ...Array.from({ length: 90 }, (_, at) => service('many', `10.1.0.${at}`, { port: 80 + at })),
  );
  return { cluster, port, role };
}

describe('asked by dig', { skip: digMissing() }, () => {
  let running: Running;
  before(async () => {
    running = await start();
    await becomes('git.lab.test A', 'NOERROR', ['git.lab.test. 5 IN A 10.0.0.21']);
  });
  after(() => running.role.stop());

  const ask = (line: string): Promise<Dug> => dig(running.port, ...line.split(' '));

  /** Asks until the answer is the expected one, for the second that HM-3 allows. */
  async function becomes(line: string, status: string, answer: readonly string[]): Promise<void> {
    const deadline = performance.now() + 1_000;
    for (;;) {
      const dug = await ask(line);
      if (isDeepStrictEqual([dug.status, dug.answer], [status, answer])) return;
      if (performance.now() > deadline) return assert.deepEqual([dug.status, dug.answer], [status, answer]);
    }
  }

  const answered: Readonly<Record<string, readonly string[]>> = {
    'git.lab.test A': ['git.lab.test. 5 IN A 10.0.0.21'],
    'git.lab.test A +tcp': ['git.lab.test. 5 IN A 10.0.0.21'],
    'git.lab.test A +noedns': ['git.lab.test. 5 IN A 10.0.0.21'],
    'gIt.LAB.tEst A': ['gIt.LAB.tEst. 5 IN A 10.0.0.21'],
    'git.hive.internal A': ['git.hive.internal. 5 IN A 10.0.0.21'],
    'git.service.hive.internal A': ['git.service.hive.internal. 5 IN A 10.0.0.21'],
    'web.hive.internal AAAA': ['web.hive.internal. 5 IN AAAA fd00::20'],
    'git.hive.internal TXT': ['git.hive.internal. 5 IN TXT "v2" "blue"'],
    'web.hive.internal TXT': ['web.hive.internal. 5 IN TXT "hive=1"'],
    'atlas.node.hive.internal A': ['atlas.node.hive.internal. 5 IN A 10.0.0.20'],
    'host.role.hive.internal A': [
      'host.role.hive.internal. 5 IN A 10.0.0.20',
      'host.role.hive.internal. 5 IN A 10.0.0.30',
    ],
    'control.hive.internal A': ['control.hive.internal. 5 IN A 10.0.0.1'],
    'hive.internal NS': ['hive.internal. 5 IN NS ns1.node.hive.internal.'],
    'lab.test NS': ['lab.test. 5 IN NS ns1.node.hive.internal.'],
    'git.lab.test ANY': ['git.lab.test. 5 IN A 10.0.0.21'],
    'git.lab.test ANY +notcp': ['git.lab.test. 5 IN A 10.0.0.21'],
  };
  for (const [line, answer] of Object.entries(answered)) {
    test(`${line}: ${answer.join(', ')}`, async () => {
      const dug = await ask(line);
      assert.equal(dug.status, 'NOERROR');
      assert.deepEqual(dug.flags, ['qr', 'aa', 'rd']);
      assert.deepEqual(dug.answer, answer);
    });
  }

  const negative: Readonly<Record<string, string>> = {
    'nothing.hive.internal A': 'NXDOMAIN',
    'a.git.hive.internal A': 'NXDOMAIN',
    'git.hive.internal AAAA': 'NOERROR',
    'git.hive.internal MX': 'NOERROR',
    'git.hive.internal TYPE65400': 'NOERROR',
    'hive.internal A': 'NOERROR',
    '_tcp.hive.internal SRV': 'NOERROR',
    'node.hive.internal A': 'NOERROR',
    'ill.hive.internal A': 'NOERROR',
    'ill.service.hive.internal TXT': 'NOERROR',
    '_ill._tcp.hive.internal SRV': 'NOERROR',
  };
  for (const [line, status] of Object.entries(negative)) {
    test(`${line}: ${status}, no answer, the SOA as authority`, async () => {
      const dug = await ask(line);
      assert.equal(dug.status, status);
      assert.deepEqual(dug.flags, ['qr', 'aa', 'rd']);
      assert.deepEqual(dug.answer, []);
      assert.equal(dug.authority.length, 1);
      assert.match(dug.authority[0] ?? '', soa);
    });
  }

  const refused: Readonly<Record<string, string>> = {
    'git.elsewhere.test A': 'REFUSED',
    'internal A': 'REFUSED',
    '. NS': 'REFUSED',
    'version.bind TXT CH': 'REFUSED',
    'git.lab.test A +edns=1 +noednsnegotiation': 'BADVERS',
    'git.lab.test A +opcode=15': 'NOTIMP',
    'git.lab.test A +header-only +noedns': 'FORMERR',
    'git.lab.test A +header-only +noedns +opcode=15': 'NOTIMP',
  };
  for (const [line, status] of Object.entries(refused)) {
    test(`${line}: ${status} without authority`, async () => {
      const dug = await ask(line);
      assert.equal(dug.status, status);
      assert.deepEqual(dug.flags, ['qr', 'rd']);
      assert.deepEqual([...dug.answer, ...dug.authority], []);
    });
  }

  test('SRV answers bring the addresses of their targets along', async () => {
    const web = await ask('_web._tcp.hive.internal SRV');
    const [, target = ''] = /^_web\._tcp\.hive\.internal\. 5 IN SRV 0 3 80 (\S+)$/.exec(web.answer[0] ?? '') ?? [];
    assert.match(target, /^[0-9a-f]{16}\.addr\.hive\.internal\.$/);
    assert.deepEqual(web.additional, [`${target} 5 IN A 10.0.0.20`, `${target} 5 IN AAAA fd00::20`]);
    assert.deepEqual((await ask(`${target} AAAA`)).answer, [`${target} 5 IN AAAA fd00::20`]);
    const servers = await ask('hive.internal NS');
    assert.deepEqual(servers.additional, ['ns1.node.hive.internal. 5 IN A 10.0.0.50']);
  });

  test("the question's case comes back", async () => {
    const dug = await ask('nOTHing.HIVE.internal A');
    assert.equal(dug.question, 'nOTHing.HIVE.internal. IN A');
    assert.equal(dug.status, 'NXDOMAIN');
  });

  test('EDNS only when asked for, DO copied, unknown options and flags ignored', async () => {
    assert.equal((await ask('git.lab.test A')).edns, 'EDNS: version: 0, flags:; udp: 1232');
    assert.equal((await ask('git.lab.test A +dnssec')).edns, 'EDNS: version: 0, flags: do; udp: 1232');
    assert.equal((await ask('git.lab.test A +noedns')).edns, '');
    const odd = await ask('git.lab.test A +ednsopt=100:abcd +ednsflags=0x40 +zflag +adflag +cdflag +norec');
    assert.deepEqual(
      [odd.status, odd.edns, odd.flags],
      ['NOERROR', 'EDNS: version: 0, flags:; udp: 1232', ['qr', 'aa']],
    );
  });

  test('what is too long for a datagram is marked as truncated, and TCP has it whole', async () => {
    const plain = await ask('many.hive.internal A +noedns +ignore');
    assert.ok(plain.flags.includes('tc'));
    assert.ok(plain.answer.length < 90);
    const greedy = await ask('many.hive.internal A +bufsize=4096 +ignore');
    assert.ok(greedy.flags.includes('tc'));
    assert.equal((await ask('many.hive.internal A')).answer.length, 90);
    const srv = await ask('_many._tcp.hive.internal SRV +tcp');
    assert.equal(srv.answer.length, 90);
    assert.equal(srv.additional.length, 90);
  });

  test('a zone is not handed out', async () => {
    assert.match((await ask('hive.internal AXFR')).text, /Transfer failed/);
  });

  test('HM-3, HM-25: a published change is resolvable within a second, and status shows the map', async () => {
    const { cluster, role } = running;
    const serialBefore = Number((await ask('hive.internal SOA')).answer[0]?.split(' ')[6]);
    cluster.meet(member(4, 'corus', '10.0.0.40', 'host'));
    const name = 'wiki.hive.internal';
    cluster.publish('corus', service('wiki', '10.0.0.41'));
    await becomes(name, 'NOERROR', [`${name}. 5 IN A 10.0.0.41`]);
    cluster.publish('corus', service('wiki', '10.0.0.42'));
    await becomes(name, 'NOERROR', [`${name}. 5 IN A 10.0.0.42`]);
    const status = role.status?.() ?? {};
    assert.deepEqual(status.map, { atlas: 1, boreas: 1, corus: 2 });
    assert.equal(Number((await ask('hive.internal SOA')).answer[0]?.split(' ')[6]), status.serial);
    assert.ok(Number(status.serial) > serialBefore);

    cluster.health('corus', 'down');
    await becomes(name, 'NOERROR', []);
    cluster.health('corus', 'alive');
    await becomes(name, 'NOERROR', [`${name}. 5 IN A 10.0.0.42`]);
    cluster.remove('corus');
    await becomes(name, 'NXDOMAIN', []);
    assert.deepEqual(role.status?.().map, { atlas: 1, boreas: 1 });
  });
});

test('without any host it idles healthily and answers with authority', async () => {
  const port = await freePort();
  const settings = dnsSettings.parse({ listen: [`127.0.0.1:${port}`] });
  const cluster = new Cluster(member(5, 'ns1', '10.0.0.50', 'dns'), settings);
  const role = await dns.start(cluster.context);
  const read = await exchange(port, query('hive.internal', 'NS'));
  assert.equal(read.flag_aa, true);
  assert.equal(read.answers?.length, 1);
  assert.deepEqual(role.status?.(), {
    zones: ['hive.internal'],
    serial: 1,
    map: {},
    answered: { NOERROR: 1 },
    listening: [`127.0.0.1:${port}`],
  });
  assert.equal(cluster.counters.get('noerror_answers'), 1);
  await role.stop();
  await (await dns.start(cluster.context)).stop();
});

test('two questions are FORMERR; a response and a torn packet get silence, and the next query an answer', async () => {
  const { cluster, port, role } = await start();
  const two = packet.encode({ type: 'query', id: 4, questions: [asked('git.lab.test'), asked('web.lab.test')] });
  assert.equal(((await exchange(port, two)) as { rcode?: string }).rcode, 'FORMERR');
  const response = packet.encode({ type: 'response', id: 5, questions: [asked('git.lab.test')] });
  const read = await exchange(port, response, Buffer.from([1, 2, 3]), query('git.lab.test', 'A'));
  assert.equal(read.id, 9);
  assert.equal(cluster.counters.get('dropped_packets'), 2);
  await role.stop();
});

test('TCP: queries one behind the other, in pieces and with the end closed, are all answered in order', async () => {
  const { port, role } = await start();
  const frames = Array.from({ length: 400 }, (_, id) => {
    return packet.streamEncode({ type: 'query', id, questions: [asked('many.hive.internal')] });
  });
  const bytes = Buffer.concat(frames);
  const socket = connect(port, '127.0.0.1');
  for (let at = 0; at < bytes.length; at += 1_001) socket.write(bytes.subarray(at, at + 1_001));
  socket.end();
  const ids = responses(await everything(socket)).map((read) => read.id);
  assert.deepEqual(ids, [...Array(400).keys()]);
  await role.stop();
});

test('TCP: what is no query, or announces too much, costs the connection; one asker has few connections', async () => {
  const { cluster, port, role } = await start();
  for (const bytes of [Buffer.from([0xff, 0xff]), Buffer.from([0, 1, 0]), Buffer.from([0, 0])]) {
    const socket = connect(port, '127.0.0.1');
    socket.write(bytes);
    assert.equal((await everything(socket)).length, 0);
  }
  const sockets = Array.from({ length: connectionsPerClientMax + 4 }, () => connect(port, '127.0.0.1'));
  for (const socket of sockets) socket.on('error', () => {});
  await Promise.all(sockets.slice(connectionsPerClientMax).map((socket) => once(socket, 'close')));
  assert.equal(cluster.counters.get('refused_connections'), 4);
  const closed = Promise.all(sockets.slice(0, connectionsPerClientMax).map((socket) => once(socket, 'close')));
  await role.stop();
  await closed;
});

test('TCP: an idle connection is closed', async () => {
  const { cluster, port, role } = await start();
  await role.stop();
  const scaled = {
    ...cluster.context.clock,
    after: (ms: number, fire: () => void) => cluster.context.clock.after(ms / 100, fire),
  };
  const quick = await dns.start({ ...cluster.context, clock: scaled });
  const socket = connect(port, '127.0.0.1');
  const since = performance.now();
  await everything(socket);
  assert.ok(performance.now() - since < connectionIdleMs / 2);
  await quick.stop();
});

test('a port in use is an error that names the address, and leaves nothing open', async () => {
  const { cluster, port, role } = await start();
  await assert.rejects(dns.start(cluster.context), (error) => {
    assert.ok(error instanceof HivemindError);
    assert.equal(error.code, 'port-in-use');
    assert.match(error.message, new RegExp(`UDP 127\\.0\\.0\\.1:${port}.*"listen"`));
    return true;
  });
  await role.stop();
  const foreign = { ...cluster.context, settings: { ...cluster.context.settings, listen: ['192.0.2.1:5300'] } };
  await assert.rejects(dns.start(foreign), { code: 'address-invalid' });
  await (await dns.start(cluster.context)).stop();
});

test('settings have defaults and refuse what cannot work', () => {
  assert.deepEqual(dnsSettings.parse({}), {
    zones: ['hive.internal'],
    listen: ['127.0.0.1:5300'],
    ttlSeconds: 5,
    negativeTtlSeconds: 5,
  });
  const refused = [
    { zones: [] },
    { zones: ['hive.local'] },
    { zones: ['Hive.internal'] },
    { zones: ['hive.internal.'] },
    { zones: ['hive.internal', 'lab.hive.internal'] },
    { zones: ['lab.test', 'lab.test'] },
    { listen: ['127.0.0.1:0'] },
    { ttlSeconds: -1 },
    { ttl: 5 },
  ];
  for (const settings of refused) assert.ok(!dnsSettings.safeParse(settings).success, JSON.stringify(settings));
});

function asked(name: string): packet.Question {
  return { name, type: 'A', class: 'IN' };
}

function query(name: string, type: packet.RecordType): Buffer {
  return packet.encode({ type: 'query', id: 9, questions: [{ name, type }] });
}

/** Sends the packets and gives the first response. */
async function exchange(port: number, ...packets: readonly Buffer[]): Promise<packet.DecodedPacket> {
  const socket = createSocket('udp4');
  const first = once(socket, 'message', { signal: AbortSignal.timeout(2_000) });
  for (const bytes of packets) socket.send(bytes, port, '127.0.0.1');
  try {
    const [bytes] = (await first) as [Buffer];
    return packet.decode(bytes);
  } finally {
    socket.close();
  }
}

async function everything(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  await once(socket, 'close', { signal: AbortSignal.timeout(5_000) });
  return Buffer.concat(chunks);
}

function responses(bytes: Buffer): readonly packet.DecodedPacket[] {
  const read: packet.DecodedPacket[] = [];
  for (let at = 0; at < bytes.length; at += 2 + bytes.readUInt16BE(at)) {
    read.push(packet.decode(bytes.subarray(at + 2, at + 2 + bytes.readUInt16BE(at))));
  }
  return read;
}
