/**
 * The pane's log by raft: drives the machine, carries its messages, minds its disk, cuts its log short, and tells
 * whoever appended or reads how that ended. It knows nothing of what the entries say.
 */
import { unreachable } from '../../assert.ts';
import type { LogIndex, MonotonicMs, NodeNumber } from '../../identity.ts';
import { encodeConfiguration } from '../../raft/configuration.ts';
import type { TransferBegun } from '../../raft/contract.ts';
import type { AddressedRaftMessage, RaftMessage } from '../../raft/message.ts';
import type { Raft, RaftReady } from '../../raft/raft.ts';
import type {
  Append,
  AppendOutcome,
  Engine,
  EngineStatus,
  Fence,
  KeptFrom,
  ReadOutcome,
  TakenSnapshot,
  Watched,
} from '../../seam/engine.ts';
import type { Instant } from '../../seam/instant.ts';
import type { LogSnapshot, LogTrouble } from '../../seam/log-store.ts';
import type { MemberInput } from '../effect.ts';
import type { Outbox } from '../outbox.ts';
import type { Compaction } from './compaction.ts';
import type { RaftCourier } from './raft-courier.ts';

/** A leader that is called so late, half an election timeout, … */
export const lateTickMs = 375;
/** … so many times … */
export const lateTicksMax = 3;
/** … within so long, hands the lead over. */
export const lateWithinMs = 10_000;
/** Appends whose fate is open; one more is refused as busy. */
export const appendsMax = 4_096;

type AppendThen = (outcome: AppendOutcome, at: Instant) => void;
type ReadThen = (outcome: ReadOutcome, at: Instant) => void;
export type DiskInput = Extract<MemberInput, { readonly kind: 'written' | 'compacted' | 'log-trouble' }>;

export interface RaftEngineParts {
  readonly raft: Raft;
  readonly outbox: Outbox;
  readonly courier: Pick<RaftCourier, 'send'>;
  readonly compaction: Compaction;
  /** There is more to watch. */
  readonly onProgress: (at: Instant) => void;
}

export class RaftEngine implements Engine {
  readonly raft: Raft;
  readonly status: EngineStatus;
  private readonly parts: RaftEngineParts;
  private readonly compaction: Compaction;
  private readonly appends = new Map<LogIndex, AppendThen>();
  /** By the machine's id; it bounds them. */
  private readonly reads = new Map<number, ReadThen>();
  /** The last entry that may be watched. */
  private shownIndex: LogIndex;
  /** When this leader was called so late, lately. */
  private lateAtMs: readonly MonotonicMs[] = [];
  /** Messages that wait for the write in flight. */
  private afterWrite: readonly AddressedRaftMessage[] = [];
  private isPumping = false;

  constructor(parts: RaftEngineParts) {
    this.parts = parts;
    this.raft = parts.raft;
    this.compaction = parts.compaction;
    this.shownIndex = parts.compaction.firstKept.index - 1;
    this.status = new RaftStatus(parts.raft, parts.compaction, () => this.shownIndex);
  }

  // — as every engine —

  campaignAt(): MonotonicMs {
    return this.raft.nextTickAt();
  }

  campaign(at: Instant): void {
    if (at.now < this.raft.nextTickAt()) return;
    if (this.isTooLate(at)) this.raft.handOver(at.now);
    this.raft.tick(at.now);
    this.pump(at);
  }

  append(wanted: Append, then: AppendThen, at: Instant): void {
    const refused = this.tryAppend(wanted, then, at);
    if (refused !== undefined) then({ kind: 'refused', why: refused }, at);
    this.pump(at);
  }

  private tryAppend({ fence, head, payload }: Append, then: AppendThen, at: Instant): RefusedAppend | undefined {
    if (fence !== this.status.fence) return 'not-leader';
    if (head !== this.raft.lastIndex) return 'conflict';
    if (this.appends.size >= appendsMax) return 'busy';
    const proposed = this.raft.propose([payload], at.now);
    if (proposed.kind !== 'accepted') return proposed.kind;
    this.appends.set(proposed.firstIndex, then);
    return undefined;
  }

  read(then: ReadThen, at: Instant): void {
    const begun = this.raft.read(at.now);
    if (begun.kind === 'pending') this.reads.set(begun.id, then);
    else then({ kind: 'refused', why: begun.kind }, at);
    this.pump(at);
  }

  watch(from: LogIndex, most: number): Watched {
    const { firstKept, newest } = this.compaction;
    if (from < firstKept.index && newest !== undefined) return { kind: 'compacted', snapshot: newest };
    const wanted = Math.min(most, this.shownIndex - from + 1);
    return { kind: 'entries', entries: wanted > 0 ? this.raft.entriesFrom(from, wanted) : [] };
  }

  snapshot(taken: TakenSnapshot): void {
    const snapshot = this.asLogSnapshot(taken);
    if (snapshot !== undefined) this.parts.outbox.push({ kind: 'compact', ...this.compaction.begin(snapshot) });
  }

  // — raft's own —

  /** As disks keep it; nothing when it is not known under which term its last entry was appended. */
  asLogSnapshot({ index, chain, state }: TakenSnapshot): LogSnapshot | undefined {
    const term = this.raft.termAt(index);
    if (term === undefined) return undefined;
    return { index, term, chain, configuration: encodeConfiguration(this.raft.configurationAt(index)), state };
  }

  receive(from: NodeNumber, message: RaftMessage, at: Instant): void {
    this.raft.receive(from, message, at.now);
    this.pump(at);
  }

  /** Hands the lead over to whoever is fittest. */
  handOver(at: Instant): void {
    this.raft.handOver(at.now);
    this.pump(at);
  }

  /** Hands the lead over: it takes no appends meanwhile, and leads on when that fails. */
  transfer(to: NodeNumber, at: Instant): TransferBegun {
    const begun = this.raft.transfer(to, at.now);
    this.pump(at);
    return begun;
  }

  /** What the disk says of its work. */
  onDisk(said: DiskInput, at: Instant): void {
    switch (said.kind) {
      case 'written':
        this.onWritten(said.id, at);
        break;
      case 'compacted':
        this.onCompacted(at);
        break;
      case 'log-trouble':
        this.onTrouble(said.trouble, at);
        break;
      default:
        unreachable(said);
    }
  }

  /** Carries out what the machine wants done now. */
  pump(at: Instant): void {
    // Whoever is told an outcome may ask for the next thing at once: that is carried out after this.
    if (this.isPumping) return;
    this.isPumping = true;
    for (let ready = this.raft.takeReady(); ready !== undefined; ready = this.raft.takeReady()) {
      this.carryOut(ready, at);
    }
    this.isPumping = false;
    this.giveUpLostAppends(at);
  }

  private carryOut(ready: RaftReady, at: Instant): void {
    const { outbox } = this.parts;
    // What promises nothing that is not durable leaves first: others write while this node does.
    this.send(ready.sendNow, at);
    if (ready.write !== undefined) {
      const { id, ...write } = ready.write;
      this.afterWrite = ready.sendAfterWrite;
      outbox.push({ kind: 'write', id, write });
    }
    this.show(ready, at);
    for (const { id, index } of ready.reads) this.tellRead(id, { kind: 'current', index }, at);
    for (const id of ready.readsFailed) this.tellRead(id, { kind: 'refused', why: 'not-leader' }, at);
    if (ready.recovered) outbox.push({ kind: 'heal' });
  }

  private show({ restore, committed }: RaftReady, at: Instant): void {
    if (restore !== undefined) {
      this.compaction.onRestored(restore);
      this.shownIndex = restore.index;
    }
    for (const entry of committed) {
      this.compaction.onApplied(entry);
      this.tellAppend(entry.index, at);
      this.shownIndex = entry.index;
    }
    if (restore !== undefined || committed.length > 0) this.parts.onProgress(at);
  }

  /** Whatever is open here is this leader's own: the moment that it leads no more nothing is. */
  private tellAppend(index: LogIndex, at: Instant): void {
    const then = this.appends.get(index);
    this.appends.delete(index);
    then?.({ kind: 'committed', index }, at);
  }

  private tellRead(id: number, outcome: ReadOutcome, at: Instant): void {
    const then = this.reads.get(id);
    this.reads.delete(id);
    then?.(outcome, at);
  }

  /** Who leads no more cannot tell how its open appends end: they may still be committed. */
  private giveUpLostAppends(at: Instant): void {
    if (this.appends.size === 0 || this.raft.role === 'leader') return;
    const lost = [...this.appends.values()];
    this.appends.clear();
    for (const then of lost) then({ kind: 'unknown' }, at);
  }

  private send(messages: readonly AddressedRaftMessage[], at: Instant): void {
    for (const message of messages) this.parts.courier.send(message, at);
  }

  /** A leader whose process does not get its turns makes everybody wait; a single pause is no reason to go. */
  private isTooLate({ now }: Instant): boolean {
    if (this.raft.role !== 'leader' || now - this.raft.nextTickAt() < lateTickMs) return false;
    this.lateAtMs = [...this.lateAtMs.filter((lateMs) => now - lateMs <= lateWithinMs), now];
    return this.lateAtMs.length >= lateTicksMax;
  }

  // — the disk —

  private onWritten(id: number, at: Instant): void {
    this.send(this.afterWrite, at);
    this.afterWrite = [];
    this.raft.persisted(id, at.now);
    this.pump(at);
  }

  /** The snapshot is durable. */
  private onCompacted(at: Instant): void {
    const ended = this.compaction.end();
    // A leader's snapshot may have overtaken it meanwhile.
    if (ended !== undefined && ended.snapshot.index >= this.raft.firstIndex - 1) {
      this.raft.compact(ended.snapshot, Math.max(ended.keepFrom, this.raft.firstIndex));
    }
    this.pump(at);
  }

  /** A leader whose disk does not keep up hands the lead over; one that can reach nobody fitter goes on. */
  private onTrouble(trouble: LogTrouble | undefined, at: Instant): void {
    this.parts.outbox.event({ kind: 'log-disk', state: trouble?.kind ?? 'fine', since: trouble?.since ?? at.wall });
    if (trouble !== undefined) this.raft.handOver(at.now);
    this.pump(at);
  }
}

type RefusedAppend = Extract<AppendOutcome, { readonly kind: 'refused' }>['why'];

class RaftStatus implements EngineStatus {
  private readonly raft: Raft;
  private readonly compaction: Compaction;
  private readonly shownIndex: () => LogIndex;

  constructor(raft: Raft, compaction: Compaction, shownIndex: () => LogIndex) {
    this.raft = raft;
    this.compaction = compaction;
    this.shownIndex = shownIndex;
  }

  get fence(): Fence | undefined {
    return this.raft.role === 'leader' ? this.raft.term : undefined;
  }

  get leader(): NodeNumber | undefined {
    return this.raft.leader;
  }

  get head(): LogIndex {
    return this.raft.lastIndex;
  }

  get keptFrom(): KeptFrom {
    return this.compaction.firstKept;
  }

  get wantsSnapshot(): boolean {
    return this.compaction.isDue(this.shownIndex());
  }

  hasQuorum(now: MonotonicMs): boolean {
    return this.raft.quorum(now).healthy;
  }
}
