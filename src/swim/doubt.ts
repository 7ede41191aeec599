import type { Incarnation, MonotonicMs, NodeNumber } from '../identity.ts';
import type { SwimSettings } from './settings.ts';

/** A node called later than this after it asked to be was stalled itself: its timers prove nothing. */
export const lagToleranceMs = 250;
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
  stage: DoubtStage = 'asked';
  /** The kernel of its machine said, and said again, that nobody listens there any more. */
  refused = false;
  /** Most observers report it, and there is no quorum. */
  hinted = false;
  private readonly settings: SwimSettings;
  private readonly stretch: number;
  private firstUnansweredAtMs: MonotonicMs;
  private earliestMissAtMs: MonotonicMs;
  private suspectedSinceMs: MonotonicMs = 0;
  private reprobeAtMs: MonotonicMs = 0;

  constructor(
    subject: { readonly number: NodeNumber; readonly incarnation: Incarnation },
    ownRound: boolean,
    settings: SwimSettings,
    stretch: number,
    now: MonotonicMs,
  ) {
    this.subject = subject.number;
    this.incarnation = subject.incarnation;
    this.ownRound = ownRound;
    this.settings = settings;
    this.stretch = stretch;
    this.firstUnansweredAtMs = now;
    this.earliestMissAtMs = now;
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

  /** When the next step is due. */
  get dueAtMs(): MonotonicMs {
    const { probeTimeoutMs, suspectAfterMs } = this.settings;
    if (this.stage === 'asked') return this.firstUnansweredAtMs + probeTimeoutMs * this.stretch;
    if (this.stage === 'missed') return this.firstUnansweredAtMs + suspectAfterMs * this.stretch;
    return this.stage === 'suspect' ? Math.min(this.reprobeAtMs, this.windowEndsAtMs) : this.reprobeAtMs;
  }

  /**
   * The stall that is tolerated, from anybody's first miss; but never before this node has waited for itself,
   * and its accusation, which is a question too, had the time of a probe.
   */
  get windowEndsAtMs(): MonotonicMs {
    return Math.max(
      this.earliestMissAtMs + this.settings.stallToleranceMs,
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
