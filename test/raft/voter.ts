/** One voter with a disk in memory, driven as the Ready contract says; for the tests of this folder. */
import type { MonotonicMs, NodeNumber } from '../../src/identity.ts';
import type { AddressedRaftMessage } from '../../src/raft/message.ts';
import { Raft, type RaftSettings, type RaftWrite } from '../../src/raft/raft.ts';
import type { HardState, LogEntry, LogWrite } from '../../src/seam/log-store.ts';
import type { Random } from '../../src/seam/random.ts';

export interface VoterOptions {
  readonly self: NodeNumber;
  readonly voters: readonly NodeNumber[];
  readonly settings: RaftSettings;
  readonly random: Random;
  readonly hardState?: HardState;
  readonly entries?: readonly LogEntry[];
}

export class TestDisk {
  hardState: HardState;
  entries: LogEntry[];

  constructor(hardState: HardState, entries: readonly LogEntry[]) {
    this.hardState = hardState;
    this.entries = [...entries];
  }

  save(write: LogWrite): void {
    if (write.hardState !== undefined) this.hardState = write.hardState;
    const first = write.entries[0];
    if (first !== undefined) this.entries = [...this.entries.slice(0, first.index - 1), ...write.entries];
  }
}

export class TestVoter {
  readonly self: NodeNumber;
  readonly disk: TestDisk;
  /** What came as committed since the last start. */
  applied: LogEntry[] = [];
  writing: { readonly write: RaftWrite; readonly sendAfterWrite: readonly AddressedRaftMessage[] } | undefined;
  private readonly options: VoterOptions;
  private running: Raft | undefined;

  constructor(options: VoterOptions, now: MonotonicMs) {
    this.self = options.self;
    this.options = options;
    this.disk = new TestDisk(options.hardState ?? { term: 0, votedFor: 0 }, options.entries ?? []);
    this.start(now);
  }

  get isUp(): boolean {
    return this.running !== undefined;
  }

  get raft(): Raft {
    if (this.running === undefined) throw new Error(`voter ${this.self} is down`);
    return this.running;
  }

  start(now: MonotonicMs): void {
    const { hardState, entries } = this.disk;
    this.running = new Raft({ ...this.options, hardState, entries, committed: 0, now });
    this.applied = [];
  }

  /** What was not persisted is lost, but for the part of the write in flight that `kept` says. */
  crash(kept?: LogWrite): void {
    if (kept !== undefined) this.disk.save(kept);
    this.writing = undefined;
    this.running = undefined;
  }

  /** Takes all Readys: begins a write, applies, and gives what may be sent now. */
  takeReadys(): AddressedRaftMessage[] {
    const messages: AddressedRaftMessage[] = [];
    for (let ready = this.raft.takeReady(); ready !== undefined; ready = this.raft.takeReady()) {
      const { write, sendAfterWrite } = ready;
      if (write === undefined && sendAfterWrite.length > 0) throw new Error('a promise without its write');
      if (write !== undefined) {
        if (this.writing !== undefined) throw new Error('two writes in flight');
        this.writing = { write, sendAfterWrite };
      }
      messages.push(...ready.sendNow);
      this.applied.push(...ready.committed);
    }
    return messages;
  }

  /** The write in flight reaches the disk; gives what may be sent then. */
  finishWrite(now: MonotonicMs): readonly AddressedRaftMessage[] {
    const finished = this.writing;
    if (finished === undefined) return [];
    this.writing = undefined;
    this.disk.save(finished.write);
    this.raft.persisted(finished.write.id, now);
    return finished.sendAfterWrite;
  }
}
