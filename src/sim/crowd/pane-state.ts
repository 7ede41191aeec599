/** What the control pane has decided, as far as it concerns failure detection: one state for all control nodes. */
import { returnMemoryMs } from '../../control/admitted-member.ts';
import { changesMax, type ViewChanges } from '../../control/keep-alive.ts';
import type { Incarnation, LogIndex, MonotonicMs, NodeNumber } from '../../identity.ts';
import type { Update } from '../../swim/message.ts';
import { type Places, Rings, viewMax } from '../../swim/rings.ts';
import { membersOf, type Slice, sliceOf } from '../../swim/slice.ts';

interface Standing {
  incarnation: Incarnation;
  status: 'alive' | 'down';
  /** The process that ran when this was decided. */
  process: number;
  returnedAt: MonotonicMs[];
}

interface Change {
  readonly number: NodeNumber;
  readonly kind: 'admitted' | 'standing';
}

export class PaneState {
  readonly control: readonly NodeNumber[];
  readonly rings: Rings;
  readonly live: Set<NodeNumber> = new Set();
  /** Until when the operator lets everything pass. */
  brakeReleasedUntilMs: MonotonicMs = Number.NEGATIVE_INFINITY;
  private readonly standings = new Map<NodeNumber, Standing>();
  /** Entry 1 is at 0. */
  private readonly log: Change[] = [];

  constructor(control: readonly NodeNumber[], places: Places) {
    this.control = control;
    this.rings = new Rings(places);
  }

  get size(): number {
    return this.standings.size;
  }

  get logIndex(): LogIndex {
    return this.log.length;
  }

  /** All members, in the order of their admission. */
  get members(): IterableIterator<NodeNumber> {
    return this.standings.keys();
  }

  standingOf(number: NodeNumber): Readonly<Standing> | undefined {
    return this.standings.get(number);
  }

  updateOf(number: NodeNumber): Update | undefined {
    const standing = this.standings.get(number);
    return standing && { number, incarnation: standing.incarnation, status: standing.status };
  }

  /** False for a member that is one already. */
  admit(number: NodeNumber): boolean {
    if (this.standings.has(number)) return false;
    this.standings.set(number, { incarnation: 0, status: 'alive', process: 0, returnedAt: [] });
    this.rings.add(number);
    this.live.add(number);
    this.log.push({ number, kind: 'admitted' });
    return true;
  }

  /** False when it is not, or no longer, as the verdict took it to be. */
  convict(number: NodeNumber, incarnation: Incarnation, process: number): boolean {
    const standing = this.standings.get(number);
    if (standing?.status !== 'alive' || standing.incarnation !== incarnation) return false;
    standing.status = 'down';
    standing.process = process;
    this.live.delete(number);
    this.log.push({ number, kind: 'standing' });
    return true;
  }

  takeBack(number: NodeNumber, now: MonotonicMs): boolean {
    const standing = this.standings.get(number);
    if (standing?.status !== 'down') return false;
    standing.returnedAt = [...standing.returnedAt.filter((atMs) => now - atMs < returnMemoryMs), now];
    standing.incarnation++;
    standing.status = 'alive';
    this.live.add(number);
    this.log.push({ number, kind: 'standing' });
    return true;
  }

  returnsWithinHour(number: NodeNumber, now: MonotonicMs): number {
    return this.standings.get(number)?.returnedAt.filter((atMs) => now - atMs < returnMemoryMs).length ?? 0;
  }

  /** The part of the membership that this member is to keep; nothing when that is everybody. */
  sliceOf(number: NodeNumber): Slice | undefined {
    if (this.size <= viewMax) return undefined;
    return sliceOf(this.rings, number, { control: this.control, required: [] });
  }

  /** All in the view of a member, itself included, with their standing. */
  viewOf(number: NodeNumber, slice: Slice | undefined): readonly Update[] {
    const numbers = slice === undefined ? [...this.members] : [number, ...membersOf(slice)];
    return numbers.flatMap((each) => this.updateOf(each) ?? []);
  }

  /** What a member lacks whose knowledge reaches so far. */
  changesSince(index: LogIndex, number: NodeNumber): ViewChanges | undefined {
    if (index >= this.logIndex) return undefined;
    const isComplete = this.size <= viewMax;
    const updates: Update[] = [];
    const admitted: NodeNumber[] = [];
    let reaches = index;
    let hasGrown = false;
    while (reaches < this.logIndex && Math.max(updates.length, admitted.length) < changesMax) {
      const change = this.log[reaches++] as Change;
      if (change.kind === 'standing') updates.push(this.updateOf(change.number) as Update);
      else if (isComplete) admitted.push(change.number);
      else hasGrown = true;
    }
    const slice = hasGrown ? this.sliceOf(number) : undefined;
    return { reaches, updates, removed: [], admitted, slice, resync: false };
  }
}
