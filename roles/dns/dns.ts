/**
 * The dns role: an authoritative name server for the cluster's zone, fed by what the hosts publish.
 *
 * It requires no host to be there. A name server that starts first, and says with authority that there is nothing
 * yet, is better than a closed port: resolvers ask again within seconds, but remember a dead server for minutes.
 */
import { lookup } from 'node:dns/promises';
import { z } from 'zod';
import { type Endpoint, endpointText, type MonotonicMs, parseAddress } from '../../src/identity.ts';
import {
  defineRole,
  HivemindError,
  type NodeNumber,
  type RoleContext,
  type RoleDefinition,
  type RoleMember,
  type RunningRole,
} from '../../src/role/role.ts';
import { hostRole, isDomain, readHostConfig } from '../host/contract.ts';
import { answerQuery, type Transport } from './answer.ts';
import { buildZones, dnsRole } from './directory.ts';
import { isWithin, nameFrom } from './name.ts';
import { advance, emptyHistory, type SerialHistory, serialOf } from './serial.ts';
import { startServer } from './server.ts';
import type { Zones } from './zone.ts';

const zonesMax = 16;
const listenAddressesMax = 8;
/** Leaves room for the longest name that is made below a zone: `_service._tcp` with 63-byte labels. */
const zoneCharactersMax = 180;
const ttlSecondsMax = 86_400;
const portDefault = 53;
/**
 * After a rebuild the next one waits four times as long as that took, half a second at most. With ten thousand
 * instances a rebuild takes some 0.2 s, and at a bootstrap a thousand hosts come in one by one.
 */
const restFactor = 4;
const restMsMax = 500;

export interface DnsSettings {
  /** The cluster's own zone, then zones that serve the services' domains only. Default: `hive.internal`. */
  readonly zones: readonly string[];
  /** Addresses of this machine to answer on, by UDP and TCP; without a port it is 53. Default: `127.0.0.1:5300`. */
  readonly listen: readonly string[];
  /** How long an answer may be cached, 0 … 86,400 s. Default: 5. */
  readonly ttlSeconds: number;
  /** How long "there is none" may be cached, 0 … 86,400 s. Default: 5. */
  readonly negativeTtlSeconds: number;
}

const zone = z
  .string()
  .max(zoneCharactersMax)
  .refine(isDomain, 'A zone is a domain name in lower case without the final dot, like hive.internal.')
  .refine((text) => !/(^|\.)local$/.test(text), 'Names in .local belong to multicast DNS; take .internal instead.');

const listenAddress = z.string().refine(isAddress, 'Write an address with its port, like 127.0.0.1:5300.');

const ttl = z.int().min(0).max(ttlSecondsMax);

export const dnsSettings: z.ZodType<DnsSettings> = z.strictObject({
  zones: z
    .array(zone)
    .min(1)
    .max(zonesMax)
    .refine(areApart, 'A zone lies within another one; name the outer one only, it serves the names of both.')
    .default(['hive.internal']),
  listen: z.array(listenAddress).min(1).max(listenAddressesMax).default(['127.0.0.1:5300']),
  ttlSeconds: ttl.default(5),
  negativeTtlSeconds: ttl.default(5),
});

const dns: RoleDefinition<DnsSettings> = defineRole({
  name: dnsRole,
  requires: [],
  bootstrapFrom: [dnsRole, hostRole],
  consumes: [hostRole],
  settings: dnsSettings,
  async start(context: RoleContext<DnsSettings>): Promise<RunningRole> {
    const service = new DnsService(context);
    const listen = await Promise.all(context.settings.listen.map(endpointOf));
    const server = await startServer({
      listen,
      clock: context.clock,
      metrics: context.metrics,
      answer: (query, transport) => service.answer(query, transport),
      onBroken: (reason) => context.fail(reason),
    }).catch((error: unknown) => {
      service.stop();
      throw error;
    });
    return {
      async stop() {
        service.stop();
        await server.close();
      },
      status: () => ({ ...service.status(), listening: listen.map(endpointText) }),
    };
  },
});

export default dns;

/** Keeps the zones in step with the cluster and answers from them. */
class DnsService {
  private readonly context: RoleContext<DnsSettings>;
  private readonly answered = new Map<string, number>();
  private readonly unsubscribe: () => void;
  private cancelRebuild: (() => void) | undefined;
  private history: SerialHistory = emptyHistory;
  private zones: Zones = new Map();
  private turn = 0;
  private restsUntil: MonotonicMs = 0;

  constructor(context: RoleContext<DnsSettings>) {
    this.context = context;
    this.rebuild();
    this.unsubscribe = context.onChange(() => {
      // All changes of one turn of the loop, and all that come while a large zone rests, cost one rebuild.
      const restMs = Math.max(0, this.restsUntil - context.clock.now());
      this.cancelRebuild ??= context.clock.after(restMs, () => this.rebuild());
    });
  }

  answer(query: Uint8Array, transport: Transport): Uint8Array | undefined {
    const { metrics } = this.context;
    const answer = answerQuery(this.zones, query, transport, this.turn++);
    if (answer === undefined) {
      metrics.count('dropped_packets');
      return undefined;
    }
    this.answered.set(answer.code, (this.answered.get(answer.code) ?? 0) + 1);
    metrics.count(`${answer.code.toLowerCase()}_answers`);
    if (answer.truncated) metrics.count('truncated_answers');
    return answer.response;
  }

  status(): Readonly<Record<string, unknown>> {
    const configs = this.context.configs(hostRole);
    return {
      zones: this.context.settings.zones,
      serial: serialOf(this.history),
      map: Object.fromEntries(configs.map(({ owner, seq }) => [owner.name, seq])),
      answered: Object.fromEntries(this.answered),
    };
  }

  stop(): void {
    this.unsubscribe();
    this.cancelRebuild?.();
  }

  private rebuild(): void {
    const { clock } = this.context;
    const since = clock.now();
    this.cancelRebuild = undefined;
    this.readCluster();
    this.restsUntil = clock.now() + Math.min(restMsMax, restFactor * (clock.now() - since));
  }

  private readCluster(): void {
    const { context } = this;
    const configs = context.configs(hostRole);
    const members = knownMembers(context);
    const seqs = new Map(configs.map(({ owner, seq }) => [owner.number, seq]));
    this.history = advance(this.history, members.values(), seqs);
    const instances = configs.flatMap(({ owner, value }) => {
      const host = members.get(owner.number) ?? owner;
      return readHostConfig(value).services.map((service) => ({ host, service }));
    });
    const { zones, ttlSeconds, negativeTtlSeconds } = context.settings;
    this.zones = buildZones({
      zones,
      ttlSeconds,
      negativeTtlSeconds,
      serial: serialOf(this.history),
      self: context.self.number,
      members: [...members.values()],
      instances,
    });
    context.metrics.gauge('instances', instances.length);
  }
}

/** In a large cluster this node's slice need not hold every host; then its config says who and how the owner is. */
function knownMembers(context: RoleContext<DnsSettings>): ReadonlyMap<NodeNumber, RoleMember> {
  const owners = context.configs(hostRole).map(({ owner }) => owner);
  return new Map([...owners, context.self, ...context.members()].map((member) => [member.number, member]));
}

function isAddress(text: string): boolean {
  try {
    parseAddress(text);
    return true;
  } catch {
    return false;
  }
}

/** A name stands for its first address: UDP and TCP have to listen on the same one. */
async function endpointOf(text: string): Promise<Endpoint> {
  const { host, port } = parseAddress(text, portDefault);
  try {
    return { host: (await lookup(host)).address, port };
  } catch (cause) {
    const sentence = `${host} has no address; write an IP address of this machine under "listen" of the dns role.`;
    throw new HivemindError('address-unreachable', sentence, cause);
  }
}

function areApart(zones: readonly string[]): boolean {
  const names = zones.map(nameFrom);
  return names.every((name, at) => names.every((other, index) => index === at || !isWithin(name, other)));
}
