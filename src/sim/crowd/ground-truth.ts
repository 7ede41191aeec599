import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import type { Belief } from './arm.ts';

/** One real fault, and when it was noticed. */
export interface FaultCase {
  readonly subject: NodeNumber;
  /** Milliseconds until the first healthy member that keeps the subject held it for down. */
  readonly detectedAfterMs: number | undefined;
  /** Milliseconds until the last of them did; nothing while one does not. */
  readonly knownAfterMs: number | undefined;
}

interface OpenCase {
  readonly subject: NodeNumber;
  readonly atMs: MonotonicMs;
  /** Who should hold it for down, and does not yet. */
  readonly waiting: Set<NodeNumber>;
  firstAfterMs: number | undefined;
  lastAfterMs: number | undefined;
}

/**
 * What is really the case, and what the nodes make of it. Healthy is whoever runs and has nothing wrong with it;
 * only the crowd knows.
 */
export class GroundTruth {
  /** A healthy member began to hold a healthy one that it can reach for down: Lifeguard's FP⁻, for each pair. */
  falseDowns = 0;
  /** The same at any member, whatever is wrong with that one: Lifeguard's FP. */
  falseDownsAnywhere = 0;
  suspicions = 0;
  /** Entries of the pane that convicted, and how many were convicted by them in all. */
  convictionEntries = 0;
  convictions = 0;
  falseConvictions = 0;
  readonly returnsOf: Map<NodeNumber, number> = new Map();
  readonly convicted: Set<NodeNumber> = new Set();
  private readonly faulty = new Set<NodeNumber>();
  private readonly downAt = new Map<NodeNumber, Set<NodeNumber>>();
  private readonly cases = new Map<NodeNumber, OpenCase>();
  private readonly closed: FaultCase[] = [];
  private readonly canReach: (from: NodeNumber, to: NodeNumber) => boolean;

  constructor(canReach: (from: NodeNumber, to: NodeNumber) => boolean) {
    this.canReach = canReach;
  }

  isHealthy(number: NodeNumber): boolean {
    return !this.faulty.has(number);
  }

  get faultyCount(): number {
    return this.faulty.size;
  }

  /** How many now hold a healthy member for down, over all pairs with a healthy observer. */
  get wrongPairs(): number {
    let count = 0;
    for (const [subject, observers] of this.downAt) {
      if (!this.isHealthy(subject)) continue;
      for (const observer of observers) if (this.isHealthy(observer)) count++;
    }
    return count;
  }

  get faultCases(): readonly FaultCase[] {
    return [...this.closed, ...[...this.cases.values()].map(toFaultCase)];
  }

  /** Something is wrong with these from now on, whether or not anybody is to notice. */
  markFaulty(numbers: readonly NodeNumber[]): void {
    for (const number of numbers) {
      this.faulty.add(number);
      for (const { waiting } of this.cases.values()) waiting.delete(number);
    }
  }

  /** Nothing is wrong with these any more. */
  markHealthy(numbers: readonly NodeNumber[]): void {
    for (const number of numbers) {
      this.faulty.delete(number);
      this.closeCase(number);
    }
  }

  /** From now on these should be held for down by all of `observersOf`. */
  expectDown(
    subjects: readonly NodeNumber[],
    observersOf: (subject: NodeNumber) => readonly NodeNumber[],
    now: MonotonicMs,
  ): void {
    for (const subject of subjects) {
      this.closeCase(subject);
      const waiting = new Set(observersOf(subject));
      this.cases.set(subject, { subject, atMs: now, waiting, firstAfterMs: undefined, lastAfterMs: undefined });
    }
  }

  /** What the processes of these believed is gone with them. */
  forget(observers: readonly NodeNumber[]): void {
    for (const holders of this.downAt.values()) for (const observer of observers) holders.delete(observer);
  }

  believe(observer: NodeNumber, subject: NodeNumber, belief: Belief, now: MonotonicMs): void {
    if (belief === 'suspect') this.suspicions++;
    else if (belief === 'alive') this.downAt.get(subject)?.delete(observer);
    else this.onDown(observer, subject, now);
  }

  onConvicted(numbers: readonly NodeNumber[]): void {
    this.convictionEntries++;
    this.convictions += numbers.length;
    for (const number of numbers) {
      this.convicted.add(number);
      if (this.isHealthy(number)) this.falseConvictions++;
    }
  }

  onReturned(number: NodeNumber): void {
    this.returnsOf.set(number, (this.returnsOf.get(number) ?? 0) + 1);
  }

  private onDown(observer: NodeNumber, subject: NodeNumber, now: MonotonicMs): void {
    const holders = this.downAt.get(subject) ?? new Set();
    this.downAt.set(subject, holders);
    if (holders.has(observer)) return;
    holders.add(observer);
    if (this.isHealthy(subject) && this.canReach(observer, subject)) {
      this.falseDownsAnywhere++;
      if (this.isHealthy(observer)) this.falseDowns++;
    }
    const open = this.cases.get(subject);
    if (open === undefined || !open.waiting.delete(observer)) return;
    open.lastAfterMs = now - open.atMs;
    open.firstAfterMs ??= open.lastAfterMs;
  }

  private closeCase(subject: NodeNumber): void {
    const open = this.cases.get(subject);
    if (open === undefined) return;
    this.cases.delete(subject);
    this.closed.push(toFaultCase(open));
  }
}

function toFaultCase({ subject, waiting, firstAfterMs, lastAfterMs }: OpenCase): FaultCase {
  return { subject, detectedAfterMs: firstAfterMs, knownAfterMs: waiting.size === 0 ? lastAfterMs : undefined };
}
