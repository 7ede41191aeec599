import type { NodeNumber } from '../identity.ts';
import { type Random, shuffled } from '../seam/random.ts';

/**
 * Probes in shuffled rounds: each subject once in a round, so that the time to its first probe is bounded (SWIM, Das
 * 2002 §4.3). Newcomers are not put at a random place of the round but come first: nothing is known of them yet.
 */
export class ProbeRound {
  private readonly random: Random;
  private left: NodeNumber[] = [];
  private newcomers: NodeNumber[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  /** A subject that is new, or that came back. */
  insert(number: NodeNumber): void {
    if (this.newcomers.includes(number)) return;
    this.newcomers.splice(this.random.below(this.newcomers.length + 1), 0, number);
  }

  get hasNewcomers(): boolean {
    return this.newcomers.length > 0;
  }

  /**
   * The next one that is to be probed at all, from a new round over `subjects` when this one is over; nothing when
   * there is none.
   */
  next(subjects: Iterable<NodeNumber>, isWanted: (number: NodeNumber) => boolean): NodeNumber | undefined {
    const next = takeFrom(this.newcomers, isWanted) ?? takeFrom(this.left, isWanted);
    if (next !== undefined) return next;
    this.left = shuffled([...subjects], this.random);
    return takeFrom(this.left, isWanted);
  }
}

function takeFrom(numbers: NodeNumber[], isWanted: (number: NodeNumber) => boolean): NodeNumber | undefined {
  for (let next = numbers.pop(); next !== undefined; next = numbers.pop()) if (isWanted(next)) return next;
  return undefined;
}
