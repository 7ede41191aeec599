import type { NodeNumber } from '../identity.ts';
import { Reach } from './reach.ts';
import { chooseObservers, type Places, Rings, ringsMax } from './rings.ts';
import type { Roster } from './roster.ts';
import { adjust, membersOf, type Slice, sliceOf, without } from './slice.ts';

/** Up to so many members everybody gossips with everybody: the rings' edges would be nearly all pairs anyway. */
export const gossipAnywhereMax: number = 2 * ringsMax + 4;

/**
 * Who watches whom, as far as it concerns one node: by the rings of all members while its view is everybody, else by
 * the slice that it was given. Everything is worked out once for each change.
 */
export class Neighbourhood {
  /** Counts the changes of who watches whom. */
  version = 0;
  private readonly self: NodeNumber;
  private readonly roster: Roster;
  private readonly places: Places;
  private given: Slice | undefined;
  private control: readonly NodeNumber[] = [];
  /** Members that nobody living observes. */
  private readonly orphans = new Set<NodeNumber>();
  private complete: Rings | undefined;
  private derived: Slice | undefined;
  private watched: ReadonlyMap<NodeNumber, readonly NodeNumber[]> | undefined;
  private watchers: readonly NodeNumber[] | undefined;
  private reach: Reach | undefined;
  private down: readonly NodeNumber[] = [];
  private downVersion = -1;

  constructor(self: NodeNumber, roster: Roster, places: Places) {
    this.self = self;
    this.roster = roster;
    this.places = places;
  }

  /** The rings of all members that this node knows. They mean something where that is everybody. */
  get rings(): Rings {
    if (this.complete === undefined) {
      this.complete = new Rings(this.places);
      for (const number of this.roster.numbers()) this.complete.add(number);
    }
    return this.complete;
  }

  get slice(): Slice {
    this.derived ??= this.given ?? sliceOf(this.rings, this.self, { control: this.control, required: [] });
    return this.derived;
  }

  /** Whether gossip keeps to the edges of the rings, where both ends know each other and have a session. */
  get isLarge(): boolean {
    return this.given !== undefined || this.roster.size > gossipAnywhereMax;
  }

  /** Members of the view, this node included. */
  get size(): number {
    return this.given === undefined ? this.roster.size : membersOf(this.given).length + 1;
  }

  /** Whom this node probes, each with all others who do. */
  get subjects(): ReadonlyMap<NodeNumber, readonly NodeNumber[]> {
    if (this.watched === undefined) {
      const others = this.control.filter((number) => number !== this.self);
      const own = this.slice.subjects.map(({ number, observers }) => [number, observers] as const);
      this.watched = new Map([...[...this.orphans].map((number) => [number, others] as const), ...own]);
    }
    return this.watched;
  }

  isControl(number: NodeNumber): boolean {
    return this.control.includes(number);
  }

  /** Who judges a member: its observers, or the control nodes when those are all down. Where everybody is known. */
  jurorsOf(subject: NodeNumber): readonly NodeNumber[] {
    const observers = this.rings.observersOf(subject);
    return observers.some((number) => this.isAlive(number)) ? observers : this.control;
  }

  /** A member went down or came back: those whom it watched may have nobody left, or somebody again. */
  onStanding(number: NodeNumber): void {
    if (this.given !== undefined || !this.control.includes(this.self)) return;
    for (const subject of this.rings.subjectsOf(number)) this.careFor(subject);
  }

  /** On a control node: a member whose observers are all down is watched by the control nodes. */
  private careFor(subject: NodeNumber): void {
    const hasNobody = subject !== this.self && !this.rings.observersOf(subject).some((each) => this.isAlive(each));
    if (hasNobody === this.orphans.has(subject)) return;
    if (hasNobody) this.orphans.add(subject);
    else this.orphans.delete(subject);
    this.version++;
    this.watched = undefined;
  }

  private isAlive(number: NodeNumber): boolean {
    return this.roster.get(number)?.status === 'alive';
  }

  /** The subjects that are published as down. */
  get subjectsDown(): readonly NodeNumber[] {
    const version = this.version + this.roster.version;
    if (version !== this.downVersion) {
      this.downVersion = version;
      this.down = [...this.subjects.keys()].filter((number) => this.roster.get(number)?.status === 'down');
    }
    return this.down;
  }

  /** Who probes this node, the first observer first. */
  get observers(): readonly NodeNumber[] {
    this.watchers ??= chooseObservers(this.places, this.self, this.slice.observers);
    return this.watchers;
  }

  setSlice(slice: Slice | undefined): void {
    this.given = slice;
    // Whoever has a slice needs no rings; whoever knows everybody again makes them anew.
    this.complete = undefined;
    this.onChange();
  }

  setControl(numbers: readonly NodeNumber[]): void {
    this.control = numbers;
    if (this.given === undefined) this.onChange();
  }

  onAdmitted(number: NodeNumber): void {
    this.complete?.add(number);
    if (this.given === undefined) this.onChange();
    else if (this.covers(number)) this.onJoined(this.given, number);
    if (this.mayHaveOrphans) for (const each of [number, ...this.rings.subjectsOf(number)]) this.careFor(each);
  }

  onRemoved(number: NodeNumber): void {
    this.orphans.delete(number);
    const watched = this.mayHaveOrphans ? this.rings.subjectsOf(number) : [];
    this.complete?.remove(number);
    if (this.given !== undefined) {
      if (!membersOf(this.given).includes(number)) return;
      this.given = without(this.given, number);
    }
    this.onChange();
    for (const subject of watched) this.careFor(subject);
  }

  /** On a control node, while anybody is down: where nobody is, everybody has living observers. */
  private get mayHaveOrphans(): boolean {
    const isMine = this.given === undefined && this.control.includes(this.self);
    return isMine && this.roster.withStatus('down').length > 0;
  }

  /** Whether a number that gossip announced belongs to this view. */
  wants(number: NodeNumber): boolean {
    return this.given === undefined || this.covers(number);
  }

  private covers(number: NodeNumber): boolean {
    this.reach ??= new Reach(this.slice, this.self, this.places);
    return this.reach.covers(number);
  }

  private onJoined(slice: Slice, number: NodeNumber): void {
    const adjusted = adjust(slice, this.self, number, this.places);
    if (adjusted === undefined) return;
    this.given = adjusted;
    this.onChange();
  }

  private onChange(): void {
    this.version++;
    this.derived = undefined;
    this.watched = undefined;
    this.watchers = undefined;
    this.reach = undefined;
  }
}
