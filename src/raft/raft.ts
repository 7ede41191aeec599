/**
 * Raft (Ongaro, "Consensus: Bridging Theory and Practice", 2014) as a pure machine: calls go in with the time,
 * and what is to be written, sent and applied comes out as a `RaftReady`, which holds the order for its driver.
 *
 * Beyond the paper's core: pre-vote (§9.6) and a refusal to elect while a leader is heard (§4.2.3), so that a
 * voter that was cut off disturbs nobody on its return; check-quorum (§6.2), so that a leader without a
 * majority stops believing; and a leader whose disk hangs steps down, because it can agree but never apply.
 */
import { assert, unreachable } from '../assert.ts';
import type { LogIndex, MonotonicMs, NodeNumber, Term } from '../identity.ts';
import type { EntryKind, HardState, LogEntry } from '../seam/log-store.ts';
import type { Random } from '../seam/random.ts';
import { counterMax, isPlausible } from './bounds.ts';
import { Leadership } from './leadership.ts';
import { RaftLog } from './log.ts';
import type {
  AppendAnswer,
  AppendRequest,
  PreVoteAnswer,
  PreVoteRequest,
  RaftMessage,
  VoteAnswer,
  VoteRequest,
} from './message.ts';
import { quorumSize } from './quorum.ts';
import { type RaftReady, ReadyQueue } from './ready.ts';
import type { RaftSettings } from './settings.ts';

export type { RaftReady, RaftWrite } from './ready.ts';
export { type RaftSettings, raftSettingsDefault } from './settings.ts';

export type RaftRole = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

export interface RaftOptions {
  readonly self: NodeNumber;
  /** All voters, `self` among them. */
  readonly voters: readonly NodeNumber[];
  readonly settings: RaftSettings;
  readonly random: Random;
  /** What the disk holds: term and vote, and the whole log from index 1. */
  readonly hardState: HardState;
  readonly entries: readonly LogEntry[];
  /**
   * Entries up to here are known to be committed from an earlier run, so that a voter that starts without a
   * quorum can still serve what was decided. 0 when nothing is known; at most the last entry's index.
   */
  readonly committed: LogIndex;
  readonly now: MonotonicMs;
}

/** `busy`: the leader holds as much uncommitted as it may; ask again after a commit. */
export type Proposed =
  | { readonly kind: 'accepted'; readonly firstIndex: LogIndex; readonly lastIndex: LogIndex; readonly term: Term }
  | { readonly kind: 'not-leader'; readonly leader?: NodeNumber }
  | { readonly kind: 'busy' };

type Standing =
  | { readonly role: 'follower'; readonly leader: NodeNumber | undefined }
  | { readonly role: 'pre-candidate' | 'candidate'; readonly grants: Set<NodeNumber> }
  | { readonly role: 'leader'; readonly leadership: Leadership };

/** One voter. After every call its Readys want taking; see `RaftReady`. */
export class Raft {
  private readonly self: NodeNumber;
  private readonly others: readonly NodeNumber[];
  private readonly settings: RaftSettings;
  private readonly random: Random;
  private readonly log: RaftLog;
  private readonly ready: ReadyQueue;
  private hardState: HardState;
  private standing: Standing = { role: 'follower', leader: undefined };
  /** The time of the call that is being handled. */
  private now: MonotonicMs;
  private electionAt: MonotonicMs;
  private leaderHeardAt: MonotonicMs | undefined;
  private messagesDropped = 0;

  constructor(options: RaftOptions) {
    assert(options.voters.includes(options.self), 'a raft machine runs on a voter');
    this.self = options.self;
    this.others = options.voters.filter((voter) => voter !== options.self);
    this.settings = options.settings;
    this.random = options.random;
    this.hardState = options.hardState;
    this.log = new RaftLog(options.entries);
    this.log.commitTo(options.committed);
    this.ready = new ReadyQueue(this.log);
    this.now = options.now;
    this.electionAt = this.others.length === 0 ? this.now : this.drawElectionAt();
  }

  /** Pre-candidates ask whether they would win; candidates stand. */
  get role(): RaftRole {
    return this.standing.role;
  }

  /** The latest term that this voter knows of; it never falls, not even over a crash once it was spoken of. */
  get term(): Term {
    return this.hardState.term;
  }

  /** The leader of this term, if it is known. */
  get leader(): NodeNumber | undefined {
    if (this.standing.role === 'leader') return this.self;
    return this.standing.role === 'follower' ? this.standing.leader : undefined;
  }

  /** Known to be committed. What lies beyond must be shown to nobody. */
  get commitIndex(): LogIndex {
    return this.log.commitIndex;
  }

  /** The end of the log, uncommitted entries included; it falls when a leader replaces some. */
  get lastIndex(): LogIndex {
    return this.log.lastIndex;
  }

  /** Messages ignored since the start: from strangers, implausible, or beyond a limit. */
  get dropped(): number {
    return this.messagesDropped + this.ready.dropped;
  }

  /** 0 before the first entry, nothing beyond the last. */
  termAt(index: LogIndex): Term | undefined {
    return this.log.termAt(index);
  }

  /** At most `most` entries from `index` (1 or more) on, uncommitted ones among them. */
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
    if (this.standing.role === 'leader') {
      return { healthy: now - this.standing.leadership.majorityHeardAt <= electionTimeoutMs };
    }
    return { healthy: this.leaderHeardAt !== undefined && now - this.leaderHeardAt <= 2 * electionTimeoutMs };
  }

  /** The time by which `tick` wants to be called; other calls may change it. */
  nextTickAt(): MonotonicMs {
    return this.standing.role === 'leader' ? this.standing.leadership.nextBeatAt : this.electionAt;
  }

  /** Does what is due: heartbeats, elections, stepping down. Calling it early or late does no harm. */
  tick(now: MonotonicMs): void {
    this.now = now;
    if (this.standing.role === 'leader') this.tickLeader(this.standing.leadership);
    else if (now >= this.electionAt) this.onElectionTimeout();
  }

  /** Takes a message of another voter, authenticated by the caller. What cannot be is dropped and counted. */
  receive(from: NodeNumber, message: RaftMessage, now: MonotonicMs): void {
    this.now = now;
    if (!this.others.includes(from) || !isPlausible(message)) {
      this.messagesDropped++;
      return;
    }
    if (message.term > this.term && this.isMovedBy(message)) this.becomeFollower(message.term, undefined);
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
    if (this.standing.role !== 'leader') {
      return { kind: 'not-leader', ...(this.leader === undefined ? {} : { leader: this.leader }) };
    }
    if (!this.hasRoomFor(payloads)) return { kind: 'busy' };
    const firstIndex = this.lastIndex + 1;
    this.appendOwn('command', payloads);
    this.standing.leadership.replicate();
    return { kind: 'accepted', firstIndex, lastIndex: this.lastIndex, term: this.term };
  }

  /** What is to be done now, or nothing; the contract is `RaftReady`'s. */
  takeReady(): RaftReady | undefined {
    return this.ready.take(this.now);
  }

  /** The write with this id is durable. */
  persisted(writeId: number, now: MonotonicMs): void {
    this.now = now;
    this.ready.onPersisted(writeId);
    this.advanceCommit();
  }

  private dispatch(from: NodeNumber, message: RaftMessage): void {
    switch (message.kind) {
      case 'pre-vote-request':
        this.onPreVoteRequest(from, message);
        break;
      case 'pre-vote-answer':
        this.onPreVoteAnswer(from, message);
        break;
      case 'vote-request':
        this.onVoteRequest(from, message);
        break;
      case 'vote-answer':
        this.onVoteAnswer(from, message);
        break;
      case 'append-request':
        this.onAppendRequest(from, message);
        break;
      case 'append-answer':
        this.onAppendAnswer(from, message);
        break;
      default:
        unreachable(message);
    }
  }

  private tickLeader(leadership: Leadership): void {
    const hasMajority = this.now - leadership.majorityHeardAt <= this.settings.electionTimeoutMs;
    if (!hasMajority || this.diskHangs()) this.becomeFollower(this.term, undefined);
    else if (this.now >= leadership.nextBeatAt) leadership.beat(this.now);
  }

  private onElectionTimeout(): void {
    this.electionAt = this.drawElectionAt();
    if (this.diskHangs() || this.term >= counterMax) return;
    this.standing = { role: 'pre-candidate', grants: new Set([this.self]) };
    const position = { lastIndex: this.log.lastIndex, lastTerm: this.log.lastTerm };
    for (const to of this.others) this.ready.send(to, { kind: 'pre-vote-request', term: this.term + 1, ...position });
    if (this.isMajority(this.standing.grants)) this.becomeCandidate();
  }

  /** Does a message of a higher term make that term ours? */
  private isMovedBy(message: RaftMessage): boolean {
    switch (message.kind) {
      case 'pre-vote-request':
        return false;
      case 'pre-vote-answer':
        return !message.granted;
      case 'vote-request':
        return !this.hearsLeader();
      case 'vote-answer':
      case 'append-request':
      case 'append-answer':
        return true;
      default:
        return unreachable(message);
    }
  }

  private onPreVoteRequest(from: NodeNumber, request: PreVoteRequest): void {
    const granted =
      request.term > this.term && !this.hearsLeader() && this.log.isNoNewerThan(request.lastTerm, request.lastIndex);
    this.ready.send(from, { kind: 'pre-vote-answer', term: granted ? request.term : this.term, granted });
  }

  private onPreVoteAnswer(from: NodeNumber, answer: PreVoteAnswer): void {
    if (this.standing.role !== 'pre-candidate' || !answer.granted || answer.term !== this.term + 1) return;
    this.standing.grants.add(from);
    if (this.isMajority(this.standing.grants)) this.becomeCandidate();
  }

  private onVoteRequest(from: NodeNumber, request: VoteRequest): void {
    // Its term is above ours only while we hear a leader: then it is as if the request had been lost.
    if (request.term > this.term) return;
    const { votedFor } = this.hardState;
    const isFree = votedFor === 0 || votedFor === from;
    const granted = request.term === this.term && isFree && this.log.isNoNewerThan(request.lastTerm, request.lastIndex);
    if (granted) {
      this.save({ term: this.term, votedFor: from });
      this.electionAt = this.drawElectionAt();
    }
    this.ready.promise(from, { kind: 'vote-answer', term: this.term, granted });
  }

  private onVoteAnswer(from: NodeNumber, answer: VoteAnswer): void {
    if (this.standing.role !== 'candidate' || !answer.granted || answer.term !== this.term) return;
    this.standing.grants.add(from);
    if (this.isMajority(this.standing.grants)) this.becomeLeader();
  }

  private onAppendRequest(from: NodeNumber, request: AppendRequest): void {
    if (request.term < this.term) {
      // The round is of another term than this answer: echoed, it could be taken for one of a later leadership.
      this.answerAppend(from, { accepted: false, matchIndex: this.lastIndex, round: 0 });
      return;
    }
    const conflict = this.log.conflictWith(request.entries);
    const contradicts = conflict !== undefined && conflict <= this.commitIndex;
    if ((this.leader ?? from) !== from || contradicts) {
      this.messagesDropped++;
      return;
    }
    this.becomeFollower(request.term, from);
    this.leaderHeardAt = this.now;
    const { previousIndex, previousTerm, round } = request;
    if (this.log.termAt(previousIndex) !== previousTerm) {
      const matchIndex = this.log.backOff(previousIndex, previousTerm);
      this.answerAppend(from, { accepted: false, matchIndex, round });
      return;
    }
    this.log.merge(request.entries);
    const matchIndex = previousIndex + request.entries.length;
    this.log.commitTo(Math.min(request.commitIndex, matchIndex));
    this.answerAppend(from, { accepted: true, matchIndex, round });
  }

  private onAppendAnswer(from: NodeNumber, answer: AppendAnswer): void {
    if (this.standing.role !== 'leader' || answer.term !== this.term) return;
    if (this.standing.leadership.onAnswer(from, answer)) this.advanceCommit();
    else this.messagesDropped++;
  }

  private answerAppend(to: NodeNumber, answer: Omit<AppendAnswer, 'kind' | 'term'>): void {
    this.ready.promise(to, { kind: 'append-answer', term: this.term, ...answer });
  }

  private becomeFollower(term: Term, leader: NodeNumber | undefined): void {
    if (term > this.term) this.save({ term, votedFor: 0 });
    this.standing = { role: 'follower', leader };
    this.electionAt = this.drawElectionAt();
  }

  private becomeCandidate(): void {
    this.save({ term: this.term + 1, votedFor: this.self });
    this.standing = { role: 'candidate', grants: new Set([this.self]) };
    this.electionAt = this.drawElectionAt();
    if (this.isMajority(this.standing.grants)) {
      this.becomeLeader();
      return;
    }
    const position = { lastIndex: this.log.lastIndex, lastTerm: this.log.lastTerm };
    for (const to of this.others) this.ready.promise(to, { kind: 'vote-request', term: this.term, ...position });
  }

  private becomeLeader(): void {
    const { log, ready, settings, term, now } = this;
    const leadership = new Leadership({ term, followers: this.others, log, ready, settings, now });
    this.standing = { role: 'leader', leadership };
    this.leaderHeardAt = undefined;
    this.appendOwn('opening', [new Uint8Array(0)]);
    leadership.beat(now);
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

  /**
   * Only an entry of this term is committed by counting; it takes all before it along. An older one on a
   * majority may yet be replaced (§3.6.2 and figure 3.7).
   */
  private advanceCommit(): void {
    if (this.standing.role !== 'leader') return;
    const { agreedIndex } = this.standing.leadership;
    if (agreedIndex <= this.commitIndex || this.log.termAt(agreedIndex) !== this.term) return;
    this.log.commitTo(agreedIndex);
    this.standing.leadership.announceCommit();
  }

  private isMajority(grants: ReadonlySet<NodeNumber>): boolean {
    return grants.size >= quorumSize(this.others.length + 1);
  }

  /** A leader that lives, as far as we know: ourselves, or one heard within an election timeout. */
  private hearsLeader(): boolean {
    if (this.leader === undefined) return false;
    return this.role === 'leader' || this.now - (this.leaderHeardAt ?? -Infinity) < this.settings.electionTimeoutMs;
  }

  /** A write has taken longer than an election would. */
  private diskHangs(): boolean {
    const since = this.ready.writingSince;
    return since !== undefined && this.now - since > this.settings.electionTimeoutMs;
  }

  private drawElectionAt(): MonotonicMs {
    return this.now + this.settings.electionTimeoutMs * (1 + this.random.next());
  }

  private save(hardState: HardState): void {
    this.hardState = hardState;
    this.ready.save(hardState);
  }
}
