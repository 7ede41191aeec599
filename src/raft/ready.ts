import { assert } from '../assert.ts';
import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { HardState, LogEntry, LogSnapshot, LogWrite } from '../seam/log-store.ts';
import type { RaftLog } from './log.ts';
import type { AddressedRaftMessage, AppendAnswer, RaftMessage } from './message.ts';
import type { Reads, ServableRead } from './reads.ts';

/** Entries in one `committed`: so that whoever applies them can pause between two. */
export const committedEntriesMax = 1024;
/** Promises that wait for the disk; beyond, the oldest is dropped, as a network may drop it. */
export const promisesMax = 1024;

/** A write with the name by which `persisted` answers it. */
export interface RaftWrite extends LogWrite {
  readonly id: number;
}

/**
 * What a Raft machine wants done: **persist, then send, then apply, then answer reads**. After every call
 * into the machine its driver takes Readys until there are none:
 *
 * ```ts
 * for (let ready = raft.takeReady(); ready !== undefined; ready = raft.takeReady()) {
 *   const { write, sendAfterWrite } = ready;
 *   if (write !== undefined) {
 *     void store.write(write).then(() => {
 *       send(sendAfterWrite);
 *       raft.persisted(write.id, clock.now());
 *       takeReadys();
 *     }, stopTheNode);
 *   }
 *   send(ready.sendNow);
 *   if (ready.restore !== undefined) replaceStateBy(ready.restore);
 *   apply(ready.committed);
 *   answer(ready.reads);
 *   refuse(ready.readsFailed);
 * }
 * ```
 *
 * - **Storage is messages**: `write` starts a write, `persisted` ends it, and the machine goes on meanwhile, so
 *   an fsync never holds up a heartbeat.
 * - **One write is in flight.** While it is, further Readys carry everything but a write; changes for the
 *   disk wait and go together into the next write. That is the group commit.
 * - **A promise leaves when what it promises is durable.** The one that needs this write is in `sendAfterWrite`.
 *   One made later that needs a write still in flight, but no new one, stays inside the machine and comes in
 *   `sendNow` after `persisted`. One that needs nothing unsaved comes in `sendNow` at once.
 * - A write that failed is final: stop the node, never call the machine again.
 *
 * Why a batched promise is still true: a crash throws the voter back to what a write held, and everything it
 * had said by then came from no later a state. To its peers it looks as if it had been slow.
 */
export interface RaftReady {
  /** Present only when none is in flight. Replaces all stored entries from `entries[0].index` on. */
  readonly write: RaftWrite | undefined;
  /** May leave at once: what a leader says, what promises nothing, and promises that are durable by now. */
  readonly sendNow: readonly AddressedRaftMessage[];
  /** May leave when `write` is durable, never before. Empty without one. */
  readonly sendAfterWrite: readonly AddressedRaftMessage[];
  /**
   * A leader's snapshot, durable here: it takes the place of the applied state before `committed` is applied. Entries
   * between the two states come to nobody here.
   */
  readonly restore: LogSnapshot | undefined;
  /**
   * Committed, and durable here: in order, each once; after a start of the process from the stored snapshot's index + 1
   * on, and after a `restore` from its index + 1 on.
   */
  readonly committed: readonly LogEntry[];
  /** To be answered from the state with `committed` applied; see `Raft.read`. */
  readonly reads: readonly ServableRead[];
  /** Reads that will have no answer: the lead was lost. They may be asked again, of the next leader. */
  readonly readsFailed: readonly number[];
  /** Once, when a quarantined voter has all it may have lost on its disk again. */
  readonly recovered: boolean;
}

const none: readonly AddressedRaftMessage[] = [];

interface WaitingPromise {
  readonly addressed: AddressedRaftMessage;
  /** The write that makes it true; 0 when none is needed. */
  readonly afterWrite: number;
}

function isNothing({ write, sendNow, restore, committed, reads, readsFailed, recovered }: RaftReady): boolean {
  if (write !== undefined || restore !== undefined || recovered) return false;
  return sendNow.length === 0 && committed.length === 0 && reads.length === 0 && readsFailed.length === 0;
}

/** Gathers the next Ready, and knows which write makes which promise true. */
export class ReadyQueue {
  private readonly log: RaftLog;
  private readonly reads: Reads;
  private unsaved: HardState | undefined;
  private messages: AddressedRaftMessage[] = [];
  private promises: WaitingPromise[] = [];
  private writesStarted = 0;
  private writeStartedAt: MonotonicMs | undefined;
  private promisesDropped = 0;
  /** The write that makes the newest term and vote durable. */
  private hardStateWrite = 0;
  /** The write that makes true that this voter recovered; 0 when none is needed. */
  private recoveredAfter: number | undefined;

  constructor(log: RaftLog, reads: Reads) {
    this.log = log;
    this.reads = reads;
  }

  /** How many promises the limit has cost. */
  get dropped(): number {
    return this.promisesDropped;
  }

  /** When the write in flight began. */
  get writingSince(): MonotonicMs | undefined {
    return this.writeStartedAt;
  }

  save(hardState: HardState): void {
    this.unsaved = hardState;
    this.hardStateWrite = this.writesStarted + 1;
  }

  send(to: NodeNumber, message: RaftMessage): void {
    this.messages.push({ to, message });
  }

  /**
   * Sends, as a leader, once its term is durable. It is when others elected it; but a lone voter leads at once, and
   * learners must hear of no term that a crash can make it begin again, with other entries.
   */
  speak(to: NodeNumber, message: RaftMessage): void {
    if (this.hardStateWrite <= this.writesDurable) this.send(to, message);
    else this.hold(to, message, this.hardStateWrite);
  }

  /** Sends once all that the machine knows now is durable. */
  promise(to: NodeNumber, message: RaftMessage): void {
    const waiting = this.promises.at(-1);
    const joined = waiting?.addressed.to === to ? inOne(waiting.addressed.message, message) : undefined;
    if (joined === undefined || waiting?.afterWrite !== this.savingWrite) this.hold(to, message, this.savingWrite);
    else this.promises.splice(-1, 1, { addressed: { to, message: joined }, afterWrite: waiting.afterWrite });
  }

  private hold(to: NodeNumber, message: RaftMessage, afterWrite: number): void {
    this.promises.push({ addressed: { to, message }, afterWrite });
    if (this.promises.length <= promisesMax) return;
    this.promises.shift();
    this.promisesDropped++;
  }

  /** Says `recovered` once all that the machine knows now is durable. */
  recover(): void {
    this.recoveredAfter = this.savingWrite;
  }

  take(now: MonotonicMs): RaftReady | undefined {
    const write = this.startWrite(now);
    const promises = this.takePromises(this.writesDurable);
    const sendNow = this.messages.length === 0 ? promises : [...this.messages, ...promises];
    if (this.messages.length > 0) this.messages = [];
    // Every call into the machine ends here, several for each entry: objects put together of others cost most of it.
    const ready = {
      write,
      sendNow,
      sendAfterWrite: write === undefined ? none : this.takePromises(write.id),
      restore: this.log.takeRestore(),
      committed: this.log.takeCommitted(committedEntriesMax),
      reads: this.reads.takeServable(this.log.deliveredIndex),
      readsFailed: this.reads.takeFailed(),
      recovered: this.takeRecovered(),
    };
    return isNothing(ready) ? undefined : ready;
  }

  onPersisted(writeId: number): void {
    assert(this.writeStartedAt !== undefined && writeId === this.writesStarted, 'writes end once, in order');
    this.writeStartedAt = undefined;
    this.log.markDurable();
  }

  private takeRecovered(): boolean {
    const isRecovered = this.recoveredAfter !== undefined && this.recoveredAfter <= this.writesDurable;
    if (isRecovered) this.recoveredAfter = undefined;
    return isRecovered;
  }

  /** The write by whose end all that the machine knows now is durable. */
  private get savingWrite(): number {
    return this.hasUnsaved ? this.writesStarted + 1 : this.writesStarted;
  }

  private get hasUnsaved(): boolean {
    return this.unsaved !== undefined || this.log.hasUnwritten;
  }

  private get writesDurable(): number {
    return this.writeStartedAt === undefined ? this.writesStarted : this.writesStarted - 1;
  }

  private startWrite(now: MonotonicMs): RaftWrite | undefined {
    if (this.writeStartedAt !== undefined || !this.hasUnsaved) return undefined;
    const hardState = this.unsaved;
    this.unsaved = undefined;
    this.writeStartedAt = now;
    this.writesStarted++;
    const { snapshot, entries } = this.log.takeUnwritten();
    return { id: this.writesStarted, hardState, snapshot, entries };
  }

  private takePromises(upToWrite: number): readonly AddressedRaftMessage[] {
    if (this.promises.length === 0) return none;
    const due = this.promises.filter(({ afterWrite }) => afterWrite <= upToWrite);
    if (due.length > 0) this.promises = this.promises.filter(({ afterWrite }) => afterWrite > upToWrite);
    return due.map(({ addressed }) => addressed);
  }
}

/**
 * Two answers that leave together as one that says both, as many do where a write holds up what comes meanwhile;
 * nothing when they are of different kinds. What either acknowledges is as durable, and the later round is answered.
 */
function inOne(earlier: RaftMessage, later: RaftMessage): AppendAnswer | undefined {
  if (earlier.kind !== 'append-answer' || later.kind !== 'append-answer') return undefined;
  if (!earlier.accepted || !later.accepted) return undefined;
  if (earlier.term !== later.term || earlier.lostLog !== later.lostLog) return undefined;
  const matchIndex = Math.max(earlier.matchIndex, later.matchIndex);
  return { ...later, matchIndex, round: Math.max(earlier.round, later.round) };
}
