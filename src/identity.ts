/** Who and where: the small types that every floor shares. */
import { isIP } from 'node:net';
import { HivemindError } from './error.ts';

declare const brand: unique symbol;

/** A node's compact id: 1 … 2^32−1, counted up by the control pane and never given out twice. */
export type NodeNumber = number & { readonly [brand]?: 'NodeNumber' };
/** A generation of the cluster, from 1. */
export type Epoch = number;
/** A node's own counter, from 0, raised only by itself and only to answer a published down. */
export type Incarnation = number;
/** A position in the event log, from 1. */
export type LogIndex = number;
export type Term = number;
/** The version of a config, from 1, counted by its owner. */
export type Seq = number;
/** Milliseconds since 1970-01-01T00:00:00Z. */
export type WallMs = number;
/** Milliseconds of a monotonic clock with no meaning beyond its own process. */
export type MonotonicMs = number;

export const nodeNumberMax: number = 0xffff_ffff;
export const portDefault = 7100;
export const rolesPerNodeMax = 16;
export const endpointsPerNodeMax = 4;

/** Where packets go: a literal IP address, never a name to be looked up. */
export interface Endpoint {
  /** IPv4 in dotted form or IPv6 without brackets or zone. */
  readonly host: string;
  readonly port: number;
}

/** What a user writes: an IP address or a name, still to be resolved. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
export const labelCharactersMax = 63;

/** Names of nodes, roles and services are lower-case DNS labels (RFC 1123 §2.1), 1 to 63 characters. */
export function isLabel(text: string): boolean {
  return text.length <= labelCharactersMax && label.test(text);
}

export function endpointText(endpoint: Endpoint): string {
  return endpoint.host.includes(':') ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}

export function isEndpoint(endpoint: Endpoint): boolean {
  return (isIP(endpoint.host) === 4 || isIPv6(endpoint.host)) && isPort(endpoint.port);
}

/** A zone (`%eth0`) means something to one machine alone: no address here has one. */
function isIPv6(text: string): boolean {
  return isIP(text) === 6 && !text.includes('%');
}

export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

/** ISO 8601 in UTC, ending in Z: how every time is shown. */
export function wallText(at: WallMs): string {
  return new Date(at).toISOString();
}

const hostName = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?$/i;

/**
 * Reads `10.0.0.5`, `10.0.0.5:7100`, `::1`, `[::1]:7100`, `node.example` or `node.example:7100`; without a
 * port it is `defaultPort`.
 *
 * @throws HivemindError `address-invalid`
 */
export function parseAddress(text: string, defaultPort: number = portDefault): Address {
  const trimmed = text.trim();
  if (isIPv6(trimmed)) return { host: trimmed, port: defaultPort };
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(trimmed);
  const plain = bracketed ?? /^([^:]+)(?::(\d{1,5}))?$/.exec(trimmed);
  const host = plain?.[1] ?? '';
  const port = plain?.[2] === undefined ? defaultPort : Number(plain[2]);
  const hostIsValid = bracketed ? isIPv6(host) : isIP(host) === 4 || (hostName.test(host) && !/^[\d.]+$/.test(host));
  if (!hostIsValid || !isPort(port)) {
    throw new HivemindError(
      'address-invalid',
      `"${text}" is not an address; write an IP address or a name, with or without a port, ` +
        'like 10.0.0.5:7100 or [fd00::5]:7100.',
    );
  }
  return { host, port };
}
