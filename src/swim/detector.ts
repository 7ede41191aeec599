import { unreachable } from '../assert.ts';
import type { MonotonicMs, NodeNumber } from '../identity.ts';
import { type Random, shuffled } from '../seam/random.ts';
import { Doubt, lagToleranceMs } from './doubt.ts';
import { LocalHealth } from './health.ts';
import { Jury } from './jury.ts';
import type { Accusation, Ack, ProbeRequest, Report } from './message.ts';
import { Nonces } from './nonces.ts';
import type { Outbox } from './outbox.ts';
import { observersOf, subjectsOf } from './rings.ts';
import type { Member, Roster } from './roster.ts';
import { ProbeRound } from './round.ts';
import type { SwimSettings } from './settings.ts';

/** Other observers that one node asks or tells about one silence; with fewer, all of them. */
export const observersToldMax = 10;
/** One of those published as down is probed so often, so that it is noticed when it answers. */
export const downProbePeriodMs = 5_000;

export interface DetectorSeams {
  readonly self: NodeNumber;
  readonly settings: SwimSettings;
  readonly random: Random;
  readonly cluster: Uint8Array;
  readonly roster: Roster;
  readonly outbox: Outbox;
}

/**
 * Watches this node's subjects: probes them, doubts the silent ones (see `Doubt`), accuses them to those who can
 * check, and reports to the control nodes what stays silent. It never holds anybody down by itself.
 */
export class Detector {
  readonly nonces: Nonces;
  private readonly seams: DetectorSeams;
  private readonly round: ProbeRound;
  private readonly health = new LocalHealth();
  private readonly doubts = new Map<NodeNumber, Doubt>();
  private controlNodes: readonly NodeNumber[] = [];
  /** What the other observers report, while no quorum listens; nothing while one does. */
  private hints: Jury | undefined;
  private probeAtMs: MonotonicMs;
  private downProbeAtMs: MonotonicMs;
  private reportAtMs: MonotonicMs = Number.POSITIVE_INFINITY;

  constructor(seams: DetectorSeams, now: MonotonicMs) {
    this.seams = seams;
    this.nonces = new Nonces(seams.random);
    this.round = new ProbeRound(seams.random);
    this.probeAtMs = now + seams.random.below(seams.settings.probePeriodMs);
    this.downProbeAtMs = now + seams.random.below(downProbePeriodMs);
  }

  setControlNodes(numbers: readonly NodeNumber[]): void {
    this.controlNodes = numbers;
  }

  setQuorum(healthy: boolean): void {
    if (healthy === (this.hints === undefined)) return;
    this.hints = healthy ? undefined : new Jury((subject) => this.watchersOf(subject));
    for (const doubt of this.doubts.values()) doubt.hinted = false;
  }

  doubtOf(subject: NodeNumber): Doubt | undefined {
    return this.doubts.get(subject);
  }

  /** A member that is to be probed within this round: a new one, or one that came back. */
  watch(number: NodeNumber): void {
    if (number !== this.seams.self) this.round.insert(number);
  }

  /** Ends any doubt, because the pane decided or the member is none any more. */
  drop(subject: NodeNumber): void {
    this.doubts.delete(subject);
  }

  /** Ends any doubt, because the member lives. */
  clear(subject: NodeNumber, now: MonotonicMs): void {
    const doubt = this.doubts.get(subject);
    if (doubt === undefined) return;
    this.doubts.delete(subject);
    if (!doubt.isSuspicion) return;
    this.seams.outbox.event({
      kind: 'refuted',
      number: subject,
      incarnation: doubt.incarnation,
      suspectedForMs: now - doubt.suspectedAtMs,
    });
  }

  nextTickAt(): MonotonicMs {
    let next = Math.min(this.probeAtMs, this.reportAtMs);
    if (this.seams.roster.withStatus('down').length > 0) next = Math.min(next, this.downProbeAtMs);
    for (const doubt of this.doubts.values()) next = Math.min(next, doubt.dueAtMs);
    return next;
  }

  tick(now: MonotonicMs): void {
    if (now >= this.probeAtMs) this.probeNext(now);
    if (now >= this.downProbeAtMs) this.probeDown(now);
    for (const doubt of this.doubts.values()) if (now >= doubt.dueAtMs) this.advance(doubt, now);
    if (now >= this.reportAtMs) this.reportAll(now);
  }

  onAck(from: NodeNumber, ack: Ack, now: MonotonicMs): void {
    if (!this.nonces.take(ack.nonce, from)) return;
    const doubt = this.doubts.get(from);
    if (doubt?.ownRound && doubt.stage === 'asked') this.health.onTimelyAnswer();
    else if (doubt?.ownRound) this.health.onFalseAlarm();
    this.clear(from, now);
    if (this.seams.roster.get(from)?.status === 'down') {
      this.seams.outbox.event({ kind: 'answers-again', number: from, incarnation: ack.incarnation });
    }
  }

  onProbeRequest({ subject }: ProbeRequest, now: MonotonicMs): void {
    const member = this.observed(subject);
    if (member !== undefined && !this.doubts.has(subject)) this.ask(member, false, now);
  }

  /** An accusation makes this node ask for itself; it proves nothing but when the silence began. */
  onAccusation(from: NodeNumber, accusation: Accusation, now: MonotonicMs): void {
    this.testify(from, accusation);
    if (accusation.subject === this.seams.self) this.answerFor(from, accusation);
    const member = this.observed(accusation.subject);
    if (member === undefined || accusation.incarnation < member.incarnation) return;
    const doubt = this.doubts.get(member.number) ?? this.ask(member, false, now);
    doubt.onEarlierMiss(accusation.unansweredMs, now);
  }

  onReport(from: NodeNumber, report: Report, now: MonotonicMs): void {
    this.testify(from, report);
    this.considerHint(from, report, now);
  }

  private answerFor(accuser: NodeNumber, { nonce }: Accusation): void {
    const incarnation = this.seams.roster.get(this.seams.self)?.incarnation ?? 0;
    this.seams.outbox.post(accuser, { kind: 'ack', nonce, incarnation });
    this.seams.outbox.event({ kind: 'accused-me', by: accuser });
  }

  private probeNext(now: MonotonicMs): void {
    if (now - this.probeAtMs > lagToleranceMs) this.health.onStall();
    this.probeAtMs = now + this.seams.settings.probePeriodMs * this.health.stretch;
    const { roster, self, cluster } = this.seams;
    const subjects = subjectsOf(roster.numbers(), self, cluster).filter(
      (number) => roster.get(number)?.status === 'alive' && !this.doubts.has(number),
    );
    const next = this.round.next(subjects);
    const member = next === undefined ? undefined : roster.get(next);
    if (member !== undefined) this.ask(member, true, now);
  }

  private probeDown(now: MonotonicMs): void {
    this.downProbeAtMs = now + downProbePeriodMs;
    const down = this.seams.roster.withStatus('down').filter((number) => number !== this.seams.self);
    const [pick] = shuffled(down, this.seams.random);
    if (pick !== undefined) this.ping(pick);
  }

  private ask(member: Member, ownRound: boolean, now: MonotonicMs): Doubt {
    const doubt = new Doubt(member, ownRound, this.seams.settings, this.health.stretch, now);
    this.doubts.set(member.number, doubt);
    this.ping(member.number);
    return doubt;
  }

  call(subject: NodeNumber): void {
    if (this.seams.roster.get(subject)?.status === 'down') this.ping(subject);
  }

  private ping(subject: NodeNumber): void {
    this.seams.outbox.post(subject, { kind: 'ping', nonce: this.nonces.draw(subject) });
  }

  private advance(doubt: Doubt, now: MonotonicMs): void {
    doubt.forgiveLag(now);
    switch (doubt.stage) {
      case 'asked':
        this.miss(doubt);
        break;
      case 'missed':
        this.accuse(doubt, now);
        break;
      case 'suspect':
        if (now >= doubt.windowEndsAtMs) this.expire(doubt, now);
        else this.askAgain(doubt, now);
        break;
      case 'expired':
        this.askAgain(doubt, now);
        break;
      default:
        unreachable(doubt.stage);
    }
  }

  private askAgain(doubt: Doubt, now: MonotonicMs): void {
    doubt.onAskedAgain(now);
    this.ping(doubt.subject);
  }

  /** Asks others, and once more itself: a lossy link must lose several questions before it looks like a death. */
  private miss(doubt: Doubt): void {
    doubt.stage = 'missed';
    this.ping(doubt.subject);
    const asked = doubt.ownRound ? this.someOtherObservers(doubt.subject) : [];
    for (const observer of asked) this.seams.outbox.post(observer, { kind: 'probe-request', subject: doubt.subject });
    this.seams.outbox.event({ kind: 'probe-missed', number: doubt.subject, asked });
  }

  private accuse(doubt: Doubt, now: MonotonicMs): void {
    const { subject, incarnation } = doubt;
    const { outbox, self } = this.seams;
    doubt.onSuspected(now);
    outbox.event({ kind: 'suspected', number: subject, incarnation });
    const nonce = this.nonces.draw(subject);
    const unansweredMs = doubt.unansweredMs(now);
    const accusation: Accusation = { kind: 'accusation', subject, incarnation, unansweredMs, nonce };
    const told = new Set([subject, ...this.controlNodes, ...this.someOtherObservers(subject)]);
    for (const to of told) if (to !== self) outbox.post(to, accusation);
    this.testify(self, accusation);
  }

  private expire(doubt: Doubt, now: MonotonicMs): void {
    doubt.stage = 'expired';
    this.report(doubt, now);
    this.reportAtMs = Math.min(this.reportAtMs, now + this.seams.settings.reportPeriodMs);
  }

  /** All in one round, so that a receiver gets one datagram with many reports. */
  private reportAll(now: MonotonicMs): void {
    const expired = [...this.doubts.values()].filter(({ stage }) => stage === 'expired');
    for (const doubt of expired) this.report(doubt, now);
    this.reportAtMs = expired.length > 0 ? now + this.seams.settings.reportPeriodMs : Number.POSITIVE_INFINITY;
  }

  private report({ subject, incarnation }: Doubt, now: MonotonicMs): void {
    const { self, outbox } = this.seams;
    const report: Report = { kind: 'report', subject, incarnation };
    const told = new Set(this.controlNodes);
    if (this.hints !== undefined) for (const observer of this.otherObservers(subject)) told.add(observer);
    for (const to of told) if (to !== self && to !== subject) outbox.post(to, report);
    this.testify(self, report);
    this.considerHint(self, report, now);
  }

  /** Hands it to whoever runs the jury of a leader. */
  private testify(from: NodeNumber, message: Accusation | Report): void {
    if (!this.controlNodes.includes(this.seams.self)) return;
    this.seams.outbox.emit({ kind: 'testimony', from, message });
  }

  /** Without a quorum: what most observers report, and this one finds too, is held to be down. */
  private considerHint(from: NodeNumber, { subject, incarnation }: Report, now: MonotonicMs): void {
    const doubt = this.doubts.get(subject);
    if (this.hints === undefined || doubt === undefined) return;
    this.hints.report(from, subject, incarnation, now);
    if (doubt.hinted || doubt.stage !== 'expired') return;
    if (!this.hints.hasMajority(subject, doubt.incarnation, this.seams.roster.withStatus('alive'), now)) return;
    doubt.hinted = true;
    this.seams.outbox.event({ kind: 'hinted-down', number: subject, incarnation: doubt.incarnation });
  }

  /** The member, when it is this node's to observe and not held down already. */
  private observed(subject: NodeNumber): Member | undefined {
    const { roster, self } = this.seams;
    const member = roster.get(subject);
    if (member?.status !== 'alive' || subject === self) return undefined;
    return this.watchersOf(subject).includes(self) ? member : undefined;
  }

  private watchersOf(subject: NodeNumber): readonly NodeNumber[] {
    return observersOf(this.seams.roster.numbers(), subject, this.seams.cluster);
  }

  /** Those of its observers who could check, this node apart. */
  private otherObservers(subject: NodeNumber): readonly NodeNumber[] {
    const { roster, self } = this.seams;
    return this.watchersOf(subject).filter(
      (number) =>
        number !== self && roster.get(number)?.status === 'alive' && this.doubts.get(number)?.isSuspicion !== true,
    );
  }

  private someOtherObservers(subject: NodeNumber): readonly NodeNumber[] {
    return shuffled(this.otherObservers(subject), this.seams.random).slice(0, observersToldMax);
  }
}
