import { readHostConfig, type Service } from '../roles/host/contract.ts';
import type { LocalConfig } from '../src/node/local-api.ts';

/** One instance of a service, and the host that runs it. */
export interface HostedService extends Service {
  readonly host: string;
  readonly hostStatus: LocalConfig['ownerStatus'];
}

/** All services in the hosts' configs, by service and then by host. */
export function servicesOf(configs: readonly LocalConfig[]): readonly HostedService[] {
  const hosted = configs.flatMap(({ owner, ownerStatus, value }) =>
    readHostConfig(value).services.map((service) => ({ ...service, host: owner, hostStatus: ownerStatus })),
  );
  return hosted.sort((a, b) => compare(a.name, b.name) || compare(a.host, b.host) || a.port - b.port);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
