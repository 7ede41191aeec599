/**
 * Has a control node that is down for long replaced by one that waits for it: as the leader, one at a time, and by the
 * same rules as when an operator asks. Who is demoted so remains a member, and is reaped like any other; if it comes
 * back before that, it follows the log and waits itself.
 */
import type { Command } from '../../control/command.ts';
import type { ControlState } from '../../control/control-state.ts';
import { type DeadControlNode, deadControlNodes, replacementOf, standbyControlNodes } from '../../control/replacing.ts';
import { HivemindError } from '../../error.ts';
import type { MonotonicMs, NodeNumber, WallMs } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import type { ReplacementObstacle, ReplacementStatus } from '../../wire/peer-message.ts';
import type { Outbox } from '../outbox.ts';
import type { Voters } from './voters.ts';

/** Between two of them, and from an election to the first one: so long everything has to stay as it is. */
export const replacePauseMs = 60_000;
/** How often it is tried while something is in the way. */
const tryPeriodMs = 5_000;

export interface ReplacementParts {
  readonly state: ControlState;
  readonly voters: Voters;
  readonly outbox: Outbox;
  /** `then` is called when it is decided. */
  readonly propose: (command: Command, then: () => void, at: Instant) => void;
  /** Whether a control node that is down is heard all the same, or about to return. */
  readonly isBack: (number: NodeNumber, at: Instant) => boolean;
  /** Whether the brake holds convictions back: then nobody knows who is dead. */
  readonly isBraked: () => boolean;
  /** A control node that is down for so long is replaced; 0: never. */
  readonly replaceAfterMs: number;
}

type Judged =
  | { readonly kind: 'possible'; readonly successor: NodeNumber; readonly command: Command }
  | { readonly kind: 'impossible'; readonly obstacle: ReplacementObstacle };

export class Replacement {
  private readonly parts: ReplacementParts;
  private tryAtMs: MonotonicMs = Number.NEGATIVE_INFINITY;
  private doneAtMs: MonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(parts: ReplacementParts) {
    this.parts = parts;
  }

  /** As the leader, since `leadsSince`. */
  lookRound(leadsSince: MonotonicMs, at: Instant): void {
    if (at.now < this.tryAtMs) return;
    const next = this.next(at);
    if (next === undefined) return;
    this.tryAtMs = at.now + tryPeriodMs;
    const { dead, judged } = next;
    if (judged.kind === 'impossible' || at.wall < this.dueAt(dead, leadsSince, at)) return;
    const { number, since } = dead;
    this.doneAtMs = at.now;
    const event = { kind: 'control-replaced', number, by: judged.successor, since } as const;
    this.parts.propose(judged.command, () => this.parts.outbox.event(event), at);
  }

  /** Who is next to be replaced, by whom and when, or why not; nothing while no control node is down. */
  status(leadsSince: MonotonicMs, at: Instant): ReplacementStatus | undefined {
    const next = this.next(at);
    if (next === undefined) return undefined;
    const { dead, judged } = next;
    const dueAt = this.parts.replaceAfterMs === 0 ? 0 : this.dueAt(dead, leadsSince, at);
    if (judged.kind === 'impossible') return { ...dead, dueAt, successor: 0, obstacle: judged.obstacle };
    return { ...dead, dueAt, successor: judged.successor, obstacle: 'none' };
  }

  /** The first that can be replaced: one that is heard all the same must not keep its place for those behind it. */
  private next(at: Instant): { readonly dead: DeadControlNode; readonly judged: Judged } | undefined {
    const all = deadControlNodes(this.parts.state).map((dead) => ({ dead, judged: this.judge(dead, at) }));
    return all.find(({ judged }) => judged.kind === 'possible') ?? all[0];
  }

  private dueAt({ since }: DeadControlNode, leadsSince: MonotonicMs, at: Instant): WallMs {
    const pausedUntilMs = Math.max(leadsSince, this.doneAtMs) + replacePauseMs;
    return Math.max(since + this.parts.replaceAfterMs, Math.round(at.wall + pausedUntilMs - at.now));
  }

  private judge({ number }: DeadControlNode, at: Instant): Judged {
    const { state, voters, replaceAfterMs, isBraked, isBack } = this.parts;
    const impossible = (obstacle: ReplacementObstacle): Judged => ({ kind: 'impossible', obstacle });
    if (replaceAfterMs === 0) return impossible('turned-off');
    const standby = standbyControlNodes(state);
    if (standby.length === 0) return impossible('no-standby');
    if (isBack(number, at)) return impossible('back');
    if (isBraked()) return impossible('brake');
    if (state.amending !== undefined) return impossible('change-under-way');
    for (const successor of standby) {
      const command = voters.amendmentFor(replacementOf(state, number, successor), at);
      if (!(command instanceof HivemindError)) return { kind: 'possible', successor, command };
    }
    return impossible('standby-unfit');
  }
}
