import { unreachable } from '../assert.ts';
import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { Random } from '../seam/random.ts';
import { Doubt, lagToleranceMs } from './doubt.ts';
import type { DialOutcome } from './effect.ts';
import { LocalHealth } from './health.ts';
import { LossWatch } from './loss.ts';
import type { Accusation, Ack, ProbeRequest, Report } from './message.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import { Nonces } from './nonces.ts';
import type { Outbox } from './outbox.ts';
import type { Member, Roster } from './roster.ts';
import { ProbeRound } from './round.ts';
import type { SwimSettings } from './settings.ts';
import { StreamWatch } from './stream-watch.ts';
import { Testimony } from './testimony.ts';

/** A subject that is published as down is probed so often, so that it is noticed when it answers. */
export const downProbePeriodMs = 5_000;

/** New subjects are probed so soon after one another, so that a member is well known shortly after it came. */
export const newcomerPeriodMs = 200;

export interface DetectorSeams {
  readonly self: NodeNumber;
  readonly settings: SwimSettings;
  readonly random: Random;
  readonly roster: Roster;
  readonly neighbourhood: Neighbourhood;
  readonly outbox: Outbox;
  /** A suspicion of this node's was cleared by an answer. */
  readonly onCleared: (subject: NodeNumber, now: MonotonicMs) => void;
}

/**
 * Watches this node's subjects: probes them, doubts the silent ones (see `Doubt`), accuses them to those who can
 * check, and reports to the control nodes what it found. It never holds anybody down by itself.
 */
export class Detector {
  readonly nonces: Nonces;
  readonly testimony: Testimony;
  readonly streams: StreamWatch;
  private readonly seams: DetectorSeams;
  private readonly round: ProbeRound;
  private readonly health = new LocalHealth();
  private readonly losses: LossWatch;
  private readonly doubts = new Map<NodeNumber, Doubt>();
  /** Subjects that answered since this node watches them. */
  private readonly heard = new Set<NodeNumber>();
  private probeAtMs: MonotonicMs;
  private downProbeAtMs: MonotonicMs;
  private reportAtMs: MonotonicMs = Number.POSITIVE_INFINITY;
  private watched: ReadonlyMap<NodeNumber, unknown> = new Map();

  constructor(seams: DetectorSeams, now: MonotonicMs) {
    const { random, settings } = seams;
    this.seams = seams;
    this.nonces = new Nonces(random);
    this.round = new ProbeRound(random);
    this.testimony = new Testimony(seams);
    this.losses = new LossWatch((subject) => this.ping(subject), settings);
    this.streams = new StreamWatch(seams, {
      ask: (subject, at) => this.askNow(subject, at),
      onAnswered: (subject, at) => this.onAnsweredByStream(subject, at),
      onAccepted: (subject) => this.onAccepted(subject),
      onProof: (subject, at) => this.onProof(subject, at),
    });
    this.probeAtMs = now + random.below(settings.probePeriodMs);
    this.downProbeAtMs = now + random.below(downProbePeriodMs);
  }

  setQuorum(healthy: boolean): void {
    if (this.testimony.setQuorum(healthy)) for (const doubt of this.doubts.values()) doubt.hinted = false;
  }

  doubtOf(subject: NodeNumber): Doubt | undefined {
    return this.doubts.get(subject);
  }

  /** A subject that came back is to be probed within this round. */
  onBack(number: NodeNumber): void {
    if (this.seams.neighbourhood.subjects.has(number)) this.round.insert(number);
  }

  /** Ends any doubt, because the pane decided or the member is none any more. */
  drop(subject: NodeNumber): void {
    this.doubts.delete(subject);
    this.testimony.forget(subject);
    this.losses.cancel(subject);
    this.streams.drop(subject);
  }

  /** Ends any doubt, because the member lives. */
  clear(subject: NodeNumber, now: MonotonicMs): void {
    const doubt = this.doubts.get(subject);
    if (doubt === undefined) return;
    this.doubts.delete(subject);
    this.testimony.takeBack(doubt);
    if (!doubt.isSuspicion) return;
    const suspectedForMs = now - doubt.suspectedAtMs;
    this.seams.outbox.event({ kind: 'refuted', number: subject, incarnation: doubt.incarnation, suspectedForMs });
    this.seams.onCleared(subject, now);
  }

  nextTickAt(): MonotonicMs {
    let next = Math.min(this.probeAtMs, this.reportAtMs, this.streams.nextTickAt(), this.losses.nextTickAt());
    if (this.seams.neighbourhood.subjectsDown.length > 0) next = Math.min(next, this.downProbeAtMs);
    for (const doubt of this.doubts.values()) next = Math.min(next, doubt.dueAtMs);
    return next;
  }

  tick(now: MonotonicMs): void {
    this.followView(now);
    if (now >= this.probeAtMs) this.probeNext(now);
    if (now >= this.downProbeAtMs) this.probeDown(now);
    for (const doubt of this.doubts.values()) if (now >= doubt.dueAtMs) this.advance(doubt, now);
    this.streams.tick(now);
    for (const { subject, incarnation } of this.losses.tick(now, this.health.stretch)) {
      this.seams.outbox.event({ kind: 'lossy', number: subject, incarnation });
      this.testimony.report({ subject, incarnation }, 'lossy', this.coObserversOf(subject));
    }
    if (now >= this.reportAtMs) this.reportAll(now);
  }

  onAck(from: NodeNumber, ack: Ack, now: MonotonicMs): void {
    if (!this.nonces.take(ack.nonce, from)) return;
    this.losses.onAck(from, ack.nonce);
    this.streams.onDatagram(from, now);
    const doubt = this.doubts.get(from);
    if (doubt?.ownRound && doubt.stage === 'asked' && !doubt.isStranger) this.onTimelyAnswer();
    this.onAnswer(from, now);
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
    this.testimony.testify(from, accusation);
    if (accusation.subject === this.seams.self) this.answerFor(from, accusation);
    const member = this.observed(accusation.subject);
    if (member === undefined || accusation.incarnation < member.incarnation) return;
    // Whoever does not watch it knows nothing of when its silence began.
    if (this.seams.neighbourhood.subjects.get(member.number)?.includes(from) !== true) return;
    const doubt = this.doubts.get(member.number) ?? this.ask(member, false, now);
    doubt.onEarlierMiss(accusation.unansweredMs, now);
  }

  onReport(from: NodeNumber, report: Report, now: MonotonicMs): void {
    this.testimony.testify(from, report);
    const doubt = this.doubts.get(report.subject);
    if (doubt !== undefined) this.testimony.considerHint(from, report, doubt, now);
  }

  /** The outcome of a `dial` effect. */
  onDialled(to: NodeNumber, outcome: DialOutcome, now: MonotonicMs): void {
    this.streams.onDialled(to, outcome, now);
  }

  /** A new process of it lives: nothing that was known of the old one counts. */
  onRestarted(number: NodeNumber, now: MonotonicMs): void {
    this.streams.onRestarted(number);
    this.losses.cancel(number);
    this.clear(number, now);
  }

  /** Asks one that is down; `answers-again` says that it answered. */
  call(subject: NodeNumber): void {
    if (this.seams.roster.get(subject)?.status === 'down') this.ping(subject);
  }

  // — what streams tell —

  private askNow(subject: NodeNumber, now: MonotonicMs): void {
    const member = this.observed(subject);
    if (member === undefined) return;
    if (this.doubts.has(subject)) this.ping(subject);
    else this.ask(member, false, now);
  }

  private onAnsweredByStream(subject: NodeNumber, now: MonotonicMs): void {
    this.losses.cancel(subject);
    this.onAnswer(subject, now);
  }

  private onAccepted(subject: NodeNumber): void {
    const doubt = this.doubts.get(subject);
    if (doubt === undefined) return;
    doubt.refused = false;
    doubt.accepted = true;
  }

  private onProof(subject: NodeNumber, now: MonotonicMs): void {
    const member = this.observed(subject);
    if (member === undefined) return;
    const doubt = this.doubts.get(subject) ?? this.ask(member, false, now);
    if (!doubt.isSuspicion) this.suspect(doubt, now);
    doubt.refused = true;
    this.report(doubt, now);
  }

  // — probing —

  private probeNext(now: MonotonicMs): void {
    if (now - this.probeAtMs > lagToleranceMs) this.health.onStall();
    const next = this.round.next(this.seams.neighbourhood.subjects.keys(), (number) => this.isProbed(number));
    const periodMs = this.round.hasNewcomers ? newcomerPeriodMs : this.seams.settings.probePeriodMs;
    this.probeAtMs = now + periodMs * this.health.stretch;
    const member = next === undefined ? undefined : this.seams.roster.get(next);
    if (member !== undefined) this.ask(member, true, now);
  }

  private isProbed(number: NodeNumber): boolean {
    return !this.doubts.has(number) && this.observed(number) !== undefined;
  }

  private probeDown(now: MonotonicMs): void {
    this.downProbeAtMs = now + downProbePeriodMs;
    const down = this.seams.neighbourhood.subjectsDown;
    if (down.length > 0) this.ping(down[this.seams.random.below(down.length)] as NodeNumber);
  }

  private ask(member: Member, ownRound: boolean, now: MonotonicMs): Doubt {
    // Whether control nodes are there has to be known soon, and they do not come by the dozen.
    const isStranger = !this.heard.has(member.number) && !this.seams.neighbourhood.isControl(member.number);
    const doubt = new Doubt(member, { ownRound, isStranger }, this.seams.settings, this.health.stretch, now);
    this.doubts.set(member.number, doubt);
    this.ping(member.number);
    return doubt;
  }

  private ping(subject: NodeNumber): number {
    const nonce = this.nonces.draw(subject);
    this.seams.outbox.post(subject, { kind: 'ping', nonce });
    return nonce;
  }

  private onTimelyAnswer(): void {
    this.health.onTimelyAnswer();
    this.losses.onProbed(true);
  }

  private onAnswer(subject: NodeNumber, now: MonotonicMs): void {
    const doubt = this.doubts.get(subject);
    if (doubt?.ownRound && doubt.stage !== 'asked') this.health.onFalseAlarm();
    if (this.observed(subject) !== undefined) this.heard.add(subject);
    this.clear(subject, now);
  }

  private answerFor(accuser: NodeNumber, { nonce }: Accusation): void {
    const incarnation = this.seams.roster.get(this.seams.self)?.incarnation ?? 0;
    this.seams.outbox.post(accuser, { kind: 'ack', nonce, incarnation });
    this.seams.outbox.event({ kind: 'accused-me', by: accuser });
  }

  // — doubting —

  private advance(doubt: Doubt, now: MonotonicMs): void {
    doubt.forgiveLag(now);
    switch (doubt.stage) {
      case 'asked':
        if (now >= doubt.missAtMs) this.miss(doubt, now);
        else this.pingAgain(doubt, now);
        break;
      case 'missed':
        this.accuse(doubt, now);
        break;
      case 'suspect':
        if (now >= doubt.windowEndsAtMs) this.expire(doubt, now);
        else this.press(doubt, now);
        break;
      case 'expired':
        this.askAgain(doubt, now);
        break;
      default:
        unreachable(doubt.stage);
    }
  }

  /** Asks a suspect again, and its kernel, and reminds the pane. */
  private press(doubt: Doubt, now: MonotonicMs): void {
    this.askAgain(doubt, now);
    this.streams.knock(doubt.subject);
    if (doubt.takeAccusation(now)) this.tellOf(doubt, now);
  }

  private pingAgain(doubt: Doubt, now: MonotonicMs): void {
    doubt.onAskedAgain(now);
    this.ping(doubt.subject);
  }

  private askAgain(doubt: Doubt, now: MonotonicMs): void {
    this.pingAgain(doubt, now);
    this.streams.ask(doubt.subject, now);
  }

  /** Asks others, and once more itself and its kernel: a lossy link must lose much before it looks like a death. */
  private miss(doubt: Doubt, now: MonotonicMs): void {
    const { subject, incarnation, ownRound } = doubt;
    doubt.stage = 'missed';
    if (ownRound) this.losses.onProbed(false);
    if (!this.losses.begin(subject, incarnation, now)) this.ping(subject);
    // A whole stream costs both ends a TLS handshake, and is tried when the silence lasts.
    this.streams.knock(subject);
    const asked = ownRound ? this.coObserversOf(subject) : [];
    for (const observer of asked) this.seams.outbox.post(observer, { kind: 'probe-request', subject });
    this.seams.outbox.event({ kind: 'probe-missed', number: subject, asked });
  }

  private suspect(doubt: Doubt, now: MonotonicMs): void {
    doubt.onSuspected(now);
    this.seams.outbox.event({ kind: 'suspected', number: doubt.subject, incarnation: doubt.incarnation });
  }

  private accuse(doubt: Doubt, now: MonotonicMs): void {
    this.suspect(doubt, now);
    this.streams.ask(doubt.subject, now);
    doubt.takeAccusation(now);
    this.tellOf(doubt, now);
  }

  private tellOf(doubt: Doubt, now: MonotonicMs): void {
    const { subject, incarnation } = doubt;
    const nonce = this.nonces.draw(subject);
    const unansweredMs = doubt.unansweredMs(now);
    const accusation: Accusation = { kind: 'accusation', subject, incarnation, unansweredMs, nonce };
    this.testimony.accuse(accusation, this.coObserversOf(subject));
  }

  private expire(doubt: Doubt, now: MonotonicMs): void {
    doubt.stage = 'expired';
    this.report(doubt, now);
  }

  private report(doubt: Doubt, now: MonotonicMs): void {
    const evidence = doubt.evidence;
    if (evidence === undefined) return;
    const { subject, incarnation } = doubt;
    this.testimony.report(doubt, evidence, this.coObserversOf(subject));
    this.testimony.considerHint(this.seams.self, { subject, incarnation, evidence }, doubt, now);
    this.reportAtMs = Math.min(this.reportAtMs, now + this.seams.settings.reportPeriodMs);
  }

  /** All in one round, so that a receiver gets one datagram with many reports. */
  private reportAll(now: MonotonicMs): void {
    this.reportAtMs = Number.POSITIVE_INFINITY;
    for (const doubt of this.doubts.values()) this.report(doubt, now);
  }

  // — who is watched —

  /** New subjects enter the round; doubts about those whom this node watches no longer are not its own to settle. */
  private followView(now: MonotonicMs): void {
    const { subjects } = this.seams.neighbourhood;
    if (subjects === this.watched) return;
    for (const subject of subjects.keys()) if (!this.watched.has(subject)) this.round.insert(subject);
    if (this.round.hasNewcomers) {
      this.probeAtMs = Math.min(this.probeAtMs, now + this.seams.random.below(newcomerPeriodMs));
    }
    for (const subject of [...this.watched.keys(), ...this.doubts.keys()]) {
      if (subjects.has(subject)) continue;
      this.drop(subject);
      this.heard.delete(subject);
    }
    this.streams.prune();
    this.watched = subjects;
  }

  /** The member, when it is this node's to observe and not held down already. */
  private observed(subject: NodeNumber): Member | undefined {
    if (!this.seams.neighbourhood.subjects.has(subject)) return undefined;
    const member = this.seams.roster.get(subject);
    return member?.status === 'alive' ? member : undefined;
  }

  /** Those of its other observers who could check. */
  private coObserversOf(subject: NodeNumber): readonly NodeNumber[] {
    const { roster, neighbourhood } = this.seams;
    const others = neighbourhood.subjects.get(subject) ?? [];
    return others.filter((number) => roster.get(number)?.status === 'alive' && !this.doubts.get(number)?.isSuspicion);
  }
}
