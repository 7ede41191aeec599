/** What the supervisor of a node's roles needs of that node. */
import type { NodeNumber, Seq } from '../identity.ts';
import type { Clock } from '../seam/clock.ts';
import type { Logger } from '../seam/logger.ts';
import type { Random } from '../seam/random.ts';
import type { RoleChange, RoleConfig, RoleMember } from './contract.ts';

export interface RoleHost {
  /** This node, with the addresses that it has now. */
  self(): RoleMember;
  /** All members but the removed, this node included. */
  members(): readonly RoleMember[];
  /** The latest config of each owner for a role, by owner number. */
  configs(role: string): readonly RoleConfig[];
  /** Whether a majority of control nodes is not known to be in touch. */
  degraded(): boolean;
  /**
   * Publishes this node's value for a role; an equal value keeps its seq.
   *
   * @throws HivemindError `config-too-large`
   */
  publish(role: string, value: unknown): Promise<Seq>;
  /**
   * Fetches the configs that a role consumes, for as long as the node thinks fit, and resolves with whatever came.
   * A rejection fails this start of the role, and the next start asks again.
   */
  bootstrap(role: string): Promise<void>;
  /** @throws HivemindError `address-unreachable`, `time-out`, `not-found`, or what the handler refused with */
  request(to: NodeNumber, role: string, body: unknown, timeoutMs: number): Promise<unknown>;
  /** Adds a line to the node's events, about a role. */
  event(role: string, name: string, detail: Readonly<Record<string, unknown>>): void;
  /** Calls back after each change of members or configs, until the returned function is called. */
  onChange(listener: (change: RoleChange) => void): () => void;
  /** The role's own folder, kept over restarts. It exists when this resolves. */
  folderOf(role: string): Promise<string>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}
