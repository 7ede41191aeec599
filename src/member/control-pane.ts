/**
 * What a control node does beyond being a member: it votes and keeps the log, admits, signs, convicts, and
 * answers keep-alives. Whatever changes the cluster goes through the leader's log; a follower passes it on.
 */
import { unreachable } from '../assert.ts';
import { toHex } from '../bytes.ts';
import type { Share } from '../certificate/certificate.ts';
import type { Statement } from '../certificate/statement.ts';
import type { Applied, ControlEvent } from '../control/apply.ts';
import type { Command } from '../control/command.ts';
import type { AdmittedMember, ControlState } from '../control/control-state.ts';
import type { KeepAlive, KeepAliveAnswer } from '../control/keep-alive.ts';
import type { SigningKey } from '../crypto.ts';
import { HivemindError } from '../error.ts';
import type { Incarnation, LogIndex, MonotonicMs, NodeNumber } from '../identity.ts';
import type { Raft } from '../raft/raft.ts';
import type { LogSnapshot } from '../seam/log-store.ts';
import type { StreamTarget } from '../seam/streams.ts';
import { Jury, reportLeaseMs } from '../swim/jury.ts';
import type { Accusation, Report, Update } from '../swim/message.ts';
import type { RaftDatagram } from '../wire/datagram.ts';
import type { Admission, PaneAsk, PaneStatus } from '../wire/peer-message.ts';
import { Admissions } from './admissions.ts';
import { BrakeWatch } from './brake-watch.ts';
import { Compaction } from './compaction.ts';
import { DecisionLog } from './decision-log.ts';
import { Housekeeping } from './housekeeping.ts';
import type { Instant } from './instant.ts';
import type { Membership } from './membership.ts';
import { type NoteAsk, Notes } from './notes.ts';
import type { Outbox } from './outbox.ts';
import { PaneWatch } from './pane-health.ts';
import { PaneReads } from './pane-reads.ts';
import { decidedReply, type Then } from './pane-reply.ts';
import { RaftCourier } from './raft-courier.ts';
import { RaftEngine } from './raft-engine.ts';
import { Returns } from './returns.ts';
import { charterSubject, Signatures } from './signatures.ts';
import { takeOver } from './state-takeover.ts';
import { Views } from './views.ts';
import { Voters } from './voters.ts';

/** Members under removal that are told of it themselves; more learn it when nobody answers them. */
const leaversMax = 1_024;
/** Verdicts are proposed once in this time. */
const convictRepeatMs = 500;

export class ControlPane {
  readonly engine: RaftEngine;
  readonly log: DecisionLog;
  readonly reads: PaneReads;
  private readonly courier: RaftCourier;
  readonly watch: PaneWatch;
  private readonly self: NodeNumber;
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private readonly signatures: Signatures;
  private jury = this.newJury();
  /** Since when this node leads: what it was told before says little about now. */
  private leadsSince: MonotonicMs = Number.POSITIVE_INFINITY;
  private readonly admissions: Admissions;
  private readonly notes: Notes;
  private readonly voters: Voters;
  private readonly returns: Returns;
  readonly views: Views;
  private readonly housekeeping: Housekeeping;
  private readonly brake: BrakeWatch;
  /** Where those are who are being removed, until their certificate is there. */
  private readonly leavers = new Map<NodeNumber, StreamTarget>();
  private convictedAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  private leaderSeen: NodeNumber | undefined;
  /** Entries up to here were applied by an earlier run of this node. */
  private readonly replayedTo: LogIndex;
  private isReplay = false;

  constructor(parts: {
    readonly self: NodeNumber;
    readonly key: SigningKey;
    readonly raft: Raft;
    readonly state: ControlState;
    /** That `state` was decoded from. */
    readonly snapshot: LogSnapshot | undefined;
    readonly membership: Membership;
    readonly outbox: Outbox;
    /** A member that is down for so long is removed; 0: never. */
    readonly reapAfterMs: number;
    readonly snapshotEveryEntries: number;
    readonly sendDatagram: (to: NodeNumber, message: RaftDatagram, at: Instant) => void;
    readonly at: Instant;
  }) {
    const { self, membership, outbox, raft, state } = parts;
    const { directory } = membership;
    this.self = self;
    this.membership = membership;
    this.outbox = outbox;
    this.brake = new BrakeWatch(outbox);
    this.signatures = new Signatures({ key: parts.key, self, directory, outbox });
    this.replayedTo = raft.commitIndex;
    this.courier = new RaftCourier({ directory, outbox, sendDatagram: parts.sendDatagram });
    const listeners = {
      onApplied: this.onApplied.bind(this),
      onRestored: (later: Instant) => this.takeOver(later),
    };
    const compaction = new Compaction(parts.snapshot, parts.snapshotEveryEntries);
    const onProgress = (later: Instant): void => this.log.follow(later);
    const engine = new RaftEngine({ raft, outbox, courier: this.courier, compaction, onProgress });
    this.engine = engine;
    this.log = new DecisionLog({ engine, state, outbox, listeners });
    this.reads = new PaneReads(engine, state);
    this.watch = new PaneWatch(engine.status, parts.at);
    this.views = new Views(state, membership);
    this.returns = new Returns(state, membership, (command, at) => this.log.propose(command, () => {}, at));
    this.admissions = new Admissions(this.log, this.views, outbox);
    this.housekeeping = new Housekeeping(
      {
        state,
        propose: (command, at) => this.log.propose(command, () => {}, at),
        isReturning: (number) => this.returns.isTrying(number),
        reapAfterMs: parts.reapAfterMs,
      },
      parts.at.now,
    );
    this.notes = new Notes(this.log);
    this.voters = new Voters(raft, state);
  }

  /** Once the member is complete: what a snapshot says of the others stands before any entry. */
  begin(at: Instant): void {
    if (this.state.appliedIndex > 0) this.takeOver(at);
  }

  private takeOver(at: Instant): void {
    const { state } = this;
    takeOver(state, this.membership, at);
    this.signatures.restart(state.unsigned, undefined, at);
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
    if (this.housekeeping.take(at.now)) {
      this.admissions.expire(at);
      if (this.leads) this.housekeeping.lookRound(at);
    }
    this.followHealth(at);
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

  // — other things asked of the pane —

  /** Carries out what member `from` asked, as the leader. */
  ask(from: NodeNumber, ask: PaneAsk, then: Then<LogIndex>, at: Instant): void {
    // The leader itself may be convicted; whoever leads is there.
    const isOther = from !== this.self;
    if (isOther && ask.kind === 'return' && this.state.members.get(from)?.status === 'down') {
      then({ ok: false, error: this.returns.begin(from, ask.uptimeMs, at) }, at);
      return;
    }
    if (ask.kind === 'note') this.notes.write(from, ask, then, at);
    else this.decide(from, ask, then, at);
  }

  private decide(from: NodeNumber, ask: Exclude<PaneAsk, NoteAsk>, then: Then<LogIndex>, at: Instant): void {
    const command = this.commandFor(from, ask, at);
    if (command instanceof HivemindError || command === 'stands already') {
      then(command instanceof HivemindError ? { ok: false, error: command } : { ok: true, value: 0 }, at);
      return;
    }
    this.log.propose(command, (verdict, later) => then(decidedReply(verdict), later), at);
  }

  /** What stands already needs no entry: an answer was lost, and the same is asked again. */
  private commandFor(
    from: NodeNumber,
    ask: Exclude<PaneAsk, NoteAsk>,
    at: Instant,
  ): Command | 'stands already' | HivemindError {
    const dated = { at: at.wall };
    switch (ask.kind) {
      case 'remove':
        if (this.state.removed.has(ask.number)) return 'stands already';
        return this.voters.objectionToRemoval(ask.number) ?? removalOf(from, ask.number, at);
      case 'return':
        return this.returnOf(from, ask.incarnation, at);
      case 'create-token':
        if (ask.notAfter <= at.wall) {
          return new HivemindError('usage', 'A token must expire in the future; give --ttl a longer time.');
        }
        return this.state.tokens.has(toHex(ask.publicKey)) ? 'stands already' : { ...ask, ...dated };
      case 'revoke-token':
        return { ...ask, ...dated };
      case 'amend':
        return this.voters.amendmentFor(ask.change, at);
      case 'transfer':
        return this.handOver(ask.to, at);
      case 'release-brake':
        return { kind: 'release-brake', ...dated, until: at.wall + ask.forMs };
      default:
        return unreachable(ask);
    }
  }

  /** Needs no entry: the next leader's first one shows it. */
  private handOver(to: NodeNumber, at: Instant): 'stands already' | HivemindError {
    if (to === this.self) return 'stands already';
    const begun = this.engine.transfer(to, at);
    const sentence = begun.kind === 'refused' ? begun.reason : 'this control node does not lead';
    return begun.kind === 'begun' ? 'stands already' : new HivemindError('refused', `The lead stays: ${sentence}.`);
  }

  /** A return that cannot be is refused without an entry: whoever believes itself down for nothing asks often. */
  private returnOf(
    from: NodeNumber,
    incarnation: Incarnation,
    at: Instant,
  ): Command | 'stands already' | HivemindError {
    const member = this.state.members.get(from);
    if (member?.status === 'alive') {
      if (member.incarnation === incarnation) return 'stands already';
      return new HivemindError('refused', 'This member is not down; its view is to be corrected by the digest.');
    }
    return { kind: 'return', at: at.wall, number: from, incarnation };
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
    const target = this.membership.directory.target(number);
    if (target !== undefined && this.leavers.size < leaversMax) this.leavers.set(number, target);
    this.membership.remove(number, undefined, at);
  }

  /** The removed one is told by the pane itself: nobody else talks to it any more. */
  private onRemoved(number: NodeNumber, certificate: Uint8Array, at: Instant): void {
    this.signatures.settle(number);
    this.membership.remove(number, this.isReplay ? undefined : certificate, at);
    const target = this.leavers.get(number);
    this.leavers.delete(number);
    if (target !== undefined && !this.isReplay) this.outbox.post(target, { kind: 'removal', certificate });
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
    const record = directory.admit(certificate, at.wall, number);
    directory.declare([...this.state.declarations.values()]);
    if (record === undefined) return;
    if (member.locator !== undefined) directory.locate(member.locator);
    this.membership.learn(record, 'alive', incarnation, at);
    this.tell({ number, incarnation, status: 'alive' }, at);
    this.admissions.onAdmitted(number, certificate, at);
  }

  // — messages —

  onRaftDatagram(from: NodeNumber, datagram: RaftDatagram, at: Instant): void {
    if (this.courier.onDatagram(from, datagram, at)) this.engine.receive(from, datagram.message, at);
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

  status(): PaneStatus {
    const { role, term, commitIndex, lastIndex } = this.engine.raft;
    const { brakeReleasedUntil } = this.state;
    const brake = this.leads ? this.brake.status(this.jury.brake, brakeReleasedUntil) : undefined;
    return { number: this.self, role, term, commitIndex, lastIndex, health: this.watch.health, brake };
  }
}

function removalOf(from: NodeNumber, number: NodeNumber, at: Instant): Command {
  return { kind: 'begin-removal', at: at.wall, number, reason: number === from ? 'left' : 'removed' };
}
