/**
 * Learns what was amended: whoever is ahead is asked for what this node lacks. What a control node or a proven packet
 * says goes before what the open header of a packet says, which anybody may have sent: that costs a question now and
 * then, and holds nothing up.
 */
import { type Epoch, endpointText, type MonotonicMs, type NodeNumber } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import type { Random } from '../../seam/random.ts';
import type { StreamTarget } from '../../seam/streams.ts';
import { type CharterPage, charterPage } from '../../wire/peer-message.ts';
import type { Membership } from '../membership.ts';
import type { Outbox } from '../outbox.ts';

const answerMs = 3_000;
/** After an answer that brought nothing, or none, the next question waits for so long. */
const pauseMs = 2_000;
/** All hear of an amendment at about the same time, and spread their questions over a millisecond for each member, … */
const spreadMsPerMember = 1;
/** … up to this: a third of the time for which the epoch before is still spoken. */
const spreadMsMax = 20_000;
/**
 * For what is not proven each control node is asked at most once in this time, of all others one, and nobody at all
 * once one of them has answered that there is nothing new.
 */
export const hearsayPeriodMs = 10_000;
/** Who knows of fewer amendments is asked for all of them so often at most: mostly it is only behind. */
export const behindPeriodMs = 600_000;
/** So many are known that were asked so, by the address that was asked first. */
const behindMax = 256;
/** Stands for all who are no control nodes: their numbers are as easily made up as their packets. */
const anybodyElse = 0;

/** One question at a time, and when the next one is due. */
interface Lane {
  /** Whom to ask, and when. */
  wanted: { readonly from: NodeNumber; readonly atMs: MonotonicMs } | undefined;
  isAsking: boolean;
  pauseUntilMs: MonotonicMs;
}

export class CharterReader {
  private readonly self: NodeNumber;
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private readonly random: Random;
  /**
   * What control nodes answered, what members said under their keys, what was only claimed, who was sought, and who
   * came as a stranger.
   */
  private readonly lanes = {
    ...{ told: newLane(), proven: newLane(), claimed: newLane() },
    ...{ sought: newLane(), stranger: newLane() },
  };
  /** When each control node, or anybody else, was last asked for a claim: at most ten. */
  private readonly claimAskedAt = new Map<NodeNumber, MonotonicMs>();

  /** When whoever is at this address was last asked for all of a charter that is shorter; the oldest first. */
  private readonly behindAskedAt = new Map<string, MonotonicMs>();

  constructor(self: NodeNumber, membership: Membership, outbox: Outbox, random: Random) {
    this.self = self;
    this.membership = membership;
    this.outbox = outbox;
    this.random = random;
  }

  nextTickAt(): MonotonicMs {
    const { told, proven, claimed } = this.lanes;
    return Math.min(dueAt(told), dueAt(proven), dueAt(claimed));
  }

  /** A packet of this epoch came, and `from` is the sender; or, where that is not proven, the number that it gave. */
  onEpoch(from: NodeNumber, epoch: Epoch, proven: boolean, at: Instant): void {
    if (epoch <= this.membership.directory.charter.epoch) return;
    if (proven) this.plan(this.lanes.proven, from, at);
    else this.onClaim(from, at);
  }

  /** This control node answered that it knows of more amendments, or of who went on belonging. */
  want(from: NodeNumber, at: Instant): void {
    this.plan(this.lanes.told, from, at);
  }

  tick(at: Instant): void {
    if (at.now < this.nextTickAt()) return;
    for (const lane of Object.values(this.lanes)) {
      if (lane.wanted === undefined || at.now < lane.wanted.atMs) continue;
      const target = this.membership.directory.target(lane.wanted.from);
      lane.wanted = undefined;
      if (target !== undefined) this.ask(lane, target, at);
    }
  }

  /** Asks whoever is there, unless such an answer is waited for: what it says is signed. */
  askThere(target: StreamTarget, at: Instant): void {
    if (!this.lanes.sought.isAsking) this.ask(this.lanes.sought, target, at);
  }

  /** The same where a stranger says that it is. It may never answer, and keeps nobody from being asked but its like. */
  askStranger(target: StreamTarget, at: Instant): void {
    if (!this.lanes.stranger.isAsking) this.ask(this.lanes.stranger, target, at);
  }

  private onClaim(from: NodeNumber, at: Instant): void {
    const { claimed } = this.lanes;
    if (claimed.wanted !== undefined || claimed.isAsking || at.now < claimed.pauseUntilMs) return;
    for (const [number, askedAt] of this.claimAskedAt) {
      if (at.now - askedAt >= hearsayPeriodMs) this.claimAskedAt.delete(number);
    }
    const target = this.toldBetterBy(from);
    if (target === undefined) return;
    this.claimAskedAt.set(this.membership.directory.isControl(target) ? target : anybodyElse, at.now);
    this.plan(claimed, target, at);
  }

  /** A control node; and when they are silent, all of them exchanged perhaps, whom the packet names. */
  private toldBetterBy(from: NodeNumber): NodeNumber | undefined {
    const { directory } = this.membership;
    const mayAnswer = (number: NodeNumber): boolean =>
      number !== this.self && directory.target(number) !== undefined && !this.claimAskedAt.has(number);
    const control = directory.controlNumbers().filter(mayAnswer);
    if (control.length > 0) return control[this.random.below(control.length)];
    const isAsked = directory.isControl(from) || this.claimAskedAt.has(anybodyElse);
    return isAsked || !mayAnswer(from) ? undefined : from;
  }

  private plan(lane: Lane, from: NodeNumber, at: Instant): void {
    if (lane.wanted !== undefined || lane.isAsking) return;
    const spreadMs = Math.min(spreadMsMax, this.membership.size * spreadMsPerMember);
    lane.wanted = { from, atMs: Math.max(lane.pauseUntilMs, at.now + spreadMs * this.random.next()) };
  }

  /**
   * From the last amendment on that this node knows: the answerer may have another in its place. Who parted from it
   * before that is asked for all of its charter: what came after shows neither whose it is nor where they parted, and
   * a charter that does not reach so far shows nothing at all.
   */
  private ask(lane: Lane, target: StreamTarget, at: Instant, isWhole = false): void {
    const { charter } = this.membership.directory;
    lane.isAsking = true;
    const length = isWhole ? 0 : Math.max(0, charter.length - 1);
    this.outbox.ask(
      target,
      { kind: 'charter', length },
      charterPage,
      answerMs,
      (outcome, later) => {
        lane.isAsking = false;
        const isNews = outcome.ok && this.membership.amend(outcome.value, later);
        if (isNews) return;
        if (length > 0 && outcome.ok && this.mayHaveParted(outcome.value, target, later)) {
          this.ask(lane, target, later, true);
          return;
        }
        const isRefuted = lane === this.lanes.claimed && outcome.ok;
        lane.pauseUntilMs = later.now + (isRefuted ? hearsayPeriodMs : pauseMs);
      },
      at,
    );
  }

  private mayHaveParted({ amendments: [first] }: CharterPage, { endpoints }: StreamTarget, { now }: Instant): boolean {
    if (first !== undefined) return this.membership.directory.charter.amend(first) === 'refused';
    const [endpoint] = endpoints;
    if (endpoint === undefined) return false;
    const place = endpointText(endpoint);
    if (now - (this.behindAskedAt.get(place) ?? Number.NEGATIVE_INFINITY) < behindPeriodMs) return false;
    this.behindAskedAt.delete(place);
    this.behindAskedAt.set(place, now);
    const [oldest] = this.behindAskedAt.keys();
    if (this.behindAskedAt.size > behindMax && oldest !== undefined) this.behindAskedAt.delete(oldest);
    return true;
  }
}

function dueAt({ wanted }: Lane): MonotonicMs {
  return wanted?.atMs ?? Number.POSITIVE_INFINITY;
}

function newLane(): Lane {
  return { wanted: undefined, isAsking: false, pauseUntilMs: Number.NEGATIVE_INFINITY };
}
