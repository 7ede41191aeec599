import type { LogIndex, MonotonicMs } from '../identity.ts';
import type { LossId } from './message.ts';
import type { OutgoingSnapshot } from './snapshot-transfer.ts';

/**
 * What a leader knows of one follower's log. It *probes*, one request at a time, until it knows where the two
 * logs agree; then it *pipelines*, sending ahead of the answers within a window. A refusal means something
 * was lost on the way: back to probing. A follower whose next entry is forgotten gets a *snapshot* first. Answers
 * may be lost, repeated or late; nothing here goes backwards but `nextIndex`, and that never to or below
 * `matchIndex`. One thing takes `matchIndex` back: a follower that says that its disk lost entries.
 */
export class Progress {
  private phase: 'probe' | 'pipeline' | 'snapshot' = 'probe';
  private probeIsOut = false;
  /** The last index of each unanswered request with entries, ascending. */
  private readonly inflight: LogIndex[] = [];
  private readonly inflightMax: number;
  private match: LogIndex = 0;
  private next: LogIndex;
  private answeredRound = 0;
  private answeredAt: MonotonicMs;
  /** The latest round in which it accepted something. */
  private acceptedRound = 0;
  private transfer: OutgoingSnapshot | undefined;
  private loss: LossId = 0;
  /** The round in which `loss` was heard of: answers to it and those before may be from before the loss. */
  private lossRound = -1;

  /** The commit index that the last append to it carried. */
  toldCommit: LogIndex = 0;

  /** `now`: the follower counts as heard when its leader begins. */
  constructor(nextIndex: LogIndex, inflightMax: number, now: MonotonicMs) {
    this.next = nextIndex;
    this.inflightMax = inflightMax;
    this.answeredAt = now;
  }

  /** All up to here is durable at the follower and equals ours. */
  get matchIndex(): LogIndex {
    return this.match;
  }

  /** The first entry that the next request carries. */
  get nextIndex(): LogIndex {
    return this.next;
  }

  /** The latest round of heartbeats that the follower has answered. */
  get round(): number {
    return this.answeredRound;
  }

  /** When the follower last answered. */
  get heardAt(): MonotonicMs {
    return this.answeredAt;
  }

  /** The loss of entries that the follower told of and has not made good; 0 for none. */
  get lossSeen(): LossId {
    return this.loss;
  }

  /** The snapshot that it is being sent. */
  get snapshot(): OutgoingSnapshot | undefined {
    return this.transfer;
  }

  get isPipelining(): boolean {
    return this.phase === 'pipeline';
  }

  get mayTakeEntries(): boolean {
    if (this.phase === 'snapshot') return false;
    return this.phase === 'probe' ? !this.probeIsOut : this.inflight.length < this.inflightMax;
  }

  onSent(entries: number): void {
    if (this.phase === 'probe') {
      this.probeIsOut = true;
    } else if (entries > 0) {
      this.next += entries;
      this.inflight.push(this.next - 1);
    }
  }

  /** With every heartbeat: the last probe, or its answer, may be lost. */
  allowProbe(): void {
    this.probeIsOut = false;
  }

  onAnswered(round: number, now: MonotonicMs): void {
    this.answeredRound = Math.max(this.answeredRound, round);
    this.answeredAt = now;
  }

  onAccepted(matchIndex: LogIndex, round: number): void {
    this.acceptedRound = Math.max(this.acceptedRound, round);
    this.match = Math.max(this.match, matchIndex);
    while (this.inflight.length > 0 && (this.inflight[0] as LogIndex) <= this.match) this.inflight.shift();
    // An answer to what was sent before the snapshot, or to a heartbeat, does not end its way.
    if (this.transfer !== undefined && this.match < this.transfer.index) return;
    this.next = this.phase === 'pipeline' ? Math.max(this.next, this.match + 1) : this.match + 1;
    this.phase = 'pipeline';
    this.transfer = undefined;
  }

  /**
   * `hint` is where the follower says our logs may agree. Old news changes nothing. A hint below what it accepted is
   * old too, unless its round is newer: a follower skips a whole term, though the first entries of it may be ours.
   */
  onRefused(hint: LogIndex, round: number): void {
    const last = Math.max(hint, this.match);
    const isOld = hint < this.match && round <= this.acceptedRound;
    if (isOld || this.phase === 'snapshot' || (this.phase === 'probe' && last >= this.next - 1)) return;
    this.next = Math.min(this.next, last + 1);
    this.backToProbing();
  }

  /** Its next entry is forgotten: it gets this first. */
  onForgotten(snapshot: OutgoingSnapshot): void {
    this.phase = 'snapshot';
    this.transfer = snapshot;
    this.inflight.length = 0;
  }

  /**
   * Whether an answer is to be believed, told the `lostLog` and the round that it carries; 0 says that the follower has
   * all of it again. A loss that is news takes back all that was known of the follower's log. From then on what it
   * acknowledged before may not count any more, also when it has all of that again, and such answers may still be on
   * their way; but they echo no round that began after the loss was heard of.
   */
  believes(lostLog: LossId, answeredRound: number, currentRound: number): boolean {
    if (lostLog !== 0 && lostLog === this.loss) return true;
    if (answeredRound <= this.lossRound) return false;
    this.loss = lostLog;
    if (lostLog === 0) return true;
    this.lossRound = currentRound;
    this.match = 0;
    this.backToProbing();
    return true;
  }

  private backToProbing(): void {
    this.phase = 'probe';
    this.transfer = undefined;
    this.probeIsOut = false;
    this.inflight.length = 0;
  }
}
