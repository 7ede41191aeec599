import type { LogIndex } from '../identity.ts';
import type { LogSnapshot } from '../seam/log-store.ts';
import { decodeConfiguration, type RaftConfiguration } from './configuration.ts';
import type { RaftLog } from './log.ts';
import type { AppendAnswer, AppendRequest, LossId, SnapshotAnswer, SnapshotChunk } from './message.ts';
import type { ReadyQueue } from './ready.ts';
import { IncomingSnapshot } from './snapshot-transfer.ts';

/**
 * A follower's side of replication: takes what the leader of its term sends into its log, and says how far that got.
 *
 * # Quarantine
 *
 * A voter whose disk lost entries may have acknowledged some of them, and a leader may have counted it when it
 * committed them. Were it to vote now, a majority could elect somebody who never had them. So it votes for nobody,
 * not even itself, until it has again whatever can have been committed with its help:
 *
 * 1. Elections meanwhile need a majority without it, which shares with each majority that committed something a voter
 *    that still has it. So every leader has all that was committed.
 * 2. Its answers carry a number that names the loss. A leader that hears it takes back what it knew of this log, so it
 *    counts nothing any more that is gone; what it had committed by then is below its commit index.
 * 3. The leader echoes the number. A request with it was therefore sent after (2); an older one, delayed, could stop
 *    short of what was committed in between.
 * 4. A commit index within the leader's own term covers what earlier terms committed, and by (3) what this one did.
 *    With all up to there in its log, this voter is like any other that did not lose anything.
 *
 * Term and vote are not among what may be lost: a voter that forgot these must come back under another number.
 */
export class Replica {
  /** 0 for a voter that did not lose anything. */
  private readonly lossId: LossId;
  private readonly log: RaftLog;
  private readonly ready: ReadyQueue;
  private quarantined: boolean;
  private incoming: IncomingSnapshot | undefined;

  /** With a `lossId` other than 0 it begins in quarantine. */
  constructor(log: RaftLog, ready: ReadyQueue, lossId: LossId) {
    this.log = log;
    this.ready = ready;
    this.lossId = lossId;
    this.quarantined = lossId !== 0;
  }

  get isQuarantined(): boolean {
    return this.quarantined;
  }

  /** What its answers say: once it has everything again, a leader may hand over to it. */
  private get lostLog(): LossId {
    return this.quarantined ? this.lossId : 0;
  }

  /** Whether these entries would replace what is committed: no leader is believed that. */
  contradicts({ entries }: AppendRequest): boolean {
    const conflict = this.log.conflictWith(entries);
    return conflict !== undefined && conflict <= this.log.commitIndex;
  }

  /** Takes a request of the leader of this term that contradicts nothing. */
  onAppend(request: AppendRequest): AppendAnswer {
    const { term, previousIndex, previousTerm, round, entries, commitIndex } = request;
    const { lostLog } = this;
    if (!this.log.agreesAt(previousIndex, previousTerm)) {
      const matchIndex = this.log.backOff(previousIndex, previousTerm);
      return { kind: 'append-answer', term, accepted: false, matchIndex, round, lostLog };
    }
    this.log.merge(entries);
    const matchIndex = previousIndex + entries.length;
    this.log.commitTo(Math.min(commitIndex, matchIndex));
    if (this.incoming !== undefined && this.incoming.index <= matchIndex) this.incoming = undefined;
    if (this.quarantined && this.isHealedBy(request, matchIndex)) {
      this.quarantined = false;
      this.ready.recover();
    }
    return { kind: 'append-answer', term, accepted: true, matchIndex, round, lostLog };
  }

  /** Takes a piece of the snapshot of the leader of this term. */
  onChunk(chunk: SnapshotChunk): Omit<SnapshotAnswer, 'term'> {
    const { index, lastTerm, round } = chunk;
    const answer = { kind: 'snapshot-answer', round, index, lostLog: this.lostLog } as const;
    // A log that holds the very entry holds all that the snapshot does, and what lies beyond it may be needed.
    if (index > this.log.commitIndex && this.log.termAt(index) === lastTerm) this.log.commitTo(index);
    if (index > this.log.commitIndex) {
      // Late, from before the leader went on to a newer one.
      if (this.incoming?.supersedes(chunk)) return { ...answer, offset: 0, done: false };
      const incoming = this.assemble(chunk);
      if (!incoming.isWhole) return { ...answer, offset: incoming.offset, done: false };
      this.install(chunk, incoming.state());
    }
    this.incoming = undefined;
    return { ...answer, offset: chunk.totalBytes, done: true };
  }

  private isHealedBy({ term, lossSeen, commitIndex }: AppendRequest, matchIndex: LogIndex): boolean {
    return lossSeen === this.lossId && commitIndex <= matchIndex && this.log.termAt(commitIndex) === term;
  }

  private assemble(chunk: SnapshotChunk): IncomingSnapshot {
    if (!this.incoming?.isOf(chunk)) this.incoming = new IncomingSnapshot(chunk);
    this.incoming.add(chunk);
    return this.incoming;
  }

  private install({ index, lastTerm, chain, configuration }: SnapshotChunk, state: Uint8Array): void {
    const snapshot: LogSnapshot = { index, term: lastTerm, chain, configuration, state };
    // Read already when it was found plausible.
    this.log.restart(snapshot, decodeConfiguration(configuration) as RaftConfiguration);
  }
}
