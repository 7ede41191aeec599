/** Shows the node to its roles: members with their health, configs, publishing, requests among roles. */
import { HivemindError } from '../error.ts';
import type { NodeNumber, Seq } from '../identity.ts';
import type { MemberEvent } from '../member/effect.ts';
import { pack, unpack } from '../packed.ts';
import type { RoleChange, RoleConfig, RoleMember } from '../role/contract.ts';
import type { RoleHost } from '../role/role-host.ts';
import type { Clock } from '../seam/clock.ts';
import type { Logger } from '../seam/logger.ts';
import type { Random } from '../seam/random.ts';
import { rolePayload, rolePayloadBytesMax } from '../wire/peer-message.ts';
import type { Node } from './node.ts';

export interface RoleBridgeParts {
  readonly node: Node;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Makes sure that a role's own folder exists. */
  readonly folderOf: (role: string) => Promise<string>;
  readonly onRoleEvent: (role: string, name: string, detail: Readonly<Record<string, unknown>>) => void;
}

export class RoleBridge implements RoleHost {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  private readonly node: Node;
  private readonly parts: RoleBridgeParts;

  constructor(parts: RoleBridgeParts) {
    this.node = parts.node;
    this.clock = parts.clock;
    this.random = parts.random;
    this.log = parts.log;
    this.parts = parts;
  }

  self(): RoleMember {
    return this.memberOf(this.node.member.number) as RoleMember;
  }

  members(): readonly RoleMember[] {
    const { directory } = this.node.member;
    return directory.list().flatMap((record) => this.memberOf(record.number) ?? []);
  }

  configs(role: string): readonly RoleConfig[] {
    return this.node.member.exchange.configs.list(role).flatMap(({ owner, seq, value }) => {
      const member = this.memberOf(owner);
      return member === undefined ? [] : [{ owner: member, role, seq, value: unpack(value) }];
    });
  }

  degraded(): boolean {
    return this.node.member.client.pane.state !== 'healthy';
  }

  async publish(role: string, value: unknown): Promise<Seq> {
    const packed = pack(value);
    if (unpack(packed) === undefined) {
      const sentence =
        'A config consists of numbers, strings, booleans, null, arrays and plain objects; publish those.';
      throw new HivemindError('refused', sentence);
    }
    return await this.node.ask((member, then, at) => member.publish(role, packed, then, at));
  }

  async bootstrap(role: string): Promise<void> {
    await this.node.ask<readonly NodeNumber[]>((member, then, at) => member.bootstrap(role, then, at));
  }

  async request(to: NodeNumber, role: string, body: unknown, timeoutMs: number): Promise<unknown> {
    const packed = pack(body);
    if (packed.length > rolePayloadBytesMax) {
      throw new HivemindError(
        'refused',
        `A role's request may take ${rolePayloadBytesMax} bytes; send less at a time.`,
      );
    }
    const answer = await this.node.ask<Uint8Array>((member, then, at) =>
      member.askMember(to, { kind: 'role', role, body: packed }, rolePayload, timeoutMs, then, at),
    );
    return unpack(answer);
  }

  event(role: string, name: string, detail: Readonly<Record<string, unknown>>): void {
    this.parts.onRoleEvent(role, name, detail);
  }

  onChange(listener: (change: RoleChange) => void): () => void {
    return this.node.onEvent((event) => {
      const change = changeOf(event);
      if (change !== undefined) listener(change);
    });
  }

  folderOf(role: string): Promise<string> {
    return this.parts.folderOf(role);
  }

  memberOf(number: NodeNumber): RoleMember | undefined {
    const { directory, membership } = this.node.member;
    const record = directory.get(number);
    if (record === undefined) return undefined;
    const { name, roles, endpoints } = record;
    return { number, name, roles, endpoints, health: membership.swim.statusOf(number)?.status ?? 'alive' };
  }
}

function changeOf(event: MemberEvent): RoleChange | undefined {
  switch (event.kind) {
    case 'joined':
    case 'left':
    case 'suspected':
    case 'refuted':
    case 'down':
    case 'back':
    case 'moved':
    case 'pane':
      return { kind: 'members' };
    case 'config':
      return { kind: 'configs', role: event.role, owner: event.owner, seq: event.seq };
    case 'config-gone':
      return { kind: 'configs', role: event.role, owner: event.owner, seq: 0 };
    default:
      return undefined;
  }
}
