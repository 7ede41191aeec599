/**
 * Learns what was amended: whoever is ahead is asked for what this node lacks.
 *
 * After a recovery nobody may be left who tells: the node that goes on may be a stranger, and its packets of another
 * epoch. So while no quorum is known a node looks where control nodes live, or lived, and where members are, and hears
 * out a stranger that says it is a member. Control nodes look around at all times: so one that was given up, and two
 * parts of a cluster that were recovered apart, find out.
 */
import { ByteReader, equalBytes } from '../bytes.ts';
import { type Locator, verifyLocator } from '../certificate/locator.ts';
import type { Endpoint, Epoch, MonotonicMs, NodeNumber } from '../identity.ts';
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
/** Without a quorum somebody's address is asked about so often, … */
export const seekPeriodMs = 5_000;
/** … the less often the more members do: twenty a second all together. */
const seekMsPerMember = 50;
/** A control node that knows of a quorum asks some member's address about so often. */
export const lookoutPeriodMs = 20_000;
/** Strangers are heard out so often at most. */
const strangerPeriodMs = 1_000;

export class CharterReader {
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private readonly random: Random;
  private readonly client: Pick<PaneClient, 'pane'>;
  private readonly self: NodeNumber;
  private periodMs: MonotonicMs | undefined;
  private seekAtMs: MonotonicMs | undefined;
  private strangerAtMs: MonotonicMs = Number.NEGATIVE_INFINITY;
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
    if (target === undefined) return;
    this.ask(target, at, (isNews, later) => {
      if (!isNews) this.pauseUntilMs = later.now + pauseMs;
    });
  }

  /**
   * Whoever holds this key says that it is a member, and this node does not know it. It may be one of a later charter:
   * as long as no quorum is known, it is asked for that at the address that it signed, under its key.
   */
  onStranger(publicKey: Uint8Array, credential: Uint8Array, at: Instant): void {
    if (this.client.pane.state === 'healthy' || this.isAsking || at.now < this.strangerAtMs) return;
    const locator = locatorIn(credential, this.membership.directory.cluster);
    if (locator === undefined || !equalBytes(locator.signingKey, publicKey)) return;
    this.strangerAtMs = at.now + strangerPeriodMs;
    this.ask({ endpoints: locator.endpoints, number: 0, publicKey }, at);
  }

  private seek(at: Instant): void {
    const periodMs = this.seekPeriodMs();
    if (periodMs !== this.periodMs) {
      this.periodMs = periodMs;
      this.seekAtMs = this.nextSeekAt(at);
    }
    if (this.seekAtMs === undefined || at.now < this.seekAtMs) return;
    this.seekAtMs = this.nextSeekAt(at);
    const place = this.placeToLook();
    // Whoever lives there: what it answers is signed.
    if (place !== undefined && !this.isAsking) this.ask({ endpoints: place, number: 0 }, at);
  }

  private nextSeekAt({ now }: Instant): MonotonicMs | undefined {
    return this.periodMs === undefined ? undefined : now + this.periodMs * (0.5 + this.random.next());
  }

  /** Nothing while there is no need to look. */
  private seekPeriodMs(): MonotonicMs | undefined {
    const { directory, size } = this.membership;
    const isHealthy = this.client.pane.state === 'healthy';
    if (directory.keepsLog(this.self)) return isHealthy ? lookoutPeriodMs : seekPeriodMs;
    return isHealthy ? undefined : Math.max(seekPeriodMs, size * seekMsPerMember);
  }

  /** Half of the time where a control node is, as far as this node knows, else where anybody is. */
  private placeToLook(): readonly Endpoint[] | undefined {
    const { directory } = this.membership;
    const isAnywhere = this.random.next() < 0.5;
    const places = directory.list().filter(({ number, endpoints }) => {
      return number !== this.self && endpoints.length > 0 && (isAnywhere || directory.keepsLog(number));
    });
    return places[this.random.below(Math.max(1, places.length))]?.endpoints;
  }

  /** From the last amendment on that this node knows: the answerer may have another in its place. */
  private ask(target: StreamTarget, at: Instant, then: (isNews: boolean, at: Instant) => void = () => {}): void {
    this.isAsking = true;
    const length = Math.max(0, this.membership.directory.charter.length - 1);
    this.outbox.ask(
      target,
      { kind: 'charter', length },
      charterPage,
      answerMs,
      (outcome, later) => {
        this.isAsking = false;
        then(outcome.ok && this.membership.amend(outcome.value, later), later);
      },
      at,
    );
  }
}

function locatorIn(credential: Uint8Array, cluster: Uint8Array): Locator | undefined {
  const input = new ByteReader(credential);
  const [, locator] = [input.bytes(), input.bytes()];
  return input.done ? verifyLocator(locator, cluster) : undefined;
}
