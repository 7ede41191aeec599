import type { NodeNumber } from '../identity.ts';
import type { Random } from '../seam/random.ts';

/** Questions that may still be answered: at 128 silent members and one a second, the last half minute. */
export const noncesMax = 4_096;

/** The questions that are still open. An echoed nonce proves that its subject got one, however long ago. */
export class Nonces {
  /** Questions forgotten unanswered because there were too many: normal while a member is silent for long. */
  dropped = 0;
  private readonly random: Random;
  private readonly subjects = new Map<number, NodeNumber>();

  constructor(random: Random) {
    this.random = random;
  }

  /** A new nonce for a question to `subject`. */
  draw(subject: NodeNumber): number {
    const nonce = this.random.below(0x1_0000_0000);
    this.subjects.delete(nonce);
    this.subjects.set(nonce, subject);
    if (this.subjects.size > noncesMax) this.dropOldest();
    return nonce;
  }

  /** Whether `from` was asked with this nonce. Each one counts once, and nobody else can use it up. */
  take(nonce: number, from: NodeNumber): boolean {
    if (this.subjects.get(nonce) !== from) return false;
    return this.subjects.delete(nonce);
  }

  private dropOldest(): void {
    for (const oldest of this.subjects.keys()) {
      this.subjects.delete(oldest);
      this.dropped++;
      return;
    }
  }
}
