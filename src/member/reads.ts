/**
 * What a member reads of the pane. Plain reads show what whoever answers knows; consistent ones miss nothing that was
 * decided before they were asked for (CS-16), and are refused without a majority (CS-17).
 */
import type { LogIndex, NodeNumber } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import type { StreamPeer } from '../seam/streams.ts';
import { digest, type LogPage, logPage, readIndex } from '../wire/peer-message.ts';
import type { AskPatience, PaneClient } from './client/pane-client.ts';
import type { Membership } from './membership.ts';
import type { Outbox, Outcome } from './outbox.ts';
import type { ControlPane } from './pane/control-pane.ts';
import type { PaneReply } from './pane/pane-reply.ts';
import { isLedHere } from './pane-refusal.ts';

/** A read that finds no majority is refused after this; a control node that hangs costs a part of it. */
export const readPatience: AskPatience = { attemptMs: 2_000, patienceMs: 6_000 };

type Then<T> = (outcome: Outcome<T>, at: Instant) => void;

export interface LogWish {
  readonly from: LogIndex;
  readonly most: number;
  /** Answered by whoever has applied all up to here; 0 for anybody. */
  readonly atLeast: LogIndex;
}

export interface ReadsParts {
  readonly self: NodeNumber;
  readonly membership: Membership;
  readonly outbox: Outbox;
  readonly client: PaneClient;
  readonly pane: ControlPane | undefined;
  /** This member as its own counterpart, for answers that never left it. */
  readonly asPeer: () => StreamPeer;
}

export class Reads {
  private readonly parts: ReadsParts;

  constructor(parts: ReadsParts) {
    this.parts = parts;
  }

  /**
   * Tells up to which entry everything is that was decided before this was asked; on a control node it is applied by
   * then. Fails with `no-quorum` within `readPatience`.
   */
  index(then: Then<LogIndex>, at: Instant): void {
    const { pane } = this.parts;
    if (pane?.leads !== true) {
      this.askLeader(then, at);
      return;
    }
    const onReply = (reply: PaneReply<LogIndex>, later: Instant): void => {
      // It may have lost the lead while it made sure of it: there is another leader, or soon will be.
      if (!reply.ok && reply.error.code === 'not-leader') this.askLeader(then, later);
      else then(this.own(reply), later);
    };
    pane.reads.current(onReply, at);
  }

  private askLeader(then: Then<LogIndex>, at: Instant): void {
    const { pane, client } = this.parts;
    const onOutcome = (outcome: Outcome<{ readonly index: LogIndex }>, later: Instant): void => {
      if (isLedHere(outcome, pane)) this.index(then, later);
      else if (!outcome.ok) then(outcome, later);
      else if (pane === undefined) then({ ...outcome, value: outcome.value.index }, later);
      else pane.reads.reached(outcome.value.index, (reply, last) => then(this.own(reply), last), later);
    };
    client.ask({ kind: 'read-index', hops: 0 }, readIndex, onOutcome, at, readPatience);
  }

  /** The same, and then this member's own view has all of it that concerns it. */
  sync(then: Then<LogIndex>, at: Instant): void {
    const { pane, client, membership } = this.parts;
    this.index((reached, later) => {
      if (!reached.ok || pane !== undefined) {
        then(reached, later);
        return;
      }
      const request = { kind: 'digest', atLeast: reached.value } as const;
      const onDigest = (outcome: Outcome<Parameters<Membership['mergeDigest']>[0]>, last: Instant): void => {
        if (outcome.ok) membership.mergeDigest(outcome.value, last);
        then(outcome.ok ? reached : outcome, last);
      };
      client.ask(request, digest, onDigest, later, readPatience);
    }, at);
  }

  /** Committed entries, from the own log or a control node's. */
  log({ from, most, atLeast }: LogWish, then: Then<LogPage>, at: Instant): void {
    const { pane, client } = this.parts;
    if (pane === undefined) {
      client.ask({ kind: 'log', from, most, atLeast }, logPage, then, at);
      return;
    }
    const answer = (reply: PaneReply<LogIndex>, later: Instant): void =>
      then(this.own(reply.ok ? { ok: true, value: pane.log.page(from, most) } : reply), later);
    pane.reads.reached(atLeast, answer, at);
  }

  /** An answer that never left this member. */
  private own<T>(reply: PaneReply<T>): Outcome<T> {
    return reply.ok ? { ...reply, from: this.parts.asPeer() } : reply;
  }
}
