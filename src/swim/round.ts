import type { NodeNumber } from '../identity.ts';
import { type Random, shuffled } from '../seam/random.ts';

/**
 * Probes in shuffled rounds: each subject once in a round, so that the time to its first probe is bounded,
 * and new ones at a random place (SWIM, Das 2002 §4.3).
 */
export class ProbeRound {
  private readonly random: Random;
  private left: NodeNumber[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  insert(number: NodeNumber): void {
    if (this.left.includes(number)) return;
    this.left.splice(this.random.below(this.left.length + 1), 0, number);
  }

  /** The next one of `subjects`, from a new round when this one is over; nothing when there are none. */
  next(subjects: readonly NodeNumber[]): NodeNumber | undefined {
    const wanted = new Set(subjects);
    this.left = this.left.filter((number) => wanted.has(number));
    if (this.left.length === 0) this.left = shuffled(subjects, this.random);
    return this.left.pop();
  }
}
