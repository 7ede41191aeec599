import assert from 'node:assert/strict';
import { test } from 'node:test';
import packet from 'dns-packet';
import { answerQuery } from '../../../roles/dns/answer.ts';
import { buildZones } from '../../../roles/dns/directory.ts';
import { ResponseWriter, readQuery, type Section } from '../../../roles/dns/message.ts';
import { isWithin, type Name, nameFrom, nameKey } from '../../../roles/dns/name.ts';
import { addressData, type RecordData } from '../../../roles/dns/record.ts';
import type { Zones } from '../../../roles/dns/zone.ts';
import { type Random, seededRandom } from '../../../src/seam/random.ts';
import { member, service } from './cluster.ts';

const header = { id: 7, opcode: 0, recursionDesired: true };
const status = { header, code: 'NOERROR', authoritative: true, truncated: false } as const;
const question = { name: nameFrom('Git.Hive.internal'), type: 1, class: 1 };

test('names differ by bytes and not by case, and a dot inside a label is no separator', () => {
  assert.equal(nameKey(nameFrom('GIT.Lab.Test')), nameKey(nameFrom('git.lab.test')));
  assert.notEqual(nameKey(['a.b', 'test']), nameKey(['a', 'b', 'test']));
  assert.notEqual(nameKey(['\u00c0']), nameKey(['\u00e0']));
  assert.ok(isWithin(nameFrom('git.LAB.test'), nameFrom('lab.test')));
  assert.ok(!isWithin(nameFrom('gitlab.test'), nameFrom('lab.test')));
});

test('every spelling of an address is the same record', () => {
  const hex = (text: string): string | undefined => addressData(text)?.address;
  assert.equal(hex('10.0.0.21'), '0a000015');
  assert.equal(hex('::'), '0'.repeat(32));
  assert.equal(hex('FD00::5'), 'fd000000000000000000000000000005');
  assert.equal(hex('fd00:0:0::0:5'), hex('fd00::5'));
  assert.equal(hex('::ffff:10.0.0.21'), `${'0'.repeat(20)}ffff0a000015`);
  assert.equal(hex('1:2:3:4:5:6:7::'), '00010002000300040005000600070000');
  assert.equal(addressData('fe80::1%eth0'), undefined);
});

test('forty addresses take 672 bytes, because their names are pointers', () => {
  const writer = new ResponseWriter(4_096);
  writer.question({ ...question, name: nameFrom('abc.de') });
  const records = Array.from({ length: 40 }, (_, index) => address(`10.0.0.${index + 1}`));
  assert.ok(writer.recordSet('answer', nameFrom('ABC.de'), 5, records));
  assert.equal(writer.finish(status).length, 12 + 12 + 40 * 16);
});

test('a set that does not fit leaves whole records, or nothing when it is asked to be whole', () => {
  const writer = new ResponseWriter(512);
  writer.question(question);
  const records = Array.from({ length: 60 }, (_, index) => address(`10.0.0.${index + 1}`));
  assert.ok(!writer.recordSet('additional', nameFrom('other.test'), 5, records, true));
  assert.ok(!writer.recordSet('answer', question.name, 5, records));
  const read = packet.decode(Buffer.from(writer.finish({ ...status, truncated: true })));
  assert.equal(read.answers?.length, Math.floor((512 - 12 - 23) / 16));
  assert.equal(read.additionals?.length, 0);
  assert.ok(read.flag_tc);
});

test('500 random responses read by dns-packet are what was written', () => {
  const random = seededRandom(20_260_101);
  for (let round = 0; round < 500; round++) {
    const writer = new ResponseWriter(65_535, round % 2 ? { dnssecOk: true, udpBytesMax: 1_232 } : undefined);
    writer.question(question);
    const written: Record<Section, unknown[]> = { answer: [], authority: [], additional: [] };
    for (const section of ['answer', 'authority', 'additional'] as const) {
      for (let left = random.below(12); left > 0; left--) {
        const [owner, data] = [randomName(random), randomData(random)];
        assert.ok(writer.recordSet(section, owner, round, [data]));
        written[section].push({ name: text(owner), ttl: round, type: data.kind, data: plain(data) });
      }
    }
    const read = packet.decode(Buffer.from(writer.finish(status)));
    assert.deepEqual(read.questions, [{ name: 'Git.Hive.internal', type: 'A', class: 'IN' }]);
    const facts = [read.answers, read.authorities, read.additionals].map((list) => (list ?? []).flatMap(fact));
    assert.deepEqual(facts, [written.answer, written.authority, written.additional], `round ${round}`);
  }
});

test('20,000 random and mangled packets: no throw, no answer to an answer, and every answer is well formed', () => {
  const random = seededRandom(42);
  const zones = someZones();
  const kinds = new Map<string, number>();
  for (let round = 0; round < 20_000; round++) {
    const bytes = mangled(random);
    const copy = Buffer.from(bytes);
    const answer = answerQuery(zones, bytes, round % 2 ? 'datagram' : 'stream', round);
    assert.deepEqual(bytes, copy);
    kinds.set(answer?.code ?? 'none', (kinds.get(answer?.code ?? 'none') ?? 0) + 1);
    const isQuery = bytes.length >= 12 && bytes.length <= 4_096 && bytes.readUInt8(2) < 0x80;
    assert.equal(answer !== undefined, isQuery);
    if (answer === undefined) continue;
    const response = Buffer.from(answer.response);
    assert.equal(response.readUInt16BE(0), bytes.readUInt16BE(0));
    assert.equal(response.readUInt8(2) & 0xf8, 0x80 | (bytes.readUInt8(2) & 0x78));
    assert.equal(response.readUInt8(3) & 0xf0, 0, 'RA, Z, AD and CD are clear');
    if (round % 2) assert.ok(response.length <= 1_232);
    packet.decode(response);
  }
  for (const kind of ['none', 'NOERROR', 'FORMERR', 'NXDOMAIN', 'NOTIMP', 'REFUSED', 'BADVERS']) {
    assert.ok((kinds.get(kind) ?? 0) >= 20, `${kind}: ${kinds.get(kind)}`);
  }
});

test('hostile queries are malformed: pointers, long labels, long names, two questions, two OPTs, loose ends', () => {
  const head = (questions: number, additional = 0): number[] => [0, 7, 0, 0, 0, questions, 0, 0, 0, 0, 0, additional];
  const name = [3, 103, 105, 116, 0];
  const asked = [...name, 0, 1, 0, 1];
  const opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
  const label = [63, ...Array<number>(63).fill(97)];
  const cases: Record<string, readonly number[]> = {
    'a pointer to itself': [...head(1), 0xc0, 12, 0, 1, 0, 1],
    'a pointer into the header': [...head(1), 0xc0, 0, 0, 1, 0, 1],
    'a label of 64 bytes': [...head(1), 64, ...Array<number>(64).fill(97), 0, 0, 1, 0, 1],
    'a name of 257 bytes': [...head(1), ...label, ...label, ...label, ...label, 0, 0, 1, 0, 1],
    'no question': head(0),
    'two questions': [...head(2), ...asked, ...asked],
    'a question that ends early': [...head(1), ...name, 0],
    'bytes behind the end': [...head(1), ...asked, 0],
    'two OPTs': [...head(1, 2), ...asked, ...opt, ...opt],
    'an OPT with an owner': [...head(1, 1), ...asked, 1, 97, ...opt],
    'an option longer than its OPT': [...head(1, 1), ...asked, ...opt.slice(0, 10), 4, 0, 10, 0, 9],
  };
  for (const [what, bytes] of Object.entries(cases)) {
    assert.equal(readQuery(Uint8Array.from(bytes)).kind, 'malformed', what);
  }
  assert.equal(readQuery(Uint8Array.from([...head(1, 1), ...asked, ...opt])).kind, 'query');
  const withOption = [...opt.slice(0, 10), 6, 0, 10, 0, 2, 1, 2];
  assert.equal(readQuery(Uint8Array.from([...head(1, 1), ...asked, ...withOption])).kind, 'query');
});

function someZones(): Zones {
  const host = member(1, 'atlas', '10.0.0.20', 'host', 'dns');
  const instances = Array.from({ length: 90 }, (_, index) => ({ host, service: service('git', `10.1.0.${index}`) }));
  const common = { zones: ['hive.internal'], ttlSeconds: 5, negativeTtlSeconds: 5, serial: 1, self: 1 };
  return buildZones({ ...common, members: [host], instances });
}

const askedNames = ['git.hive.internal', 'nothing.hive.internal', 'hive.internal', '_git._tcp.hive.internal', 'a.test'];

function mangled(random: Random): Buffer {
  if (random.below(8) === 0) return Buffer.from(random.bytes(random.below(80)));
  const names = askedNames[random.below(askedNames.length)] ?? '';
  const types = ['A', 'SRV', 'TXT', 'ANY', 'NS'] as packet.RecordType[];
  const bytes = packet.encode({
    type: 'query',
    id: random.below(65_536),
    flags: random.below(2) * packet.RECURSION_DESIRED,
    questions: [{ name: names, type: types[random.below(types.length)] ?? 'A' }],
    additionals: random.below(2)
      ? [{ type: 'OPT', name: '.', udpPayloadSize: random.below(5_000), flags: 0 } as never]
      : [],
  });
  for (let changes = random.below(4); changes > 0; changes--) {
    bytes[random.below(bytes.length)] = random.below(256);
  }
  return random.below(6) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes;
}

function address(literal: string): RecordData {
  const data = addressData(literal);
  assert.ok(data);
  return data;
}

/** Few labels, so that many names share their ends. */
function randomName(random: Random): Name {
  const labels = ['git', 'GIT', 'hive', 'internal', 'a', 'x'.repeat(63)];
  return Array.from({ length: 1 + random.below(3) }, () => labels[random.below(labels.length)] ?? 'a');
}

function randomData(random: Random): RecordData {
  const target = randomName(random);
  switch (random.below(6)) {
    case 0:
      return address([...random.bytes(4)].join('.'));
    case 1:
      return address(`fd00::${random.below(65_536).toString(16)}:1`);
    case 2:
      return { kind: 'NS', target };
    case 3:
      return { kind: 'TXT', strings: Array.from({ length: 1 + random.below(3) }, () => 'y'.repeat(random.below(256))) };
    case 4:
      return {
        kind: 'SRV',
        priority: random.below(9),
        weight: random.below(65_536),
        port: random.below(65_536),
        target,
      };
    default: {
      const times = { refreshSeconds: 1, retrySeconds: 2, expireSeconds: 3, negativeTtlSeconds: 4 };
      return { kind: 'SOA', primary: target, mailbox: randomName(random), serial: random.below(2 ** 32), ...times };
    }
  }
}

/** Lower-case: a pointer leads to the first spelling of a name, in whichever case that was. */
function text(name: Name): string {
  return name.join('.').toLowerCase();
}

/** Record data as dns-packet gives it, its names in lower case. */
function plain(data: RecordData): unknown {
  switch (data.kind) {
    case 'A':
      return [...Buffer.from(data.address, 'hex')].join('.');
    case 'AAAA':
      return data.address;
    case 'NS':
      return text(data.target);
    case 'TXT':
      return data.strings;
    case 'SRV':
      return { priority: data.priority, weight: data.weight, port: data.port, target: text(data.target) };
    case 'SOA':
      return {
        mname: text(data.primary),
        rname: text(data.mailbox),
        serial: data.serial,
        refresh: data.refreshSeconds,
        retry: data.retrySeconds,
        expire: data.expireSeconds,
        minimum: data.negativeTtlSeconds,
      };
  }
}

function fact(answer: packet.Answer): readonly unknown[] {
  if (answer.type === 'OPT') return [];
  const { name, type, ttl, data } = answer as { name: string; type: string; ttl: number; data: unknown };
  return [{ name: name.toLowerCase(), ttl, type, data: lowered(type, data) }];
}

function lowered(type: string, data: unknown): unknown {
  if (type === 'AAAA') return addressData(String(data))?.address;
  if (type === 'TXT') return (data as Buffer[]).map(String);
  return JSON.parse(JSON.stringify(data).toLowerCase());
}
