import type { Incarnation, MonotonicMs, NodeNumber } from '../identity.ts';
import type { SwimSettings } from './settings.ts';

/** A node called later than this after it asked to be was stalled itself: its timers prove nothing. */
export const lagToleranceMs = 250;
/**
 * A subject whose kernel still accepts connections is given so many times the tolerated stall: its machine is there,
 * so that it is no lost machine, and whoever starts a hundred processes at once must not lose half of them.
 */
export const hangFactor = 3;
/**
 * One that this node never heard is asked for so long before its silence counts. A member that has just joined is
 * starting, often beside many others on the same cores, and accusing it would cost all of them sessions that they have
 * no other use for.
 */
export const strangerPatienceMs = 10_000;
/** An accusation is repeated so often while the silence lasts: below the jury's lease of it. */
export const reaccusePeriodMs = 4_000;
/** An accuser's claim of an older miss than this is taken for this: it cannot stretch time at will. */
export const unansweredMsMax = 60_000;

export type DoubtStage =
  /** Asked; no answer yet. */
  | 'asked'
  /** The timeout passed; its other observers were asked to probe too. */
  | 'missed'
  /** Accused, and asked again each period until the window ends. */
  | 'suspect'
  /** The window ended: reported each period, and still asked. */
  | 'expired';

/** How one silence grows, from an unanswered probe to a report. Any answer ends it, at any stage. */
export class Doubt {
  readonly subject: NodeNumber;
  readonly incarnation: Incarnation;
  /** Whether this node asked by its own round, and not because another one wanted it to. */
  readonly ownRound: boolean;
  /** Whether this node has never heard the subject. */
  readonly isStranger: boolean;
  stage: DoubtStage = 'asked';
  /** The kernel of its machine said, and said again, that nobody listens there any more. */
  refused = false;
  /** Something still listens at its address: the machine is there, and the process hangs or waits for its turn. */
  accepted = false;
  /** Most observers report it, and there is no quorum. */
  hinted = false;
  private readonly settings: SwimSettings;
  private readonly stretch: number;
  private firstUnansweredAtMs: MonotonicMs;
  private earliestMissAtMs: MonotonicMs;
  private suspectedSinceMs: MonotonicMs = 0;
  private reprobeAtMs: MonotonicMs = 0;
  private accusedAtMs: MonotonicMs = 0;

  constructor(
    subject: { readonly number: NodeNumber; readonly incarnation: Incarnation },
    { ownRound, isStranger }: { readonly ownRound: boolean; readonly isStranger: boolean },
    settings: SwimSettings,
    stretch: number,
    now: MonotonicMs,
  ) {
    this.subject = subject.number;
    this.incarnation = subject.incarnation;
    this.ownRound = ownRound;
    this.isStranger = isStranger;
    this.settings = settings;
    this.stretch = stretch;
    this.firstUnansweredAtMs = now;
    this.earliestMissAtMs = now;
    this.onAskedAgain(now);
  }

  get isSuspicion(): boolean {
    return this.stage === 'suspect' || this.stage === 'expired';
  }

  /** What this node has to report, if anything. */
  get evidence(): 'refused' | 'silent' | undefined {
    if (this.refused) return 'refused';
    return this.stage === 'expired' ? 'silent' : undefined;
  }

  get suspectedAtMs(): MonotonicMs {
    return this.suspectedSinceMs;
  }

  /** When the answer is late. */
  get missAtMs(): MonotonicMs {
    const patienceMs = this.isStranger ? strangerPatienceMs : this.settings.probeTimeoutMs * this.stretch;
    return this.firstUnansweredAtMs + patienceMs;
  }

  /** When the next step is due. */
  get dueAtMs(): MonotonicMs {
    const { suspectAfterMs } = this.settings;
    if (this.stage === 'asked') return this.isStranger ? Math.min(this.reprobeAtMs, this.missAtMs) : this.missAtMs;
    if (this.stage === 'missed') return this.firstUnansweredAtMs + suspectAfterMs * this.stretch;
    return this.stage === 'suspect' ? Math.min(this.reprobeAtMs, this.windowEndsAtMs) : this.reprobeAtMs;
  }

  /**
   * The stall that is tolerated, from anybody's first miss; but never before this node has waited for itself,
   * and its accusation, which is a question too, had the time of a probe.
   */
  get windowEndsAtMs(): MonotonicMs {
    const { stallToleranceMs } = this.settings;
    return Math.max(
      this.earliestMissAtMs + (this.accepted ? hangFactor * stallToleranceMs : stallToleranceMs),
      this.firstUnansweredAtMs + this.settings.ownWindowMs,
      this.suspectedSinceMs + this.settings.probeTimeoutMs * this.stretch,
    );
  }

  /** Milliseconds since this node's own first unanswered probe, as accusations tell it. */
  unansweredMs(now: MonotonicMs): number {
    return Math.min(unansweredMsMax, Math.max(0, Math.round(now - this.firstUnansweredAtMs)));
  }

  /** Another observer's first probe has been unanswered for so long. */
  onEarlierMiss(unansweredMs: number, now: MonotonicMs): void {
    this.earliestMissAtMs = Math.min(this.earliestMissAtMs, now - Math.min(unansweredMs, unansweredMsMax));
  }

  onSuspected(now: MonotonicMs): void {
    this.stage = 'suspect';
    this.suspectedSinceMs = now;
    this.onAskedAgain(now);
  }

  onAskedAgain(now: MonotonicMs): void {
    this.reprobeAtMs = now + this.settings.reprobePeriodMs;
  }

  /** Whether the pane is to hear of it, or to hear of it again: what it was told holds only for a while. */
  takeAccusation(now: MonotonicMs): boolean {
    if (this.stage === 'suspect' && now - this.accusedAtMs < reaccusePeriodMs) return false;
    this.accusedAtMs = now;
    return true;
  }

  /**
   * Time in which this process did not run is no time in which the subject was silent: its answer may lie in
   * our own receive buffer. So a late step moves the whole silence forward.
   */
  forgiveLag(now: MonotonicMs): void {
    const lagMs = now - this.dueAtMs;
    if (lagMs <= lagToleranceMs) return;
    this.firstUnansweredAtMs += lagMs;
    this.earliestMissAtMs += lagMs;
    this.suspectedSinceMs += lagMs;
    this.reprobeAtMs += lagMs;
  }
}
