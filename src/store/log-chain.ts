import { assert } from '../assert.ts';
import type { LogIndex, Term } from '../identity.ts';
import { chainStart } from '../seam/log-store.ts';

export interface ChainLink {
  /** Missing for an entry that is known by its hash alone. */
  readonly term?: Term;
  readonly hash: Uint8Array;
}

/** Term and hash of each entry of a log, and of the one before the first. */
export class LogChain {
  private base: LogIndex = 0;
  /** The first is that of the entry `base`. */
  private links: (ChainLink | undefined)[] = [{ term: 0, hash: chainStart }];

  get firstIndex(): LogIndex {
    return this.base + 1;
  }

  get lastIndex(): LogIndex {
    return this.base + this.links.length - 1;
  }

  at(index: LogIndex): ChainLink | undefined {
    return this.links[index - this.base];
  }

  get last(): ChainLink | undefined {
    return this.links.at(-1);
  }

  /** The link of an entry, in place of all at and behind its index. */
  put(index: LogIndex, link: ChainLink): void {
    assert(index >= this.firstIndex && index <= this.lastIndex + 1, 'entries are written without a gap');
    this.links.length = index - this.base;
    this.links.push(link);
  }

  /** Begins anew behind the entry at `index`, of which perhaps nothing is known. */
  restart(index: LogIndex, link: ChainLink | undefined): void {
    this.base = index;
    this.links = [link];
  }

  /** Keeps what it takes to go on behind any entry from `index - 1` on. */
  forgetBelow(index: LogIndex): void {
    const firstKept = Math.min(index, this.lastIndex + 1);
    if (firstKept <= this.firstIndex) return;
    this.links.splice(0, firstKept - this.firstIndex);
    this.base = firstKept - 1;
  }
}
