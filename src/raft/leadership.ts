import type { LogIndex, MonotonicMs, NodeNumber, Term } from '../identity.ts';
import type { RaftLog } from './log.ts';
import type { AppendAnswer } from './message.ts';
import { Progress } from './progress.ts';
import { agreedValue } from './quorum.ts';
import type { ReadyQueue } from './ready.ts';
import type { RaftSettings } from './settings.ts';

export interface LeadershipOptions {
  readonly term: Term;
  /** The other voters. */
  readonly followers: readonly NodeNumber[];
  readonly log: RaftLog;
  readonly ready: ReadyQueue;
  readonly settings: RaftSettings;
  readonly now: MonotonicMs;
}

/**
 * What a leader keeps for its one term: replication to each follower, and whether a majority still hears it.
 *
 * Each heartbeat opens a *round*, and answers echo the round of their request. So a majority is known to have
 * heard this leader at the time when the newest round that a majority has answered was **sent**; an answer
 * that was long on its way proves nothing about now.
 */
export class Leadership {
  private readonly term: Term;
  private readonly log: RaftLog;
  private readonly ready: ReadyQueue;
  private readonly settings: RaftSettings;
  private readonly followers: ReadonlyMap<NodeNumber, Progress>;
  private round = 0;
  /** Rounds that no majority has answered; a leader that keeps too many steps down, which bounds them. */
  private readonly openRounds: { readonly round: number; readonly sentAt: MonotonicMs }[] = [];
  private majorityAt: MonotonicMs;
  private beatAt: MonotonicMs;

  constructor(options: LeadershipOptions) {
    this.term = options.term;
    this.log = options.log;
    this.ready = options.ready;
    this.settings = options.settings;
    const nextIndex = this.log.lastIndex + 1;
    const progress = (): Progress => new Progress(nextIndex, this.settings.inflightMessagesMax);
    this.followers = new Map(options.followers.map((follower) => [follower, progress()]));
    this.majorityAt = options.now;
    this.beatAt = options.now;
  }

  get nextBeatAt(): MonotonicMs {
    return this.beatAt;
  }

  /** A majority heard this leader at this time, at least; to begin with, when it was elected. */
  get majorityHeardAt(): MonotonicMs {
    return this.majorityAt;
  }

  /** The highest index that is durable on a majority, this voter counted like any other. */
  get agreedIndex(): LogIndex {
    const matched = [...this.followers.values()].map((progress) => progress.matchIndex);
    return agreedValue([this.log.durableIndex, ...matched]);
  }

  /** A new round: every follower hears from us, and whatever was lost is found out. */
  beat(now: MonotonicMs): void {
    this.round++;
    this.openRounds.push({ round: this.round, sentAt: now });
    this.beatAt = now + this.settings.heartbeatMs;
    for (const [to, progress] of this.followers) {
      progress.allowProbe();
      if (!this.replicateTo(to, progress)) this.append(to, progress);
    }
    this.closeRounds();
  }

  /** Sends each follower what it lacks, as far as its window allows. */
  replicate(): void {
    for (const [to, progress] of this.followers) this.replicateTo(to, progress);
  }

  /** Tells followers of a new commit index now, rather than with the next heartbeat. */
  announceCommit(): void {
    for (const [to, progress] of this.followers) {
      if (!this.replicateTo(to, progress) && progress.isPipelining) this.append(to, progress);
    }
  }

  /** False when no follower of ours can have answered so. */
  onAnswer(from: NodeNumber, answer: AppendAnswer): boolean {
    const progress = this.followers.get(from);
    const claimsTooMuch = answer.accepted && answer.matchIndex > this.log.lastIndex;
    if (progress === undefined || claimsTooMuch || answer.round > this.round) return false;
    progress.onAnswered(answer.round);
    if (answer.accepted) progress.onAccepted(answer.matchIndex);
    else progress.onRefused(answer.matchIndex);
    this.closeRounds();
    this.replicateTo(from, progress);
    return true;
  }

  private closeRounds(): void {
    const answered = agreedValue([this.round, ...[...this.followers.values()].map((progress) => progress.round)]);
    for (let open = this.openRounds[0]; open !== undefined && open.round <= answered; open = this.openRounds[0]) {
      this.majorityAt = open.sentAt;
      this.openRounds.shift();
    }
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
    const { messageEntriesMax, messageBytesMax } = this.settings;
    const entries = progress.mayTakeEntries
      ? this.log.batchFrom(progress.nextIndex, messageEntriesMax, messageBytesMax)
      : [];
    const previousIndex = progress.nextIndex - 1;
    const previousTerm = this.log.termAt(previousIndex) as Term;
    progress.onSent(entries.length);
    const { term, round } = this;
    const { commitIndex } = this.log;
    this.ready.send(to, { kind: 'append-request', term, previousIndex, previousTerm, commitIndex, round, entries });
  }
}
