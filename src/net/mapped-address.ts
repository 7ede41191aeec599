import { isIPv4 } from 'node:net';

/** RFC 4291 §2.5.5.2: how a dual-stack IPv6 socket writes an IPv4 address. */
const mappedPrefix = '::ffff:';

/** The address as a dual-stack IPv6 socket wants it. */
export function toMapped(host: string): string {
  return isIPv4(host) ? mappedPrefix + host : host;
}

/** The address as everybody else writes it: IPv4 in dotted form, IPv6 without a zone. */
export function fromMapped(host: string): string {
  const rest = host.startsWith(mappedPrefix) ? host.slice(mappedPrefix.length) : '';
  if (isIPv4(rest)) return rest;
  const zoneAt = host.indexOf('%');
  return zoneAt < 0 ? host : host.slice(0, zoneAt);
}
