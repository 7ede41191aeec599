/**
 * Who belongs and who is alive, in one place: it keeps the directory and the failure detector in step, whatever
 * brought the news (the log, a digest, a keep-alive, gossip, a stranger's credential), and tells the floors above.
 */
import type { RecoveryStatement } from '../certificate/recovery.ts';
import type { ViewChanges } from '../control/keep-alive.ts';
import { decodeNumbers, encodeNumbers, numbersMax } from '../control/number-set.ts';
import { HivemindError } from '../error.ts';
import { type Incarnation, type LogIndex, type NodeNumber, wallText } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import type { DialOutcome } from '../swim/effect.ts';
import type { Update } from '../swim/message.ts';
import { includes, membersOf, type Slice } from '../swim/slice.ts';
import type { Swim, SwimEffect } from '../swim/swim.ts';
import type { CharterPage, Digest, Facts, MemberFacts } from '../wire/peer-message.ts';
import { encodeRumour, type Rumour } from '../wire/rumour.ts';
import type { Directory, MemberRecord } from './directory.ts';
import type { Outbox } from './outbox.ts';
import { viewHash } from './view-hash.ts';

/** Carries out what the failure detector wants; given by the composition. */
export type SwimSink = (effects: readonly SwimEffect[], at: Instant) => void;

/** Members outside a slice that this node knows because they came to it, or because it holds a config of theirs. */
export const guestsMax = 256;

export interface MembershipListeners {
  /** A number that belongs to the view and is not known; `toldBy` can say who that is. */
  onUnknown(number: NodeNumber, toldBy: NodeNumber, at: Instant): void;
  /** The charter says something new: other control nodes, or another epoch. */
  onAmended(at: Instant): void;
  /** Out of this node's mind, because it was removed or left the view. */
  onForgotten(number: NodeNumber, isRemoved: boolean): void;
  /** Whether a member outside the view must stay known. */
  isNeeded(number: NodeNumber): boolean;
}

export class Membership {
  readonly directory: Directory;
  readonly swim: Swim;
  private readonly self: NodeNumber;
  private readonly outbox: Outbox;
  private readonly sink: SwimSink;
  private readonly listeners: MembershipListeners;
  /** What the last digest, or the log on a control node, reached. */
  logIndex: LogIndex = 0;
  /** Whether the pane gave a slice, which the failure detector adjusts to joins and removals that it hears of. */
  private isSliced = false;
  private toldSize = 0;
  private hash: Uint8Array | undefined;
  /** Known members outside the slice, the longest known first. */
  private readonly guests = new Set<NodeNumber>();

  constructor(parts: {
    readonly self: NodeNumber;
    readonly directory: Directory;
    readonly swim: Swim;
    readonly outbox: Outbox;
    readonly sink: SwimSink;
    readonly listeners: MembershipListeners;
  }) {
    this.self = parts.self;
    this.directory = parts.directory;
    this.swim = parts.swim;
    this.outbox = parts.outbox;
    this.sink = parts.sink;
    this.listeners = parts.listeners;
  }

  // — the view —

  /** Members of the whole cluster, as far as this node was told. */
  get size(): number {
    return this.isSliced ? this.toldSize : this.directory.list().length;
  }

  /** Whether this node knows everybody. */
  get isComplete(): boolean {
    return !this.isSliced;
  }

  /** What this node's view is made of; nothing while it is everybody. */
  private get slice(): Slice | undefined {
    return this.isSliced ? this.swim.slice : undefined;
  }

  /** How many members the cluster has, says the pane. */
  setSize(size: number): void {
    this.toldSize = size;
    this.swim.setClusterSize(size);
  }

  /** Takes over the view that the pane worked out; nothing means everybody. */
  setView(slice: Slice | undefined, size: number, toldBy: NodeNumber, at: Instant): void {
    this.setSize(size);
    this.sink(this.swim.setSlice(slice), at);
    this.onChange();
    this.guests.clear();
    this.isSliced = slice !== undefined;
    if (slice === undefined) return;
    const members = new Set(membersOf(slice));
    for (const number of members) if (!this.directory.get(number)) this.listeners.onUnknown(number, toldBy, at);
    this.forgetOthers(members);
    this.outbox.event({ kind: 'view', members: members.size, size });
  }

  /** Whether an announced number is to be got to know. */
  wants(number: NodeNumber): boolean {
    if (this.directory.removed.has(number)) return false;
    return this.isComplete || includes(this.swim.slice, number) || this.swim.wants(number);
  }

  private forgetOthers(members: ReadonlySet<NodeNumber>): void {
    for (const { number } of this.directory.list()) {
      if (members.has(number) || number === this.self || this.directory.keepsLog(number)) continue;
      if (this.listeners.isNeeded(number)) this.guests.add(number);
      else this.forget(number);
    }
  }

  private forget(number: NodeNumber): void {
    this.guests.delete(number);
    this.directory.drop(number);
    this.swim.removeMember(number);
    this.listeners.onForgotten(number, false);
  }

  /** Somebody outside the slice is known now; the one known longest makes room. */
  private onGuest(number: NodeNumber): void {
    const isOwn = number === this.self || this.directory.keepsLog(number);
    if (isOwn || this.wants(number)) return;
    this.guests.add(number);
    if (this.guests.size <= guestsMax) return;
    for (const guest of this.guests) {
      if (guest === number || this.listeners.isNeeded(guest)) continue;
      this.forget(guest);
      return;
    }
  }

  // — what is known of members —

  /** Takes over a standing that the directory's record has, without spreading it: whoever told knows already. */
  learn(record: MemberRecord, status: Update['status'], incarnation: Incarnation, at: Instant): void {
    const { number, name, roles } = record;
    const isNew = this.swim.statusOf(number) === undefined;
    this.sink(this.swim.setMember(number, incarnation, status, at.now), at);
    this.onChange();
    if (!isNew) return;
    this.onGuest(number);
    this.outbox.event({ kind: 'joined', number, name, roles });
  }

  /** The pane decided this: apply it and spread it. */
  publish(update: Update, at: Instant): void {
    if (this.directory.get(update.number) === undefined) return;
    this.sink(this.swim.publish(update, at.now), at);
    this.onChange();
  }

  /** The pane's own word on a standing, which whoever else is concerned has heard already. */
  correct(update: Update, at: Instant): void {
    // A log that is replayed speaks of members whose removal is remembered already.
    if (this.directory.get(update.number) === undefined) return;
    this.sink(this.swim.correct(update, at.now), at);
    this.onChange();
  }

  /** Gossip changed a standing. */
  onChange(): void {
    this.hash = undefined;
  }

  /** Pings a member that is down. */
  callDown(number: NodeNumber, at: Instant): void {
    this.sink(this.swim.callDown(number), at);
  }

  /** How a dial ended that the failure detector wanted. */
  onDialled(number: NodeNumber, outcome: DialOutcome, at: Instant): void {
    this.sink(this.swim.onDialled(number, outcome, at.now), at);
  }

  /** A member's standing stream to this node broke without a goodbye. */
  onStreamClosed(number: NodeNumber, at: Instant): void {
    this.sink(this.swim.onStreamClosed(number, at.now), at);
  }

  onRestarted(number: NodeNumber, at: Instant): void {
    this.sink(this.swim.onRestarted(number, at.now), at);
  }

  spread(rumour: Rumour, at: Instant): void {
    this.swim.spread(encodeRumour(rumour), at.now);
  }

  /** Out for good. With its certificate the removal is passed on. */
  remove(number: NodeNumber, certificate: Uint8Array | undefined, at: Instant): void {
    if (certificate !== undefined) this.spread({ kind: 'removal', certificate }, at);
    if (this.directory.removed.has(number) || this.directory.isControl(number)) return;
    if (number === this.self) {
      this.outbox.event({ kind: 'removed-me' });
      return;
    }
    const record = this.directory.remove(number);
    this.guests.delete(number);
    this.swim.removeMember(number);
    this.onChange();
    this.listeners.onForgotten(number, true);
    if (record !== undefined) this.outbox.event({ kind: 'left', number, name: record.name });
  }

  /** A removal brought by gossip counts only with its certificate; whether it does. */
  onRemoval(certificate: Uint8Array, at: Instant): boolean {
    const { charter } = this.directory;
    const verified = charter.verify(certificate);
    if (verified?.statement.kind !== 'remove') return false;
    // Whoever signed before could go on for ever; what they removed in their time is known from the pane.
    const { controlSet, epoch } = verified.statement;
    if (controlSet !== charter.controlSet.index || epoch !== charter.epoch) return false;
    this.remove(verified.statement.number, undefined, at);
    return true;
  }

  /** Whether it was news. */
  onLocator(bytes: Uint8Array): boolean {
    const moved = this.directory.locate(bytes);
    if (moved !== undefined) this.outbox.event({ kind: 'moved', number: moved.number, endpoints: moved.endpoints });
    return moved !== undefined;
  }

  // — what others tell —

  /**
   * Takes over facts that a peer sent. Certificates and locators are signed and count whoever sends them; what
   * roles declare, and who is down, is a control node's to say.
   */
  merge(facts: Facts, sender: NodeNumber, at: Instant): void {
    const isPane = this.directory.isControl(sender);
    if (isPane) this.directory.declare(facts.declarations);
    for (const each of facts.members) {
      const record = this.mergeMember(each, at);
      if (record !== undefined) this.learn(record, isPane ? each.status : 'alive', isPane ? each.incarnation : 0, at);
    }
  }

  /** A control node's digest corrects what gossip said, unless it is older than what is known already. */
  mergeDigest(digest: Digest, at: Instant): void {
    this.amend(digest.charter, at);
    for (const number of decodeNumbers(digest.removed, numbersMax) ?? []) {
      if (number !== this.self) this.remove(number, undefined, at);
    }
    this.directory.declare(digest.declarations);
    for (const each of digest.members) {
      const record = this.mergeMember(each, at);
      if (record === undefined) continue;
      this.learn(record, each.status, each.incarnation, at);
      if (digest.logIndex >= this.logIndex) this.correct(each, at);
    }
    // A control node knows everybody; what it remembers is its own, and its log brings the rest.
    if (!this.directory.keepsLog(this.self)) this.setView(digest.slice, digest.size, 0, at);
    this.logIndex = Math.max(this.logIndex, digest.logIndex);
  }

  /** Of a digest only what is signed: how everybody stands a control node learns from its log. */
  mergeSigned({ charter, members, declarations }: Digest, at: Instant): void {
    this.amend(charter, at);
    this.directory.declare(declarations);
    for (const each of members) {
      const record = this.mergeMember(each, at);
      if (record !== undefined && this.swim.statusOf(each.number) === undefined) this.learn(record, 'alive', 0, at);
    }
  }

  /** Takes over what was amended, from whoever tells: it is signed. Whether it was news. */
  amend(page: CharterPage, at: Instant): boolean {
    const { length, fork } = this.directory.charter;
    const isNews = this.directory.amend(page);
    this.noticeFork(fork);
    if (!isNews) return false;
    const { charter, dropped } = this.directory;
    this.swim.setControlNodes(this.directory.controlNumbers());
    for (const number of dropped) if (number !== this.self) this.remove(number, undefined, at);
    if (dropped.includes(this.self)) this.onDropped(this.directory.givenUpBy(this.self));
    this.onChange();
    this.listeners.onAmended(at);
    if (charter.length > length) {
      this.outbox.event({ kind: 'amended', epoch: charter.epoch, control: this.directory.controlNumbers() });
    }
    return true;
  }

  private noticeFork(before: number | undefined): void {
    const { fork } = this.directory.charter;
    if (fork !== undefined && fork !== before) this.outbox.event({ kind: 'charter-forked', amendment: fork });
  }

  /** A recovery goes on without this node, and says so with a signature: it need not ask anybody. */
  private onDropped(by: RecoveryStatement | undefined): void {
    if (by === undefined) return;
    if (this.directory.keepsLog(this.self)) this.outbox.push({ kind: 'halt', reason: givenUp(by) });
    else this.outbox.event({ kind: 'removed-me' });
  }

  /** What the pane's answer to a keep-alive brings. */
  mergeChanges(changes: ViewChanges, size: number, from: NodeNumber, at: Instant): void {
    for (const number of changes.removed) if (number !== this.self) this.remove(number, undefined, at);
    if (changes.slice !== undefined) this.setView(changes.slice, size, from, at);
    for (const number of changes.admitted) {
      if (this.directory.get(number) === undefined && this.wants(number)) this.listeners.onUnknown(number, from, at);
    }
    for (const update of changes.updates) this.correct(update, at);
    this.logIndex = Math.max(this.logIndex, changes.reaches);
  }

  private mergeMember(facts: MemberFacts, at: Instant): MemberRecord | undefined {
    if (facts.certificate !== undefined) this.directory.admit(facts.certificate, at.wall, facts.number);
    if (facts.locator !== undefined) this.onLocator(facts.locator);
    return this.directory.get(facts.number);
  }

  // — what this node tells —

  factsOf(number: NodeNumber): MemberFacts | undefined {
    const record = this.directory.get(number);
    if (record === undefined) return undefined;
    const { status, incarnation } = this.published(number);
    return { number, certificate: record.certificate, locator: record.locator?.bytes, status, incarnation };
  }

  facts(numbers: readonly NodeNumber[]): Facts {
    return {
      members: numbers.map((number) => this.factsOf(number)).filter((each) => each !== undefined),
      declarations: [...this.directory.declarations.values()],
    };
  }

  /** What somebody with the view `slice` should know. */
  digestFor(slice: Slice | undefined, reader: NodeNumber): Digest {
    return this.digestOf(slice, slice === undefined ? this.everybody() : [...membersOf(slice), reader]);
  }

  /** All that this node knows; a control node's log knows the rest. */
  digest(): Digest {
    const { directory, self } = this;
    const isControl = directory.isControl(self);
    return this.digestOf(this.slice, isControl ? directory.controlNumbers() : this.everybody());
  }

  private everybody(): readonly NodeNumber[] {
    return this.directory.list().map(({ number }) => number);
  }

  private digestOf(slice: Slice | undefined, numbers: readonly NodeNumber[]): Digest {
    return {
      genesis: this.directory.genesisBytes,
      charter: this.directory.charterPage(0),
      logIndex: this.logIndex,
      size: this.size,
      slice,
      members: this.facts(numbers).members,
      removed: encodeNumbers([...this.directory.removed].sort((a, b) => a - b)),
      declarations: [...this.directory.declarations.values()],
    };
  }

  /** Over this node's own view: equal to what the pane makes of it when nothing was missed. */
  viewHash(): Uint8Array {
    this.hash ??= this.hashOf(this.slice, this.self);
    return this.hash;
  }

  /** The same over the view of `reader`, which has this slice or knows everybody. */
  hashOf(slice: Slice | undefined, reader: NodeNumber): Uint8Array {
    const { directory } = this;
    const numbers = slice === undefined ? this.everybody() : [...membersOf(slice), reader].sort((a, b) => a - b);
    const standingOf = (number: NodeNumber): ReturnType<Membership['published']> | undefined =>
      directory.get(number) === undefined ? undefined : this.published(number);
    return viewHash(slice, numbers, standingOf, directory.removedHash);
  }

  /** What the pane said last about a member, apart from what this node suspects. */
  private published(number: NodeNumber): Pick<Update, 'status' | 'incarnation'> {
    return this.swim.publishedOf(number) ?? { status: 'alive', incarnation: 0 };
  }
}

/** What a control node is told, for good, that a recovery gave up. */
export function givenUp({ node, at }: RecoveryStatement): HivemindError {
  return new HivemindError(
    'refused',
    `This control node was given up at ${wallText(at)}, when the cluster was recovered on ${node.name}: ` +
      'its event log counts no more; move its data folder away, and join anew with a token for the role control.',
  );
}
