/** A node without a network: members and configs are set by hand, and several of them can ask each other. */
import { isDeepStrictEqual } from 'node:util';
import { HivemindError } from '../../src/error.ts';
import type { NodeNumber, Seq } from '../../src/identity.ts';
import type { MemberHealth, RoleChange, RoleConfig, RoleMember } from '../../src/role/contract.ts';
import type { RoleHost } from '../../src/role/role-host.ts';
import type { Clock } from '../../src/seam/clock.ts';
import { type Logger, silentLogger } from '../../src/seam/logger.ts';
import { type Random, seededRandom } from '../../src/seam/random.ts';

export interface ToldEvent {
  readonly role: string;
  readonly name: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

type Answerer = (role: string, from: RoleMember, body: unknown) => Promise<unknown>;

export function memberOf(number: NodeNumber, name: string, ...roles: readonly string[]): RoleMember {
  return { number, name, roles, health: 'alive', endpoints: [{ host: '127.0.0.1', port: 7100 }] };
}

export class MemoryHost implements RoleHost {
  readonly clock: Clock;
  readonly random: Random = seededRandom(1);
  readonly log: Logger = silentLogger;
  readonly events: ToldEvent[] = [];
  /** The roles that asked for a bootstrap, in the order they did. */
  readonly bootstraps: string[] = [];
  /** What a bootstrap waits for. */
  bootstrapping: () => Promise<void> = () => Promise.resolve();
  readonly listeners: Set<(change: RoleChange) => void> = new Set();
  private readonly number: NodeNumber;
  private readonly folder: string;
  private readonly known = new Map<NodeNumber, RoleMember>();
  private readonly published = new Map<string, RoleConfig>();
  private readonly answerers = new Map<NodeNumber, Answerer>();

  constructor(self: RoleMember, clock: Clock, folder: string = '/nowhere') {
    this.number = self.number;
    this.clock = clock;
    this.folder = folder;
    this.known.set(self.number, self);
  }

  self(): RoleMember {
    return this.memberOf(this.number);
  }

  members(): readonly RoleMember[] {
    return [...this.known.values()];
  }

  configs(role: string): readonly RoleConfig[] {
    return [...this.published.values()].filter((config) => config.role === role);
  }

  degraded(): boolean {
    return false;
  }

  async publish(role: string, value: unknown): Promise<Seq> {
    return this.publishFrom(this.number, role, value);
  }

  async bootstrap(role: string): Promise<void> {
    this.bootstraps.push(role);
    await this.bootstrapping();
  }

  async request(to: NodeNumber, role: string, body: unknown): Promise<unknown> {
    const answerer = this.answerers.get(to);
    if (answerer === undefined) throw new HivemindError('address-unreachable', `Node ${to} does not answer.`);
    return await answerer(role, this.self(), body);
  }

  event(role: string, name: string, detail: Readonly<Record<string, unknown>>): void {
    this.events.push({ role, name, detail });
  }

  onChange(listener: (change: RoleChange) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async folderOf(): Promise<string> {
    return this.folder;
  }

  /** Adds a member, or replaces what was known of it. */
  meet(member: RoleMember): void {
    this.known.set(member.number, member);
    this.tell({ kind: 'members' });
  }

  setHealth(number: NodeNumber, health: MemberHealth): void {
    this.meet({ ...this.memberOf(number), health });
  }

  publishFrom(owner: NodeNumber, role: string, value: unknown): Seq {
    const key = `${owner} ${role}`;
    const last = this.published.get(key);
    if (last !== undefined && isDeepStrictEqual(last.value, value)) return last.seq;
    const seq = (last?.seq ?? 0) + 1;
    this.published.set(key, { owner: this.memberOf(owner), role, seq, value });
    this.tell({ kind: 'configs', role, owner, seq });
    return seq;
  }

  /** Requests to this node go there. */
  connect(to: NodeNumber, answerer: Answerer): void {
    this.answerers.set(to, answerer);
  }

  private memberOf(number: NodeNumber): RoleMember {
    const member = this.known.get(number);
    if (member === undefined) throw new Error(`node ${number} is not a member`);
    return member;
  }

  private tell(change: RoleChange): void {
    for (const listener of [...this.listeners]) listener(change);
  }
}
