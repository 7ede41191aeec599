/** Where others reach this node: what the settings say, or what the machine has. */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { HivemindError } from '../../src/error.ts';
import { type Address, type Endpoint, endpointsPerNodeMax } from '../../src/identity.ts';
import { resolveAddress } from '../../src/net/resolve.ts';
import { isWildcard } from '../ip-address.ts';

/**
 * Where to listen: an address stands for itself, a name for its first address.
 *
 * @throws HivemindError `address-unreachable` when a name does not resolve
 */
export async function resolveLocal(bind: Address): Promise<Endpoint> {
  const [endpoint] = await resolveAddress(bind);
  if (endpoint !== undefined) return endpoint;
  throw new HivemindError('address-unreachable', `${bind.host} has no address; write one of this machine under bind:.`);
}

/** @throws HivemindError `address-unreachable` when a name does not resolve, `address-invalid` when there is none */
export async function advertisedEndpoints(bind: Endpoint, advertise: readonly Address[]): Promise<readonly Endpoint[]> {
  const written = await Promise.all(advertise.map((address) => resolveAddress(address)));
  const endpoints = written.length > 0 ? written.flat() : isWildcard(bind.host) ? machineEndpoints(bind) : [bind];
  if (endpoints.length > 0) return endpoints.slice(0, endpointsPerNodeMax);
  const sentence = 'This machine has no address to advertise; write one under advertise: in hivemind.yaml.';
  throw new HivemindError('address-invalid', sentence);
}

/** The addresses of the machine's interfaces, IPv4 first; loopback only when there is nothing else. */
function machineEndpoints(bind: Endpoint): readonly Endpoint[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const usable = all.filter(({ address }) => bind.host === '::' || isIP(address) === 4);
  const outside = usable.filter(({ address, internal }) => !internal && !address.startsWith('fe80:'));
  const chosen = outside.length > 0 ? outside : usable.filter(({ internal }) => internal);
  const byFamily = [...chosen].sort((a, b) => isIP(a.address) - isIP(b.address));
  return byFamily.map(({ address }) => ({ host: address, port: bind.port }));
}
