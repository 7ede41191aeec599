import type { Incarnation, MonotonicMs, NodeNumber } from '../identity.ts';

/** A report counts for so long: it must be repeated, so that a blocked observer's dies with it. */
export const reportLeaseMs = 2_500;
/** An accusation counts for so long: longer than the stall that is tolerated, after which it is a report or cleared. */
export const accusationLeaseMs = 5_000;
/** A verdict waits so long for others, so that several dead come out in one batch … */
export const batchHoldMs = 100;
/** … and so long, from the first verdict on, while somebody else is accused by `accusersForHold`. */
export const batchHoldMaxMs = 1_000;
export const accusersForHold = 3;
/** Subjects on trial between two calls of `verdicts`, which forgets those who are no members. */
export const casesMax = 1_024;

export interface Verdict {
  readonly number: NodeNumber;
  readonly incarnation: Incarnation;
}

interface Testimony {
  readonly incarnation: Incarnation;
  readonly untilMs: MonotonicMs;
}

/** Both by who says it; that is known from the session, so there are no more than members. */
interface Case {
  readonly reports: Map<NodeNumber, Testimony>;
  readonly accusedUntilMs: Map<NodeNumber, MonotonicMs>;
}

type IncarnationOf = (number: NodeNumber) => Incarnation | undefined;

/**
 * The leader's tally of reports: whoever a majority of its live observers reports is convicted. It decides
 * nothing for ever: until the pane has published a verdict, continuing reports bring the same one again.
 */
export class Jury {
  /** Testimonies ignored because too many subjects were on trial. */
  dropped = 0;
  private readonly observersOf: (subject: NodeNumber) => readonly NodeNumber[];
  private readonly cases = new Map<NodeNumber, Case>();
  private batchOpenedAtMs: MonotonicMs | undefined;
  private dueAtMs: MonotonicMs = Number.POSITIVE_INFINITY;

  /** @param observersOf who watches a subject: only they are its jurors */
  constructor(observersOf: (subject: NodeNumber) => readonly NodeNumber[]) {
    this.observersOf = observersOf;
  }

  /** `from` says that the window of `subject` has run out. */
  report(from: NodeNumber, subject: NodeNumber, incarnation: Incarnation, now: MonotonicMs): void {
    const trial = this.caseOf(subject);
    if (trial === undefined) return;
    trial.reports.set(from, { incarnation, untilMs: now + reportLeaseMs });
    trial.accusedUntilMs.set(from, now + accusationLeaseMs);
    this.dueAtMs = Math.min(this.dueAtMs, now);
  }

  /** `from` got no answer from `subject`: no vote yet, but a reason to wait with the verdict over another one. */
  accuse(from: NodeNumber, subject: NodeNumber, now: MonotonicMs): void {
    this.caseOf(subject)?.accusedUntilMs.set(from, now + accusationLeaseMs);
  }

  /** When `verdicts` is worth calling; infinite while nothing can come of it. */
  nextVerdictAt(): MonotonicMs {
    return this.dueAtMs;
  }

  /** Whether a majority of the live observers of `subject` reports it now, by this incarnation. */
  hasMajority(subject: NodeNumber, incarnation: Incarnation, live: readonly NodeNumber[], now: MonotonicMs): boolean {
    const jurors = new Set(live);
    return this.reportersOf(subject, incarnation, jurors, now) >= this.majorityFor(subject, jurors);
  }

  /**
   * The batch that is due, or nothing. `live` are all members that are not published as down, the leader
   * included; whoever is convicted drops out of the jury before the next one is judged.
   */
  verdicts(now: MonotonicMs, live: readonly NodeNumber[], incarnationOf: IncarnationOf): readonly Verdict[] {
    this.dueAtMs = Number.POSITIVE_INFINITY;
    this.dismiss(now, new Set(live));
    const batch = this.judge(now, live, incarnationOf);
    if (batch.length === 0) {
      this.batchOpenedAtMs = undefined;
      return [];
    }
    this.batchOpenedAtMs ??= now;
    const closesAtMs = this.batchOpenedAtMs + (this.moreMayFollow(batch) ? batchHoldMaxMs : batchHoldMs);
    if (now < closesAtMs) {
      this.dueAtMs = closesAtMs;
      return [];
    }
    this.batchOpenedAtMs = undefined;
    for (const { number } of batch) this.cases.delete(number);
    return batch;
  }

  private caseOf(subject: NodeNumber): Case | undefined {
    const known = this.cases.get(subject);
    if (known !== undefined) return known;
    if (this.cases.size >= casesMax) {
      this.dropped++;
      return undefined;
    }
    const trial: Case = { reports: new Map(), accusedUntilMs: new Map() };
    this.cases.set(subject, trial);
    return trial;
  }

  /** Ends the leases that have run out, and the cases of those who are not live or whom nobody accuses. */
  private dismiss(now: MonotonicMs, live: ReadonlySet<NodeNumber>): void {
    for (const [subject, { reports, accusedUntilMs }] of this.cases) {
      for (const [from, { untilMs }] of reports) if (now > untilMs || !live.has(from)) reports.delete(from);
      for (const [from, untilMs] of accusedUntilMs) if (now > untilMs || !live.has(from)) accusedUntilMs.delete(from);
      if (!live.has(subject) || accusedUntilMs.size === 0) this.cases.delete(subject);
    }
  }

  private judge(now: MonotonicMs, live: readonly NodeNumber[], incarnationOf: IncarnationOf): readonly Verdict[] {
    const jurors = new Set(live);
    const batch: Verdict[] = [];
    for (;;) {
      const verdict = this.clearest(now, jurors, incarnationOf);
      if (verdict === undefined) return batch;
      batch.push(verdict);
      jurors.delete(verdict.number);
    }
  }

  /** Among those whom a majority reports the one with the most reports, and of several the lowest number. */
  private clearest(
    now: MonotonicMs,
    jurors: ReadonlySet<NodeNumber>,
    incarnationOf: IncarnationOf,
  ): Verdict | undefined {
    let clearest: (Verdict & { readonly reporters: number }) | undefined;
    for (const number of this.cases.keys()) {
      const incarnation = incarnationOf(number);
      if (incarnation === undefined || !jurors.has(number)) continue;
      const reporters = this.reportersOf(number, incarnation, jurors, now);
      if (reporters < this.majorityFor(number, jurors)) continue;
      const lead = clearest === undefined ? 1 : reporters - clearest.reporters || clearest.number - number;
      if (lead > 0) clearest = { number, incarnation, reporters };
    }
    return clearest && { number: clearest.number, incarnation: clearest.incarnation };
  }

  private reportersOf(
    subject: NodeNumber,
    incarnation: Incarnation,
    jurors: ReadonlySet<NodeNumber>,
    now: MonotonicMs,
  ): number {
    let count = 0;
    for (const [from, report] of this.cases.get(subject)?.reports ?? []) {
      const counts = report.incarnation === incarnation && now <= report.untilMs;
      if (counts && from !== subject && jurors.has(from)) count++;
    }
    return count;
  }

  private majorityFor(subject: NodeNumber, jurors: ReadonlySet<NodeNumber>): number {
    const live = this.observersOf(subject).filter((number) => number !== subject && jurors.has(number));
    return Math.floor(live.length / 2) + 1;
  }

  private moreMayFollow(batch: readonly Verdict[]): boolean {
    const judged = new Set(batch.map(({ number }) => number));
    for (const [subject, { accusedUntilMs }] of this.cases) {
      if (!judged.has(subject) && accusedUntilMs.size >= accusersForHold) return true;
    }
    return false;
  }
}
