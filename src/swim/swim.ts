/**
 * Membership of one node as a pure machine: what happened and the time go in, effects come out, and
 * `nextTickAt` says when it wants to be called next. SWIM (Das 2002) for its probes and its gossip; but only the
 * control pane publishes that somebody is down, and observers report to it.
 *
 * ```ts
 * const swim = new Swim({ self: 1, settings: swimDefaults, random, cluster, now });
 * swim.setMember(2, 0, 'alive', now);
 * for (const effect of swim.tick(now)) perform(effect);
 * ```
 */
import { assert, unreachable } from '../assert.ts';
import type { Incarnation, MonotonicMs, NodeNumber } from '../identity.ts';
import type { Random } from '../seam/random.ts';
import { Detector } from './detector.ts';
import { Dissemination } from './dissemination.ts';
import type { DialOutcome, Hint, SwimEffect } from './effect.ts';
import { Hints } from './hints.ts';
import type { Ack, Gossip, Ping, SwimMessage, Update } from './message.ts';
import { Neighbourhood } from './neighbourhood.ts';
import { Outbox } from './outbox.ts';
import { type Standing, weigh } from './precedence.ts';
import { Places, type Rings } from './rings.ts';
import { type Member, Roster } from './roster.ts';
import { rumourBytesMax } from './rumours.ts';
import type { SwimSettings } from './settings.ts';
import type { Slice } from './slice.ts';

export type { DialOutcome, Hint, SwimEffect, SwimEvent } from './effect.ts';

export interface SwimOptions {
  readonly self: NodeNumber;
  readonly settings: SwimSettings;
  readonly random: Random;
  /** The cluster's identity; it decides who observes whom. */
  readonly cluster: Uint8Array;
  readonly now: MonotonicMs;
  /** Of the same cluster; for many members in one process. By default each has its own. */
  readonly places?: Places;
}

/** One member as this node sees it. */
export interface MemberState {
  readonly number: NodeNumber;
  /** `suspect` is this node's own opinion; `down` is the pane's, or a hint. */
  readonly status: 'alive' | 'suspect' | 'down';
  readonly incarnation: Incarnation;
  /** Since when, by this node's clock. */
  readonly sinceMs: MonotonicMs;
  /** Down only in the view of most of its observers, while there is no quorum: known to all who keep that member. */
  readonly hint: boolean;
}

/** How often a limit was reached; all 0 at rest. */
export interface SwimDrops {
  /** Questions forgotten before an answer came. */
  readonly nonces: number;
  /** Rumours and updates forgotten before they were told often enough. */
  readonly rumours: number;
  /** Standings of numbers that are no members. */
  readonly strangers: number;
  /** Rumours from peers that were longer than `rumourBytesMax`. */
  readonly oversizeRumours: number;
  /** Hints forgotten because there were too many, of one member or of different ones. */
  readonly hints: number;
}

export class Swim {
  private readonly self: NodeNumber;
  private readonly roster = new Roster();
  private readonly outbox = new Outbox();
  private readonly neighbourhood: Neighbourhood;
  private readonly dissemination: Dissemination;
  private readonly detector: Detector;
  private readonly hints: Hints;
  private heedsGossip = true;

  constructor({ self, settings, random, cluster, now, places = new Places(cluster) }: SwimOptions) {
    const { roster, outbox } = this;
    this.self = self;
    this.roster.admit(self, { incarnation: 0, status: 'alive' }, now);
    this.neighbourhood = new Neighbourhood(self, roster, places);
    const seams = { self, settings, random, roster, outbox, neighbourhood: this.neighbourhood };
    this.dissemination = new Dissemination(seams);
    this.hints = new Hints(seams);
    const onCleared = (number: NodeNumber, at: MonotonicMs): void => this.dissemination.repeatFor(number, at);
    this.detector = new Detector({ ...seams, onCleared }, now);
  }

  /** Raised only by what the pane publishes about this node after a return. */
  get ownIncarnation(): Incarnation {
    return this.roster.get(this.self)?.incarnation ?? 0;
  }

  get drops(): SwimDrops {
    const { detector, dissemination, roster, hints } = this;
    return {
      nonces: detector.nonces.dropped,
      rumours: dissemination.dropped,
      strangers: roster.dropped,
      oversizeRumours: dissemination.oversize,
      hints: hints.dropped,
    };
  }

  /** What this node's view is made of; in a complete view, as far as it concerns this node. */
  get slice(): Slice {
    return this.neighbourhood.slice;
  }

  /** On a control node: whose reports count about a member. */
  jurorsOf(subject: NodeNumber): readonly NodeNumber[] {
    return this.neighbourhood.jurorsOf(subject);
  }

  /** Who watches whom among all members known here: the truth where those are everybody, as on control nodes. */
  get rings(): Rings {
    return this.neighbourhood.rings;
  }

  statusOf(number: NodeNumber): MemberState | undefined {
    const member = this.roster.get(number);
    return member === undefined ? undefined : this.stateOf(member);
  }

  /** What the pane said last about a member, apart from what this node suspects. */
  publishedOf(number: NodeNumber): Standing | undefined {
    return this.roster.get(number);
  }

  /** All members, this node included, by number. */
  members(): readonly MemberState[] {
    return this.roster.numbers().map((number) => this.stateOf(this.roster.get(number) as Member));
  }

  /** The pane admitted this number, or its state says so about it. An older standing than the known one is ignored. */
  setMember(
    number: NodeNumber,
    incarnation: Incarnation,
    status: Standing['status'],
    now: MonotonicMs,
  ): readonly SwimEffect[] {
    if (this.roster.get(number) === undefined) {
      this.roster.admit(number, { incarnation, status }, now);
      this.neighbourhood.onAdmitted(number);
    } else {
      this.adopt({ number, incarnation, status }, now);
    }
    return this.flush();
  }

  removeMember(number: NodeNumber): void {
    assert(number !== this.self, 'a removed node stops; it does not remove itself from its own view');
    this.detector.drop(number);
    this.hints.forget(number);
    this.dissemination.withdraw(number);
    this.roster.remove(number);
    this.neighbourhood.onRemoved(number);
  }

  /** Takes over the slice that a control node worked out. Without one, the default, the view is everybody. */
  setSlice(slice: Slice | undefined): readonly SwimEffect[] {
    this.neighbourhood.setSlice(slice);
    this.hints.isComplete = slice === undefined;
    return this.flush();
  }

  /** Members of the whole cluster: what is told, is told the more often. By default the size of the view. */
  setClusterSize(members: number): void {
    this.dissemination.clusterSize = members;
  }

  /** Whether a number that gossip announced belongs to this node's view; in a complete one, always. */
  wants(number: NodeNumber): boolean {
    return this.neighbourhood.wants(number);
  }

  /** Those to whom this node accuses and reports; when it is one itself, it gives testimony. */
  setControlNodes(numbers: readonly NodeNumber[]): void {
    this.detector.testimony.setControlNodes(numbers);
    this.neighbourhood.setControl(numbers);
  }

  /**
   * While there is no quorum, observers also tell each other, and a majority of them is a hint (see `MemberState`).
   * The next tick tells what that changed, and is due at once.
   */
  setQuorum(healthy: boolean): void {
    this.detector.setQuorum(healthy);
    this.hints.setQuorum(healthy);
  }

  /**
   * `by` spread this hint, and certainly so. In a full view only the subject's observers count; it is held to be down
   * by a majority of the living ones, and in a slice by three whom this node knows.
   */
  onHint(by: NodeNumber, hint: Hint, now: MonotonicMs): readonly SwimEffect[] {
    this.hints.onHint(by, hint, now);
    return this.flush();
  }

  /**
   * Applies what the pane decided, also when `setMember` did so already, and spreads it once. It leaves with the
   * next tick, which is then due at once, so that many decisions share a datagram.
   */
  publish(update: Update, now: MonotonicMs): readonly SwimEffect[] {
    if (weigh(update, this.roster.standingOf(update.number)) === 'stale') return [];
    this.adopt(update, now);
    this.dissemination.publish(update, now);
    return this.flush();
  }

  /**
   * Spreads an opaque rumour, once for each content; it leaves with the next tick, which is then due at once.
   * False, and nothing done, when it is longer than `rumourBytesMax` (1,000).
   */
  spread(rumour: Uint8Array, now: MonotonicMs): boolean {
    if (rumour.length > rumourBytesMax) return false;
    if (this.dissemination.hear(rumour)) this.passOn(rumour, now);
    return true;
  }

  /** Spreads what came as a `rumour` effect and was found right; what is not passed on ends here. */
  passOn(rumour: Uint8Array, now: MonotonicMs): void {
    this.dissemination.passOn(rumour, now);
  }

  /** Pings a member that is down, now: `answers-again` says that it answered. */
  callDown(number: NodeNumber): readonly SwimEffect[] {
    this.detector.call(number);
    return this.flush();
  }

  /** How a `dial` effect ended. */
  onDialled(to: NodeNumber, outcome: DialOutcome, now: MonotonicMs): readonly SwimEffect[] {
    this.detector.onDialled(to, outcome, now);
    return this.flush();
  }

  /** The standing stream that `from` kept to this node closed without a goodbye. */
  onStreamClosed(from: NodeNumber, now: MonotonicMs): readonly SwimEffect[] {
    this.detector.streams.onClosed(from, now);
    return this.flush();
  }

  /** A new process of this member is proven: doubts end, and what was known of the old one's port counts no more. */
  onRestarted(number: NodeNumber, now: MonotonicMs): readonly SwimEffect[] {
    this.detector.onRestarted(number, now);
    this.hints.clear(number, now);
    return this.flush();
  }

  /** On a control node: its log says who is down, and no gossip does. */
  heedPaneAlone(): void {
    this.heedsGossip = false;
  }

  /**
   * The pane's word on a member, against whatever gossip said: a standing that only gossip made, by mistake or on
   * purpose, does not outlive it.
   */
  correct({ number, incarnation, status }: Update, now: MonotonicMs): readonly SwimEffect[] {
    const before = this.roster.get(number);
    if (before === undefined) return this.setMember(number, incarnation, status, now);
    if (before.incarnation === incarnation && before.status === status) return [];
    this.dissemination.withdraw(number);
    this.roster.apply({ number, incarnation, status }, now);
    if (status === 'down' && before.status === 'alive') this.onDown({ number, incarnation, status });
    if (status === 'alive') this.onAlive({ number, incarnation, status }, before.status === 'down', now);
    return this.flush();
  }

  receive(from: NodeNumber, message: SwimMessage, now: MonotonicMs): readonly SwimEffect[] {
    if (from === this.self) return [];
    this.hints.clear(from, now);
    this.dispatch(from, message, now);
    this.dissemination.forwardFresh(now, from);
    return this.flush();
  }

  tick(now: MonotonicMs): readonly SwimEffect[] {
    this.detector.tick(now);
    this.dissemination.tick(now);
    this.hints.tick(now);
    return this.flush();
  }

  /** When `tick` is due; in the past when it is due at once. */
  nextTickAt(): MonotonicMs {
    return Math.min(this.detector.nextTickAt(), this.dissemination.nextTickAt(), this.hints.nextTickAt());
  }

  private dispatch(from: NodeNumber, message: SwimMessage, now: MonotonicMs): void {
    switch (message.kind) {
      case 'ping':
        this.onPing(from, message);
        break;
      case 'ack':
        this.detector.onAck(from, message, now);
        break;
      case 'probe-request':
        this.detector.onProbeRequest(message, now);
        break;
      case 'stream-closed':
        this.detector.streams.onToldClosed(message.subject, now);
        break;
      case 'accusation':
        this.detector.onAccusation(from, message, now);
        break;
      case 'report':
        this.detector.onReport(from, message, now);
        break;
      case 'gossip':
        this.onGossip(from, message, now);
        break;
      default:
        unreachable(message);
    }
  }

  private onPing(from: NodeNumber, { nonce }: Ping): void {
    const ack: Ack = { kind: 'ack', nonce, incarnation: this.ownIncarnation };
    this.outbox.post(from, ack);
    const asker = this.roster.get(from);
    if (asker?.status === 'down') this.outbox.post(from, convictionOf(asker));
  }

  private onGossip(from: NodeNumber, { updates, rumours }: Gossip, now: MonotonicMs): void {
    if (this.heedsGossip) for (const update of updates) this.onUpdate(from, update, now);
    for (const rumour of rumours) this.onRumour(from, rumour);
  }

  private onUpdate(from: NodeNumber, update: Update, now: MonotonicMs): void {
    const weight = weigh(update, this.roster.standingOf(update.number));
    if (weight === 'implausible') this.outbox.event({ kind: 'implausible', from, update });
    if (weight !== 'news') return;
    this.outbox.emit({ kind: 'update', from, update });
    this.adopt(update, now);
    this.dissemination.tell(update);
  }

  private onRumour(from: NodeNumber, bytes: Uint8Array): void {
    if (this.dissemination.hear(bytes)) this.outbox.emit({ kind: 'rumour', from, bytes });
  }

  /** Takes over what is newer than the known. The pane is believed at any distance, gossip was weighed before. */
  private adopt(update: Update, now: MonotonicMs): void {
    const before = this.roster.standingOf(update.number);
    const weight = weigh(update, before);
    if (weight === 'same' || weight === 'stale') return;
    const isMember = this.roster.get(update.number) !== undefined;
    this.roster.apply(update, now);
    if (!isMember) return;
    if (update.status === 'down') this.onDown(update);
    else this.onAlive(update, before?.status === 'down', now);
  }

  private onDown({ number, incarnation }: Update): void {
    this.neighbourhood.onStanding(number);
    this.detector.drop(number);
    this.hints.forget(number);
    if (number === this.self) this.outbox.emit({ kind: 'convicted-me', incarnation });
    else this.outbox.event({ kind: 'down', number, incarnation });
  }

  private onAlive({ number, incarnation }: Update, wasDown: boolean, now: MonotonicMs): void {
    if (wasDown) this.neighbourhood.onStanding(number);
    this.detector.clear(number, now);
    this.hints.clear(number, now);
    if (!wasDown) return;
    this.detector.onBack(number);
    if (this.neighbourhood.subjects.has(number)) this.dissemination.repeatFor(number, now);
    this.outbox.event({ kind: 'back', number, incarnation });
  }

  private flush(): readonly SwimEffect[] {
    return this.outbox.drain((to) => this.dissemination.riderFor(to));
  }

  private stateOf({ number, incarnation, status, sinceMs }: Member): MemberState {
    const published: MemberState = { number, status, incarnation, sinceMs, hint: false };
    if (status === 'down') return published;
    const hintedAtMs = this.hints.heldSince(number);
    if (hintedAtMs !== undefined) return { ...published, status: 'down', sinceMs: hintedAtMs, hint: true };
    const doubt = this.detector.doubtOf(number);
    if (!doubt?.isSuspicion) return published;
    const { suspectedAtMs, hinted } = doubt;
    return { ...published, status: hinted ? 'down' : 'suspect', sinceMs: suspectedAtMs, hint: hinted };
  }
}

/** "You are held to be down": how a convicted member that lives hears of it. */
function convictionOf({ number, incarnation, status }: Member): Gossip {
  return { kind: 'gossip', updates: [{ number, incarnation, status }], rumours: [] };
}
