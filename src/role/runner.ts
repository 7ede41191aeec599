/** Keeps one role performed: waits for what it requires, starts it, and starts it again whenever it breaks. */
import { HivemindError, toHivemindError } from '../error.ts';
import { type MonotonicMs, type WallMs, wallText } from '../identity.ts';
import type { Logger } from '../seam/logger.ts';
import type { Random } from '../seam/random.ts';
import type { RoleDefinition, RoleMember } from './contract.ts';
import { pause, unlessAborted } from './deadline.ts';
import { declarationOf, type RoleDeclaration } from './declaration.ts';
import { type RoleMeasurements, RoleMeter } from './meter.ts';
import type { RoleHost } from './role-host.ts';
import { RoleRun } from './role-run.ts';

/** The delay before the first restart, and the largest; it doubles from failure to failure. */
export const restartMsMin = 1_000;
export const restartMsMax = 60_000;
/** A role that ran for so long was well, and the delays begin anew. */
export const restartForgottenMs = 60_000;

/** How long to wait after so many failures in a row, from 1: a tenth more or less, so that nodes drift apart. */
export function restartDelayMs(failures: number, random: Random): number {
  const delayMs = Math.min(restartMsMax, restartMsMin * 2 ** (failures - 1));
  return Math.round(delayMs * (0.9 + 0.2 * random.next()));
}

export interface ConfiguredRole {
  readonly definition: RoleDefinition<unknown>;
  /** As the role's own schema gave them. */
  readonly settings: unknown;
}

export interface RoleStatus {
  readonly name: string;
  /** `waiting` names what it waits for in `reason`; `failed` says why and is tried again. */
  readonly state: 'waiting' | 'starting' | 'running' | 'failed' | 'stopped';
  /** ISO 8601 in UTC. */
  readonly since: string;
  readonly reason?: string;
  readonly restarts: number;
  /** Whatever the role reports of itself. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

export class RoleRunner {
  readonly declaration: RoleDeclaration;
  private readonly role: ConfiguredRole;
  private readonly host: RoleHost;
  private readonly log: Logger;
  private readonly meter: RoleMeter;
  private readonly stopping = new AbortController();
  /** Resolves when the role first runs, fails or waits for another one. */
  private readonly settled: Promise<void>;
  private onSettled: () => void = () => {};
  private life: Promise<void> | undefined;
  private bootstrapped: Promise<void> | undefined;
  private run: RoleRun | undefined;

  private state: RoleStatus['state'] = 'waiting';
  private reason: string | undefined = 'its turn comes after the roles before it';
  private since: WallMs;
  private starts = 0;
  private failuresInARow = 0;

  /** @throws HivemindError `name-invalid`, `role-failed` for a declaration that is wrong */
  constructor(role: ConfiguredRole, host: RoleHost) {
    this.declaration = declarationOf(role.definition);
    this.role = role;
    this.host = host;
    this.log = host.log.with({ role: this.declaration.name });
    this.meter = new RoleMeter(this.log);
    this.since = host.clock.wallNow();
    this.settled = new Promise((resolve) => {
      this.onSettled = resolve;
    });
  }

  /** Begins to perform the role and resolves when it first runs, fails, or waits for a role that it requires. */
  begin(): Promise<void> {
    this.life ??= this.live();
    return this.settled;
  }

  /** Stops the role for good, also one that was never begun. */
  stop(): Promise<void> {
    this.stopping.abort();
    this.life ??= this.live();
    return this.life;
  }

  status(): RoleStatus {
    const facts = this.run?.facts();
    return {
      name: this.declaration.name,
      state: this.state,
      since: wallText(this.since),
      ...(this.reason === undefined ? {} : { reason: this.reason }),
      restarts: Math.max(0, this.starts - 1),
      ...(facts === undefined ? {} : { facts }),
    };
  }

  measurements(): RoleMeasurements {
    return this.meter.read();
  }

  /** @throws HivemindError `not-found` unless it runs and answers requests, `busy`, or what its handler throws */
  async onRequest(from: RoleMember, body: unknown): Promise<unknown> {
    if (this.run !== undefined && this.state === 'running') return await this.run.answer(from, body);
    const here = `The role "${this.declaration.name}" on ${this.host.self().name} is ${this.state}`;
    throw new HivemindError('not-found', `${here}; ask later, or another member that performs it.`);
  }

  private async live(): Promise<void> {
    const { signal } = this.stopping;
    let trouble: string | undefined;
    while (!signal.aborted) {
      await this.untilRequirementsMet();
      if (signal.aborted) break;
      const restartMs = await this.perform();
      trouble = await this.endRun();
      if (restartMs !== undefined) await pause(this.host.clock, restartMs, signal);
    }
    this.enter('stopped', trouble);
  }

  /** Starts the role once. Resolves when it has failed, with the delay until the next start, or when it has to stop. */
  private async perform(): Promise<number | undefined> {
    const { signal } = this.stopping;
    this.enter('starting');
    this.starts++;
    let runningSince: MonotonicMs | undefined;
    try {
      const folder = await unlessAborted(signal, this.prepare());
      if (folder === undefined) return undefined;
      const { declaration, meter } = this;
      const { definition, settings } = this.role;
      this.run = new RoleRun(definition, this.host, { declaration, settings, folder, metrics: meter });
      await unlessAborted(signal, this.run.untilRunning());
      if (signal.aborted) return undefined;
      this.enter('running');
      runningSince = this.host.clock.now();
      const broken = await unlessAborted(signal, this.run.broken);
      return broken === undefined ? undefined : this.onFailure(broken, runningSince);
    } catch (thrown) {
      return this.onFailure(thrown, runningSince);
    }
  }

  /** Fills the configs before the first start, and gives the role's folder. */
  private async prepare(): Promise<string> {
    const { name, consumes } = this.declaration;
    if (consumes.length > 0) {
      this.bootstrapped ??= this.host.bootstrap(name);
      await this.bootstrapped.catch((thrown: unknown) => {
        this.bootstrapped = undefined;
        throw thrown;
      });
    }
    return await this.host.folderOf(name);
  }

  private onFailure(thrown: unknown, runningSince: MonotonicMs | undefined): number {
    const { clock, random } = this.host;
    const wasWell = runningSince !== undefined && clock.now() - runningSince >= restartForgottenMs;
    this.failuresInARow = wasWell ? 1 : this.failuresInARow + 1;
    const restartMs = restartDelayMs(this.failuresInARow, random);
    this.log.error(`the role failed and is started again in ${restartMs} ms`, { error: thrown });
    this.enter('failed', toHivemindError(thrown).message, { restartMs });
    return restartMs;
  }

  private async endRun(): Promise<string | undefined> {
    const trouble = await this.run?.end();
    this.run = undefined;
    if (trouble !== undefined) this.log.warn('the role did not stop in good order', { reason: trouble });
    return trouble;
  }

  private untilRequirementsMet(): Promise<void> {
    const { signal } = this.stopping;
    return new Promise((resolve) => {
      const check = (): void => {
        const missing = this.missingRoles();
        if (missing.length > 0 && !signal.aborted) {
          const performs = missing.length === 1 ? 'it' : 'them';
          this.enter('waiting', `requires ${missing.join(', ')}: no living member performs ${performs}`);
          return;
        }
        unsubscribe();
        signal.removeEventListener('abort', check);
        resolve();
      };
      const unsubscribe = this.host.onChange((change) => {
        if (change.kind === 'members') check();
      });
      signal.addEventListener('abort', check);
      check();
    });
  }

  private missingRoles(): readonly string[] {
    const living = this.host.members().filter((member) => member.health !== 'down');
    return this.declaration.requires.filter((role) => !living.some((member) => member.roles.includes(role)));
  }

  private enter(state: RoleStatus['state'], reason?: string, more: Readonly<Record<string, unknown>> = {}): void {
    if (state === this.state && reason === this.reason) return;
    this.state = state;
    this.reason = reason;
    this.since = this.host.clock.wallNow();
    this.host.event(this.declaration.name, state, { ...(reason === undefined ? {} : { reason }), ...more });
    this.log.info(`the role is ${state}`, reason === undefined ? {} : { reason });
    if (state !== 'starting') this.onSettled();
  }
}
