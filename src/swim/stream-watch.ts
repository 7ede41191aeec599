import { unreachable } from '../assert.ts';
import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { Random } from '../seam/random.ts';
import type { DialOutcome } from './effect.ts';
import { Link, streamAnswersMax } from './link.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { Outbox } from './outbox.ts';
import type { Roster } from './roster.ts';

/** Observers to whom a node keeps standing streams: when its process dies, its kernel closes them. */
export const standingStreams = 2;
/** They are set up when the first observers have been the same for so long: in a storm of joins they change often. */
export const standingAfterMs = 3_000;
/** … and at most so much later, which spreads the dials. */
export const standingSpreadMs = 2_000;
/** Questions by stream under way at a time: each costs a handshake, and many silences at once are no news of ports. */
export const asksMax = 2;

export interface StreamSeams {
  readonly self: NodeNumber;
  readonly random: Random;
  readonly roster: Roster;
  readonly neighbourhood: Neighbourhood;
  readonly outbox: Outbox;
}

/** What streams tell about a subject. */
export interface StreamListeners {
  /** There is a reason to ask it by datagram, now. */
  ask(subject: NodeNumber, now: MonotonicMs): void;
  /** It answered, over a stream. */
  onAnswered(subject: NodeNumber, now: MonotonicMs): void;
  /** Something listens there. */
  onAccepted(subject: NodeNumber): void;
  /** Its process is dead: its kernel says so. */
  onProof(subject: NodeNumber, now: MonotonicMs): void;
}

/**
 * Reads what kernels say about processes (design rule 5). A dead process on a living machine is told of at once: its
 * streams close, and new ones are refused; a stalled process never refuses. A close is a reason to look. A refusal
 * that is confirmed is proof, where the same process accepted before: without that it may be a wrong address.
 */
export class StreamWatch {
  private readonly seams: StreamSeams;
  private readonly listeners: StreamListeners;
  private readonly links = new Map<NodeNumber, Link>();
  private dueAtMs: MonotonicMs = Number.POSITIVE_INFINITY;
  private held: readonly NodeNumber[] = [];
  private wanted: readonly NodeNumber[] = [];
  private heldVersion = -1;
  private holdAtMs: MonotonicMs = Number.POSITIVE_INFINITY;
  /** Answers by stream since anybody's last one by datagram, and of whom. */
  private streamAnswers = 0;
  private readonly mute = new Set<NodeNumber>();
  /** Nobody answers by datagram: this node's own are blocked. */
  private isBlocked = false;

  constructor(seams: StreamSeams, listeners: StreamListeners) {
    this.seams = seams;
    this.listeners = listeners;
  }

  nextTickAt(): MonotonicMs {
    return Math.min(this.dueAtMs, this.holdAtMs);
  }

  tick(now: MonotonicMs): void {
    this.choose(now);
    if (now >= this.holdAtMs) this.hold();
    if (now < this.dueAtMs) return;
    for (const link of this.links.values()) this.advance(link, now);
    this.dueAtMs = Math.min(...[...this.links.values()].map((link) => link.dueAtMs));
  }

  /** Forgets those whom this node watches no longer. */
  prune(): void {
    for (const subject of this.links.keys()) if (!this.isWatched(subject)) this.links.delete(subject);
  }

  /** Forgets one that is down or a member no longer. */
  drop(subject: NodeNumber): void {
    this.links.delete(subject);
  }

  /** A subject answered by datagram. */
  onDatagram(from: NodeNumber, now: MonotonicMs): void {
    this.onOwnOpen();
    const link = this.linkTo(from);
    if (link === undefined) return;
    if (link.onDatagram(this.seams.random, now)) this.seams.outbox.event({ kind: 'datagrams-open', number: from });
    this.schedule(link);
  }

  private onOwnOpen(): void {
    this.streamAnswers = 0;
    this.mute.clear();
    if (this.isBlocked) this.seams.outbox.event({ kind: 'datagrams-open', number: this.seams.self });
    this.isBlocked = false;
  }

  /** One whom nobody answers is blocked itself, and says so once, not of each of those who do not answer. */
  private onStreamAnswer(link: Link): void {
    this.streamAnswers++;
    this.mute.add(link.subject);
    const isOwn = this.streamAnswers >= streamAnswersMax && this.mute.size > 1;
    if (isOwn && !this.isBlocked) {
      this.isBlocked = true;
      this.seams.outbox.event({ kind: 'datagrams-blocked', number: this.seams.self });
    }
    if (this.isBlocked || !link.onStreamAnswer()) return;
    this.seams.outbox.event({ kind: 'datagrams-blocked', number: link.subject });
  }

  /** Asks over a stream, because datagrams were not answered. */
  ask(subject: NodeNumber, now: MonotonicMs): void {
    const asking = [...this.links.values()].filter((link) => link.isAsking(now)).length;
    if (asking < asksMax && this.linkTo(subject)?.takeAsk(now)) this.dial(subject, 'ask');
  }

  /** Asks its kernel whether anything listens there. */
  knock(subject: NodeNumber): void {
    if (this.linkTo(subject) !== undefined) this.dial(subject, 'knock');
  }

  /** The stream that a subject kept to this node closed without a goodbye. */
  onClosed(from: NodeNumber, now: MonotonicMs): void {
    if (!this.onToldClosed(from, now)) return;
    for (const other of this.seams.neighbourhood.subjects.get(from) ?? []) {
      if (this.seams.roster.get(other)?.status !== 'alive') continue;
      this.seams.outbox.post(other, { kind: 'stream-closed', subject: from });
    }
  }

  /** Somebody says so. Whether it is this node's business, and news. */
  onToldClosed(subject: NodeNumber, now: MonotonicMs): boolean {
    if (!this.linkTo(subject)?.takeAlarm(now)) return false;
    this.listeners.ask(subject, now);
    this.dial(subject, 'knock');
    return true;
  }

  onDialled(to: NodeNumber, outcome: DialOutcome, now: MonotonicMs): void {
    const link = this.linkTo(to);
    if (link === undefined) return;
    switch (outcome) {
      case 'answered':
        link.onAccepted(now);
        this.onStreamAnswer(link);
        this.listeners.onAnswered(to, now);
        break;
      case 'accepted':
        link.onAccepted(now);
        this.listeners.onAccepted(to);
        break;
      case 'refused':
        this.onRefused(link, now);
        break;
      case 'silent':
        link.onSilent();
        break;
      default:
        unreachable(outcome);
    }
  }

  onRestarted(number: NodeNumber): void {
    this.links.get(number)?.onRestarted();
  }

  private onRefused(link: Link, now: MonotonicMs): void {
    const isFirst = link.refusal === 'none';
    if (link.onRefused(now)) this.listeners.onProof(link.subject, now);
    else if (isFirst) this.listeners.ask(link.subject, now);
    this.schedule(link);
  }

  private advance(link: Link, now: MonotonicMs): void {
    const { subject } = link;
    if (link.takeConfirmation(now)) {
      this.listeners.ask(subject, now);
      this.dial(subject, 'knock');
    } else if (link.takeKnock(this.seams.random, now)) {
      this.dial(subject, 'knock');
    }
  }

  private dial(to: NodeNumber, depth: 'knock' | 'ask'): void {
    this.seams.outbox.emit({ kind: 'dial', to, depth });
  }

  /** The standing streams are to go to the first observers that live. */
  private choose(now: MonotonicMs): void {
    const { roster, neighbourhood, random } = this.seams;
    const version = roster.version + neighbourhood.version;
    if (version === this.heldVersion) return;
    this.heldVersion = version;
    const living = neighbourhood.observers.filter((number) => roster.get(number)?.status === 'alive');
    const to = living.slice(0, standingStreams);
    if (isSame(to, this.wanted)) return;
    this.wanted = to;
    this.holdAtMs = now + standingAfterMs + random.below(standingSpreadMs);
  }

  private hold(): void {
    this.holdAtMs = Number.POSITIVE_INFINITY;
    if (isSame(this.wanted, this.held)) return;
    this.held = this.wanted;
    this.seams.outbox.emit({ kind: 'hold-streams', to: this.held });
  }

  private schedule(link: Link): void {
    this.dueAtMs = Math.min(this.dueAtMs, link.dueAtMs);
  }

  private linkTo(subject: NodeNumber): Link | undefined {
    const known = this.links.get(subject);
    if (known !== undefined || !this.isWatched(subject)) return known;
    const link = new Link(subject);
    this.links.set(subject, link);
    return link;
  }

  private isWatched(subject: NodeNumber): boolean {
    return this.seams.neighbourhood.subjects.has(subject) && this.seams.roster.get(subject)?.status === 'alive';
  }
}

function isSame(some: readonly NodeNumber[], others: readonly NodeNumber[]): boolean {
  return some.length === others.length && some.every((number, index) => number === others[index]);
}
