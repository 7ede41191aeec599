/**
 * The pane's log on one control node: drives the Raft machine, applies what is committed, and tells whoever
 * proposed something how it ended. It decides nothing about members.
 */
import { unreachable } from '../assert.ts';
import { type Applied, applyCommand, applyNothing } from '../control/apply.ts';
import { type Command, featureLevelMax } from '../control/command.ts';
import type { ControlState } from '../control/control-state.ts';
import { decodeState, encodeState } from '../control/state-snapshot.ts';
import { HivemindError } from '../error.ts';
import type { LogIndex, MonotonicMs, NodeNumber, Term } from '../identity.ts';
import { encodeConfiguration } from '../raft/configuration.ts';
import type { TransferBegun } from '../raft/contract.ts';
import type { AddressedRaftMessage, RaftMessage } from '../raft/message.ts';
import type { Raft } from '../raft/raft.ts';
import { chainHash, type LogEntry, type LogSnapshot, type LogTrouble } from '../seam/log-store.ts';
import { decodeCommand, encodeCommand } from '../wire/command.ts';
import { type LogPage, logPageBytesMax, logPageEntriesMax } from '../wire/peer-message.ts';
import type { Compaction } from './compaction.ts';
import type { MemberInput } from './effect.ts';
import type { Instant } from './instant.ts';
import type { Outbox } from './outbox.ts';
import type { RaftCourier } from './raft-courier.ts';

/** A leader that is called so late, half an election timeout, … */
export const lateTickMs = 375;
/** … so many times … */
export const lateTicksMax = 3;
/** … within so long, hands the lead over. */
export const lateWithinMs = 10_000;
/** Proposals whose fate is open; one more is refused as busy. */
export const proposalsMax = 4_096;

export type Verdict =
  | { readonly ok: true; readonly index: LogIndex; readonly applied: Applied }
  | { readonly ok: false; readonly error: HivemindError };

interface Proposal {
  readonly term: Term;
  readonly then: (verdict: Verdict, at: Instant) => void;
}

export type DiskInput = Extract<MemberInput, { readonly kind: 'written' | 'compacted' | 'log-trouble' }>;

export interface DecisionListeners {
  onApplied(index: LogIndex, command: Command, applied: Applied, at: Instant): void;
  /** A leader's snapshot has taken the place of the whole state. */
  onRestored(at: Instant): void;
}

export class DecisionLog {
  readonly raft: Raft;
  readonly state: ControlState;
  /** The hash chain up to the last applied entry. */
  chain: Uint8Array;
  private readonly outbox: Outbox;
  private readonly courier: RaftCourier;
  private readonly listeners: DecisionListeners;
  private readonly compaction: Compaction;
  private readonly proposals = new Map<LogIndex, Proposal>();
  /** When this leader was called so late, lately. */
  private lateAtMs: readonly MonotonicMs[] = [];
  /** Messages that wait for the write in flight. */
  private afterWrite: readonly AddressedRaftMessage[] = [];

  constructor(parts: {
    readonly raft: Raft;
    readonly state: ControlState;
    readonly outbox: Outbox;
    readonly courier: RaftCourier;
    readonly listeners: DecisionListeners;
    readonly compaction: Compaction;
  }) {
    this.raft = parts.raft;
    this.state = parts.state;
    this.outbox = parts.outbox;
    this.courier = parts.courier;
    this.listeners = parts.listeners;
    this.compaction = parts.compaction;
    this.chain = parts.compaction.firstKept.chain;
  }

  /** Proposes a command; `then` is called once, when it is applied or when nobody can tell any more. */
  propose(command: Command, then: Proposal['then'], at: Instant): void {
    const refused = this.tryPropose(command, then, at);
    if (refused !== undefined) then({ ok: false, error: refused }, at);
    this.pump(at);
  }

  private tryPropose(command: Command, then: Proposal['then'], at: Instant): HivemindError | undefined {
    if (this.proposals.size >= proposalsMax) return busy();
    const payload = encodeCommand(command);
    // What does not read back would stop every control node that applies it, and again after each restart.
    if (decodeCommand(payload) === undefined) return unreadable();
    const proposed = this.raft.propose([payload], at.now);
    switch (proposed.kind) {
      case 'accepted':
        this.proposals.set(proposed.firstIndex, { term: proposed.term, then });
        return undefined;
      case 'busy':
        return busy();
      case 'not-leader':
        return new HivemindError('not-leader', 'This control node does not lead; ask again.');
      default:
        return unreachable(proposed);
    }
  }

  receive(from: NodeNumber, message: RaftMessage, at: Instant): void {
    this.raft.receive(from, message, at.now);
    this.pump(at);
  }

  tick(at: Instant): void {
    if (this.isTooLate(at)) this.raft.handOver(at.now);
    this.raft.tick(at.now);
    this.pump(at);
  }

  /** A leader whose process does not get its turns makes everybody wait; a single pause is no reason to go. */
  private isTooLate({ now }: Instant): boolean {
    if (this.raft.role !== 'leader' || now - this.raft.nextTickAt() < lateTickMs) return false;
    this.lateAtMs = [...this.lateAtMs.filter((lateMs) => now - lateMs <= lateWithinMs), now];
    return this.lateAtMs.length >= lateTicksMax;
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

  /** A leader whose disk does not keep up hands the lead over; one that can reach nobody fitter goes on. */
  private onTrouble(trouble: LogTrouble | undefined, at: Instant): void {
    this.outbox.event({ kind: 'log-disk', state: trouble?.kind ?? 'fine', since: trouble?.since ?? at.wall });
    if (trouble !== undefined) this.raft.handOver(at.now);
    this.pump(at);
  }

  private onWritten(id: number, at: Instant): void {
    this.send(this.afterWrite, at);
    this.afterWrite = [];
    this.raft.persisted(id, at.now);
    this.pump(at);
  }

  nextTickAt(): MonotonicMs {
    return this.raft.nextTickAt();
  }

  /** Whether this leader has applied all that earlier ones appended: then nothing is open but its own proposals. */
  get isCaughtUp(): boolean {
    return this.raft.termAt(this.state.appliedIndex) === this.raft.term;
  }

  /** Where the next proposal would stand. */
  get nextIndex(): LogIndex {
    return this.raft.lastIndex + 1;
  }

  /** Committed entries from `from` on: the only ones that anybody is shown (HM-8). */
  committed(from: LogIndex, most: number): readonly LogEntry[] {
    const first = Math.max(this.compaction.firstKept.index, from);
    const wanted = Math.min(most, Math.max(0, this.state.appliedIndex - first + 1));
    return wanted === 0 ? [] : this.raft.entriesFrom(first, wanted);
  }

  /** The same as a page for readers: it ends early where its payloads would be too many bytes for one answer. */
  page(from: LogIndex, most: number): LogPage {
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (const entry of this.committed(from, Math.min(most, logPageEntriesMax))) {
      bytes += entry.payload.length;
      if (bytes > logPageBytesMax && entries.length > 0) break;
      entries.push(entry);
    }
    const { index: first, chain } = this.compaction.firstKept;
    return { entries, commitIndex: this.state.appliedIndex, first, chain };
  }

  /** Hands the lead over: it takes no proposals meanwhile, and leads on when that fails. */
  transfer(to: NodeNumber, at: Instant): TransferBegun {
    const begun = this.raft.transfer(to, at.now);
    this.pump(at);
    return begun;
  }

  /** Carries out what the machine wants done now. */
  pump(at: Instant): void {
    for (let ready = this.raft.takeReady(); ready !== undefined; ready = this.raft.takeReady()) {
      if (ready.write !== undefined) {
        const { id, ...write } = ready.write;
        this.afterWrite = ready.sendAfterWrite;
        this.outbox.push({ kind: 'write', id, write });
      }
      this.send(ready.sendNow, at);
      if (ready.restore !== undefined) this.restore(ready.restore, at);
      for (const entry of ready.committed) this.apply(entry, at);
      if (ready.recovered) this.outbox.push({ kind: 'heal' });
    }
    this.giveUpLostProposals(at);
    this.compact();
  }

  private compact(): void {
    const { appliedIndex: index } = this.state;
    if (!this.compaction.isDue(index)) return;
    const term = this.raft.termAt(index);
    if (term === undefined) return;
    const configuration = encodeConfiguration(this.raft.configurationAt(index));
    const snapshot = { index, term, chain: this.chain, configuration, state: encodeState(this.state) };
    this.outbox.push({ kind: 'compact', ...this.compaction.begin(snapshot) });
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

  private restore(snapshot: LogSnapshot, at: Instant): void {
    const { genesis, genesisHash } = this.state;
    const restored = decodeState(snapshot.state, genesis, genesisHash);
    if (restored === undefined) {
      const reason =
        'The snapshot that another control node sent is of a kind that this version does not know; upgrade.';
      this.outbox.push({ kind: 'halt', reason: new HivemindError('data-format', reason) });
      return;
    }
    this.state.become(restored);
    this.chain = snapshot.chain;
    this.compaction.onRestored(snapshot);
    this.listeners.onRestored(at);
  }

  private send(messages: readonly AddressedRaftMessage[], at: Instant): void {
    for (const message of messages) this.courier.send(message, at);
  }

  private apply(entry: LogEntry, at: Instant): void {
    this.chain = chainHash(this.chain, entry);
    this.compaction.onApplied(entry);
    const proposal = this.proposals.get(entry.index);
    this.proposals.delete(entry.index);
    const applied = this.applyPayload(entry, at);
    if (proposal === undefined) return;
    if (proposal.term === entry.term && applied !== undefined) {
      proposal.then({ ok: true, index: entry.index, applied }, at);
    } else {
      proposal.then({ ok: false, error: lostLead() }, at);
    }
  }

  private applyPayload(entry: LogEntry, at: Instant): Applied | undefined {
    if (entry.kind !== 'command') {
      applyNothing(this.state, entry.index);
      return undefined;
    }
    const command = decodeCommand(entry.payload);
    if (command === undefined || isOfLaterVersion(command)) {
      const reason = `Entry ${entry.index} of the event log is of a kind that this version does not know; upgrade it.`;
      this.outbox.push({ kind: 'halt', reason: new HivemindError('data-format', reason) });
      return undefined;
    }
    const applied = applyCommand(this.state, entry.index, command);
    this.listeners.onApplied(entry.index, command, applied, at);
    return applied;
  }

  /** A leader that steps down cannot tell how its open proposals end: they may still be committed. */
  private giveUpLostProposals(at: Instant): void {
    if (this.proposals.size === 0 || this.raft.role === 'leader') return;
    const lost = [...this.proposals.values()];
    this.proposals.clear();
    for (const proposal of lost) proposal.then({ ok: false, error: lostLead() }, at);
  }
}

/** Every control node has to know the level before it is raised; one that does not must not go on. */
function isOfLaterVersion(command: Command): boolean {
  return command.kind === 'raise-feature-level' && command.level > featureLevelMax;
}

function unreadable(): HivemindError {
  return new HivemindError('usage', 'What was asked for is beyond the limits of the event log; ask for less.');
}

function busy(): HivemindError {
  return new HivemindError('busy', 'The control pane has too much undecided; try again in a moment.');
}

function lostLead(): HivemindError {
  return new HivemindError('not-leader', 'The leader changed before this was decided; ask again.');
}
