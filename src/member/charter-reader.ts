/** Learns what was amended: whoever is ahead is asked for what this node lacks. */
import type { Epoch, MonotonicMs, NodeNumber } from '../identity.ts';
import type { Random } from '../seam/random.ts';
import { charterPage } from '../wire/peer-message.ts';
import type { Instant } from './instant.ts';
import type { Membership } from './membership.ts';
import type { Outbox } from './outbox.ts';

const answerMs = 3_000;
/** After an answer that brought nothing, or none, the next question waits for so long. */
const pauseMs = 2_000;
/** All hear of an amendment at about the same time, and spread their questions over a millisecond for each member, … */
const spreadMsPerMember = 1;
/** … up to this: a third of the time for which the epoch before is still spoken. */
const spreadMsMax = 20_000;

export class CharterReader {
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private readonly random: Random;
  /** Whom to ask, and when. */
  private wanted: { readonly from: NodeNumber; readonly atMs: MonotonicMs } | undefined;
  private isAsking = false;
  private pauseUntilMs: MonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(membership: Membership, outbox: Outbox, random: Random) {
    this.membership = membership;
    this.outbox = outbox;
    this.random = random;
  }

  nextTickAt(): MonotonicMs {
    return this.wanted?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** A packet of this epoch came from there. */
  onEpoch(from: NodeNumber, epoch: Epoch, at: Instant): void {
    if (epoch > this.membership.directory.charter.epoch) this.want(from, at);
  }

  /** `from` seems to know of more amendments, or of who went on belonging. */
  want(from: NodeNumber, at: Instant): void {
    if (this.wanted !== undefined || this.isAsking) return;
    const spreadMs = Math.min(spreadMsMax, this.membership.size * spreadMsPerMember);
    this.wanted = { from, atMs: Math.max(this.pauseUntilMs, at.now + spreadMs * this.random.next()) };
  }

  tick(at: Instant): void {
    if (this.wanted === undefined || at.now < this.wanted.atMs) return;
    const target = this.membership.directory.target(this.wanted.from);
    this.wanted = undefined;
    if (target === undefined) return;
    this.isAsking = true;
    const { length } = this.membership.directory.charter;
    this.outbox.ask(
      target,
      { kind: 'charter', length },
      charterPage,
      answerMs,
      (outcome, later) => {
        this.isAsking = false;
        const isNews = outcome.ok && this.membership.amend(outcome.value, later);
        if (!isNews) this.pauseUntilMs = later.now + pauseMs;
      },
      at,
    );
  }
}
