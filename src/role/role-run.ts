/** One start of one role up to its end, within the limits of the contract. */
import { HivemindError, toHivemindError } from '../error.ts';
import { type ContextOptions, OpenContext } from './context.ts';
import { type RoleDefinition, type RoleMember, type RunningRole, roleStartMs, roleStopMs } from './contract.ts';
import { within } from './deadline.ts';
import type { RoleHost } from './role-host.ts';

/** What a role may say of itself in its status, as JSON: sixteen roles then fit one answer. */
export const factsBytesMax = 262_144;

export class RoleRun {
  /** Resolves with why the role broke, at the latest when it is ended. */
  readonly broken: Promise<HivemindError>;
  private readonly definition: RoleDefinition<unknown>;
  private readonly host: RoleHost;
  private readonly open: OpenContext;
  private readonly starting: Promise<RunningRole>;
  private running: RunningRole | undefined;
  private onBroken: (reason: HivemindError) => void = () => {};

  constructor(definition: RoleDefinition<unknown>, host: RoleHost, options: Omit<ContextOptions, 'onBroken'>) {
    this.broken = new Promise((resolve) => {
      this.onBroken = resolve;
    });
    this.definition = definition;
    this.host = host;
    this.open = new OpenContext(host, { ...options, onBroken: (reason) => this.onBroken(reason) });
    this.starting = this.start();
    // Whoever waits for `untilRunning` hears of it; before that, and after the time limit, nobody has to.
    this.starting.catch(() => {});
  }

  /** @throws HivemindError why it did not start: what it threw, what it failed with, or `role-failed` for slowness */
  async untilRunning(): Promise<void> {
    const broken = this.broken.then((reason): never => {
      throw reason;
    });
    const outcome = Promise.race([this.starting, broken]);
    this.running = await within(this.host.clock, roleStartMs, outcome, () => {
      throw new HivemindError('role-failed', `It did not start within ${roleStartMs / 1000} s.`);
    });
  }

  /** Stops the role and resolves, at the latest after the time limit, with what went wrong while it stopped. */
  async end(): Promise<string | undefined> {
    this.running = undefined;
    this.open.abort();
    this.onBroken(new HivemindError('role-failed', 'It has to stop.'));
    // A role that was given up and comes to life later is still stopped then.
    const stopped = this.starting.then(
      (running) => running.stop(),
      () => {},
    );
    try {
      return await within(this.host.clock, roleStopMs, stopped.then(nothing), () => {
        return `It did not stop within ${roleStopMs / 1000} s and is left to itself.`;
      });
    } catch (thrown) {
      return `It failed to stop: ${toHivemindError(thrown).message}`;
    } finally {
      this.open.close();
    }
  }

  answer(from: RoleMember, body: unknown): Promise<unknown> {
    return this.open.answer(from, body);
  }

  /** What the role reports of itself, as plain data; nothing when it does not report. */
  facts(): Readonly<Record<string, unknown>> | undefined {
    try {
      const text = JSON.stringify(this.running?.status?.());
      if (text === undefined) return undefined;
      if (text.length <= factsBytesMax) return JSON.parse(text);
      return { error: `Its status takes ${text.length} characters as JSON and may take ${factsBytesMax}.` };
    } catch (thrown) {
      return { error: `Its status cannot be told: ${toHivemindError(thrown).message}` };
    }
  }

  private async start(): Promise<RunningRole> {
    const running: unknown = await this.definition.start(this.open.context);
    if (isRunningRole(running)) return running;
    throw new HivemindError('role-failed', 'Its start gives nothing to stop it by; return { async stop() { … } }.');
  }
}

function nothing(): undefined {}

function isRunningRole(value: unknown): value is RunningRole {
  return typeof value === 'object' && value !== null && 'stop' in value && typeof value.stop === 'function';
}
