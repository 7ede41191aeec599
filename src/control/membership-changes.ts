/** The newest changes of the membership, for those who know all of it up to some entry. */
import type { LogIndex, NodeNumber } from '../identity.ts';

export interface MembershipChange {
  /** The entry that decided it; one entry may change several members. */
  readonly index: LogIndex;
  readonly number: NodeNumber;
  /** `standing`: it was convicted, or it returned. */
  readonly kind: 'admitted' | 'removed' | 'standing';
}

/** Changes that are remembered; whoever lacks older ones takes over the whole. */
export const membershipChangesMax = 4_096;

/** The changes that are remembered, the oldest first. */
export interface ChangesKept {
  /** Up to this entry some or all changes are forgotten. */
  readonly forgottenTo: LogIndex;
  readonly newest: readonly MembershipChange[];
}

export const noChanges: ChangesKept = { forgottenTo: 0, newest: [] };

export class MembershipChanges {
  /** A ring: the change before the oldest one is the newest. */
  private readonly ring: MembershipChange[];
  private oldest = 0;
  private forgottenTo: LogIndex;

  /** `kept` holds at most `membershipChangesMax`. */
  constructor({ forgottenTo, newest }: ChangesKept = noChanges) {
    this.forgottenTo = forgottenTo;
    this.ring = [...newest];
  }

  get kept(): ChangesKept {
    const newest = [...this.ring.slice(this.oldest), ...this.ring.slice(0, this.oldest)];
    return { forgottenTo: this.forgottenTo, newest };
  }

  /** `change` is of the newest entry. */
  record(change: MembershipChange): void {
    const forgotten = this.ring[this.oldest];
    if (this.ring.length < membershipChangesMax || forgotten === undefined) {
      this.ring.push(change);
      return;
    }
    this.forgottenTo = forgotten.index;
    this.ring[this.oldest] = change;
    this.oldest = (this.oldest + 1) % membershipChangesMax;
  }

  /** Forgets all: whoever knows less than the entry `index` takes over the whole. */
  forgetTo(index: LogIndex): void {
    this.ring.length = 0;
    this.oldest = 0;
    this.forgottenTo = index;
  }

  /** What the entries behind `index` changed, the oldest first; nothing when not all of it is remembered. */
  since(index: LogIndex): readonly MembershipChange[] | undefined {
    if (index < this.forgottenTo) return undefined;
    const found: MembershipChange[] = [];
    for (let age = 1; age <= this.ring.length; age++) {
      const change = this.ring[(this.oldest + this.ring.length - age) % this.ring.length] as MembershipChange;
      if (change.index <= index) break;
      found.push(change);
    }
    return found.reverse();
  }
}
