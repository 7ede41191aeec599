/** What nginx is to serve, decided from what the hosts published. Pure. */
import { isIP } from 'node:net';
import type { NodeNumber, RoleConfig, RoleMember } from '../../src/role/role.ts';
import { readHostConfig, type Service } from '../host/contract.ts';

/** Further domains, in the order of the alphabet, and further servers are left out and counted. */
export const virtualHostsMax = 4096;
export const serversPerVirtualHostMax = 1024;

export interface Model {
  /** Sorted by domain. */
  readonly virtualHosts: readonly VirtualHost[];
  readonly conflicts: readonly Conflict[];
  /** Domains that keep servers on hosts of which only gossip says that they are down. */
  readonly held: readonly string[];
  /** How many virtual hosts and servers did not fit. */
  readonly leftOut: number;
}

export interface VirtualHost {
  readonly domain: string;
  readonly service: string;
  /** Sorted; none may be up, or there may be none at all: then visitors get the maintenance page. */
  readonly servers: readonly UpstreamServer[];
}

export interface UpstreamServer {
  /** The host's name, for people. */
  readonly owner: string;
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  /** Unhealthy or drained: known, but given nothing. */
  readonly down: boolean;
}

/** A domain that several services claim. The first name in the alphabet wins on every node alike. */
export interface Conflict {
  readonly domain: string;
  readonly winner: string;
  readonly losers: readonly string[];
}

export interface Sources {
  readonly configs: readonly RoleConfig[];
  readonly members: readonly RoleMember[];
  /**
   * Members that are down only by what gossip says, because no quorum could convict them. Such hints alone never take
   * more than half of a domain's servers away: a cut-off node would otherwise empty its own sites.
   */
  readonly unconfirmedDown: ReadonlySet<NodeNumber>;
}

interface Claim {
  readonly owner: RoleMember;
  readonly service: Service;
}

export function buildModel(sources: Sources): Model {
  const claims = claimsByDomain(sources);
  const domains = [...claims.keys()].sort();
  const conflicts: Conflict[] = [];
  const held: string[] = [];
  let leftOut = Math.max(0, domains.length - virtualHostsMax);
  const virtualHosts = domains.slice(0, virtualHostsMax).map((domain): VirtualHost => {
    const claimed = claims.get(domain) ?? [];
    const [winner = '', ...losers] = [...new Set(claimed.map((claim) => claim.service.name))].sort();
    if (losers.length > 0) conflicts.push({ domain, winner, losers });
    const instances = claimed.filter((claim) => claim.service.name === winner);
    const { kept, isHeld } = onLiveHosts(instances, sources.unconfirmedDown);
    if (isHeld) held.push(domain);
    const servers = kept.flatMap(upstreamServer).sort(byOwnerThenAddress);
    leftOut += Math.max(0, servers.length - serversPerVirtualHostMax);
    return { domain, service: winner, servers: servers.slice(0, serversPerVirtualHostMax) };
  });
  return { virtualHosts, conflicts, held, leftOut };
}

export function isServing(virtualHost: VirtualHost): boolean {
  return virtualHost.servers.some((server) => !server.down);
}

function claimsByDomain({ configs, members }: Sources): Map<string, Claim[]> {
  const memberByNumber = new Map(members.map((member) => [member.number, member]));
  const claims = new Map<string, Claim[]>();
  for (const config of configs) {
    const owner = memberByNumber.get(config.owner.number);
    if (owner === undefined) continue;
    for (const service of readHostConfig(config.value).services) {
      if (service.protocol !== 'tcp') continue;
      for (const domain of new Set(service.domains)) {
        const claimed = claims.get(domain);
        if (claimed === undefined) claims.set(domain, [{ owner, service }]);
        else claimed.push({ owner, service });
      }
    }
  }
  return claims;
}

function onLiveHosts(
  instances: readonly Claim[],
  unconfirmed: ReadonlySet<NodeNumber>,
): {
  readonly kept: readonly Claim[];
  readonly isHeld: boolean;
} {
  const live = instances.filter(({ owner }) => owner.health !== 'down');
  const perhapsLive = instances.filter(({ owner }) => owner.health !== 'down' || unconfirmed.has(owner.number));
  const isHeld = live.filter(isUsable).length * 2 < perhapsLive.filter(isUsable).length;
  return { kept: isHeld ? perhapsLive : live, isHeld };
}

const isUsable = ({ service }: Claim): boolean => service.healthy && service.weight > 0;

/** One server for each instance, or its weight would count twice: at its first address that others can reach. */
function upstreamServer(claim: Claim): readonly UpstreamServer[] {
  const { owner, service } = claim;
  const address = service.addresses.find((candidate) => !candidate.includes('%'));
  if (address === undefined) return [];
  const { port, weight } = service;
  return [{ owner: owner.name, address: canonical(address), port, weight, down: !isUsable(claim) }];
}

/** nginx refuses some spellings of IPv6, such as `1:2:3:4:5:6:7::`; the one that URLs use (RFC 5952) it knows. */
function canonical(address: string): string {
  return isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

function byOwnerThenAddress(a: UpstreamServer, b: UpstreamServer): number {
  return compare(a.owner, b.owner) || compare(a.address, b.address) || a.port - b.port || a.weight - b.weight;
}

/** By code unit: the same on every machine, whatever its language. */
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
