/** The context of one start of one role, made from what the node gives. */
import { HivemindError, toHivemindError } from '../error.ts';
import type { NodeNumber, Seq } from '../identity.ts';
import type { Logger } from '../seam/logger.ts';
import { ChangeFeed } from './change-feed.ts';
import type { RoleChange, RoleConfig, RoleContext, RoleMember, RoleMetrics, RoleRequestHandler } from './contract.ts';
import type { RoleDeclaration } from './declaration.ts';
import { RoleClock } from './role-clock.ts';
import type { RoleHost } from './role-host.ts';

/** How long `request` waits for an answer when the role does not say. */
export const requestTimeoutMs = 5_000;
/** Requests that a role answers at the same time; further ones are refused as `busy`. */
export const answersAtOnceMax = 256;

export interface ContextOptions {
  readonly declaration: RoleDeclaration;
  readonly settings: unknown;
  readonly folder: string;
  readonly metrics: RoleMetrics;
  /** Called for each thing that breaks the role: `fail`, a listener or a timer that threw. */
  readonly onBroken: (reason: HivemindError) => void;
}

/**
 * What the supervisor holds of a role that it started. It ends in two steps, because a role may still publish its
 * last word while it stops, but one that is given up must not disturb the one that is started in its place.
 */
export class OpenContext {
  readonly context: RoleContext<unknown>;
  private readonly host: RoleHost;
  private readonly declaration: RoleDeclaration;
  private readonly log: Logger;
  private readonly clock: RoleClock;
  private readonly changes: ChangeFeed;
  private readonly stopping = new AbortController();
  private readonly onBroken: (reason: HivemindError) => void;
  private readonly unsubscribe: () => void;
  private handler: RoleRequestHandler | undefined;
  private answering = 0;
  private isClosed = false;

  constructor(host: RoleHost, options: ContextOptions) {
    this.host = host;
    this.declaration = options.declaration;
    this.onBroken = options.onBroken;
    this.log = host.log.with({ role: options.declaration.name });
    this.clock = new RoleClock(host.clock, (thrown) => this.onBreak(thrown));
    this.changes = new ChangeFeed((thrown) => this.onBreak(thrown));
    this.context = this.contextFor(options);
    this.unsubscribe = host.onChange((change) => this.onChange(change));
  }

  /** The role has to stop: the signal aborts, and nothing new is asked of the role. */
  abort(): void {
    this.unsubscribe();
    this.changes.clear();
    this.handler = undefined;
    this.stopping.abort();
  }

  /** The role has stopped or is given up: whatever it still calls does nothing. */
  close(): void {
    this.isClosed = true;
    this.clock.close();
  }

  /** @throws HivemindError `not-found` without a handler, `busy`, `internal`, or what the handler refuses with */
  async answer(from: RoleMember, body: unknown): Promise<unknown> {
    const { handler } = this;
    const role = `The role "${this.declaration.name}" on ${this.host.self().name}`;
    if (handler === undefined) throw new HivemindError('not-found', `${role} answers no requests.`);
    if (this.answering >= answersAtOnceMax) {
      throw new HivemindError('busy', `${role} answers ${answersAtOnceMax} requests already; ask again later.`);
    }
    this.answering++;
    try {
      return await handler(from, body);
    } catch (thrown) {
      if (thrown instanceof HivemindError) throw thrown;
      this.log.error('a request handler of the role failed', { from: from.name, error: thrown });
      throw new HivemindError('internal', `${role} failed to answer; the log of that node says why.`, thrown);
    } finally {
      this.answering--;
    }
  }

  /** Roles take the context apart, so nothing in it needs `this`. */
  private contextFor({ declaration: { name }, settings, folder, metrics }: ContextOptions): RoleContext<unknown> {
    const { host, clock, log } = this;
    return {
      get self(): RoleMember {
        return host.self();
      },
      settings,
      folder,
      log,
      clock,
      random: host.random,
      metrics,
      signal: this.stopping.signal,
      members: (role) => host.members().filter((member) => role === undefined || member.roles.includes(role)),
      configs: (role) => this.configs(role),
      degraded: () => host.degraded(),
      publish: (value) => this.publish(value),
      onChange: (listener) => (this.stopping.signal.aborted ? () => {} : this.changes.add(listener)),
      request: (to, role, body, timeoutMs = requestTimeoutMs) => this.request(to, role, body, timeoutMs),
      onRequest: (handler) => this.answerWith(handler),
      event: (event, detail) => {
        if (!this.isClosed) host.event(name, event, detail);
      },
      fail: (reason) => this.onBreak(reason),
    };
  }

  private configs(role: string): readonly RoleConfig[] {
    const { name, consumes } = this.declaration;
    if (!consumes.includes(role)) {
      throw new HivemindError(
        'usage',
        `The role "${name}" reads the configs of "${role}" without declaring it; add "${role}" to its "consumes".`,
      );
    }
    return this.host.configs(role);
  }

  private async publish(value: unknown): Promise<Seq> {
    this.refuseWhenClosed();
    return await this.host.publish(this.declaration.name, value);
  }

  private async request(to: NodeNumber, role: string, body: unknown, timeoutMs: number): Promise<unknown> {
    this.refuseWhenClosed();
    return await this.host.request(to, role, body, timeoutMs);
  }

  private refuseWhenClosed(): void {
    if (!this.isClosed) return;
    throw new HivemindError('refused', `The role "${this.declaration.name}" has stopped; wait for its next start.`);
  }

  private answerWith(handler: RoleRequestHandler): void {
    if (this.stopping.signal.aborted) return;
    if (this.handler !== undefined) {
      throw new HivemindError('usage', `The role "${this.declaration.name}" calls onRequest twice; call it once.`);
    }
    this.handler = handler;
  }

  private onChange(change: RoleChange): void {
    if (change.kind === 'members' || this.declaration.consumes.includes(change.role)) this.changes.tell(change);
  }

  /** What breaks while the role stops anyway is only logged: it must neither fail twice nor hide why it stops. */
  private onBreak(thrown: unknown): void {
    const reason = toHivemindError(thrown);
    if (!this.stopping.signal.aborted) this.onBroken(reason);
    else if (!this.isClosed) this.log.warn('the role broke while it stopped', { error: reason });
  }
}
