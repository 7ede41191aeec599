/**
 * Learns what was amended: whoever is ahead is asked for what this node lacks. While no quorum is known it also looks
 * where control nodes live, or lived: after a recovery another node may answer there, or the same one under a charter
 * that this node does not have yet.
 */
import type { Epoch, MonotonicMs, NodeNumber } from '../identity.ts';
import type { Random } from '../seam/random.ts';
import type { StreamTarget } from '../seam/streams.ts';
import { charterPage } from '../wire/peer-message.ts';
import type { Instant } from './instant.ts';
import type { Membership } from './membership.ts';
import type { Outbox } from './outbox.ts';
import type { PaneClient } from './pane-client.ts';

const answerMs = 3_000;
/** After an answer that brought nothing, or none, the next question waits for so long. */
const pauseMs = 2_000;
/** All hear of an amendment at about the same time, and spread their questions over a millisecond for each member, … */
const spreadMsPerMember = 1;
/** … up to this: a third of the time for which the epoch before is still spoken. */
const spreadMsMax = 20_000;
/** Without a quorum one address of a control node is asked about so often, … */
export const seekPeriodMs = 5_000;
/** … the less often the more members do: twenty a second all together. */
const seekMsPerMember = 50;

export class CharterReader {
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private readonly random: Random;
  private readonly client: Pick<PaneClient, 'pane'>;
  private readonly self: NodeNumber;
  private seekAtMs: MonotonicMs | undefined;
  /** Whom to ask, and when. */
  private wanted: { readonly from: NodeNumber; readonly atMs: MonotonicMs } | undefined;
  private isAsking = false;
  private pauseUntilMs: MonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(parts: {
    readonly self: NodeNumber;
    readonly membership: Membership;
    readonly outbox: Outbox;
    readonly random: Random;
    readonly client: Pick<PaneClient, 'pane'>;
  }) {
    this.self = parts.self;
    this.membership = parts.membership;
    this.outbox = parts.outbox;
    this.random = parts.random;
    this.client = parts.client;
  }

  nextTickAt(): MonotonicMs {
    return Math.min(this.wanted?.atMs ?? Number.POSITIVE_INFINITY, this.seekAtMs ?? Number.POSITIVE_INFINITY);
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
    this.seek(at);
    if (this.wanted === undefined || at.now < this.wanted.atMs) return;
    const target = this.membership.directory.target(this.wanted.from);
    this.wanted = undefined;
    if (target !== undefined) this.ask(target, at);
  }

  private seek(at: Instant): void {
    if (this.client.pane.state === 'healthy') {
      this.seekAtMs = undefined;
      return;
    }
    if (this.seekAtMs !== undefined && at.now < this.seekAtMs) return;
    const isDue = this.seekAtMs !== undefined && !this.isAsking;
    this.seekAtMs = at.now + this.seekPeriodMs() * (0.5 + this.random.next());
    const { directory } = this.membership;
    const places = directory.list().filter(({ number, endpoints }) => {
      return number !== this.self && endpoints.length > 0 && directory.keepsLog(number);
    });
    const place = places[this.random.below(Math.max(1, places.length))];
    // Whoever lives there: what it answers is signed.
    if (isDue && place !== undefined) this.ask({ endpoints: place.endpoints, number: 0 }, at);
  }

  private seekPeriodMs(): number {
    const { directory, size } = this.membership;
    return directory.keepsLog(this.self) ? seekPeriodMs : Math.max(seekPeriodMs, size * seekMsPerMember);
  }

  /** From the last amendment on that this node knows: the answerer may have another in its place. */
  private ask(target: StreamTarget, at: Instant): void {
    this.isAsking = true;
    const length = Math.max(0, this.membership.directory.charter.length - 1);
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
