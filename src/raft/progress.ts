import type { LogIndex } from '../identity.ts';

/**
 * What a leader knows of one follower's log. It *probes*, one request at a time, until it knows where the two
 * logs agree; then it *pipelines*, sending ahead of the answers within a window. A refusal means something
 * was lost on the way: back to probing. Answers may be lost, repeated or late; nothing here goes backwards
 * but `nextIndex`, and that never to or below `matchIndex`.
 */
export class Progress {
  private phase: 'probe' | 'pipeline' = 'probe';
  private probeIsOut = false;
  /** The last index of each unanswered request with entries, ascending. */
  private readonly inflight: LogIndex[] = [];
  private readonly inflightMax: number;
  private match: LogIndex = 0;
  private next: LogIndex;
  private answeredRound = 0;

  constructor(nextIndex: LogIndex, inflightMax: number) {
    this.next = nextIndex;
    this.inflightMax = inflightMax;
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

  get isPipelining(): boolean {
    return this.phase === 'pipeline';
  }

  get mayTakeEntries(): boolean {
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

  onAnswered(round: number): void {
    this.answeredRound = Math.max(this.answeredRound, round);
  }

  onAccepted(matchIndex: LogIndex): void {
    this.match = Math.max(this.match, matchIndex);
    this.next = Math.max(this.next, this.match + 1);
    if (this.phase === 'probe') this.next = this.match + 1;
    this.phase = 'pipeline';
    while (this.inflight.length > 0 && (this.inflight[0] as LogIndex) <= this.match) this.inflight.shift();
  }

  /** `hint` is where the follower says our logs may agree. Old news changes nothing. */
  onRefused(hint: LogIndex): void {
    const isOld = hint < this.match || (this.phase === 'probe' && hint >= this.next - 1);
    if (isOld) return;
    this.next = Math.min(this.next, hint + 1);
    this.phase = 'probe';
    this.probeIsOut = false;
    this.inflight.length = 0;
  }
}
