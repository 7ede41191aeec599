/** One voter with a disk in memory, driven as the Ready contract says; for the tests of this folder. */
import { ByteReader, ByteWriter } from '../../src/bytes.ts';
import type { LogIndex, MonotonicMs, NodeNumber, Term } from '../../src/identity.ts';
import { decodeConfiguration, encodeConfiguration, type RaftConfiguration } from '../../src/raft/configuration.ts';
import type { AddressedRaftMessage, RaftMessage } from '../../src/raft/message.ts';
import { Raft, type RaftReady, type RaftSettings, type RaftWrite, raftSettingsDefault } from '../../src/raft/raft.ts';
import type { HardState, LogEntry, LogSnapshot, LogWrite } from '../../src/seam/log-store.ts';
import { type Random, seededRandom } from '../../src/seam/random.ts';

export interface VoterOptions {
  readonly self: NodeNumber;
  /** Of the genesis. */
  readonly configuration: RaftConfiguration;
  readonly settings: RaftSettings;
  readonly random: Random;
  readonly hardState?: HardState;
  readonly entries?: readonly LogEntry[];
}

export function votersOnly(...voters: readonly NodeNumber[]): RaftConfiguration {
  return { voters, learners: [], outgoing: [] };
}

export class TestDisk {
  hardState: HardState;
  snapshot: LogSnapshot | undefined;
  entries: LogEntry[];
  /** The marker that outlives a restart: entries were lost. */
  isQuarantined = false;

  constructor(hardState: HardState, entries: readonly LogEntry[]) {
    this.hardState = hardState;
    this.entries = [...entries];
  }

  get lastIndex(): LogIndex {
    return this.entries.at(-1)?.index ?? this.snapshot?.index ?? 0;
  }

  /** Whether this entry, which is committed, is here. */
  holds(index: LogIndex, term: Term): boolean {
    return index <= (this.snapshot?.index ?? 0) || this.termOf(index) === term;
  }

  save(write: LogWrite): void {
    if (write.hardState !== undefined) this.hardState = write.hardState;
    if (write.snapshot !== undefined) this.install(write.snapshot);
    const first = write.entries[0];
    if (first === undefined) return;
    const kept = Math.max(0, first.index - (this.entries[0]?.index ?? first.index));
    this.entries = [...this.entries.slice(0, kept), ...write.entries];
  }

  /** A snapshot of what was applied is durable. */
  compact(snapshot: LogSnapshot, keepFrom: LogIndex): void {
    if (snapshot.index <= (this.snapshot?.index ?? 0)) return;
    this.snapshot = snapshot;
    this.entries = this.entries.filter(({ index }) => index >= keepFrom);
  }

  /** Loses everything beyond `index`; the snapshot too, when that is beyond. */
  loseBeyond(index: LogIndex): void {
    this.isQuarantined = true;
    const isGone = (this.snapshot?.index ?? 0) > index;
    if (isGone) this.snapshot = undefined;
    this.entries = isGone ? [] : this.entries.filter((entry) => entry.index <= index);
  }

  private install(snapshot: LogSnapshot): void {
    const isSame = this.termOf(snapshot.index) === snapshot.term;
    this.entries = isSame ? this.entries.filter(({ index }) => index > snapshot.index) : [];
    this.snapshot = snapshot;
  }

  private termOf(index: LogIndex): Term | undefined {
    return this.entries[index - (this.entries[0]?.index ?? 0)]?.term;
  }
}

/** What the entries up to an index amount to: here, a sum that no two histories share by chance. */
export interface AppliedState {
  readonly index: LogIndex;
  readonly sum: number;
}

export const nothingApplied: AppliedState = { index: 0, sum: 0 };

export function applyTo({ sum }: AppliedState, { index, term, kind, payload }: LogEntry): AppliedState {
  let next = sum;
  for (const part of [index, term, kind.length, ...payload]) next = (Math.imul(next, 0x0100_0193) ^ part) >>> 0;
  return { index, sum: next };
}

/** Longer than a chunk of the tests, so that it travels in pieces. */
const stateBytes = 30;

function encodeState({ index, sum }: AppliedState): Uint8Array {
  return new ByteWriter().u48(index).u48(sum).raw(new Uint8Array(stateBytes).fill(index)).finish();
}

export function decodeState(bytes: Uint8Array): AppliedState {
  const reader = new ByteReader(bytes);
  return { index: reader.u48(), sum: reader.u48() };
}

export class TestVoter {
  readonly self: NodeNumber;
  readonly disk: TestDisk;
  /** What came as committed since the last start. */
  applied: LogEntry[] = [];
  state: AppliedState = nothingApplied;
  /** Snapshots of a leader that took the place of the state, since the last start. */
  restored: LogSnapshot[] = [];
  writing: { readonly write: RaftWrite; readonly sendAfterWrite: readonly AddressedRaftMessage[] } | undefined;
  /** Sees each Ready when all of it is done but what waits for the disk. */
  onReady: (ready: RaftReady) => void = () => {};
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
    const { hardState, snapshot, entries, isQuarantined: quarantined } = this.disk;
    const { configuration } = this.options;
    this.running = new Raft({
      ...this.options,
      ...(snapshot === undefined ? { configuration } : { snapshot, configuration: configurationIn(snapshot) }),
      hardState,
      entries,
      committed: 0,
      quarantined,
      now,
    });
    this.applied = [];
    this.restored = [];
    this.state = snapshot === undefined ? nothingApplied : decodeState(snapshot.state);
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
      if (ready.restore !== undefined) this.restore(ready.restore);
      for (const entry of ready.committed) this.apply(entry);
      if (ready.recovered) this.disk.isQuarantined = false;
      this.onReady(ready);
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

  /** Makes a snapshot of what is applied, durable at once; of the entries that it holds the last `kept` stay. */
  compact(kept: number): void {
    const { index } = this.state;
    if (index <= (this.disk.snapshot?.index ?? 0)) return;
    const configuration = encodeConfiguration(this.raft.configurationAt(index));
    const term = this.raft.termAt(index);
    // The log goes on from a leader's snapshot, which is on its way to the disk.
    if (term === undefined) return;
    const snapshot = {
      index,
      term,
      chain: new Uint8Array(32).fill(index),
      configuration,
      state: encodeState(this.state),
    };
    const keepFrom = Math.max(1, index + 1 - kept);
    this.disk.compact(snapshot, keepFrom);
    this.raft.compact(snapshot, keepFrom);
  }

  private restore(snapshot: LogSnapshot): void {
    if (snapshot.index <= this.state.index) throw new Error('a snapshot took the state back');
    if (this.disk.snapshot?.index !== snapshot.index) throw new Error('a snapshot was restored before it was durable');
    this.restored.push(snapshot);
    this.state = decodeState(snapshot.state);
    if (this.state.index !== snapshot.index) throw new Error('a snapshot holds another state');
  }

  private apply(entry: LogEntry): void {
    if (entry.index !== this.state.index + 1) throw new Error(`voter ${this.self} applies out of order`);
    this.applied.push(entry);
    this.state = applyTo(this.state, entry);
  }
}

/** Voter 1, alone and leading, its opening applied. */
export function soleVoter(): TestVoter {
  const configuration = votersOnly(1);
  const settings = raftSettingsDefault;
  const one = new TestVoter({ self: 1, configuration, settings, random: seededRandom(1) }, 0);
  one.raft.tick(0);
  settle(one, 0);
  return one;
}

/** The disk is done with everything; gives all messages. */
export function settle(one: TestVoter, now: MonotonicMs): RaftMessage[] {
  const messages = one.takeReadys().map(({ message }) => message);
  while (one.writing !== undefined) {
    const promised = one.finishWrite(now);
    messages.push(...[...promised, ...one.takeReadys()].map(({ message }) => message));
  }
  return messages;
}

function configurationIn({ configuration }: LogSnapshot): RaftConfiguration {
  const decoded = decodeConfiguration(configuration);
  if (decoded === undefined) throw new Error('a snapshot does not say who votes');
  return decoded;
}
