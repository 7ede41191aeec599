/**
 * Raft (Ongaro, "Consensus: Bridging Theory and Practice", 2014) as a pure machine: calls go in with the time,
 * and what is to be written, sent and applied comes out as a `RaftReady`, which holds the order for its driver.
 *
 * Beyond the paper's core: pre-vote (§9.6) and a refusal to elect while a leader is heard (§4.2.3), so that a
 * voter that was cut off disturbs nobody on its return; check-quorum (§6.2), so that a leader without a
 * majority stops believing; and a leader whose disk hangs steps down, because it can agree but never apply.
 *
 * Where things are: `log` and `configuration` (who votes) are what every voter has; `election` is how it votes,
 * `replica` how it follows, `leadership` how it leads, with a `progress` for each follower; `reads` and
 * `snapshot-transfer` are what their names say. This file takes the calls, and passes the lead from one to the other.
 */
import { assert, unreachable } from '../assert.ts';
import type { LogIndex, MonotonicMs, NodeNumber, Term } from '../identity.ts';
import type { EntryKind, LogEntry, LogSnapshot } from '../seam/log-store.ts';
import { isPlausible } from './bounds.ts';
import { encodeConfiguration, isVoter, type RaftConfiguration } from './configuration.ts';
import { completed, type PlannedChange, planChange, type WantedConfiguration } from './configuration-change.ts';
import type { NotLeader, Proposed, RaftOptions, ReadBegun, Refused, TransferBegun } from './contract.ts';
import { Election, type RaftRole } from './election.ts';
import { Leadership } from './leadership.ts';
import { RaftLog } from './log.ts';
import type { AppendRequest, RaftMessage, SnapshotChunk } from './message.ts';
import { Reads } from './reads.ts';
import { type RaftReady, ReadyQueue } from './ready.ts';
import { Replica } from './replica.ts';
import type { RaftSettings } from './settings.ts';
import { snapshotBytesMax } from './snapshot-transfer.ts';

export type { Proposed, RaftOptions } from './contract.ts';
export type { RaftRole } from './election.ts';
export type { RaftReady, RaftWrite } from './ready.ts';
export { type RaftSettings, raftSettingsDefault } from './settings.ts';

/** One voter or learner. After every call its Readys want taking; see `RaftReady`. */
export class Raft {
  private readonly self: NodeNumber;
  private readonly settings: RaftSettings;
  private readonly log: RaftLog;
  private readonly reads: Reads = new Reads();
  private readonly ready: ReadyQueue;
  private readonly replica: Replica;
  private readonly election: Election;
  /** Present while this voter leads. */
  private leadership: Leadership | undefined;
  /** The time of the call that is being handled. */
  private now: MonotonicMs;
  private messagesDropped = 0;

  constructor(options: RaftOptions) {
    const { self, snapshot, entries, configuration, hardState, settings, random, now } = options;
    this.self = self;
    this.settings = settings;
    this.now = now;
    const log = new RaftLog({ snapshot, entries, configuration });
    log.commitTo(options.committed);
    const ready = new ReadyQueue(log, this.reads);
    const replica = new Replica(log, ready, options.quarantined ? 1 + random.below(2 ** 32 - 1) : 0);
    this.log = log;
    this.ready = ready;
    this.replica = replica;
    this.election = new Election({ self, hardState, log, ready, replica, settings, random, now });
  }

  /** Pre-candidates ask whether they would win; candidates stand. */
  get role(): RaftRole {
    return this.election.role;
  }

  /** The latest term that this voter knows of; it never falls, not even over a crash once it was spoken of. */
  get term(): Term {
    return this.election.term;
  }

  /** The leader of this term, if it is known. */
  get leader(): NodeNumber | undefined {
    return this.election.leader;
  }

  /** Known to be committed. What lies beyond must be shown to nobody. */
  get commitIndex(): LogIndex {
    return this.log.commitIndex;
  }

  /** The end of the log, uncommitted entries included; it falls when a leader replaces some. */
  get lastIndex(): LogIndex {
    return this.log.lastIndex;
  }

  /** The first entry that is held; those before it are in a snapshot. One beyond the last when there is none. */
  get firstIndex(): LogIndex {
    return this.log.firstIndex;
  }

  /** Who takes part, by the newest configuration of this log, committed or not. */
  get configuration(): RaftConfiguration {
    return this.log.configuration;
  }

  /** Whether this voter votes for nobody, because its disk lost entries; see `Replica`. */
  get isQuarantined(): boolean {
    return this.replica.isQuarantined;
  }

  /** Messages ignored since the start: implausible, of no use to this leader, or beyond a limit. */
  get dropped(): number {
    return this.messagesDropped + this.ready.dropped;
  }

  /** 0 before the first entry; nothing beyond the last, nor for what is forgotten. */
  termAt(index: LogIndex): Term | undefined {
    return this.log.termAt(index);
  }

  /** Who took part as of `index`, from the newest snapshot's on: what the next snapshot has to say. */
  configurationAt(index: LogIndex): RaftConfiguration {
    return this.log.configurations.at(index);
  }

  /** At most `most` entries from `index` (1 or more) on, uncommitted ones among them; none from before `firstIndex`. */
  entriesFrom(index: LogIndex, most: number): readonly LogEntry[] {
    return this.log.from(index, most);
  }

  /**
   * Is there a majority, as far as this voter can know? A leader: a majority answered what it sent within the
   * last election timeout. Others: a leader was heard within the last two, by when one without a majority has
   * stepped down.
   */
  quorum(now: MonotonicMs): { readonly healthy: boolean } {
    const { electionTimeoutMs } = this.settings;
    const { leaderHeardAt } = this.election;
    if (this.leadership !== undefined) return { healthy: now - this.leadership.majorityHeardAt <= electionTimeoutMs };
    return { healthy: leaderHeardAt !== undefined && now - leaderHeardAt <= 2 * electionTimeoutMs };
  }

  /** The time by which `tick` wants to be called; other calls may change it. */
  nextTickAt(): MonotonicMs {
    return this.leadership?.nextTickAt ?? this.election.nextTimeoutAt;
  }

  /** Does what is due: heartbeats, elections, stepping down. Calling it early or late does no harm. */
  tick(now: MonotonicMs): void {
    this.now = now;
    if (this.leadership !== undefined) this.tickLeader(this.leadership);
    else if (now >= this.election.nextTimeoutAt && this.election.onTimeout(now)) this.becomeLeader();
  }

  /**
   * Takes a message of another control node, authenticated by the caller. It need not be in this configuration, which
   * may be the older one. What cannot be is dropped and counted.
   */
  receive(from: NodeNumber, message: RaftMessage, now: MonotonicMs): void {
    this.now = now;
    if (from === this.self || !isPlausible(message)) {
      this.messagesDropped++;
      return;
    }
    if (message.term > this.term && this.election.isMovedBy(message, now)) {
      this.becomeFollower(message.term, undefined);
    }
    this.dispatch(from, message);
  }

  /**
   * Appends entries, all or none, to a leader's log. `accepted` is no promise: an entry counts when it comes
   * back in `committed` with the same index and term, and is lost when another term comes at its index.
   * Payloads are one or more and not empty.
   */
  propose(payloads: readonly Uint8Array[], now: MonotonicMs): Proposed {
    assert(payloads.length > 0 && payloads.every(({ length }) => length > 0), 'a proposal has content');
    this.now = now;
    if (this.leadership === undefined) return this.notLeader();
    return this.tryAppend(this.leadership, 'command', payloads);
  }

  /**
   * Asks for a read that sees everything decided before it (ReadIndex, §6.4). A Ready names its id in `reads` when the
   * state, with that Ready's `committed` applied, may be read; or in `readsFailed` when the lead was lost meanwhile.
   */
  read(now: MonotonicMs): ReadBegun {
    this.now = now;
    const { leadership } = this;
    if (leadership === undefined) return this.notLeader();
    if (this.reads.isFull) return { kind: 'busy' };
    const round = leadership.confirmingRound(now);
    // A leader's commit index may be behind what its predecessors committed, until its own opening is committed.
    const id = this.reads.open(Math.max(this.commitIndex, leadership.openingIndex), round);
    this.reads.confirm(leadership.confirmedRound);
    return { kind: 'pending', id };
  }

  /**
   * Begins a change of who takes part, as a leader. A new voter has to have been a learner that has caught up. The
   * change is complete when a `configuration` entry without outgoing voters comes in `committed`; the joint one
   * before it, which `accepted` names, is followed by that one by itself, under whichever leader.
   */
  changeConfiguration(wanted: WantedConfiguration, now: MonotonicMs): Proposed | Refused {
    this.now = now;
    const { leadership } = this;
    if (leadership === undefined) return this.notLeader();
    const planned = this.planned(wanted, leadership);
    if (planned.kind === 'refused') return planned;
    return this.tryAppend(leadership, 'configuration', [encodeConfiguration(planned.configuration)]);
  }

  /** Why such a change would be refused now, as the end of a sentence; nothing when it could begin. */
  objectionTo(wanted: WantedConfiguration, now: MonotonicMs): string | undefined {
    this.now = now;
    if (this.leadership === undefined) return 'this control node does not lead';
    const planned = this.planned(wanted, this.leadership);
    return planned.kind === 'refused' ? planned.reason : undefined;
  }

  private planned(wanted: WantedConfiguration, leadership: Leadership): PlannedChange {
    return planChange(wanted, {
      self: this.self,
      configuration: this.configuration,
      isSettled: this.commitIndex >= Math.max(this.log.configurations.newestIndex, leadership.openingIndex),
      lastIndex: this.lastIndex,
      matchIndex: (follower) => leadership.reachedBy(follower, this.now),
    });
  }

  /**
   * Hands the lead to a voter (§3.10): takes no proposals, brings it up to date and has it elected at once, without
   * the wait for an election timeout. It gives up after one.
   */
  transfer(to: NodeNumber, now: MonotonicMs): TransferBegun {
    this.now = now;
    const { leadership } = this;
    if (leadership === undefined) return this.notLeader();

    if (leadership.isHandingOver) return { kind: 'refused', reason: 'the lead is being handed over already' };
    if (to === this.self) return { kind: 'refused', reason: `number ${to} leads already` };
    if (!this.configuration.voters.includes(to)) return { kind: 'refused', reason: `number ${to} is no voter` };
    leadership.handOver(to, now);
    return { kind: 'begun', to };
  }

  /** The same to whichever voter is fittest: for a leader whose machine falls behind, or which is told to stop. */
  handOver(now: MonotonicMs): TransferBegun {
    const { leadership } = this;
    if (leadership === undefined) return this.notLeader();
    const to = leadership.bestSuccessor(now);
    return to === undefined ? { kind: 'refused', reason: 'no other voter answers' } : this.transfer(to, now);
  }

  /**
   * This snapshot of what came as `committed` is durable: entries below `keepFrom`, at most its index + 1, are
   * forgotten here. The machine keeps the newest snapshot, for followers that lack what is forgotten; its state has at
   * most 256 MiB.
   */
  compact(snapshot: LogSnapshot, keepFrom: LogIndex): void {
    assert(snapshot.state.length <= snapshotBytesMax, 'a snapshot can be sent to a follower');
    this.log.compact(snapshot, keepFrom);
  }

  /** What is to be done now, or nothing; the contract is `RaftReady`'s. */
  takeReady(): RaftReady | undefined {
    return this.ready.take(this.now);
  }

  /** The write with this id is durable. */
  persisted(writeId: number, now: MonotonicMs): void {
    this.now = now;
    this.ready.onPersisted(writeId);
    this.advance();
  }

  private dispatch(from: NodeNumber, message: RaftMessage): void {
    const { election, now } = this;
    switch (message.kind) {
      case 'pre-vote-request':
        election.onPreVoteRequest(from, message, now);
        break;
      case 'pre-vote-answer':
        if (election.onPreVoteAnswer(from, message, now)) this.becomeLeader();
        break;
      case 'vote-request':
        election.onVoteRequest(from, message, now);
        break;
      case 'vote-answer':
        if (election.onVoteAnswer(from, message)) this.becomeLeader();
        break;
      case 'time-out-now':
        if (election.onTimeOutNow(from, message, now)) this.becomeLeader();
        break;
      case 'append-request':
        this.onAppendRequest(from, message);
        break;
      case 'snapshot-chunk':
        this.onSnapshotChunk(from, message);
        break;
      case 'append-answer':
        this.onFollowerAnswer(message, (leadership) => leadership.onAppendAnswer(from, message, now));
        break;
      case 'snapshot-answer':
        this.onFollowerAnswer(message, (leadership) => leadership.onSnapshotAnswer(from, message, now));
        break;
      default:
        unreachable(message);
    }
  }

  private tickLeader(leadership: Leadership): void {
    const hasMajority = this.now - leadership.majorityHeardAt <= this.settings.electionTimeoutMs;
    if (!hasMajority || this.election.diskHangs(this.now)) this.becomeFollower(this.term, undefined);
    else leadership.tick(this.now);
    this.advance();
  }

  private onAppendRequest(from: NodeNumber, request: AppendRequest): void {
    const { term, lastIndex: matchIndex } = this;
    // The round is of another term than this answer: echoed, it could be taken for one of a later leadership.
    const refusal = { kind: 'append-answer', accepted: false, matchIndex, round: 0, lostLog: 0 } as const;
    if (request.term < term) this.ready.promise(from, { ...refusal, term });
    else if (!this.election.believes(from, request.term) || this.replica.contradicts(request)) this.messagesDropped++;
    else {
      this.becomeFollower(request.term, from);
      this.ready.promise(from, this.replica.onAppend(request));
    }
  }

  private onSnapshotChunk(from: NodeNumber, chunk: SnapshotChunk): void {
    const { term } = this;
    const refusal = { kind: 'snapshot-answer', round: 0, index: 0, offset: 0, done: false, lostLog: 0 } as const;
    if (chunk.term < term) this.ready.promise(from, { ...refusal, term });
    else if (!this.election.believes(from, chunk.term)) this.messagesDropped++;
    else {
      this.becomeFollower(chunk.term, from);
      this.ready.promise(from, { ...this.replica.onChunk(chunk), term: this.term });
    }
  }

  private onFollowerAnswer(answer: { readonly term: Term }, take: (leadership: Leadership) => boolean): void {
    if (this.leadership === undefined || answer.term !== this.term) return;
    if (take(this.leadership)) this.advance();
    else this.messagesDropped++;
  }

  private becomeFollower(term: Term, leader: NodeNumber | undefined): void {
    if (this.leadership !== undefined) this.reads.fail();
    this.leadership = undefined;
    this.election.follow(term, leader, this.now);
  }

  private becomeLeader(): void {
    this.election.lead();
    this.appendOwn('opening', [new Uint8Array(0)]);
    const { self, log, ready, settings, term, now } = this;
    this.leadership = new Leadership({ self, term, log, ready, settings, now });
    this.leadership.beat(now);
  }

  private tryAppend(leadership: Leadership, kind: EntryKind, payloads: readonly Uint8Array[]): Proposed {
    if (leadership.isHandingOver || !this.hasRoomFor(payloads)) return { kind: 'busy' };
    const firstIndex = this.lastIndex + 1;
    this.appendOwn(kind, payloads);
    if (kind === 'configuration') leadership.followConfiguration(this.now);
    leadership.replicate();
    return { kind: 'accepted', firstIndex, lastIndex: this.lastIndex, term: this.term };
  }

  private appendOwn(kind: EntryKind, payloads: readonly Uint8Array[]): void {
    const { lastIndex, term } = this;
    this.log.append(payloads.map((payload, position) => ({ index: lastIndex + 1 + position, term, kind, payload })));
  }

  private hasRoomFor(payloads: readonly Uint8Array[]): boolean {
    const entries = this.lastIndex - this.commitIndex + payloads.length;
    const bytes = payloads.reduce((sum, { length }) => sum + length, this.log.uncommittedBytes);
    return entries <= this.settings.uncommittedEntriesMax && bytes <= this.settings.uncommittedBytesMax;
  }

  /** A leader learned something, or its disk did: what may be committed, read and completed by now? */
  private advance(): void {
    const { leadership } = this;
    if (leadership === undefined) return;
    this.reads.confirm(leadership.confirmedRound);
    const { agreedIndex } = leadership;
    // Only an entry of this term is committed by counting; it takes all before it along. An older one on a
    // majority may yet be replaced (§3.6.2 and figure 3.7).
    if (agreedIndex <= this.commitIndex || this.log.termAt(agreedIndex) !== this.term) return;
    this.log.commitTo(agreedIndex);
    leadership.announceCommit(this.now);
    this.settleConfiguration(leadership);
  }

  /** After a committed joint configuration comes the one it leads to; whom that leaves out leads no more (§4.2.2). */
  private settleConfiguration(leadership: Leadership): void {
    if (this.log.configurations.newestIndex > this.commitIndex) return;
    if (this.configuration.outgoing.length > 0) {
      this.appendOwn('configuration', [encodeConfiguration(completed(this.configuration))]);
      leadership.followConfiguration(this.now);
      leadership.replicate();
    } else if (!isVoter(this.configuration, this.self)) {
      leadership.bequeath(this.now);
      this.becomeFollower(this.term, undefined);
    }
  }

  private notLeader(): NotLeader {
    return { kind: 'not-leader', ...(this.leader === undefined ? {} : { leader: this.leader }) };
  }
}
