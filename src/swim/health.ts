/** Lifeguard's local health runs from 0, healthy, to 8 (Dadgar 2018, §IV-A). */
export const healthScoreMax = 8;

/**
 * How far this node should doubt itself rather than its neighbours (Lifeguard's "local health aware probe").
 * A miss counts against this node only when the silent member turns out to be alive: a miss at a dead one says
 * nothing about the observer, and a mass failure must not slow its own detection.
 */
export class LocalHealth {
  private score = 0;

  /** Whatever is waited for takes so many times as long: 1 … 9. */
  get stretch(): number {
    return this.score + 1;
  }

  onTimelyAnswer(): void {
    this.score = Math.max(0, this.score - 1);
  }

  /** A member was missed, and answered later. */
  onFalseAlarm(): void {
    this.worsen();
  }

  /** This process was called later than it asked to be. */
  onStall(): void {
    this.worsen();
  }

  private worsen(): void {
    this.score = Math.min(healthScoreMax, this.score + 1);
  }
}
