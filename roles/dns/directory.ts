/**
 * Which names there are: from the cluster's members and the hosts' services to zones.
 *
 * Names exist as long as their member or service is known. When nobody healthy is left behind one it keeps
 * existing without records: "there is none now" is cached for a moment, "no such name" makes clients give up.
 */
import { assert } from '../../src/assert.ts';
import { toHex, utf8 } from '../../src/bytes.ts';
import { sha256 } from '../../src/crypto.ts';
import { isLabel } from '../../src/identity.ts';
import type { NodeNumber, RoleMember } from '../../src/role/role.ts';
import type { Service } from '../host/contract.ts';
import { labelBytesMax, type Name, nameFrom, nameKey } from './name.ts';
import { type AddressData, addressData, type StartOfAuthorityData } from './record.ts';
import { type Zone, ZoneBuilder, type Zones } from './zone.ts';

export const dnsRole = 'dns';
const controlRole = 'control';

/** How often a secondary asks for the serial, and how long it serves on when nobody answers (RFC 1912 §2.2). */
const refreshSeconds = 60;
const retrySeconds = 10;
const expireSeconds = 604_800;

/** Names right below the cluster's zone that no service or domain can take. */
const reserved: ReadonlySet<string> = new Set(['node', 'role', 'service', 'addr', controlRole]);

export interface Directory {
  /** The first is the cluster's own zone; the others serve domains only. At least one. */
  readonly zones: readonly string[];
  readonly ttlSeconds: number;
  readonly negativeTtlSeconds: number;
  readonly serial: number;
  /** This node: a name server of the zones even while others take it for down. */
  readonly self: NodeNumber;
  readonly members: readonly RoleMember[];
  readonly instances: readonly Instance[];
}

/** One service on one host. */
export interface Instance {
  readonly host: RoleMember;
  readonly service: Service;
}

export function buildZones(directory: Directory): Zones {
  const builders = directory.zones.map((zone) => new ZoneBuilder(nameFrom(zone)));
  const [cluster] = builders;
  assert(cluster !== undefined, 'a dns node has at least one zone');
  const members = newestByName(directory.members);
  addMembers(cluster, members);
  addServices(cluster, members, directory.instances);
  for (const builder of builders) addDomains(builder, builder === cluster, directory.instances);
  const servers = nameServers(cluster, members, directory.self);
  const zones = builders.map((builder) => finishZone(builder, servers, directory));
  return new Map(zones.map((zone) => [nameKey(zone.apex), zone]));
}

function addMembers(cluster: ZoneBuilder, members: readonly RoleMember[]): void {
  cluster.claim(cluster.below(controlRole));
  for (const member of members) {
    const roles = member.roles.filter(isLabel);
    const names = [nodeName(cluster, member), ...roles.map((role) => cluster.below(role, 'role'))];
    if (roles.includes(controlRole)) names.push(cluster.below(controlRole));
    for (const name of names) {
      cluster.claim(name);
      if (isLive(member)) cluster.add(name, ...memberAddresses(member));
    }
  }
}

function addServices(cluster: ZoneBuilder, members: readonly RoleMember[], instances: readonly Instance[]): void {
  const nodes = new Set(members.map((member) => member.number));
  for (const [service, group] of grouped(instances, (instance) => [instance.service.name])) {
    const names = [cluster.below(service, 'service')];
    if (!reserved.has(service)) names.push(cluster.below(service));
    for (const name of names) {
      addAddresses(cluster, name, group);
      for (const instance of chosen(group)) cluster.add(name, { kind: 'TXT', strings: tags(instance.service) });
    }
    for (const [protocol, served] of grouped(group, (instance) => [instance.service.protocol])) {
      addServiceRecords(cluster, service, protocol, served, nodes);
    }
  }
}

/** RFC 2782. A service with the longest possible name has none, because `_` before it would make too long a label. */
function addServiceRecords(
  cluster: ZoneBuilder,
  service: string,
  protocol: string,
  group: readonly Instance[],
  nodes: ReadonlySet<NodeNumber>,
): void {
  if (service.length === labelBytesMax) return;
  const name = cluster.below(`_${service}`, `_${protocol}`);
  cluster.claim(name);
  for (const instance of chosen(group)) {
    const { weight, port } = instance.service;
    cluster.add(name, { kind: 'SRV', priority: 0, weight, port, target: targetOf(cluster, instance, nodes) });
  }
}

/** The node's name when that has exactly the instance's addresses, else a name made for these addresses. */
function targetOf(cluster: ZoneBuilder, instance: Instance, nodes: ReadonlySet<NodeNumber>): Name {
  const own = serviceAddresses(instance.service);
  const key = addressesKey(own);
  if (nodes.has(instance.host.number) && key === addressesKey(memberAddresses(instance.host))) {
    return nodeName(cluster, instance.host);
  }
  const name = cluster.below(toHex(sha256(utf8(key))).slice(0, 16), 'addr');
  cluster.add(name, ...own);
  return name;
}

function addDomains(builder: ZoneBuilder, isCluster: boolean, instances: readonly Instance[]): void {
  const lastLabel = -1 - builder.apex.length;
  for (const [domain, group] of grouped(instances, (instance) => instance.service.domains)) {
    const name = nameFrom(domain);
    const taken = isCluster && reserved.has(name.at(lastLabel) ?? '');
    if (builder.holds(name) && !taken) addAddresses(builder, name, group);
  }
}

function addAddresses(builder: ZoneBuilder, name: Name, group: readonly Instance[]): void {
  builder.claim(name);
  for (const instance of chosen(group)) builder.add(name, ...serviceAddresses(instance.service));
}

/** The healthy ones on live hosts; of these the drained (weight 0) only when there is no other. */
function chosen(group: readonly Instance[]): readonly Instance[] {
  const healthy = group.filter(({ host, service }) => service.healthy && isLive(host));
  const weighted = healthy.filter(({ service }) => service.weight > 0);
  return weighted.length > 0 ? weighted : healthy;
}

function nameServers(cluster: ZoneBuilder, members: readonly RoleMember[], self: NodeNumber): readonly Name[] {
  return members
    .filter((member) => member.number === self || (isLive(member) && member.roles.includes(dnsRole)))
    .map((member) => nodeName(cluster, member));
}

function finishZone(builder: ZoneBuilder, servers: readonly Name[], directory: Directory): Zone {
  builder.add(builder.apex, ...servers.map((target) => ({ kind: 'NS', target }) as const));
  const authority: StartOfAuthorityData = {
    kind: 'SOA',
    primary: servers[0] ?? builder.apex,
    mailbox: builder.below('hostmaster'),
    serial: directory.serial,
    refreshSeconds,
    retrySeconds,
    expireSeconds,
    negativeTtlSeconds: directory.negativeTtlSeconds,
  };
  return builder.finish(authority, directory.ttlSeconds);
}

/** In the order of their numbers. Of two members with one name the younger, who came to replace the other. */
function newestByName(members: readonly RoleMember[]): readonly RoleMember[] {
  const ordered = [...members].filter(({ name }) => isLabel(name)).sort((a, b) => a.number - b.number);
  const byName = new Map(ordered.map((member) => [member.name, member]));
  return ordered.filter((member) => byName.get(member.name) === member);
}

function isLive(member: RoleMember): boolean {
  return member.health !== 'down';
}

function nodeName(cluster: ZoneBuilder, member: RoleMember): Name {
  return cluster.below(member.name, 'node');
}

function memberAddresses(member: RoleMember): readonly AddressData[] {
  return addressRecords(member.endpoints.map((endpoint) => endpoint.host));
}

function serviceAddresses(service: Service): readonly AddressData[] {
  return addressRecords(service.addresses);
}

function addressRecords(texts: readonly string[]): readonly AddressData[] {
  return texts.map(addressData).filter((data) => data !== undefined);
}

function addressesKey(addresses: readonly AddressData[]): string {
  return [...new Set(addresses.map(({ address }) => address))].sort().join(' ');
}

/** A TXT record without a string would be malformed: `hive=1` stands for "no tags". */
function tags(service: Service): readonly string[] {
  return service.tags.length > 0 ? service.tags : ['hive=1'];
}

function grouped<Key extends string>(
  instances: readonly Instance[],
  keysOf: (instance: Instance) => readonly Key[],
): ReadonlyMap<Key, readonly Instance[]> {
  const groups = new Map<Key, Instance[]>();
  for (const instance of instances) {
    for (const key of keysOf(instance)) {
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [instance]);
      else group.push(instance);
    }
  }
  return groups;
}
