import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildZones, type Instance } from '../../../roles/dns/directory.ts';
import { nameFrom } from '../../../roles/dns/name.ts';
import { type RecordData, recordTypes } from '../../../roles/dns/record.ts';
import { advance, emptyHistory, type SerialHistory, serialOf } from '../../../roles/dns/serial.ts';
import { recordSetsOf, type Zones, zoneOf } from '../../../roles/dns/zone.ts';
import type { Service } from '../../../roles/host/contract.ts';
import type { RoleMember } from '../../../src/role/role.ts';
import { member, service } from './cluster.ts';

const atlas = member(2, 'atlas', '10.0.0.20', 'host');
const boreas = member(3, 'boreas', '10.0.0.30', 'host');
const ns = member(5, 'ns1', '10.0.0.50', 'dns');

function zonesOf(members: readonly RoleMember[], instances: readonly Instance[]): Zones {
  const zones = ['hive.internal', 'lab.test'];
  const common = { zones, ttlSeconds: 5, negativeTtlSeconds: 7, serial: 9, self: ns.number };
  return buildZones({ ...common, members: [ns, ...members], instances });
}

function serve(...pairs: readonly (readonly [RoleMember, Service])[]): Zones {
  const instances = pairs.map(([host, one]) => ({ host, service: one }));
  return zonesOf([...new Set(instances.map(({ host }) => host))], instances);
}

/** The records of a name in short text, or nothing when the name does not exist. */
function look(zones: Zones, name: string, kind: RecordData['kind'] = 'A'): readonly string[] | undefined {
  const zone = zoneOf(zones, nameFrom(name));
  const sets = zone && recordSetsOf(zone, nameFrom(name));
  return sets && (sets.get(recordTypes[kind]) ?? []).map(short);
}

function short(data: RecordData): string {
  switch (data.kind) {
    case 'A':
    case 'AAAA':
      return [...Buffer.from(data.address, 'hex')].join('.');
    case 'NS':
      return data.target.join('.');
    case 'TXT':
      return data.strings.join('|');
    case 'SRV':
      return `${data.priority} ${data.weight} ${data.port} ${data.target.join('.')}`;
    case 'SOA':
      return `${data.primary.join('.')} ${data.serial}`;
  }
}

test('a service has its short name, its long name and its domains, without duplicates', () => {
  const zones = serve(
    [atlas, service('git', '10.0.0.21', { domains: ['git.lab.test', 'git.other.test'] })],
    [boreas, service('git', '10.0.0.31', { addresses: ['10.0.0.31', '10.0.0.21', 'fd00::31'] })],
  );
  assert.deepEqual(look(zones, 'git.hive.internal'), ['10.0.0.21', '10.0.0.31']);
  assert.deepEqual(look(zones, 'git.service.hive.internal'), ['10.0.0.21', '10.0.0.31']);
  assert.equal(look(zones, 'git.hive.internal', 'AAAA')?.length, 1);
  assert.deepEqual(look(zones, 'git.lab.test'), ['10.0.0.21']);
  assert.equal(look(zones, 'git.other.test'), undefined);
});

test('unhealthy, dead and drained instances are left out; drained ones serve when there is no other', () => {
  const dead = { ...boreas, health: 'down' } as const;
  const well = service('git', '10.0.0.21');
  const ill = service('git', '10.0.0.22', { healthy: false });
  const drained = service('git', '10.0.0.23', { weight: 0 });
  assert.deepEqual(look(serve([atlas, well], [atlas, ill], [atlas, drained]), 'git.hive.internal'), ['10.0.0.21']);
  assert.deepEqual(look(serve([atlas, ill], [atlas, drained]), 'git.hive.internal'), ['10.0.0.23']);
  assert.deepEqual(look(serve([dead, well], [atlas, drained]), 'git.hive.internal'), ['10.0.0.23']);
  assert.deepEqual(look(serve([{ ...boreas, health: 'suspect' }, well]), 'git.hive.internal'), ['10.0.0.21']);
});

test('the name of a service stays when nobody healthy is left, and goes with the service', () => {
  const ill = service('git', '10.0.0.22', { healthy: false, domains: ['git.lab.test'] });
  const names = ['git.hive.internal', 'git.service.hive.internal', '_git._tcp.hive.internal', 'git.lab.test'];
  const empty = serve([atlas, ill]);
  for (const name of names) assert.deepEqual(look(empty, name), [], name);
  for (const name of names) assert.equal(look(serve([atlas, service('web', '10.0.0.9')]), name), undefined, name);
});

test('SRV targets the node where the addresses are its own, and otherwise a name made for them', () => {
  const own = service('web', '10.0.0.20', { port: 80, weight: 3 });
  const other = service('web', '10.0.0.21', { port: 81, weight: 4 });
  const zones = serve([atlas, own], [atlas, other], [atlas, { ...other, protocol: 'udp' }]);
  const [first, second] = look(zones, '_web._tcp.hive.internal', 'SRV') ?? [];
  assert.equal(first, '0 3 80 atlas.node.hive.internal');
  assert.match(second ?? '', /^0 4 81 [0-9a-f]{16}\.addr\.hive\.internal$/);
  assert.deepEqual(look(zones, second?.split(' ')[3] ?? ''), ['10.0.0.21']);
  assert.equal(look(zones, '_web._udp.hive.internal', 'SRV')?.length, 1);
  assert.equal(look(serve([atlas, service('x'.repeat(63), '10.0.0.1')]), '_tcp.hive.internal'), undefined);
});

test('tags are TXT strings, one record for each different list', () => {
  const tagged = { tags: ['v2', 'blue'] };
  const zones = serve(
    [atlas, service('git', '10.0.0.21', tagged)],
    [boreas, service('git', '10.0.0.31', tagged)],
    [atlas, service('web', '10.0.0.20')],
  );
  assert.deepEqual(look(zones, 'git.hive.internal', 'TXT'), ['v2|blue']);
  assert.deepEqual(look(zones, 'web.hive.internal', 'TXT'), ['hive=1']);
});

test('PF-2: nodes, roles and control resolve to the living; names of the down exist', () => {
  const pane = [1, 7, 8].map((number) => member(number, `c${number}`, `10.0.0.${number}`, 'control'));
  const [, , last] = pane;
  const zones = zonesOf([...pane.slice(0, 2), { ...(last as RoleMember), health: 'down' }], []);
  assert.deepEqual(look(zones, 'control.hive.internal'), ['10.0.0.1', '10.0.0.7']);
  assert.deepEqual(look(zones, 'control.role.hive.internal'), ['10.0.0.1', '10.0.0.7']);
  assert.deepEqual(look(zones, 'c7.node.hive.internal'), ['10.0.0.7']);
  assert.deepEqual(look(zones, 'c8.node.hive.internal'), []);
  assert.deepEqual(look(zones, 'node.hive.internal'), []);
  assert.equal(look(zones, 'c9.node.hive.internal'), undefined);
  assert.equal(look(zones, 'nginx.role.hive.internal'), undefined);
});

test('a younger member takes the name of an older one', () => {
  const young = member(12, 'atlas', '10.0.0.99', 'host');
  assert.deepEqual(look(zonesOf([young, atlas], []), 'atlas.node.hive.internal'), ['10.0.0.99']);
});

test("no service and no domain takes the cluster's own names", () => {
  const greedy = { domains: ['control.hive.internal', 'c1.node.hive.internal', 'git.hive.internal', 'hive.internal'] };
  const control = member(1, 'c1', '10.0.0.1', 'control');
  const services = [service('control', '10.6.6.6', greedy), service('node', '10.6.6.7')];
  const zones = zonesOf(
    [control, atlas],
    services.map((one) => ({ host: atlas, service: one })),
  );
  assert.deepEqual(look(zones, 'control.hive.internal'), ['10.0.0.1']);
  assert.deepEqual(look(zones, 'c1.node.hive.internal'), ['10.0.0.1']);
  assert.deepEqual(look(zones, 'node.hive.internal'), []);
  assert.deepEqual(look(zones, 'control.service.hive.internal'), ['10.6.6.6']);
  assert.deepEqual(look(zones, 'git.hive.internal'), ['10.6.6.6']);
  assert.deepEqual(look(zones, 'hive.internal'), ['10.6.6.6']);
});

test('every zone has its SOA and, as name servers, the living dns nodes and always this one', () => {
  const second = member(6, 'ns2', '10.0.0.60', 'dns');
  for (const zone of ['hive.internal', 'lab.test']) {
    const zones = zonesOf(
      [second, { ...ns, health: 'down' }, { ...second, number: 7, name: 'ns3', health: 'down' }],
      [],
    );
    assert.deepEqual(look(zones, zone, 'NS'), ['ns1.node.hive.internal', 'ns2.node.hive.internal']);
    assert.deepEqual(look(zones, zone, 'SOA'), ['ns1.node.hive.internal 9']);
  }
});

test('the serial rises with each change and never falls', () => {
  const down = { ...atlas, health: 'down' } as const;
  const moved = { ...atlas, endpoints: [{ host: '10.0.0.77', port: 7100 }] };
  const steps: readonly (readonly [readonly RoleMember[], Readonly<Record<number, number>>])[] = [
    [[ns], {}],
    [[ns, atlas], {}],
    [[ns, atlas], { 2: 1 }],
    [[ns, atlas], { 2: 2 }],
    [[ns, down], { 2: 2 }],
    [[ns, atlas], { 2: 2 }],
    [[ns, moved], { 2: 2 }],
    [[ns, down], { 2: 2 }],
    [[ns], {}],
    [[ns, boreas], { 3: 1 }],
    [[ns, boreas], {}],
    [[ns, boreas], { 3: 2 }],
  ];
  const serials = walk(steps).map(serialOf);
  for (let at = 1; at < serials.length; at++) assert.ok((serials[at] ?? 0) > (serials[at - 1] ?? 0), `step ${at}`);
});

test('the serial is equal where the maps are equal, in whatever portions they arrived', () => {
  const down = { ...boreas, health: 'down' } as const;
  const slowly = walk([
    [[ns], {}],
    [[ns, boreas], { 3: 1 }],
    [[ns, boreas, atlas], { 3: 1, 2: 4 }],
    [[ns, down, atlas], { 3: 1, 2: 6 }],
    [[ns, down, { ...atlas, health: 'suspect' }], { 3: 1, 2: 6 }],
  ]);
  const atOnce = walk([[[atlas, ns, down], { 2: 6, 3: 1 }]]);
  assert.equal(serialOf(slowly.at(-1) ?? emptyHistory), serialOf(atOnce[0] ?? emptyHistory));
  assert.equal(serialOf({ ...emptyHistory, settled: 2 ** 32 + 5 }), 5);
});

function walk(
  steps: readonly (readonly [readonly RoleMember[], Readonly<Record<number, number>>])[],
): readonly SerialHistory[] {
  let history = emptyHistory;
  return steps.map(([members, seqs]) => {
    const byNumber = new Map(Object.entries(seqs).map(([number, seq]) => [Number(number), seq]));
    history = advance(history, members, byNumber);
    return history;
  });
}
