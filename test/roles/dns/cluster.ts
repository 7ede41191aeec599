/** A cluster as a role sees it, whose members and configs a test changes at will. */

import { createServer } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Service } from '../../../roles/host/contract.ts';
import type { Clock, RoleChange, RoleConfig, RoleContext, RoleMember } from '../../../src/role/role.ts';
import { silentLogger } from '../../../src/seam/logger.ts';
import { seededRandom } from '../../../src/seam/random.ts';

const clock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
};

export function member(number: number, name: string, address: string, ...roles: readonly string[]): RoleMember {
  return { number, name, roles, health: 'alive', endpoints: [{ host: address, port: 7100 }] };
}

export function service(name: string, address: string, more: Partial<Service> = {}): Service {
  const rest = { port: 3000, protocol: 'tcp', weight: 1, tags: [], domains: [], healthy: true } as const;
  return { name, addresses: [address], ...rest, ...more };
}

export class Cluster<Settings> {
  readonly context: RoleContext<Settings>;
  readonly counters: Map<string, number> = new Map();
  readonly failures: Error[] = [];
  private readonly known = new Map<number, RoleMember>();
  private readonly published = new Map<number, { readonly seq: number; readonly value: unknown }>();
  private readonly listeners = new Set<(change: RoleChange) => void>();

  constructor(self: RoleMember, settings: Settings) {
    this.known.set(self.number, self);
    const nowhere = (): Promise<never> => Promise.reject(new Error('the dns role asks nobody'));
    this.context = {
      self,
      settings,
      folder: '/nowhere',
      log: silentLogger,
      clock,
      random: seededRandom(1),
      metrics: {
        count: (name, by = 1) => this.counters.set(name, (this.counters.get(name) ?? 0) + by),
        gauge: (name, value) => this.counters.set(name, value),
      },
      signal: new AbortController().signal,
      members: (role) => [...this.known.values()].filter(({ roles }) => role === undefined || roles.includes(role)),
      configs: (role) => this.configs(role),
      degraded: () => false,
      publish: nowhere,
      onChange: (listener) => {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
      },
      request: nowhere,
      onRequest() {},
      event() {},
      fail: (reason) => this.failures.push(reason),
    };
  }

  /** Adds members, or replaces what was known of them. */
  meet(...members: readonly RoleMember[]): void {
    for (const one of members) this.known.set(one.number, one);
    this.tell({ kind: 'members' });
  }

  health(name: string, health: RoleMember['health']): void {
    for (const one of this.known.values()) if (one.name === name) this.known.set(one.number, { ...one, health });
    this.tell({ kind: 'members' });
  }

  publish(name: string, ...services: readonly Service[]): void {
    const owner = [...this.known.values()].find((one) => one.name === name);
    if (owner === undefined) throw new Error(`no member is called ${name}`);
    const seq = (this.published.get(owner.number)?.seq ?? 0) + 1;
    this.published.set(owner.number, { seq, value: { services } });
    this.tell({ kind: 'configs', role: 'host', owner: owner.number, seq });
  }

  remove(name: string): void {
    for (const one of this.known.values()) {
      if (one.name !== name) continue;
      this.known.delete(one.number);
      this.published.delete(one.number);
    }
    this.tell({ kind: 'members' });
  }

  private configs(role: string): readonly RoleConfig[] {
    return [...this.published].flatMap(([number, { seq, value }]) => {
      const owner = this.known.get(number);
      return owner === undefined ? [] : [{ owner, role, seq, value }];
    });
  }

  private tell(change: RoleChange): void {
    for (const listener of this.listeners) listener(change);
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}
