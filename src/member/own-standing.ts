/**
 * What this member wants of the pane for itself and does not give up on: to come back when it is published as
 * down, to be let go when it leaves (HM-10).
 */
import type { LogIndex, MonotonicMs, NodeNumber } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import type { PaneAsk } from '../wire/peer-message.ts';
import type { Membership } from './membership.ts';
import type { Outbox, Outcome } from './outbox.ts';

/** What the pane did not decide is asked for again after this. */
export const askAgainMs = 2_000;

type Then = (outcome: Outcome<LogIndex>, at: Instant) => void;

export class OwnStanding {
  private readonly self: NodeNumber;
  private readonly startedAt: MonotonicMs;
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private readonly ask: (ask: PaneAsk, then: Then, at: Instant) => void;
  private readonly onChange: (at: Instant) => void;
  private readonly onMistaken: (at: Instant) => void;
  private leaving: boolean;
  private askAgainAt: MonotonicMs;

  constructor(parts: {
    readonly self: NodeNumber;
    readonly membership: Membership;
    readonly outbox: Outbox;
    /** A leave that an earlier run asked for, and the pane has not decided. */
    readonly leaving: boolean;
    readonly ask: (ask: PaneAsk, then: Then, at: Instant) => void;
    /** The intention changed: it must outlive this process. */
    readonly onChange: (at: Instant) => void;
    /** The pane holds this member for alive: what says otherwise here is wrong. */
    readonly onMistaken: (at: Instant) => void;
    readonly at: Instant;
  }) {
    this.self = parts.self;
    this.startedAt = parts.at.now;
    this.membership = parts.membership;
    this.outbox = parts.outbox;
    this.ask = parts.ask;
    this.onChange = parts.onChange;
    this.onMistaken = parts.onMistaken;
    this.leaving = parts.leaving;
    this.askAgainAt = parts.leaving ? parts.at.now : Number.POSITIVE_INFINITY;
  }

  get isLeaving(): boolean {
    return this.leaving;
  }

  nextTickAt(): MonotonicMs {
    return this.askAgainAt;
  }

  tick(at: Instant): void {
    if (at.now < this.askAgainAt) return;
    this.askAgainAt = Number.POSITIVE_INFINITY;
    if (this.leaving) this.leave(() => {}, at);
    else this.comeBack(at);
  }

  onConvicted(at: Instant): void {
    this.askAgainAt = at.now;
  }

  leave(then: Then, at: Instant): void {
    this.leaving = true;
    this.onChange(at);
    this.askAgainAt = Number.POSITIVE_INFINITY;
    const onOutcome: Then = (outcome, later) => {
      // One control node that lags behind may say "not admitted"; what a majority says the pane client finds out.
      if (outcome.ok) this.outbox.event({ kind: 'removed-me' });
      else if (outcome.error.code === 'refused') this.stay(later);
      else this.askAgainAt = later.now + askAgainMs;
      then(outcome, later);
    };
    this.ask({ kind: 'remove', number: this.self }, onOutcome, at);
  }

  /** The pane will never let it go: it is a control node. */
  private stay(at: Instant): void {
    this.leaving = false;
    this.askAgainAt = Number.POSITIVE_INFINITY;
    this.onChange(at);
  }

  private comeBack(at: Instant): void {
    const published = this.membership.swim.publishedOf(this.self);
    if (published?.status !== 'down') return;
    const onOutcome: Then = (outcome, later) => {
      this.askAgainAt = later.now + askAgainMs;
      if (!outcome.ok && outcome.error.code === 'refused') this.onMistaken(later);
    };
    const uptimeMs = Math.round(at.now - this.startedAt);
    this.ask({ kind: 'return', incarnation: published.incarnation + 1, uptimeMs }, onOutcome, at);
  }
}
