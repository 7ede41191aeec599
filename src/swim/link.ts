import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { Random } from '../seam/random.ts';

/** A subject that accepted a connection so long ago, by the same process, proves by refusing that this process died. */
export const acceptanceForMs = 60_000;
/** A refusal is confirmed by another one so much later. */
export const confirmAfterMs = 500;
/** A subject is knocked at no more often, … */
export const knockPeriodMs = 45_000;
/** … up to so much later, which spreads the knocks of a cluster that started at once, … */
export const knockSpreadMs = 5_000;
/** … and for the first time so soon after its first answer. */
export const firstKnockSpreadMs = 10_000;
/** A knock is for a subject that answered within so long: a silent one is the doubt's business. */
export const heardWithinMs = 30_000;
/** Word of a closed stream counts no more often than this, for each subject. */
export const alarmPeriodMs = 2_000;
/**
 * So many answers by stream in a row, and none by datagram, mean that datagrams are blocked. Each stands for two
 * questions without an answer, so that losing every third packet does not look like it.
 */
export const streamAnswersMax = 10;
/** A question by stream whose outcome was not told for so long is taken for lost. */
export const askLostAfterMs = 5_000;

/** Where the proof that a process died stands. */
type Refusal = 'none' | 'first' | 'confirming' | 'proven';

/** What an observer knows of the way to one subject, beside what it doubts. */
export class Link {
  readonly subject: NodeNumber;
  refusal: Refusal = 'none';
  /** Its datagrams do not pass, as far as this node can tell. */
  isBlocked = false;
  /** When the next regular knock is due; infinite until it answers. */
  knockAtMs: MonotonicMs = Number.POSITIVE_INFINITY;
  /** When a first refusal is to be confirmed. */
  confirmAtMs: MonotonicMs = Number.POSITIVE_INFINITY;
  private knockedAtMs: MonotonicMs = Number.NEGATIVE_INFINITY;
  private heardAtMs: MonotonicMs = Number.NEGATIVE_INFINITY;
  private acceptedAtMs: MonotonicMs = Number.NEGATIVE_INFINITY;
  private alarmedAtMs: MonotonicMs = Number.NEGATIVE_INFINITY;
  private askedAtMs: MonotonicMs = Number.NEGATIVE_INFINITY;
  private streamAnswers = 0;

  constructor(subject: NodeNumber) {
    this.subject = subject;
  }

  get dueAtMs(): MonotonicMs {
    return Math.min(this.knockAtMs, this.confirmAtMs);
  }

  /** It answered by datagram. True when datagrams had been blocked until now. */
  onDatagram(random: Random, now: MonotonicMs): boolean {
    this.heardAtMs = now;
    this.streamAnswers = 0;
    this.forgetRefusal();
    if (this.knockAtMs === Number.POSITIVE_INFINITY) {
      this.knockAtMs = Math.max(this.knockedAtMs + knockPeriodMs, now + random.below(firstKnockSpreadMs));
    }
    const wasBlocked = this.isBlocked;
    this.isBlocked = false;
    return wasBlocked;
  }

  /** It answered by stream. True when this makes it clear that its datagrams are blocked. */
  onStreamAnswer(): boolean {
    this.streamAnswers++;
    if (this.isBlocked || this.streamAnswers < streamAnswersMax) return false;
    this.isBlocked = true;
    return true;
  }

  onAccepted(now: MonotonicMs): void {
    this.acceptedAtMs = now;
    this.askedAtMs = Number.NEGATIVE_INFINITY;
    this.forgetRefusal();
  }

  /** True when this refusal completes a proof. */
  onRefused(now: MonotonicMs): boolean {
    this.askedAtMs = Number.NEGATIVE_INFINITY;
    if (this.refusal === 'none' && now - this.acceptedAtMs <= acceptanceForMs) {
      this.refusal = 'first';
      this.confirmAtMs = now + confirmAfterMs;
    }
    if (this.refusal !== 'confirming') return false;
    this.refusal = 'proven';
    return true;
  }

  onSilent(): void {
    this.askedAtMs = Number.NEGATIVE_INFINITY;
  }

  /** What an earlier process of it accepted says nothing about this one. */
  onRestarted(): void {
    this.acceptedAtMs = Number.NEGATIVE_INFINITY;
    this.knockedAtMs = Number.NEGATIVE_INFINITY;
    this.knockAtMs = Number.POSITIVE_INFINITY;
    this.forgetRefusal();
  }

  /** Whether word of a closed stream is to be followed. */
  takeAlarm(now: MonotonicMs): boolean {
    if (now - this.alarmedAtMs < alarmPeriodMs) return false;
    this.alarmedAtMs = now;
    return true;
  }

  /** Whether a question by stream is under way. */
  isAsking(now: MonotonicMs): boolean {
    return now - this.askedAtMs < askLostAfterMs;
  }

  /** Whether a question by stream may leave: one at a time. */
  takeAsk(now: MonotonicMs): boolean {
    if (this.isAsking(now)) return false;
    this.askedAtMs = now;
    return true;
  }

  /** Whether a regular knock leaves now; without a recent answer it waits for one. */
  takeKnock(random: Random, now: MonotonicMs): boolean {
    if (now < this.knockAtMs) return false;
    const wasHeard = now - this.heardAtMs <= heardWithinMs;
    if (wasHeard) this.knockedAtMs = now;
    this.knockAtMs = wasHeard ? now + knockPeriodMs + random.below(knockSpreadMs) : Number.POSITIVE_INFINITY;
    return wasHeard;
  }

  /** Whether the first refusal is to be confirmed now. */
  takeConfirmation(now: MonotonicMs): boolean {
    if (now < this.confirmAtMs) return false;
    this.confirmAtMs = Number.POSITIVE_INFINITY;
    this.refusal = 'confirming';
    return true;
  }

  private forgetRefusal(): void {
    this.refusal = 'none';
    this.confirmAtMs = Number.POSITIVE_INFINITY;
  }
}
