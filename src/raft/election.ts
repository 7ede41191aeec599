import { unreachable } from '../assert.ts';
import type { MonotonicMs, NodeNumber, Term } from '../identity.ts';
import type { HardState } from '../seam/log-store.ts';
import type { Random } from '../seam/random.ts';
import { counterMax } from './bounds.ts';
import { isVoter } from './configuration.ts';
import type { RaftLog } from './log.ts';
import type { PreVoteAnswer, PreVoteRequest, RaftMessage, TimeOutNow, VoteAnswer, VoteRequest } from './message.ts';
import { hasMajority } from './quorum.ts';
import type { ReadyQueue } from './ready.ts';
import type { Replica } from './replica.ts';
import type { RaftSettings } from './settings.ts';

export interface ElectionOptions {
  readonly self: NodeNumber;
  readonly hardState: HardState;
  readonly log: RaftLog;
  readonly ready: ReadyQueue;
  readonly replica: Replica;
  readonly settings: RaftSettings;
  readonly random: Random;
  readonly now: MonotonicMs;
}

export type RaftRole = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

/** Candidates, asking or standing, count who said yes, themselves to begin with. */
type Standing =
  | { readonly role: 'follower'; readonly leader: NodeNumber | undefined }
  | { readonly role: 'pre-candidate' | 'candidate'; readonly grants: Set<NodeNumber> }
  | { readonly role: 'leader' };

/** One voter's term, its one vote in it, and what it knows of who leads: how it votes, and when it stands itself. */
export class Election {
  private readonly self: NodeNumber;
  private readonly log: RaftLog;
  private readonly ready: ReadyQueue;
  private readonly replica: Replica;
  private readonly settings: RaftSettings;
  private readonly random: Random;
  private hardState: HardState;
  private standing: Standing = { role: 'follower', leader: undefined };
  private timeoutAt: MonotonicMs;
  private heardAt: MonotonicMs | undefined;

  constructor(options: ElectionOptions) {
    this.self = options.self;
    this.log = options.log;
    this.ready = options.ready;
    this.replica = options.replica;
    this.settings = options.settings;
    this.random = options.random;
    this.hardState = options.hardState;
    const isAlone = isVoter(this.log.configuration, this.self) && this.otherVoters().length === 0;
    this.timeoutAt = isAlone ? options.now : this.drawTimeoutAt(options.now);
  }

  get role(): RaftRole {
    return this.standing.role;
  }

  get term(): Term {
    return this.hardState.term;
  }

  get leader(): NodeNumber | undefined {
    if (this.standing.role === 'leader') return this.self;
    return this.standing.role === 'follower' ? this.standing.leader : undefined;
  }

  /** When patience with a silent leader ends. */
  get nextTimeoutAt(): MonotonicMs {
    return this.timeoutAt;
  }

  /** When another leader was heard last; nothing since this voter led itself. */
  get leaderHeardAt(): MonotonicMs | undefined {
    return this.heardAt;
  }

  /** A write has taken longer than an election would. */
  diskHangs(now: MonotonicMs): boolean {
    const since = this.ready.writingSince;
    return since !== undefined && now - since > this.settings.electionTimeoutMs;
  }

  /** Follows in this term, or a later one, whom it knows to lead it. */
  follow(term: Term, leader: NodeNumber | undefined, now: MonotonicMs): void {
    if (term > this.term) this.save({ term, votedFor: 0 });
    this.standing = { role: 'follower', leader };
    this.timeoutAt = this.drawTimeoutAt(now);
    if (leader !== undefined) this.heardAt = now;
  }

  /** The election is won, as `onTimeout` or an answer said. */
  lead(): void {
    this.standing = { role: 'leader' };
    this.heardAt = undefined;
  }

  /** One term has one leader; a second one is not believed. */
  believes(leader: NodeNumber, term: Term): boolean {
    return term > this.term || (this.leader ?? leader) === leader;
  }

  /** Does a message of a higher term make that term ours? */
  isMovedBy(message: RaftMessage, now: MonotonicMs): boolean {
    switch (message.kind) {
      case 'pre-vote-request':
      case 'time-out-now':
        return false;
      case 'pre-vote-answer':
        return !message.granted;
      case 'vote-request':
        return message.isTransfer || !this.hearsLeader(now);
      case 'vote-answer':
      case 'append-request':
      case 'append-answer':
      case 'snapshot-chunk':
      case 'snapshot-answer':
        return true;
      default:
        return unreachable(message);
    }
  }

  /** Asks whether it would win. True when it has won, with nobody else to ask; so do all that follow. */
  onTimeout(now: MonotonicMs): boolean {
    this.timeoutAt = this.drawTimeoutAt(now);
    if (!this.mayStand(now)) return false;
    this.standing = { role: 'pre-candidate', grants: new Set() };
    for (const to of this.otherVoters()) {
      this.ready.send(to, { kind: 'pre-vote-request', term: this.term + 1, ...this.logEnd() });
    }
    return this.countPreVote(this.self, now);
  }

  onPreVoteRequest(from: NodeNumber, request: PreVoteRequest, now: MonotonicMs): void {
    const granted = request.term > this.term && !this.hearsLeader(now) && this.mayElect(request);
    this.ready.send(from, { kind: 'pre-vote-answer', term: granted ? request.term : this.term, granted });
  }

  onPreVoteAnswer(from: NodeNumber, answer: PreVoteAnswer, now: MonotonicMs): boolean {
    return answer.granted && answer.term === this.term + 1 && this.countPreVote(from, now);
  }

  onVoteRequest(from: NodeNumber, request: VoteRequest, now: MonotonicMs): void {
    // Its term is above ours only while we hear a leader: then it is as if the request had been lost.
    if (request.term > this.term) return;
    const { votedFor } = this.hardState;
    const isFree = votedFor === 0 || votedFor === from;
    const granted = request.term === this.term && isFree && this.mayElect(request);
    if (granted) {
      this.save({ term: this.term, votedFor: from });
      this.timeoutAt = this.drawTimeoutAt(now);
    }
    this.ready.promise(from, { kind: 'vote-answer', term: this.term, granted });
  }

  onVoteAnswer(from: NodeNumber, answer: VoteAnswer): boolean {
    return answer.granted && answer.term === this.term && this.countVote(from);
  }

  onTimeOutNow(from: NodeNumber, request: TimeOutNow, now: MonotonicMs): boolean {
    const isLeaders = this.standing.role === 'follower' && this.leader === from && request.term === this.term;
    return isLeaders && this.mayStand(now) && this.stand(true, now);
  }

  private stand(isTransfer: boolean, now: MonotonicMs): boolean {
    this.save({ term: this.term + 1, votedFor: this.self });
    this.standing = { role: 'candidate', grants: new Set() };
    this.timeoutAt = this.drawTimeoutAt(now);
    // A lone voter leads at once: nobody hears of its term before that is durable (`ReadyQueue.speak`).
    if (this.countVote(this.self)) return true;
    for (const to of this.otherVoters()) {
      this.ready.promise(to, { kind: 'vote-request', term: this.term, ...this.logEnd(), isTransfer });
    }
    return false;
  }

  private countPreVote(from: NodeNumber, now: MonotonicMs): boolean {
    if (this.standing.role !== 'pre-candidate') return false;
    this.standing.grants.add(from);
    return hasMajority(this.log.configuration, this.standing.grants) && this.stand(false, now);
  }

  private countVote(from: NodeNumber): boolean {
    if (this.standing.role !== 'candidate') return false;
    this.standing.grants.add(from);
    return hasMajority(this.log.configuration, this.standing.grants);
  }

  /** Who takes no part, or may lack what it acknowledged, or cannot write, is no candidate. */
  private mayStand(now: MonotonicMs): boolean {
    return this.takesPart() && !this.replica.isQuarantined && !this.diskHangs(now) && this.term < counterMax;
  }

  /**
   * Whoever the newest configuration leaves out may be needed still (§4.2.2), as long as it may be uncommitted: with
   * that entry its log may be newer than those of the voters to come, who then cannot be elected, but can elect it.
   */
  private takesPart(): boolean {
    const { configuration, configurations, commitIndex } = this.log;
    return isVoter(configuration, this.self) || isVoter(configurations.at(commitIndex), this.self);
  }

  /** Whoever asks gets an answer, voter or not: the configuration that makes us one may not have reached us yet. */
  private mayElect({ lastTerm, lastIndex }: PreVoteRequest | VoteRequest): boolean {
    return !this.replica.isQuarantined && this.log.isNoNewerThan(lastTerm, lastIndex);
  }

  /** A leader that lives, as far as we know: ourselves, or one heard within an election timeout. */
  private hearsLeader(now: MonotonicMs): boolean {
    if (this.leader === undefined) return false;
    return this.role === 'leader' || now - (this.heardAt ?? -Infinity) < this.settings.electionTimeoutMs;
  }

  private otherVoters(): readonly NodeNumber[] {
    const { voters, outgoing } = this.log.configuration;
    return [...new Set([...voters, ...outgoing])].filter((voter) => voter !== this.self);
  }

  private logEnd(): Pick<VoteRequest, 'lastIndex' | 'lastTerm'> {
    return { lastIndex: this.log.lastIndex, lastTerm: this.log.lastTerm };
  }

  private drawTimeoutAt(now: MonotonicMs): MonotonicMs {
    return now + this.settings.electionTimeoutMs * (1 + this.random.next());
  }

  private save(hardState: HardState): void {
    this.hardState = hardState;
    this.ready.save(hardState);
  }
}
