import type { MonotonicMs, NodeNumber } from '../identity.ts';

/** Members on probation at once; one more has to ask again. */
export const probationsMax = 1_024;
export const probationPingPeriodMs = 500;
/** The part of its pings that a member has to answer. */
export const answeredShareMin = 0.7;
/** The last question of a trial, and one more half a second later, may be answered within this time. */
const lastAnswerMs = 1_000;
/** A new process returns as soon as it answers; one that was convicted and runs on has to show that it answers. */
export const newProcessWaitMs = 500;
export const sameProcessWaitMs = 5_000;
export const returnWaitMsMax = 1_800_000;

/**
 * Milliseconds for which a convicted member has to answer before it is taken back: doubled for each time that it
 * came back within the last hour, at most half an hour.
 */
export function returnWaitMs(isNewProcess: boolean, returnsWithinHour: number): number {
  const firstMs = isNewProcess ? newProcessWaitMs : sameProcessWaitMs;
  return Math.min(returnWaitMsMax, firstMs * 2 ** returnsWithinHour);
}

export interface ProbationResults {
  /** To be pinged now. */
  readonly ask: readonly NodeNumber[];
  readonly passed: readonly NodeNumber[];
  readonly failed: readonly NodeNumber[];
}

interface Trial {
  readonly endsAtMs: MonotonicMs;
  askAtMs: MonotonicMs;
  asked: number;
  answered: number;
  /** The last question, at the end: who stopped to answer this moment is not taken back. */
  last: { readonly untilMs: MonotonicMs; isAnswered: boolean } | undefined;
}

/** Convicted members that want to come back, each pinged for a while by the leader. */
export class Probation {
  private readonly trials = new Map<NodeNumber, Trial>();

  /** False, and nothing begun, when too many are on probation. One who is already goes on as it began. */
  begin(number: NodeNumber, waitMs: number, now: MonotonicMs): boolean {
    if (this.trials.has(number)) return true;
    if (this.trials.size >= probationsMax) return false;
    this.trials.set(number, { endsAtMs: now + waitMs, askAtMs: now, asked: 0, answered: 0, last: undefined });
    return true;
  }

  has(number: NodeNumber): boolean {
    return this.trials.has(number);
  }

  onAnswer(number: NodeNumber): void {
    const trial = this.trials.get(number);
    if (trial === undefined) return;
    if (trial.last !== undefined) trial.last.isAnswered = true;
    else trial.answered = Math.min(trial.asked, trial.answered + 1);
  }

  /** What is to be done now; who passed or failed is on probation no longer. */
  due(now: MonotonicMs): ProbationResults {
    const ask: NodeNumber[] = [];
    const passed: NodeNumber[] = [];
    const failed: NodeNumber[] = [];
    for (const [number, trial] of this.trials) {
      const verdict = verdictOn(trial, now);
      if (verdict !== undefined) {
        this.trials.delete(number);
        (verdict === 'passed' ? passed : failed).push(number);
      } else if (now >= trial.askAtMs) {
        trial.asked++;
        trial.askAtMs = now + probationPingPeriodMs;
        ask.push(number);
      }
    }
    return { ask, passed, failed };
  }

  nextTickAt(): MonotonicMs {
    let next = Number.POSITIVE_INFINITY;
    for (const { askAtMs, endsAtMs, last } of this.trials.values()) {
      if (last?.isAnswered) return Number.NEGATIVE_INFINITY;
      next = Math.min(next, askAtMs, last?.untilMs ?? endsAtMs);
    }
    return next;
  }
}

/** At its end a trial that went well goes on for one more question. */
function verdictOn(trial: Trial, now: MonotonicMs): 'passed' | 'failed' | undefined {
  if (trial.last !== undefined) {
    if (trial.last.isAnswered) return 'passed';
    return now >= trial.last.untilMs ? 'failed' : undefined;
  }
  if (now < trial.endsAtMs) return undefined;
  if (trial.answered === 0 || trial.answered < answeredShareMin * trial.asked) return 'failed';
  trial.last = { untilMs: now + lastAnswerMs, isAnswered: false };
  trial.askAtMs = now;
  return undefined;
}
