/** A member's side of the control pane: keep-alives, admission and returns, and members to get to know. */
import type { KeepAlive, KeepAliveAnswer } from '../../control/keep-alive.ts';
import type { LogIndex, MonotonicMs, NodeNumber } from '../../identity.ts';
import type { Random } from '../../seam/random.ts';
import { membersOf, type Slice } from '../../swim/slice.ts';
import type { Swim, SwimEffect } from '../../swim/swim.ts';
import { exchangeBytes, type HivemindPacket, handshakeBytes, memberFactsBytes } from './hivemind-packet.ts';
import { KeepAlives, rendezvousOrder } from './keep-alives.ts';
import type { PaneModel } from './pane-model.ts';
import type { SizedMessage } from './wire-sizes.ts';

/** A member that is down, or not yet one, asks so often. */
const askPeriodMs = 2_000;
/** Members whose facts one exchange brings. */
const factsMax = 256;
const nonceLimit = 0x1_0000_0000;
/** What the figures of a machine are makes no difference to their length. */
const viewHash: Uint8Array = new Uint8Array(8);
const load: KeepAlive['load'] = {
  cores: 8,
  load15: 0.42,
  memoryFreeBytes: 12_000_000_000,
  memoryTotalBytes: 16_000_000_000,
};

/** What a dial to the pane, or for it, was about. */
export type PaneDial =
  | { readonly kind: 'facts'; readonly numbers: readonly NodeNumber[]; readonly slice: Slice | undefined }
  | { readonly kind: 'join' | 'return' };

/** What it makes its node do. */
export interface ContactHands {
  perform(effects: readonly SwimEffect[], now: MonotonicMs): void;
  sendDatagram(to: NodeNumber, messages: readonly SizedMessage[]): void;
  post(to: NodeNumber, packet: HivemindPacket, bytes: number): void;
  dial(to: NodeNumber, about: PaneDial, bytes: number): void;
  /** What gossip and hints made of a member holds no more. */
  reconsider(number: NodeNumber, now: MonotonicMs): void;
}

export interface ContactParts {
  readonly number: NodeNumber;
  readonly process: number;
  readonly swim: Swim;
  readonly pane: PaneModel;
  readonly random: Random;
  readonly hands: ContactHands;
}

export class PaneContact {
  logIndex: LogIndex = 0;
  isMember = false;
  /** As far as this member was told. */
  hasQuorum = true;
  private readonly parts: ContactParts;
  private readonly keepAlives: KeepAlives;
  private asksFor: 'join' | 'return' = 'join';
  private askAtMs: MonotonicMs = Number.POSITIVE_INFINITY;
  /** Announced members that are still to be fetched, with whom to ask. */
  private readonly wanted = new Map<NodeNumber, NodeNumber>();
  private isFetching = false;
  private readonly hinted = new Set<NodeNumber>();
  private readonly paneChanges = new Map<NodeNumber, number>();

  constructor(parts: ContactParts, now: MonotonicMs) {
    this.parts = parts;
    this.keepAlives = new KeepAlives(parts.random, now);
  }

  /** A control node needs no keep-alive: it is the pane. */
  private get keepsAlive(): boolean {
    return this.isMember && !this.parts.pane.state.control.includes(this.parts.number);
  }

  nextTickAt(): MonotonicMs {
    return this.keepsAlive ? Math.min(this.askAtMs, this.keepAlives.nextAt()) : this.askAtMs;
  }

  tick(now: MonotonicMs): void {
    if (now >= this.askAtMs) this.askPane(now);
    if (this.keepsAlive && now >= this.keepAlives.nextAt()) this.keepAlive(now);
  }

  askFor(what: 'join' | 'return', now: MonotonicMs): void {
    this.asksFor = what;
    this.askAtMs = Math.min(this.askAtMs, now);
  }

  onBegun(logIndex: LogIndex): void {
    this.isMember = true;
    this.logIndex = logIndex;
    this.askAtMs = Number.POSITIVE_INFINITY;
  }

  /** A control node says by gossip that the quorum was lost or is back; false when that is known. */
  heardOfChange(by: NodeNumber, at: number, now: MonotonicMs): boolean {
    if ((this.paneChanges.get(by) ?? 0) >= at) return false;
    this.paneChanges.set(by, at);
    this.keepAlives.askSoon(now);
    return true;
  }

  onHinted(number: NodeNumber): void {
    this.hinted.add(number);
  }

  setQuorum(healthy: boolean, now: MonotonicMs): void {
    this.hasQuorum = healthy;
    this.parts.swim.setQuorum(healthy);
    if (!healthy) return;
    for (const number of this.hinted) this.parts.hands.reconsider(number, now);
    this.hinted.clear();
  }

  onAnswer(from: NodeNumber, { health, size, changes, logIndex }: KeepAliveAnswer, now: MonotonicMs): void {
    const { swim, hands } = this.parts;
    this.keepAlives.onAnswer(now);
    this.setQuorum(health.state === 'healthy', now);
    swim.setClusterSize(size);
    if (changes === undefined) return;
    this.logIndex = Math.max(this.logIndex, changes.reaches);
    for (const update of changes.updates) if (this.knows(update.number)) hands.perform(swim.correct(update, now), now);
    const numbers = changes.slice === undefined ? changes.admitted : membersOf(changes.slice);
    const unknown = numbers.filter((number) => !this.knows(number));
    if (unknown.length > 0) this.fetch(from, unknown, changes.slice);
    else if (changes.slice !== undefined) this.takeSlice(changes.slice, now);
    if (changes.reaches < logIndex) this.keepAlives.askSoon(now);
  }

  onDialled(to: NodeNumber, about: PaneDial, isAnswered: boolean, now: MonotonicMs): void {
    const { hands, process } = this.parts;
    if (about.kind === 'facts') {
      this.isFetching = false;
      if (isAnswered) this.onFacts(about.numbers, about.slice, now);
      this.fetchNext();
    } else if (isAnswered) {
      const packet: HivemindPacket = about.kind === 'join' ? { kind: 'join-ask' } : { kind: 'return-ask', process };
      hands.post(to, packet, exchangeBytes);
    }
  }

  /** Gossip announced a member that belongs to this view. */
  want(number: NodeNumber, from: NodeNumber): void {
    this.wanted.set(number, from);
    this.fetchNext();
  }

  private keepAlive(now: MonotonicMs): void {
    const { number, swim, pane, random, hands } = this.parts;
    if (this.keepAlives.isAlone(now)) this.setQuorum(false, now);
    const { control } = pane.state;
    const living = control.filter((each) => swim.statusOf(each)?.status === 'alive');
    const to = this.keepAlives.ask(rendezvousOrder(number, living.length > 0 ? living : control), now);
    const nonce = random.below(nonceLimit);
    if (to !== undefined)
      hands.sendDatagram(to, [{ kind: 'keep-alive', nonce, logIndex: this.logIndex, viewHash, load }]);
  }

  /** The leader is whom any control node would pass it on to. */
  private askPane(now: MonotonicMs): void {
    const { number, swim, pane, hands } = this.parts;
    const isDone = this.asksFor === 'join' ? this.isMember : swim.publishedOf(number)?.status === 'alive';
    this.askAtMs = isDone ? Number.POSITIVE_INFINITY : now + askPeriodMs;
    if (isDone || pane.leader === undefined) return;
    hands.dial(pane.leader, { kind: this.asksFor }, handshakeBytes + exchangeBytes);
  }

  private knows(number: NodeNumber): boolean {
    return this.parts.swim.publishedOf(number) !== undefined;
  }

  private fetchNext(): void {
    const [from] = this.wanted.values();
    if (this.isFetching || from === undefined) return;
    const numbers = [...this.wanted.keys()].slice(0, factsMax);
    for (const number of numbers) this.wanted.delete(number);
    this.fetch(from, numbers, undefined);
  }

  private fetch(from: NodeNumber, numbers: readonly NodeNumber[], slice: Slice | undefined): void {
    this.isFetching = true;
    const bytes = handshakeBytes + exchangeBytes + numbers.length * memberFactsBytes;
    this.parts.hands.dial(from, { kind: 'facts', numbers, slice }, bytes);
  }

  /** Certified facts are the same wherever they come from. */
  private onFacts(numbers: readonly NodeNumber[], slice: Slice | undefined, now: MonotonicMs): void {
    const { swim, pane, hands } = this.parts;
    for (const number of numbers) {
      const update = pane.state.updateOf(number);
      if (update !== undefined) hands.perform(swim.setMember(number, update.incarnation, update.status, now), now);
    }
    if (slice !== undefined) this.takeSlice(slice, now);
  }

  private takeSlice(slice: Slice, now: MonotonicMs): void {
    const { number: self, swim, hands } = this.parts;
    hands.perform(swim.setSlice(slice), now);
    const kept = new Set([self, ...membersOf(slice)]);
    for (const { number } of swim.members()) if (!kept.has(number)) swim.removeMember(number);
  }
}
