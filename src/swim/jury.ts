import type { Incarnation, MonotonicMs, NodeNumber } from '../identity.ts';
import { Brake, type BrakeState, type Group } from './brake.ts';
import type { Evidence, Report } from './message.ts';
import { ringsMax } from './rings.ts';

/** A report counts for so long: it must be repeated, so that a blocked observer's dies with it. */
export const reportLeaseMs = 2_500;
/** A report of a lossy link counts for so long: observers find that out at different times, and tell it once. */
export const lossyLeaseMs = 60_000;
/** An accusation counts for so long: until the stall that is tolerated is over, and it is a report or was cleared. */
export const accusationLeaseMs = 5_000;
/** A verdict waits so long for others, so that several dead come out in one batch … */
export const batchHoldMs = 100;
/** … and so long, from the first verdict on, while somebody else is accused by `accusersForHold`. */
export const batchHoldMaxMs = 1_000;
export const accusersForHold = 3;
/** The part of the live observers that has to report a silence or a lossy link … */
export const reportersShareMin = 0.7;
/** … and at least so many, or all where fewer live: with ten observers two may share one sick switch. */
export const reportersMin = 3;
/** Testimony that keeps coming is judged no more often than this. */
export const sittingPeriodMs = 50;
/** The brake is looked at so often while it is on, also when nobody reports any more. */
export const brakeCheckMs = 1_000;
/** Reports that lead to no verdict for so long are judged by those alone whom nobody reports. */
export const stuckAfterMs = 3_000;
/** Subjects on trial at once; those nobody accuses any more are dismissed by `verdicts`. */
export const casesMax = 4_096;

export interface Verdict {
  readonly number: NodeNumber;
  readonly incarnation: Incarnation;
  readonly evidence: Evidence;
}

export interface JurySeams {
  /** Who watches a subject: only they are its jurors. Also those who are down. */
  readonly observersOf: (subject: NodeNumber) => readonly NodeNumber[];
  /** The cluster's roles with their members. */
  readonly groups: () => readonly Group[];
}

/** What the pane knows at the time of the judgement. */
export interface Bench {
  /** All members that are not published as down, the leader included. */
  readonly live: ReadonlySet<NodeNumber>;
  readonly incarnationOf: (number: NodeNumber) => Incarnation | undefined;
  /** An operator says that so many are dead indeed. */
  readonly brakeReleased: boolean;
}

interface Testimony {
  readonly incarnation: Incarnation;
  readonly untilMs: MonotonicMs;
}

/** By who says it; that is known from the session, so there are no more than members. */
interface Case {
  readonly reports: Readonly<Record<Evidence, Map<NodeNumber, Testimony>>>;
  readonly accusedUntilMs: Map<NodeNumber, MonotonicMs>;
}

/** One case while a batch is judged. */
interface Trial {
  readonly subject: NodeNumber;
  readonly incarnation: Incarnation;
  readonly observers: readonly NodeNumber[];
  readonly file: Case;
}

interface Finding {
  readonly evidence: Evidence;
  readonly reporters: number;
}

/**
 * The leader's tally of testimony: whoever enough of its live observers report is convicted (design rules 4 to 6).
 * It decides nothing for ever: until the pane has published a verdict, continuing reports bring the same one again.
 */
export class Jury {
  /** Testimonies ignored because too many subjects were on trial. */
  dropped = 0;
  private readonly observersOf: (subject: NodeNumber) => readonly NodeNumber[];
  private readonly brakes: Brake;
  private readonly cases = new Map<NodeNumber, Case>();
  private batchOpenedAtMs: MonotonicMs | undefined;
  private satAtMs: MonotonicMs = Number.NEGATIVE_INFINITY;
  private dueAtMs: MonotonicMs = Number.POSITIVE_INFINITY;
  /** Since when some are reported by several, and nobody was convicted. */
  private stuckSinceMs: MonotonicMs = Number.POSITIVE_INFINITY;

  constructor({ observersOf, groups }: JurySeams) {
    this.observersOf = observersOf;
    this.brakes = new Brake(groups);
  }

  /** Whether too many are accused to be believed, as of the last call of `verdicts`. */
  get brake(): BrakeState {
    return this.brakes.state;
  }

  /** `from` holds `subject` for dead, and says why. */
  report(from: NodeNumber, { subject, incarnation, evidence }: Omit<Report, 'kind'>, now: MonotonicMs): void {
    const file = this.caseOf(subject);
    if (file === undefined) return;
    const untilMs = now + (evidence === 'lossy' ? lossyLeaseMs : reportLeaseMs);
    file.reports[evidence].set(from, { incarnation, untilMs });
    // A kernel's word is no suspicion: it takes the place of one.
    if (evidence === 'refused') file.accusedUntilMs.delete(from);
    else file.accusedUntilMs.set(from, now + accusationLeaseMs);
    this.dueAtMs = Math.min(this.dueAtMs, Math.max(now, this.satAtMs + sittingPeriodMs));
  }

  /** `from` got no answer from `subject`: no vote yet, but a reason to wait with the verdict over another one. */
  accuse(from: NodeNumber, subject: NodeNumber, now: MonotonicMs): void {
    const file = this.caseOf(subject);
    if (file === undefined) return;
    file.accusedUntilMs.set(from, now + accusationLeaseMs);
    // A case that comes to nothing is dismissed when its accusations have run out.
    this.dueAtMs = Math.min(this.dueAtMs, now + accusationLeaseMs + 1);
  }

  /** When `verdicts` is worth calling; infinite while nothing can come of it. */
  nextVerdictAt(): MonotonicMs {
    return this.dueAtMs;
  }

  /** Whether a majority of the live observers of `subject` reports it now, by this incarnation. */
  hasMajority(subject: NodeNumber, incarnation: Incarnation, live: ReadonlySet<NodeNumber>, now: MonotonicMs): boolean {
    const file = this.cases.get(subject);
    if (file === undefined) return false;
    const trial: Trial = { subject, incarnation, observers: this.observersOf(subject), file };
    const reporters = countOf(trial, ['silent', 'refused'], live, now);
    return reporters >= majorityOf(jurorsOf(trial, live));
  }

  /**
   * The batch that is due, or nothing. Whoever is convicted drops out of the jury before the next one is judged;
   * while the brake is on, only those pass whom their kernels report dead.
   */
  verdicts(now: MonotonicMs, { live, incarnationOf, brakeReleased }: Bench): readonly Verdict[] {
    this.satAtMs = now;
    this.dueAtMs = Number.POSITIVE_INFINITY;
    this.dismiss(now, live);
    const trials = this.open(live, incarnationOf);
    this.brakes.judge(accusedAmong(trials, live, now), live, brakeReleased, now);
    if (this.brake.on) this.dueAtMs = now + brakeCheckMs;
    const batch = judge(trials, live, this.jurorsNow(trials, live, now), this.brake.on, now);
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
    this.stuckSinceMs = Number.POSITIVE_INFINITY;
    this.dueAtMs = this.brake.on ? now + brakeCheckMs : Number.POSITIVE_INFINITY;
    for (const verdict of batch) this.close(verdict, now);
    return batch;
  }

  /**
   * All that live; but when that leads nowhere for a while, without those whom several report. Most of the dead would
   * otherwise be judged by the other dead, who say nothing: of a cluster of which more than half died nobody could
   * ever be convicted.
   */
  private jurorsNow(
    trials: readonly Trial[],
    live: ReadonlySet<NodeNumber>,
    now: MonotonicMs,
  ): ReadonlySet<NodeNumber> {
    const sound = soundAmong(trials, live, now);
    const isStuck = sound.size < live.size;
    this.stuckSinceMs = isStuck ? Math.min(this.stuckSinceMs, now) : Number.POSITIVE_INFINITY;
    if (!isStuck) return live;
    const untilMs = this.stuckSinceMs + stuckAfterMs;
    if (now >= untilMs) return sound;
    this.dueAtMs = Math.min(this.dueAtMs, untilMs);
    return live;
  }

  private caseOf(subject: NodeNumber): Case | undefined {
    const known = this.cases.get(subject);
    if (known !== undefined) return known;
    if (this.cases.size >= casesMax) {
      this.dropped++;
      // What has run out makes room at the next sitting.
      this.dueAtMs = Math.min(this.dueAtMs, this.satAtMs + brakeCheckMs);
      return undefined;
    }
    const reports = { silent: new Map(), refused: new Map(), lossy: new Map() };
    const file: Case = { reports, accusedUntilMs: new Map() };
    this.cases.set(subject, file);
    return file;
  }

  private close({ number, evidence }: Verdict, now: MonotonicMs): void {
    this.cases.delete(number);
    if (evidence !== 'refused') this.brakes.onConvicted(number, now);
  }

  /** Ends the leases that have run out, and the cases of those who are not live or of whom nobody says anything. */
  private dismiss(now: MonotonicMs, live: ReadonlySet<NodeNumber>): void {
    for (const [subject, { reports, accusedUntilMs }] of this.cases) {
      for (const [from, untilMs] of accusedUntilMs) if (now > untilMs || !live.has(from)) accusedUntilMs.delete(from);
      let testimonies = accusedUntilMs.size;
      for (const byReporter of Object.values(reports)) {
        for (const [from, { untilMs }] of byReporter) if (now > untilMs || !live.has(from)) byReporter.delete(from);
        testimonies += byReporter.size;
      }
      if (testimonies === 0 || !live.has(subject)) this.cases.delete(subject);
    }
  }

  private open(live: ReadonlySet<NodeNumber>, incarnationOf: Bench['incarnationOf']): Trial[] {
    const trials: Trial[] = [];
    for (const [subject, file] of this.cases) {
      const incarnation = incarnationOf(subject);
      if (incarnation === undefined || !live.has(subject)) continue;
      trials.push({ subject, incarnation, observers: this.observersOf(subject), file });
    }
    return trials;
  }

  private moreMayFollow(batch: readonly Verdict[]): boolean {
    const judged = new Set(batch.map(({ number }) => number));
    for (const [subject, { reports, accusedUntilMs }] of this.cases) {
      const accusers = accusedUntilMs.size + reports.refused.size;
      if (!judged.has(subject) && accusers >= accusersForHold) return true;
    }
    return false;
  }
}

/**
 * The clearest case first; then each of the others by what is left of the jury, until nothing more comes of it. So
 * two who report each other do not both fall, and the dead do not count among those who could report.
 */
function judge(
  trials: readonly Trial[],
  live: ReadonlySet<NodeNumber>,
  sound: ReadonlySet<NodeNumber>,
  provenOnly: boolean,
  now: MonotonicMs,
): readonly Verdict[] {
  const jurors = new Set(sound);
  const open = new Set(live);
  const batch: Verdict[] = [];
  const ordered = inOrder(trials, (trial) => findingOf(trial, jurors, provenOnly, now));
  for (let before = -1; batch.length > before; ) {
    before = batch.length;
    for (const trial of ordered) {
      const { subject: number, incarnation } = trial;
      const finding = open.has(number) ? findingOf(trial, jurors, provenOnly, now) : undefined;
      if (finding === undefined) continue;
      batch.push({ number, incarnation, evidence: finding.evidence });
      open.delete(number);
      jurors.delete(number);
    }
  }
  return batch;
}

/** The live members without those whom several report. */
function soundAmong(trials: readonly Trial[], live: ReadonlySet<NodeNumber>, now: MonotonicMs): Set<NodeNumber> {
  const sound = new Set(live);
  for (const trial of trials) {
    const reporters = countOf(trial, ['silent', 'refused', 'lossy'], live, now);
    if (reporters >= doubtersFor(trial.observers.length)) sound.delete(trial.subject);
  }
  return sound;
}

/** So many reports make a juror doubtful itself. */
function doubtersFor(observers: number): number {
  return observers < ringsMax ? 2 : reportersMin;
}

/** A kernel's word before a silence, then the most reports, then the lowest number. */
function inOrder(trials: readonly Trial[], find: (trial: Trial) => Finding | undefined): readonly Trial[] {
  const weightOf = (finding: Finding | undefined): number =>
    finding === undefined ? 0 : finding.reporters + (finding.evidence === 'refused' ? ringsMax : 0);
  return trials
    .map((trial) => ({ trial, weight: weightOf(find(trial)) }))
    .sort((a, b) => b.weight - a.weight || a.trial.subject - b.trial.subject)
    .map(({ trial }) => trial);
}

function findingOf(
  trial: Trial,
  jurors: ReadonlySet<NodeNumber>,
  provenOnly: boolean,
  now: MonotonicMs,
): Finding | undefined {
  const live = jurorsOf(trial, jurors);
  if (live === 0) return undefined;
  const refused = countOf(trial, ['refused'], jurors, now);
  if (refused >= majorityOf(live)) return { evidence: 'refused', reporters: refused };
  if (provenOnly) return undefined;
  const enough = trial.observers.length < ringsMax ? majorityOf(live) : quotaOf(live);
  const silent = countOf(trial, ['silent', 'refused'], jurors, now);
  if (silent >= enough) return { evidence: 'silent', reporters: silent };
  const lossy = countOf(trial, ['lossy'], jurors, now);
  return lossy >= enough ? { evidence: 'lossy', reporters: lossy } : undefined;
}

/** Those whom enough of their observers accuse, and whom no kernel reports dead. */
function accusedAmong(
  trials: readonly Trial[],
  live: ReadonlySet<NodeNumber>,
  now: MonotonicMs,
): readonly NodeNumber[] {
  return trials
    .filter((trial) => {
      const majority = majorityOf(jurorsOf(trial, live));
      const { accusedUntilMs, reports } = trial.file;
      const accusers = trial.observers.filter(
        (from) => live.has(from) && (accusedUntilMs.has(from) || reports.lossy.has(from)),
      );
      return (
        accusers.length >= Math.min(accusersForHold, majority) && countOf(trial, ['refused'], live, now) < majority
      );
    })
    .map(({ subject }) => subject);
}

/** Observers who report the subject now, as one of these. */
function countOf(
  { subject, incarnation, observers, file }: Trial,
  kinds: readonly Evidence[],
  jurors: ReadonlySet<NodeNumber>,
  now: MonotonicMs,
): number {
  const counts = (testimony: Testimony | undefined): boolean =>
    testimony !== undefined && testimony.incarnation === incarnation && now <= testimony.untilMs;
  let count = 0;
  for (const from of observers) {
    if (from === subject || !jurors.has(from)) continue;
    if (kinds.some((kind) => counts(file.reports[kind].get(from)))) count++;
  }
  return count;
}

function jurorsOf({ subject, observers }: Trial, live: ReadonlySet<NodeNumber>): number {
  let count = 0;
  for (const number of observers) if (number !== subject && live.has(number)) count++;
  return count;
}

function majorityOf(jurors: number): number {
  return Math.floor(jurors / 2) + 1;
}

function quotaOf(jurors: number): number {
  const share = Math.ceil(reportersShareMin * jurors);
  return Math.max(1, Math.min(reportersMin, jurors), share);
}
