/** Runs the roles of one node: starts them in order, stops them in reverse, and no role takes the node with it. */
import { assert } from '../assert.ts';
import { HivemindError } from '../error.ts';
import { rolesPerNodeMax } from '../identity.ts';
import { type RoleMember, roleStartMs } from './contract.ts';
import { within } from './deadline.ts';
import type { RoleMeasurements } from './meter.ts';
import type { RoleHost } from './role-host.ts';
import { type ConfiguredRole, RoleRunner, type RoleStatus } from './runner.ts';

export type { RoleMeasurements } from './meter.ts';
export type { ConfiguredRole, RoleStatus } from './runner.ts';

export class Supervisor {
  private readonly host: RoleHost;
  private readonly runners: readonly RoleRunner[];
  private hasStarted = false;
  private stopped: Promise<void> | undefined;

  /** @throws HivemindError `usage` for too many roles or one named twice; what `declarationOf` throws */
  constructor(host: RoleHost, roles: readonly ConfiguredRole[]) {
    if (roles.length > rolesPerNodeMax) {
      throw new HivemindError('usage', `A node performs ${rolesPerNodeMax} roles at most; ${roles.length} are given.`);
    }
    this.host = host;
    this.runners = roles.map((role) => new RoleRunner(role, host));
    const names = this.runners.map((runner) => runner.declaration.name);
    const twice = names.find((name, index) => names.indexOf(name) < index);
    if (twice !== undefined) throw new HivemindError('usage', `The role "${twice}" is given twice; name it once.`);
  }

  /**
   * Starts the roles in the order given, each as soon as the one before runs, has failed or waits for a role that it
   * requires, or after `roleStartMs`. Call it once.
   */
  start(): void {
    assert(!this.hasStarted, 'the roles of a node are started once');
    this.hasStarted = true;
    void this.startAll();
  }

  /** Stops the roles in reverse order and resolves when all have stopped or are given up, after `roleStopMs` each. */
  stop(): Promise<void> {
    this.stopped ??= this.stopAll();
    return this.stopped;
  }

  /** In the order given. */
  statuses(): readonly RoleStatus[] {
    return this.runners.map((runner) => runner.status());
  }

  /** By role: what each has measured since the node started. */
  metrics(): ReadonlyMap<string, RoleMeasurements> {
    return new Map(this.runners.map((runner) => [runner.declaration.name, runner.measurements()]));
  }

  /** @throws HivemindError `not-found`, `busy`, `internal`, or what the role's handler refuses with */
  async onRequest(role: string, from: RoleMember, body: unknown): Promise<unknown> {
    const runner = this.runners.find(({ declaration }) => declaration.name === role);
    if (runner !== undefined) return await runner.onRequest(from, body);
    const self = this.host.self().name;
    throw new HivemindError('not-found', `${self} does not perform the role "${role}"; ask a member that does.`);
  }

  private async startAll(): Promise<void> {
    for (const runner of this.runners) {
      if (this.stopped !== undefined) return;
      await within(this.host.clock, roleStartMs, runner.begin(), () => {});
    }
  }

  private async stopAll(): Promise<void> {
    for (const runner of this.runners.toReversed()) await runner.stop();
  }
}
