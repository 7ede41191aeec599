import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { Doubt } from './doubt.ts';
import { Jury } from './jury.ts';
import type { Accusation, Evidence, Report } from './message.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { Outbox } from './outbox.ts';
import type { Roster } from './roster.ts';

/** A hint is told again so much later, for those who did not heed it, because they still knew of a quorum, … */
export const hintRepeatMs = 10_000;
/** … and then after twice as long each time, up to this: it goes to everybody. */
export const hintRepeatMsMax = 300_000;

export interface TestimonySeams {
  readonly self: NodeNumber;
  readonly roster: Roster;
  readonly neighbourhood: Neighbourhood;
  readonly outbox: Outbox;
}

interface Repeat {
  readonly dueAtMs: MonotonicMs;
  readonly pauseMs: number;
}

/**
 * Tells the pane what this node found out about its subjects. While no quorum listens, observers also tell each
 * other, and what most of them report is a hint, which each of them tells everybody.
 */
export class Testimony {
  private readonly seams: TestimonySeams;
  private controlNodes: readonly NodeNumber[] = [];
  /** What the other observers report, while no quorum listens; nothing while one does. */
  private jury: Jury | undefined;
  /** When the hints of this node are told again. */
  private readonly repeats = new Map<NodeNumber, Repeat>();

  constructor(seams: TestimonySeams) {
    this.seams = seams;
  }

  setControlNodes(numbers: readonly NodeNumber[]): void {
    this.controlNodes = numbers;
  }

  /** Whether that is a change. */
  setQuorum(healthy: boolean): boolean {
    if (healthy === (this.jury === undefined)) return false;
    const observersOf = (subject: NodeNumber): readonly NodeNumber[] => this.observersOf(subject);
    this.jury = healthy ? undefined : new Jury({ observersOf, groups: () => [] });
    this.repeats.clear();
    return true;
  }

  /** To those who can check, to the pane, and to the subject itself, which may answer. */
  accuse(accusation: Accusation, coObservers: readonly NodeNumber[]): void {
    const { outbox, self } = this.seams;
    const told = new Set([accusation.subject, ...this.controlNodes, ...coObservers]);
    for (const to of told) if (to !== self) outbox.post(to, accusation);
    this.testify(self, accusation);
  }

  report(
    subject: Pick<Doubt, 'subject' | 'incarnation'>,
    evidence: Evidence,
    coObservers: readonly NodeNumber[],
  ): void {
    const { self, outbox } = this.seams;
    const report: Report = { kind: 'report', subject: subject.subject, incarnation: subject.incarnation, evidence };
    const told = new Set(this.jury === undefined ? this.controlNodes : [...this.controlNodes, ...coObservers]);
    for (const to of told) if (to !== self && to !== report.subject) outbox.post(to, report);
    this.testify(self, report);
  }

  /** Hands it to whoever runs the jury of a leader. */
  testify(from: NodeNumber, message: Accusation | Report): void {
    if (!this.controlNodes.includes(this.seams.self)) return;
    this.seams.outbox.emit({ kind: 'testimony', from, message });
  }

  /** Without a quorum: what most observers report, and this one finds too, is held to be down. */
  considerHint(from: NodeNumber, report: Omit<Report, 'kind'>, doubt: Doubt, now: MonotonicMs): void {
    if (this.jury === undefined) return;
    this.jury.report(from, report, now);
    if (doubt.evidence === undefined) return;
    if (!doubt.hinted) {
      const live = new Set(this.seams.roster.withStatus('alive'));
      if (!this.jury.hasMajority(doubt.subject, doubt.incarnation, live, now)) return;
      doubt.hinted = true;
      this.seams.outbox.event({ kind: 'hinted-down', number: doubt.subject, incarnation: doubt.incarnation });
    }
    this.hint(doubt, now);
  }

  /** A doubt of this node's is cleared: its hint is wrong. */
  takeBack({ subject: number, incarnation, hinted }: Doubt): void {
    this.repeats.delete(number);
    if (hinted) this.seams.outbox.emit({ kind: 'hint', number, incarnation, isDown: false });
  }

  /** The doubt ended otherwise: others hear of that from the pane. */
  forget(subject: NodeNumber): void {
    this.repeats.delete(subject);
  }

  private hint({ subject: number, incarnation }: Doubt, now: MonotonicMs): void {
    const last = this.repeats.get(number);
    if (last !== undefined && now < last.dueAtMs) return;
    const pauseMs = last === undefined ? hintRepeatMs : Math.min(2 * last.pauseMs, hintRepeatMsMax);
    this.repeats.set(number, { dueAtMs: now + pauseMs, pauseMs });
    this.seams.outbox.emit({ kind: 'hint', number, incarnation, isDown: true });
  }

  private observersOf(subject: NodeNumber): readonly NodeNumber[] {
    const others = this.seams.neighbourhood.subjects.get(subject);
    return others === undefined ? [] : [...others, this.seams.self];
  }
}
