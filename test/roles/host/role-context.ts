/** A role's surroundings, all real but the cluster: clock and signal are the system's, members are set by hand. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RoleChange, RoleConfig, RoleContext, RoleMember } from '../../../src/role/role.ts';
import type { Clock } from '../../../src/seam/clock.ts';
import { silentLogger } from '../../../src/seam/logger.ts';
import { seededRandom } from '../../../src/seam/random.ts';

const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
};

export function memberOf(number: number, name: string, roles: readonly string[], host = '127.0.0.1'): RoleMember {
  return { number, name, roles, health: 'alive', endpoints: [{ host, port: 7100 }] };
}

export interface RoleStage<Settings> {
  readonly context: RoleContext<Settings>;
  readonly events: { readonly name: string; readonly detail: Readonly<Record<string, unknown>> }[];
  readonly failures: Error[];
  /** Each published value that differs from the one before it. */
  readonly published: unknown[];
  setMembers(members: readonly RoleMember[]): void;
  setConfigs(configs: readonly RoleConfig[]): void;
  setDegraded(isDegraded: boolean): void;
  abort(): void;
}

export function stageFor<Settings>(settings: Settings, folder: string, self: RoleMember): RoleStage<Settings> {
  let [members, configs, isDegraded]: [readonly RoleMember[], readonly RoleConfig[], boolean] = [[self], [], false];
  const listeners = new Set<(change: RoleChange) => void>();
  const stopping = new AbortController();
  const stage = { events: [], failures: [], published: [] } as Pick<
    RoleStage<Settings>,
    'events' | 'failures' | 'published'
  >;
  const tell = (change: RoleChange): void => {
    for (const listener of listeners) listener(change);
  };
  const context: RoleContext<Settings> = {
    self,
    settings,
    folder,
    log: silentLogger,
    clock: systemClock,
    random: seededRandom(1),
    metrics: { count() {}, gauge() {} },
    signal: stopping.signal,
    members: (role) => members.filter((member) => role === undefined || member.roles.includes(role)),
    configs: (role) => configs.filter((config) => config.role === role),
    degraded: () => isDegraded,
    async publish(value) {
      const last = stage.published.at(-1);
      if (JSON.stringify(last) !== JSON.stringify(value)) stage.published.push(value);
      return stage.published.length;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    request: () => Promise.reject(new Error('nobody to ask')),
    onRequest() {},
    event: (name, detail) => void stage.events.push({ name, detail }),
    fail: (reason) => void stage.failures.push(reason),
  };
  return {
    ...stage,
    context,
    setMembers(next) {
      members = next;
      tell({ kind: 'members' });
    },
    setConfigs(next) {
      configs = next;
      tell({ kind: 'configs', role: 'host', owner: next[0]?.owner.number ?? 0, seq: next[0]?.seq ?? 0 });
    },
    setDegraded(next) {
      isDegraded = next;
    },
    abort: () => stopping.abort(),
  };
}

export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'hivemind-role-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Waits for something observable, 10 s at most. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 10_000; performance.now() < deadline; ) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`not within 10 s: ${what}`);
}
