import { isIP, SocketAddress } from 'node:net';

/** The usual spelling of an IP address, `::1` also for `0::1`, by which equal ones are found; a name stays as it is. */
export function canonicalHost(host: string): string {
  return isIP(host) === 6 ? new SocketAddress({ address: host, family: 'ipv6' }).address : host;
}

/** All addresses of the own machine: good to listen on, and nowhere that others could reach. */
export function isWildcard(host: string): boolean {
  return ['0.0.0.0', '::'].includes(canonicalHost(host));
}
