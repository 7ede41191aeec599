import type { NodeNumber } from '../../identity.ts';
import { type MemberlistRumour, rumourBytes } from './memberlist-message.ts';

interface Entry {
  readonly rumour: MemberlistRumour;
  readonly bytes: number;
  sends: number;
}

/** Outdated entries that may lie in the piles, beyond the number of live ones, before they are swept out. */
const outdatedSlack = 64;

/**
 * The news that one member passes on, each piece a limited number of times, those sent least first and the newest
 * first among equals. Newer news of a member takes the place of older, so there is at most one piece per member.
 */
export class MemberlistNews {
  private readonly entries = new Map<NodeNumber, Entry>();
  /** By sends so far; the newest on top. What is no longer in `entries` is outdated. */
  private piles: Entry[][] = [];
  private piled = 0;

  get size(): number {
    return this.entries.size;
  }

  add(rumour: MemberlistRumour): void {
    const entry = { rumour, bytes: rumourBytes(rumour), sends: 0 };
    this.entries.set(rumour.subject, entry);
    this.pile(entry);
    if (this.piled > 2 * this.entries.size + outdatedSlack) this.sweep();
  }

  /** As much as fits in `room` bytes; what has then been sent `sendsMax` times is done with. */
  take(room: number, sendsMax: number): readonly MemberlistRumour[] {
    if (this.entries.size === 0) return [];
    const taken = this.fitting(room);
    for (const entry of taken.toReversed()) {
      entry.sends += 1;
      if (entry.sends < sendsMax) this.pile(entry);
      else this.entries.delete(entry.rumour.subject);
    }
    return taken.map(({ rumour }) => rumour);
  }

  private fitting(room: number): readonly Entry[] {
    const taken: Entry[] = [];
    let left = room;
    for (const pile of this.piles) {
      for (let entry = pile.pop(); entry !== undefined; entry = pile.pop()) {
        if (entry.bytes > left) {
          pile.push(entry);
          return taken;
        }
        this.piled -= 1;
        if (this.entries.get(entry.rumour.subject) !== entry) continue;
        taken.push(entry);
        left -= entry.bytes;
      }
    }
    return taken;
  }

  private pile(entry: Entry): void {
    for (let sends = this.piles.length; sends <= entry.sends; sends++) this.piles.push([]);
    this.piles[entry.sends]?.push(entry);
    this.piled += 1;
  }

  private sweep(): void {
    this.piles = this.piles.map((pile) => pile.filter((entry) => this.entries.get(entry.rumour.subject) === entry));
    this.piled = this.entries.size;
  }
}
