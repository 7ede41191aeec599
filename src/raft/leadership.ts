import type { LogIndex, MonotonicMs, NodeNumber, Term } from '../identity.ts';
import type { LogSnapshot } from '../seam/log-store.ts';
import { participants } from './configuration.ts';
import type { RaftLog } from './log.ts';
import type { AppendAnswer, SnapshotAnswer } from './message.ts';
import { Progress } from './progress.ts';
import { agreedIn } from './quorum.ts';
import type { ReadyQueue } from './ready.ts';
import type { RaftSettings } from './settings.ts';
import { OutgoingSnapshot } from './snapshot-transfer.ts';

export interface LeadershipOptions {
  readonly self: NodeNumber;
  readonly term: Term;
  /** With this term's opening as its last entry. */
  readonly log: RaftLog;
  readonly ready: ReadyQueue;
  readonly settings: RaftSettings;
  readonly now: MonotonicMs;
}

/** The lead on its way to somebody else (§3.10). */
interface Transfer {
  readonly to: NodeNumber;
  readonly until: MonotonicMs;
  /** The successor was told since the last heartbeat. */
  isTold: boolean;
}

/**
 * What a leader keeps for its one term: replication to each follower, and whether a majority still hears it.
 *
 * Each heartbeat opens a *round*, and answers echo the round of their request. So a majority is known to have
 * heard this leader at the time when the newest round that a majority has answered was **sent**; an answer
 * that was long on its way proves nothing about now.
 */
export class Leadership {
  /** This term's first entry: before it is committed nobody knows what of the earlier terms is (§6.4). */
  readonly openingIndex: LogIndex;
  private readonly self: NodeNumber;
  private readonly term: Term;
  private readonly log: RaftLog;
  private readonly ready: ReadyQueue;
  private readonly settings: RaftSettings;
  private followers: ReadonlyMap<NodeNumber, Progress> = new Map();
  private round = 0;
  private answeredRound = 0;
  /** Rounds that no majority has answered; a leader that keeps too many steps down, which bounds them. */
  private readonly openRounds: { readonly round: number; readonly sentAt: MonotonicMs }[] = [];
  /** A read waits for a round that begins when the open ones are answered. */
  private wantsRound = false;
  private majorityAt: MonotonicMs;
  private beatAt: MonotonicMs;
  /** When a new commit index is told that no append has carried. */
  private announceAt: MonotonicMs = Number.POSITIVE_INFINITY;
  private transfer: Transfer | undefined;

  constructor(options: LeadershipOptions) {
    this.self = options.self;
    this.term = options.term;
    this.log = options.log;
    this.ready = options.ready;
    this.settings = options.settings;
    this.openingIndex = this.log.lastIndex;
    this.majorityAt = options.now;
    this.beatAt = options.now;
    this.followConfiguration(options.now);
  }

  /** When `tick` is of use: at the latest with the next beat. */
  get nextTickAt(): MonotonicMs {
    return Math.min(this.beatAt, this.announceAt);
  }

  /** A majority heard this leader at this time, at least; to begin with, when it was elected. */
  get majorityHeardAt(): MonotonicMs {
    return this.majorityAt;
  }

  /** The latest round that a majority has answered. */
  get confirmedRound(): number {
    return this.answeredRound;
  }

  /** The highest index that is durable on a majority, this voter counted like any other. */
  get agreedIndex(): LogIndex {
    const { self, log } = this;
    return agreedIn(log.configuration, (voter) => (voter === self ? log.durableIndex : this.matchOf(voter)));
  }

  /** The lead is being handed over: nothing new is proposed meanwhile. */
  get isHandingOver(): boolean {
    return this.transfer !== undefined;
  }

  /** How far a follower has got; nothing of one that is silent, or that has taken no entry yet. */
  reachedBy(follower: NodeNumber, now: MonotonicMs): LogIndex | undefined {
    const matchIndex = this.matchOf(follower);
    return matchIndex > 0 && this.isHeard(follower, now) ? matchIndex : undefined;
  }

  /** The newest configuration is another: newcomers are replicated to, and whoever left is not any more. */
  followConfiguration(now: MonotonicMs): void {
    const others = [...participants(this.log.configuration)].filter((number) => number !== this.self);
    const newcomer = (): Progress => new Progress(this.log.lastIndex, this.settings.inflightMessagesMax, now);
    this.followers = new Map(others.map((number) => [number, this.followers.get(number) ?? newcomer()]));
  }

  /**
   * A heartbeat: every follower hears from us, and whatever was lost is found out. Whoever is silent gets no entries
   * with it: they would go nowhere, ten times a second, until it returns.
   */
  beat(now: MonotonicMs): void {
    this.beatAt = now + this.settings.heartbeatMs;
    if (this.transfer !== undefined && now >= this.transfer.until) this.transfer = undefined;
    for (const [to, progress] of this.followers) {
      if (this.isHeard(to, now)) progress.allowProbe();
      this.repeatChunk(to, progress, now);
    }
    this.openRound(now);
    this.urgeSuccessor(true);
  }

  /**
   * The round that will show that this was the leader after now: one that begins at once, or else the one that begins
   * as soon as those on their way are answered, for all who ask meanwhile.
   */
  confirmingRound(now: MonotonicMs): number {
    if (this.openRounds.length === 0) {
      this.openRound(now);
      return this.round;
    }
    this.wantsRound = true;
    return this.round + 1;
  }

  /** Sends each follower what it lacks, as far as its window allows. */
  replicate(): void {
    for (const [to, progress] of this.followers) this.replicateTo(to, progress);
  }

  /** Followers are to hear of a new commit index before the next heartbeat, with an append if there is one. */
  announceCommit(now: MonotonicMs): void {
    this.announceAt = Math.min(this.announceAt, now + this.settings.commitAnnounceMs);
    if (this.settings.commitAnnounceMs === 0) this.announce();
  }

  /** Does what is due: a heartbeat, or the news of a commit. */
  tick(now: MonotonicMs): void {
    if (now >= this.beatAt) this.beat(now);
    if (now >= this.announceAt) this.announce();
  }

  private announce(): void {
    this.announceAt = Number.POSITIVE_INFINITY;
    for (const [to, progress] of this.followers) {
      if (this.replicateTo(to, progress) || !progress.isPipelining) continue;
      if (progress.toldCommit < this.log.commitIndex || this.settings.commitAnnounceMs === 0) this.append(to, progress);
    }
  }

  /** False when no follower of ours can have answered so. One that takes no part any more may: nobody minds. */
  onAppendAnswer(from: NodeNumber, answer: AppendAnswer, now: MonotonicMs): boolean {
    if (!this.canBe(answer, answer.accepted ? answer.matchIndex : 0)) return false;
    const progress = this.followers.get(from);
    if (progress === undefined) return true;
    progress.onAnswered(answer.round, now);
    if (progress.believes(answer.lostLog, answer.round, this.round)) {
      if (answer.accepted) progress.onAccepted(answer.matchIndex, answer.round);
      else progress.onRefused(answer.matchIndex, answer.round);
    }
    this.goOn(from, progress, now);
    return true;
  }

  /** As `onAppendAnswer`. */
  onSnapshotAnswer(from: NodeNumber, answer: SnapshotAnswer, now: MonotonicMs): boolean {
    if (!this.canBe(answer, answer.done ? answer.index : 0)) return false;
    const progress = this.followers.get(from);
    if (progress === undefined) return true;
    progress.onAnswered(answer.round, now);
    if (progress.believes(answer.lostLog, answer.round, this.round)) {
      const { snapshot } = progress;
      if (answer.done) progress.onAccepted(answer.index, answer.round);
      else if (snapshot?.onAnswer(answer.index, answer.offset)) this.sendChunk(from, snapshot);
    }
    this.goOn(from, progress, now);
    return true;
  }

  /** Brings `to` up to date and then has it elected; gives up after an election timeout. */
  handOver(to: NodeNumber, now: MonotonicMs): void {
    this.transfer = { to, until: now + this.settings.electionTimeoutMs, isTold: false };
    this.urgeSuccessor(false);
  }

  /** The voter that would lose least by leading next: one that answers, and of those the one with the longest log. */
  bestSuccessor(now: MonotonicMs): NodeNumber | undefined {
    const able = this.log.configuration.voters.filter(
      (voter) => this.isHeard(voter, now) && this.followers.get(voter)?.lossSeen === 0,
    );
    return able.sort((a, b) => this.matchOf(b) - this.matchOf(a))[0];
  }

  /** This leader goes for good: whoever is fittest need not wait for its silence to be noticed. */
  bequeath(now: MonotonicMs): void {
    const heir = this.bestSuccessor(now);
    if (heir !== undefined) this.ready.speak(heir, { kind: 'time-out-now', term: this.term });
  }

  /** 0 for one that takes no part. */
  private matchOf(follower: NodeNumber): LogIndex {
    return this.followers.get(follower)?.matchIndex ?? 0;
  }

  /** Whether a follower has answered within the last election timeout. */
  private isHeard(follower: NodeNumber, now: MonotonicMs): boolean {
    const heardAt = this.followers.get(follower)?.heardAt ?? Number.NEGATIVE_INFINITY;
    return now - heardAt <= this.settings.electionTimeoutMs;
  }

  /** Nobody has answered a round that did not begin, nor has entries that we do not have. */
  private canBe(answer: { readonly round: number }, claimedIndex: LogIndex): boolean {
    return answer.round <= this.round && claimedIndex <= this.log.lastIndex;
  }

  private goOn(from: NodeNumber, progress: Progress, now: MonotonicMs): void {
    this.closeRounds(now);
    this.replicateTo(from, progress);
    this.urgeSuccessor(false);
  }

  private openRound(now: MonotonicMs): void {
    this.round++;
    this.wantsRound = false;
    this.openRounds.push({ round: this.round, sentAt: now });
    for (const [to, progress] of this.followers) {
      if (!this.replicateTo(to, progress)) this.append(to, progress);
    }
    this.closeRounds(now);
  }

  private closeRounds(now: MonotonicMs): void {
    const { self, round, followers } = this;
    this.answeredRound = agreedIn(this.log.configuration, (voter) =>
      voter === self ? round : (followers.get(voter)?.round ?? 0),
    );
    for (let open = this.openRounds[0]; open !== undefined; open = this.openRounds[0]) {
      if (open.round > this.answeredRound) return;
      this.majorityAt = open.sentAt;
      this.openRounds.shift();
    }
    if (this.wantsRound) this.openRound(now);
  }

  private urgeSuccessor(again: boolean): void {
    const { transfer } = this;
    if (transfer === undefined || (transfer.isTold && !again)) return;
    if (this.followers.get(transfer.to)?.matchIndex !== this.log.lastIndex) return;
    transfer.isTold = true;
    this.ready.speak(transfer.to, { kind: 'time-out-now', term: this.term });
  }

  private replicateTo(to: NodeNumber, progress: Progress): boolean {
    let sent = false;
    while (progress.mayTakeEntries && progress.nextIndex <= this.log.lastIndex) {
      this.append(to, progress);
      sent = true;
    }
    return sent;
  }

  private append(to: NodeNumber, progress: Progress): void {
    const previousTerm = this.log.termAt(progress.nextIndex - 1);
    if (previousTerm === undefined && progress.snapshot === undefined) {
      const snapshot = new OutgoingSnapshot(this.log.snapshot as LogSnapshot);
      progress.onForgotten(snapshot);
      this.sendChunk(to, snapshot);
      return;
    }
    const { messageEntriesMax, messageBytesMax } = this.settings;
    const entries = progress.mayTakeEntries
      ? this.log.batchFrom(progress.nextIndex, messageEntriesMax, messageBytesMax)
      : [];
    // To whom a snapshot is sent a heartbeat says nothing of the log: after nothing, nothing.
    const previousIndex = progress.snapshot === undefined ? progress.nextIndex - 1 : 0;
    const previous = { previousIndex, previousTerm: progress.snapshot === undefined ? (previousTerm as Term) : 0 };
    progress.onSent(entries.length);
    const { term, round } = this;
    const { commitIndex } = this.log;
    const { lossSeen } = progress;
    progress.toldCommit = commitIndex;
    this.ready.speak(to, { kind: 'append-request', term, ...previous, commitIndex, round, lossSeen, entries });
  }

  /** Whoever is silent costs a heartbeat, not a chunk; and with nothing sent so far it may as well get the newest. */
  private repeatChunk(to: NodeNumber, progress: Progress, now: MonotonicMs): void {
    if (progress.snapshot === undefined) return;
    if (!progress.snapshot.isUnderWay) progress.onForgotten(new OutgoingSnapshot(this.log.snapshot as LogSnapshot));
    if (this.isHeard(to, now)) this.sendChunk(to, progress.snapshot);
  }

  private sendChunk(to: NodeNumber, snapshot: OutgoingSnapshot): void {
    this.ready.speak(to, snapshot.chunk(this.term, this.round, this.settings.snapshotChunkBytes));
  }
}
