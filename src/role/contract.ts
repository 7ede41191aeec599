/**
 * The contract between a role and the node that runs it. A role file is one call:
 *
 * ```ts
 * export default defineRole({
 *   name: 'greeter',
 *   consumes: ['host'],
 *   settings: z.object({ greeting: z.string().default('hello') }),
 *   async start(context) {
 *     const stop = context.onChange(() => context.log.info(context.settings.greeting));
 *     return { async stop() { stop(); } };
 *   },
 * });
 * ```
 *
 * Nothing outside a role knows a product by name: members find each other by role.
 */
import type { ZodType } from 'zod';
import type { Endpoint, NodeNumber, Seq } from '../identity.ts';
import type { Clock } from '../seam/clock.ts';
import type { Logger } from '../seam/logger.ts';
import type { Random } from '../seam/random.ts';

/** A published value may take this many bytes when encoded; `publish` rejects a larger one. */
export const configBytesMax = 65_536;
/** Default and largest time that a role may take to start or to stop. */
export const roleStartMs = 30_000;
export const roleStopMs = 10_000;

export type MemberHealth =
  /** Answers its observers. */
  | 'alive'
  /** Accused, not convicted: treat it as alive, prefer others. */
  | 'suspect'
  /** Convicted by the quorum or, while there is none, held down by most of its observers. */
  | 'down';

export interface RoleMember {
  readonly number: NodeNumber;
  readonly name: string;
  readonly roles: readonly string[];
  readonly health: MemberHealth;
  /** Advertised addresses, best first; empty while they are not known yet. */
  readonly endpoints: readonly Endpoint[];
}

/** One node's published value for one role, as its owner signed it. */
export interface RoleConfig {
  readonly owner: RoleMember;
  readonly role: string;
  /** Rises with each publication; an older one never replaces a newer one. */
  readonly seq: Seq;
  /** Whatever the owner published: numbers, strings, booleans, null, arrays, plain objects. Check its shape. */
  readonly value: unknown;
}

export type RoleChange =
  /** Somebody joined, left, went down, came back or moved. */
  | { readonly kind: 'members' }
  /** A consumed config appeared, changed or was removed. */
  | { readonly kind: 'configs'; readonly role: string; readonly owner: NodeNumber; readonly seq: Seq };

export type RoleRequestHandler = (from: RoleMember, body: unknown) => Promise<unknown>;

export interface RoleMetrics {
  /** Adds to a counter, which starts at 0. Names are snake_case and end in their unit. */
  count(name: string, by?: number): void;
  gauge(name: string, value: number): void;
}

export interface RoleContext<Settings> {
  readonly self: RoleMember;
  readonly settings: Settings;
  /** A folder of this role's own, kept over restarts. It exists. */
  readonly folder: string;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: RoleMetrics;
  /** Aborts when the role has to stop; pass it to whatever waits. */
  readonly signal: AbortSignal;

  /** All members but the removed, this node included; only those that perform `role` when it is given. */
  members(role?: string): readonly RoleMember[];
  /** The latest config of each owner for a role that this one consumes, by owner number. */
  configs(role: string): readonly RoleConfig[];
  /** Whether a majority of control nodes is *not* known to be in touch: nothing can be decided for the moment. */
  degraded(): boolean;
  /**
   * Publishes this node's value for this role and resolves with its seq once it is stored here and on its way to
   * the first consumers. Publishing an equal value again keeps the seq.
   *
   * @throws HivemindError `config-too-large`
   */
  publish(value: unknown): Promise<Seq>;
  /** Calls back after each change, once at a time, until the returned function is called or the role stops. */
  onChange(listener: (change: RoleChange) => void): () => void;
  /**
   * Asks the same or another role on a member; msgpack-able bodies of at most 1 MiB.
   *
   * @throws HivemindError `address-unreachable`, `time-out`, `not-found`, or what the handler refused with
   */
  request(to: NodeNumber, role: string, body: unknown, timeoutMs?: number): Promise<unknown>;
  /** Answers requests made to this role on this node. One handler for each role. */
  onRequest(handler: RoleRequestHandler): void;
  /** Adds a line to the node's events (`hivemind events`). */
  event(name: string, detail: Readonly<Record<string, unknown>>): void;
  /** Says that the running role broke: it is stopped, shown as failed, and restarted with back-off. */
  fail(reason: Error): void;
}

export interface RunningRole {
  /** Releases everything; called once, also after `fail`. The node waits `roleStopMs` at most. */
  stop(): Promise<void>;
  /** Facts for `hivemind status` and `hivemind role ls`: small and JSON-able. */
  status?(): Readonly<Record<string, unknown>>;
}

export interface RoleDefinition<Settings = unknown> {
  /** A lower-case DNS label. */
  readonly name: string;
  /** Roles of which a living member must exist before this one is started. */
  readonly requires?: readonly string[];
  /** Roles whose members are asked first for the consumed configs; the role's own name means warm peers. */
  readonly bootstrapFrom?: readonly string[];
  /** Roles whose configs this one receives. */
  readonly consumes?: readonly string[];
  /** Checks this role's section of hivemind.yaml and fills in defaults; without it no settings are allowed. */
  readonly settings?: ZodType<Settings>;
  /** Resolves when the role does its work. Throwing shows it as failed and tries again later. */
  start(context: RoleContext<Settings>): Promise<RunningRole>;
}

/** Gives the definition back with its settings typed. A role file exports this as its default. */
export function defineRole<Settings>(definition: RoleDefinition<Settings>): RoleDefinition<Settings> {
  return definition;
}
