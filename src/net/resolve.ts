import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { HivemindError } from '../error.ts';
import type { Address, Endpoint } from '../identity.ts';

/** A name that resolves to more addresses than this is cut off here. */
const resolvedEndpointsMax = 16;

/**
 * The endpoints behind what a user wrote, IPv4 first. A literal address is its own endpoint; a name is looked
 * up as the system does it, `/etc/hosts` included.
 *
 * @throws HivemindError `address-unreachable` when the name does not resolve
 */
export async function resolveAddress(address: Address): Promise<readonly Endpoint[]> {
  if (isIP(address.host) !== 0) return [{ host: address.host, port: address.port }];
  try {
    const found = await lookup(address.host, { all: true, verbatim: true });
    return found
      .toSorted((a, b) => a.family - b.family)
      .slice(0, resolvedEndpointsMax)
      .map((each) => ({ host: each.address, port: address.port }));
  } catch (cause) {
    throw new HivemindError(
      'address-unreachable',
      `The name ${address.host} does not resolve; check its spelling and this machine's DNS, or write an IP address.`,
      cause,
    );
  }
}
