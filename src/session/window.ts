/**
 * The sliding window that tells new counters from replayed ones (RFC 4303 §3.4.3, as a ring of bits in the
 * manner of RFC 6479): packets may come in any order, each once, at most `windowCounters` late.
 */
export const windowCounters = 1_024;

const bitsPerWord = 32;

export class ReplayWindow {
  private readonly words = new Uint32Array(windowCounters / bitsPerWord);
  /** No counter up to this one is accepted, whatever the bits say. */
  private readonly floor: number;
  private newest: number;

  /** @param floor a counter that is known to be recent: it and all before it count as seen */
  constructor(floor: number) {
    this.floor = floor;
    this.newest = floor;
  }

  /** The highest counter so far. */
  get highest(): number {
    return this.newest;
  }

  isNew(counter: number): boolean {
    if (counter > this.newest) return true;
    if (counter <= this.floor || this.newest - counter >= windowCounters) return false;
    return (this.word(counter) & this.bit(counter)) === 0;
  }

  /** Only for the counter of a packet that was opened: a forged one must not move the window. */
  mark(counter: number): void {
    if (counter > this.newest) this.advanceTo(counter);
    const at = this.wordIndex(counter);
    this.words[at] = this.word(counter) | this.bit(counter);
  }

  /** Clears the bits of all counters that enter the window: they last stood for those that leave it. */
  private advanceTo(counter: number): void {
    if (counter - this.newest >= windowCounters) this.words.fill(0);
    else {
      for (let entering = this.newest + 1; entering <= counter; entering++) {
        const at = this.wordIndex(entering);
        this.words[at] = this.word(entering) & ~this.bit(entering);
      }
    }
    this.newest = counter;
  }

  // Counters pass 2^32, where bit operators would cut them: hence the arithmetic.
  private wordIndex(counter: number): number {
    return Math.floor((counter % windowCounters) / bitsPerWord);
  }

  private word(counter: number): number {
    return this.words[this.wordIndex(counter)] as number;
  }

  private bit(counter: number): number {
    return 1 << (counter % bitsPerWord);
  }
}
