/** What a leader proposes by itself because time has passed: nobody asks for it. */
import { admissionLifeMs } from '../../control/admission-policy.ts';
import { amendmentLifeMs, isEpochDue, judgeChange } from '../../control/amending.ts';
import type { Command } from '../../control/command.ts';
import type { ControlState } from '../../control/control-state.ts';
import { reapable } from '../../control/reaping.ts';
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';

const periodMs = 250;
/** How often the leader looks for members that are down for too long. */
const reapPeriodMs = 10_000;
/** An epoch that is due is proposed once in this time. */
const epochPeriodMs = 5_000;

export interface HousekeepingParts {
  readonly state: ControlState;
  readonly propose: (command: Command, at: Instant) => void;
  /** Whether a member that is down shows signs of life. */
  readonly isReturning: (number: NodeNumber) => boolean;
  /** A member that is down for so long is removed; 0: never. */
  readonly reapAfterMs: number;
}

export class Housekeeping {
  private readonly parts: HousekeepingParts;
  private dueAtMs: MonotonicMs;
  private reapAtMs: MonotonicMs;
  private epochAtMs: MonotonicMs;

  constructor(parts: HousekeepingParts, now: MonotonicMs) {
    this.parts = parts;
    this.dueAtMs = now;
    this.reapAtMs = now + reapPeriodMs;
    this.epochAtMs = now + epochPeriodMs;
  }

  nextTickAt(): MonotonicMs {
    return this.dueAtMs;
  }

  /** Whether it is time to look round, which then counts as done. */
  take(now: MonotonicMs): boolean {
    if (now < this.dueAtMs) return false;
    this.dueAtMs = now + periodMs;
    return true;
  }

  /** As the leader. */
  lookRound(at: Instant): void {
    this.withdraw(at);
    if (at.now >= this.epochAtMs) this.advanceEpoch(at);
    if (this.parts.reapAfterMs > 0 && at.now >= this.reapAtMs) this.reap(at);
  }

  /** What a majority did not sign in time. */
  private withdraw(at: Instant): void {
    const { state, propose } = this.parts;
    for (const { statement, since } of state.pending.values()) {
      if (at.wall < since + admissionLifeMs) continue;
      propose({ kind: 'withdraw-admission', at: at.wall, number: statement.number }, at);
    }
    if (state.amending === undefined || at.wall < state.amending.since + amendmentLifeMs) return;
    propose({ kind: 'withdraw-amendment', at: at.wall }, at);
  }

  private advanceEpoch(at: Instant): void {
    this.epochAtMs = at.now + epochPeriodMs;
    const { state, propose } = this.parts;
    const change = { kind: 'epoch' } as const;
    if (!isEpochDue(state) || judgeChange(state, change) !== undefined) return;
    propose({ kind: 'begin-amendment', at: at.wall, change }, at);
  }

  /** Whoever is down for so long is not waited for any more. */
  private reap(at: Instant): void {
    this.reapAtMs = at.now + reapPeriodMs;
    const { state, propose, isReturning, reapAfterMs } = this.parts;
    for (const number of reapable(state, at.wall, reapAfterMs)) {
      if (!isReturning(number)) propose({ kind: 'begin-removal', at: at.wall, number, reason: 'reaped' }, at);
    }
  }
}
