import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { Doubt } from './doubt.ts';
import { Jury } from './jury.ts';
import type { Accusation, Evidence, Report } from './message.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { Outbox } from './outbox.ts';
import type { Roster } from './roster.ts';

export interface TestimonySeams {
  readonly self: NodeNumber;
  readonly roster: Roster;
  readonly neighbourhood: Neighbourhood;
  readonly outbox: Outbox;
}

/**
 * Tells the pane what this node found out about its subjects. While no quorum listens, observers also tell each
 * other, and what most of them report is a hint.
 */
export class Testimony {
  private readonly seams: TestimonySeams;
  private controlNodes: readonly NodeNumber[] = [];
  /** What the other observers report, while no quorum listens; nothing while one does. */
  private hints: Jury | undefined;

  constructor(seams: TestimonySeams) {
    this.seams = seams;
  }

  setControlNodes(numbers: readonly NodeNumber[]): void {
    this.controlNodes = numbers;
  }

  /** Whether that is a change. */
  setQuorum(healthy: boolean): boolean {
    if (healthy === (this.hints === undefined)) return false;
    const observersOf = (subject: NodeNumber): readonly NodeNumber[] => this.observersOf(subject);
    this.hints = healthy ? undefined : new Jury({ observersOf, groups: () => [] });
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
    const told = new Set(this.hints === undefined ? this.controlNodes : [...this.controlNodes, ...coObservers]);
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
    if (this.hints === undefined) return;
    this.hints.report(from, report, now);
    if (doubt.hinted || doubt.evidence === undefined) return;
    const live = new Set(this.seams.roster.withStatus('alive'));
    if (!this.hints.hasMajority(doubt.subject, doubt.incarnation, live, now)) return;
    doubt.hinted = true;
    this.seams.outbox.event({ kind: 'hinted-down', number: doubt.subject, incarnation: doubt.incarnation });
  }

  private observersOf(subject: NodeNumber): readonly NodeNumber[] {
    const others = this.seams.neighbourhood.subjects.get(subject);
    return others === undefined ? [] : [...others, this.seams.self];
  }
}
