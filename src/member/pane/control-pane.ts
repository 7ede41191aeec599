/**
 * What a control node does beyond being a member: it votes and keeps the log, admits, signs, convicts, and
 * answers keep-alives. Whatever changes the cluster goes through the leader's log; a follower passes it on.
 */
import { unreachable } from '../../assert.ts';
import type { Share } from '../../certificate/certificate.ts';
import type { Statement } from '../../certificate/statement.ts';
import type { Applied, ControlEvent } from '../../control/apply.ts';
import type { Command } from '../../control/command.ts';
import type { AdmittedMember, ControlState } from '../../control/control-state.ts';
import type { KeepAlive, KeepAliveAnswer } from '../../control/keep-alive.ts';
import type { SigningKey } from '../../crypto.ts';
import type { HivemindError } from '../../error.ts';
import type { LogIndex, MonotonicMs, NodeNumber } from '../../identity.ts';
import type { RaftMessage } from '../../raft/message.ts';
import type { Raft } from '../../raft/raft.ts';
import type { Instant } from '../../seam/instant.ts';
import type { LogSnapshot } from '../../seam/log-store.ts';
import { Jury, reportLeaseMs } from '../../swim/jury.ts';
import type { Accusation, Report, Update } from '../../swim/message.ts';
import type { RaftDatagram } from '../../wire/datagram.ts';
import type { Admission, PaneAsk, PaneStatus } from '../../wire/peer-message.ts';
import type { MemberOptions } from '../member-options.ts';
import type { Membership } from '../membership.ts';
import type { Outbox } from '../outbox.ts';
import { Admissions } from './admissions.ts';
import { BrakeWatch } from './brake-watch.ts';
import { ClockWatch } from './clock-watch.ts';
import { Compaction } from './compaction.ts';
import { DecisionLog } from './decision-log.ts';
import { Farewells } from './farewells.ts';
import { Housekeeping } from './housekeeping.ts';
import { Notes } from './notes.ts';
import { PaneAsks } from './pane-asks.ts';
import { PaneWatch } from './pane-health.ts';
import { PaneReads } from './pane-reads.ts';
import { decidedReply, type Then } from './pane-reply.ts';
import { RaftCourier } from './raft-courier.ts';
import { type DiskInput, RaftEngine } from './raft-engine.ts';
import { Replacement } from './replacement.ts';
import { Returns } from './returns.ts';
import { charterSubject, Signatures } from './signatures.ts';
import { takeOver } from './state-takeover.ts';
import { Views } from './views.ts';
import { Voters } from './voters.ts';

/** Verdicts are proposed once in this time. */
const convictRepeatMs = 500;

export class ControlPane {
  readonly engine: RaftEngine;
  readonly log: DecisionLog;
  readonly reads: PaneReads;
  private readonly courier: RaftCourier;
  private readonly clocks: ClockWatch;
  readonly watch: PaneWatch;
  private readonly self: NodeNumber;
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private readonly signatures: Signatures;
  private jury = this.newJury();
  /** Since when this node leads: what it was told before says little about now. */
  private leadsSince: MonotonicMs = Number.POSITIVE_INFINITY;
  private readonly admissions: Admissions;
  private readonly voters: Voters;
  private readonly asks: PaneAsks;
  private readonly replacement: Replacement;
  private readonly returns: Returns;
  readonly views: Views;
  private readonly housekeeping: Housekeeping;
  private readonly brake: BrakeWatch;
  private readonly farewells: Farewells;
  private convictedAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  private leaderSeen: NodeNumber | undefined;
  /** Entries up to here were applied by an earlier run of this node. */
  private readonly replayedTo: LogIndex;
  private isReplay = false;
  private readonly onLaterCharter: (from: NodeNumber, at: Instant) => void;

  constructor(parts: {
    readonly self: NodeNumber;
    readonly key: SigningKey;
    readonly raft: Raft;
    readonly state: ControlState;
    /** That `state` was decoded from. */
    readonly snapshot: LogSnapshot | undefined;
    readonly membership: Membership;
    readonly outbox: Outbox;
    readonly patience: Pick<MemberOptions, 'reapAfterMs' | 'replaceControlAfterMs'>;
    readonly snapshotEveryEntries: number;
    readonly sendDatagram: (to: NodeNumber, message: RaftDatagram, at: Instant) => void;
    /** This node may be a control node of a later charter. */
    readonly onLaterCharter: (from: NodeNumber, at: Instant) => void;
    readonly at: Instant;
  }) {
    const { self, membership, outbox, raft, state } = parts;
    this.self = self;
    this.onLaterCharter = parts.onLaterCharter;
    this.membership = membership;
    this.outbox = outbox;
    this.signatures = new Signatures({ key: parts.key, self, directory: membership.directory, outbox });
    this.replayedTo = raft.commitIndex;
    this.courier = new RaftCourier({ directory: membership.directory, outbox, sendDatagram: parts.sendDatagram });
    this.clocks = new ClockWatch(outbox);
    const listeners = {
      onApplied: this.onApplied.bind(this),
      onRestored: (later: Instant) => this.takeOver(later),
    };
    const compaction = new Compaction(parts.snapshot, parts.snapshotEveryEntries);
    const onProgress = (later: Instant): void => this.log.follow(later);
    const engine = new RaftEngine({ raft, outbox, courier: this.courier, compaction, onProgress });
    this.engine = engine;
    const objectionToDate = (later: Instant): HivemindError | undefined =>
      this.clocks.objection(raft.configuration.voters, later);
    this.log = new DecisionLog({ engine, state, outbox, objectionToDate, listeners });
    this.reads = new PaneReads(engine, state);
    this.watch = new PaneWatch(engine, self, parts.at);
    this.views = new Views(state, membership);
    const propose = (command: Command, at: Instant): void => this.log.propose(command, () => {}, at);
    this.returns = new Returns(state, membership, propose);
    this.admissions = new Admissions(this.log, this.views, outbox);
    this.housekeeping = new Housekeeping(
      {
        state,
        propose,
        isReturning: (number) => this.returns.isTrying(number),
        reapAfterMs: parts.patience.reapAfterMs,
      },
      parts.at.now,
    );
    this.brake = new BrakeWatch(outbox);
    this.farewells = new Farewells(membership, outbox);
    this.voters = new Voters(raft, state);
    const { log, returns, voters } = this;
    this.asks = new PaneAsks({ self, state, engine, log, notes: new Notes(log), returns, voters });
    this.replacement = new Replacement({
      state,
      voters: this.voters,
      outbox,
      propose: (command, then, at) => this.log.propose(command, (verdict) => decidedReply(verdict).ok && then(), at),
      isBack: (number, at) => this.watch.isInTouch(number, at.now) || this.returns.isTrying(number),
      isBraked: () => this.jury.brake.on,
      replaceAfterMs: parts.patience.replaceControlAfterMs,
    });
  }

  /** Once the member is complete: what a snapshot says of the others stands before any entry. */
  begin(at: Instant): void {
    if (this.state.appliedIndex > 0) this.takeOver(at);
  }

  private takeOver(at: Instant): void {
    takeOver(this.state, this.membership, at);
    this.signatures.restart(this.state.unsigned, undefined, at);
  }

  get state(): ControlState {
    return this.log.state;
  }

  get leader(): NodeNumber | undefined {
    return this.engine.status.leader;
  }

  get leads(): boolean {
    return this.engine.status.fence !== undefined;
  }

  nextTickAt(): MonotonicMs {
    const verdictAt = this.leads ? Math.max(this.jury.nextVerdictAt(), this.verdictsFrom) : Number.POSITIVE_INFINITY;
    return Math.min(
      this.engine.campaignAt(),
      this.reads.nextTickAt(),
      this.signatures.nextTickAt(),
      verdictAt,
      this.returns.nextTickAt(),
      this.housekeeping.nextTickAt(),
    );
  }

  /** A new leader waits for one lease, so that nobody is convicted by what was reported about an earlier time. */
  private get verdictsFrom(): MonotonicMs {
    return Math.max(this.convictedAt + convictRepeatMs, this.leadsSince + reportLeaseMs);
  }

  tick(at: Instant): void {
    this.engine.campaign(at);
    this.reads.tick(at);
    this.signatures.tick(this.leader, at);
    if (this.leads) this.lead(at);
    this.returns.tick(this.leads, at);
    if (this.leads && this.voters.reconcile(at)) this.engine.pump(at);
    if (this.housekeeping.take(at.now)) this.lookRound(at);
    this.followHealth(at);
  }

  private lookRound(at: Instant): void {
    const { voters } = this.engine.raft.configuration;
    this.clocks.follow(voters, at);
    this.watch.lookRound(at);
    this.admissions.expire(at);
    if (!this.leads) return;
    this.housekeeping.lookRound(at);
    this.replacement.lookRound(this.leadsSince, at);
    if (this.clocks.wantsToGo(voters, at)) this.engine.handOver(at);
  }

  private newJury(): Jury {
    return new Jury({
      observersOf: (subject) => this.membership.swim.jurorsOf(subject),
      groups: () =>
        [...this.state.declarations.keys()].map((name) => ({ name, members: this.state.membersOfRole(name) })),
    });
  }

  // — what the leader does by itself —

  private lead(at: Instant): void {
    for (const command of this.signatures.takeComplete(at)) this.log.propose(command, () => {}, at);
    if (at.now < Math.max(this.verdictsFrom, this.jury.nextVerdictAt())) return;
    const members = [...this.state.members.values()];
    const live = new Set(members.filter(({ status }) => status === 'alive').map(({ number }) => number));
    const verdicts = this.jury.verdicts(at.now, {
      live,
      incarnationOf: (number) => this.state.members.get(number)?.incarnation,
      brakeReleased: this.state.brakeReleasedUntil > at.wall,
    });
    this.brake.follow(this.jury.brake, at);
    if (verdicts.length === 0) return;
    this.convictedAt = at.now;
    const subjects = verdicts.map(({ number, incarnation }) => ({ number, incarnation }));
    this.log.propose({ kind: 'convict', at: at.wall, subjects }, () => {}, at);
  }

  private followHealth(at: Instant): void {
    if (this.leader !== this.leaderSeen) {
      this.leaderSeen = this.leader;
      this.leadsSince = this.leads ? at.now : Number.POSITIVE_INFINITY;
      this.jury = this.newJury();
      this.brake.follow(this.jury.brake, at);
      const { term } = this.engine.raft;
      if (this.leader !== undefined) this.outbox.event({ kind: 'leader', number: this.leader, term });
    }
    if (!this.watch.update(at)) return;
    this.membership.spread({ kind: 'pane-changed', by: this.self, at: at.wall }, at);
  }

  // — returns —

  onAnswersAgain(number: NodeNumber): void {
    this.returns.onAnswer(number);
  }

  // — joins —

  /** Judges and admits, as the leader; a follower's caller passes the request on. */
  join(bytes: Uint8Array, then: Then<Admission>, at: Instant): void {
    this.admissions.join(bytes, this.watch.health.state === 'degraded', then, at);
  }

  /** Carries out what member `from` asked, as the leader. */
  ask(from: NodeNumber, ask: PaneAsk, then: Then<LogIndex>, at: Instant): void {
    this.asks.ask(from, ask, then, at);
  }

  // — what the log decided —

  private onApplied(index: LogIndex, command: Command, applied: Applied, at: Instant): void {
    this.membership.logIndex = index;
    this.isReplay = index <= this.replayedTo;
    if (applied.kind !== 'changed') return;
    this.outbox.event({ kind: 'decided', index, what: command.kind });
    for (const event of applied.events) this.onEvent(event, at);
  }

  private onEvent(event: ControlEvent, at: Instant): void {
    switch (event.kind) {
      case 'signatures-wanted':
        this.signatures.want(event.statement, this.isReplay ? undefined : this.leader, at);
        break;
      case 'admitted':
        this.onAdmitted(event.member, at);
        break;
      case 'withdrawn':
        this.signatures.settle(event.number);
        break;
      case 'removing':
        this.onRemoving(event.member.number, at);
        break;
      case 'removed':
        this.onRemoved(event.number, event.certificate, at);
        break;
      case 'convicted':
      case 'returned': {
        const { number, incarnation, status } = event.member;
        this.tell({ number, incarnation, status }, at);
        break;
      }
      case 'amendment-wanted':
        this.signatures.want(event.statement, this.isReplay ? undefined : this.leader, at);
        break;
      case 'amended':
        this.signatures.settle(charterSubject);
        this.membership.amend({ amendments: [event.amendment], members: event.members }, at);
        break;
      case 'amendment-withdrawn':
        this.signatures.settle(charterSubject);
        break;
      case 'brake-released':
      case 'token-changed':
      case 'feature-level':
        break;
      default:
        unreachable(event);
    }
  }

  private onRemoving(number: NodeNumber, at: Instant): void {
    this.farewells.onRemoving(number);
    this.membership.remove(number, undefined, at);
  }

  private onRemoved(number: NodeNumber, certificate: Uint8Array, at: Instant): void {
    this.signatures.settle(number);
    const news = this.isReplay ? undefined : certificate;
    this.membership.remove(number, news, at);
    this.farewells.onRemoved(number, news);
  }

  /** Whoever was there when it was decided has heard of it; a restart only learns it again. */
  private tell(update: Update, at: Instant): void {
    if (this.isReplay) this.membership.correct(update, at);
    else this.membership.publish(update, at);
  }

  private onAdmitted(member: AdmittedMember, at: Instant): void {
    const { number, certificate, incarnation } = member;
    this.signatures.settle(number);
    if (certificate === undefined) return;
    const { directory } = this.membership;
    // By the time of the log: a wrong clock of this node's keeps nobody out whom the pane has admitted.
    const record = directory.admit(certificate, this.state.at, number);
    directory.declare([...this.state.declarations.values()]);
    if (record === undefined) return;
    if (member.locator !== undefined) directory.locate(member.locator);
    this.membership.learn(record, 'alive', incarnation, at);
    this.tell({ number, incarnation, status: 'alive' }, at);
    this.admissions.onAdmitted(number, certificate, at);
  }

  // — messages —

  onRaftDatagram(from: NodeNumber, datagram: RaftDatagram, at: Instant): void {
    if (this.courier.onDatagram(from, datagram, at)) this.onRaft(from, datagram, at);
  }

  /** Who keeps the log without a vote answers; it neither leads nor stands, or one machine could decide alone. */
  onRaft(from: NodeNumber, { message, wall }: Omit<RaftDatagram, 'kind' | 'heard'>, at: Instant): void {
    this.clocks.onTold(from, wall, at);
    if (isOfLeaders(message) && !this.mayLead(from)) {
      this.onLaterCharter(from, at);
      return;
    }
    this.watch.onHeard(from, at);
    this.engine.receive(from, message, at);
  }

  private mayLead(number: NodeNumber): boolean {
    const { voters, outgoing } = this.engine.raft.configuration;
    return this.membership.directory.isControl(number) || voters.includes(number) || outgoing.includes(number);
  }

  /** What the disk of the log says of its work. */
  onDisk(said: DiskInput, at: Instant): void {
    if (said.kind === 'log-trouble') this.watch.onTrouble(said.trouble);
    this.engine.onDisk(said, at);
  }

  /** Only those who watch a living member are heard about it: anybody else may say anything. */
  onTestimony(from: NodeNumber, message: Accusation | Report, at: Instant): void {
    const { subject } = message;
    if (this.state.members.get(subject)?.status !== 'alive') return;
    if (!this.membership.swim.jurorsOf(subject).includes(from)) return;
    if (message.kind === 'accusation') this.jury.accuse(from, message.subject, at.now);
    else this.jury.report(from, message, at.now);
  }

  onShare(from: NodeNumber, number: NodeNumber, statement: Statement['kind'], share: Share, at: Instant): void {
    if (share.signer !== from) return;
    this.signatures.onShare(number, statement, share);
    if (this.leads) this.lead(at);
  }

  onKeepAlive(from: NodeNumber, message: KeepAlive): KeepAliveAnswer {
    return {
      kind: 'keep-alive-answer',
      nonce: message.nonce,
      charter: this.state.charter.length,
      logIndex: this.state.appliedIndex,
      health: this.watch.health,
      size: this.views.size,
      changes: this.views.changesFor(from, message),
    };
  }

  status(at: Instant): PaneStatus {
    const { role, term, commitIndex, lastIndex } = this.engine.raft;
    const brake = this.leads ? this.brake.status(this.jury.brake, this.state.brakeReleasedUntil) : undefined;
    const replacement = this.leads ? this.replacement.status(this.leadsSince, at) : undefined;
    const { health } = this.watch;
    return { number: this.self, role, term, commitIndex, lastIndex, health, brake, replacement };
  }
}

/** Sent by who leads, or wants to. */
function isOfLeaders({ kind }: RaftMessage): boolean {
  return kind !== 'append-answer' && kind !== 'snapshot-answer' && kind !== 'vote-answer' && kind !== 'pre-vote-answer';
}
