/**
 * What a host publishes and others may rely on: its services. This is the one file of the host role that other
 * roles import.
 */
import { isIP } from 'node:net';
import { isLabel, isPort } from '../../src/identity.ts';

export const hostRole = 'host';
export const servicesPerHostMax = 256;
export const domainsPerServiceMax = 32;
export const tagsPerServiceMax = 32;
export const addressesPerServiceMax = 8;

export interface Service {
  /** A lower-case DNS label; instances on several hosts share it. */
  readonly name: string;
  /** Literal IPv4 and IPv6 addresses on which this instance answers; at least one. */
  readonly addresses: readonly string[];
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  /** Share of the traffic beside the other instances, 0 … 65,535; 0 means drained: known, but given nothing new. */
  readonly weight: number;
  readonly tags: readonly string[];
  /** Full domain names under which it is to be reached, lower-case, without the final dot. */
  readonly domains: readonly string[];
  /** The outcome of the host's own health check; true when it has none. */
  readonly healthy: boolean;
}

export interface HostConfig {
  readonly services: readonly Service[];
}

const domain = /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const tag = /^[\x20-\x7e]{1,64}$/;

export function isDomain(text: string): boolean {
  return domain.test(text);
}

/** The services in a published value; whatever is malformed is left out, because it came from a peer. */
export function readHostConfig(value: unknown): HostConfig {
  const listed = field(value, 'services');
  const services = Array.isArray(listed) ? listed.slice(0, servicesPerHostMax) : [];
  return { services: services.map(readService).filter((service) => service !== undefined) };
}

function readService(value: unknown): Service | undefined {
  const [name, port, weight] = [field(value, 'name'), field(value, 'port'), field(value, 'weight')];
  const protocol = field(value, 'protocol');
  const addresses = texts(field(value, 'addresses'), (text) => isIP(text) !== 0, addressesPerServiceMax);
  if (typeof name !== 'string' || !isLabel(name) || addresses.length === 0) return undefined;
  if (typeof port !== 'number' || !isPort(port)) return undefined;
  if (typeof weight !== 'number' || !Number.isInteger(weight) || weight < 0 || weight > 65_535) return undefined;
  if (protocol !== 'tcp' && protocol !== 'udp') return undefined;
  return {
    name,
    addresses,
    port,
    protocol,
    weight,
    tags: texts(field(value, 'tags'), (text) => tag.test(text), tagsPerServiceMax),
    domains: texts(field(value, 'domains'), isDomain, domainsPerServiceMax),
    healthy: field(value, 'healthy') === true,
  };
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function texts(value: unknown, valid: (text: string) => boolean, most: number): readonly string[] {
  const items: readonly unknown[] = Array.isArray(value) ? value.slice(0, most) : [];
  return items.filter((item): item is string => typeof item === 'string' && valid(item));
}
