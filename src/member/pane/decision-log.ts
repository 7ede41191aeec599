/**
 * The pane's decisions on one control node: proposes commands to the log, applies what is committed, and tells whoever
 * proposed something how it ended. It decides nothing about members, and knows nothing of how the log is kept.
 */
import { unreachable } from '../../assert.ts';
import { type Applied, applyCommand, applyNothing } from '../../control/apply.ts';
import { type Command, featureLevelMax } from '../../control/command.ts';
import type { ControlState } from '../../control/control-state.ts';
import { decodeState, encodeState } from '../../control/state-snapshot.ts';
import { HivemindError } from '../../error.ts';
import type { LogIndex } from '../../identity.ts';
import type { AppendOutcome, Engine, Fence, TakenSnapshot } from '../../seam/engine.ts';
import type { Instant } from '../../seam/instant.ts';
import { chainHash, type LogEntry } from '../../seam/log-store.ts';
import { decodeCommand, encodeCommand } from '../../wire/command.ts';
import { type LogPage, logPageBytesMax, logPageEntriesMax } from '../../wire/peer-message.ts';
import type { Outbox } from '../outbox.ts';
import { notLeading, unknownOutcome } from '../pane-refusal.ts';

/** Entries that are taken from the log and applied together. */
const applyAtOnceMax = 1_024;

export type Verdict =
  | { readonly ok: true; readonly index: LogIndex; readonly applied: Applied }
  | { readonly ok: false; readonly error: HivemindError };

export type VerdictThen = (verdict: Verdict, at: Instant) => void;

export interface DecisionListeners {
  onApplied(index: LogIndex, command: Command, applied: Applied, at: Instant): void;
  /** A snapshot has taken the place of the whole state. */
  onRestored(at: Instant): void;
}

export class DecisionLog {
  readonly state: ControlState;
  /** The hash chain up to the last applied entry. */
  chain: Uint8Array;
  private readonly engine: Engine;
  private readonly outbox: Outbox;
  private readonly objectionToDate: (at: Instant) => HivemindError | undefined;
  private readonly listeners: DecisionListeners;
  /** Proposals that are committed and about to be applied. */
  private readonly decided = new Map<LogIndex, VerdictThen>();
  /** The lead under which the last applied entry was appended. */
  private appliedFence: Fence = 0;

  constructor(parts: {
    readonly engine: Engine;
    readonly state: ControlState;
    readonly outbox: Outbox;
    /** Why this node must not date anything now, or nothing. */
    readonly objectionToDate: (at: Instant) => HivemindError | undefined;
    readonly listeners: DecisionListeners;
  }) {
    this.engine = parts.engine;
    this.state = parts.state;
    this.outbox = parts.outbox;
    this.objectionToDate = parts.objectionToDate;
    this.listeners = parts.listeners;
    this.chain = parts.engine.status.keptFrom.chain;
  }

  /** Proposes a command; `then` is called once, when it is applied or when nobody can tell any more. */
  propose(command: Command, then: VerdictThen, at: Instant): void {
    const payload = encodeCommand(command);
    const { fence, head } = this.engine.status;
    const objection = this.objectionToDate(at);
    // What does not read back would stop every control node that applies it, and again after each restart.
    if (decodeCommand(payload) === undefined) then({ ok: false, error: unreadable() }, at);
    else if (fence === undefined) then({ ok: false, error: notLeading() }, at);
    else if (objection !== undefined) then({ ok: false, error: objection }, at);
    else this.engine.append({ fence, head, payload }, (outcome, later) => this.onOutcome(outcome, then, later), at);
  }

  private onOutcome(outcome: AppendOutcome, then: VerdictThen, at: Instant): void {
    switch (outcome.kind) {
      case 'committed':
        this.decided.set(outcome.index, then);
        break;
      case 'refused':
        then({ ok: false, error: outcome.why === 'not-leader' ? notLeading() : busy() }, at);
        break;
      case 'unknown':
        then({ ok: false, error: unknownOutcome() }, at);
        break;
      default:
        unreachable(outcome);
    }
  }

  /** Whether this leader has applied all that earlier ones appended: then nothing is open but its own proposals. */
  get isCaughtUp(): boolean {
    return this.appliedFence === this.engine.status.fence;
  }

  /** Where the next proposal would stand. */
  get nextIndex(): LogIndex {
    return this.engine.status.head + 1;
  }

  /** Committed entries from `from` on: the only ones that anybody is shown (HM-8). */
  committed(from: LogIndex, most: number): readonly LogEntry[] {
    const first = Math.max(this.engine.status.keptFrom.index, from);
    const wanted = Math.min(most, Math.max(0, this.state.appliedIndex - first + 1));
    const watched = this.engine.watch(first, wanted);
    return watched.kind === 'entries' ? watched.entries : [];
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
    const { index: first, chain } = this.engine.status.keptFrom;
    return { entries, commitIndex: this.state.appliedIndex, first, chain };
  }

  /** Applies all that is committed by now. */
  follow(at: Instant): void {
    for (;;) {
      const watched = this.engine.watch(this.state.appliedIndex + 1, applyAtOnceMax);
      if (watched.kind === 'compacted') {
        if (!this.restore(watched.snapshot, at)) return;
      } else if (watched.entries.length === 0) break;
      else if (!watched.entries.every((entry) => this.apply(entry, at))) return;
    }
    if (this.engine.status.wantsSnapshot) this.engine.snapshot(this.taken());
  }

  /** All that is applied now. */
  taken(): TakenSnapshot {
    return { index: this.state.appliedIndex, chain: this.chain, state: encodeState(this.state) };
  }

  /** False when this node cannot go on. */
  private restore({ index, chain, state }: TakenSnapshot, at: Instant): boolean {
    const { genesis, genesisHash } = this.state;
    const restored = decodeState(state, genesis, genesisHash);
    if (restored === undefined || index !== restored.appliedIndex) {
      const reason =
        'The snapshot that another control node sent is of a kind that this version does not know; upgrade.';
      this.outbox.push({ kind: 'halt', reason: new HivemindError('data-format', reason) });
      return false;
    }
    this.state.become(restored);
    this.chain = chain;
    this.listeners.onRestored(at);
    return true;
  }

  /** False when this node cannot go on. */
  private apply(entry: LogEntry, at: Instant): boolean {
    const { index } = entry;
    this.chain = chainHash(this.chain, entry);
    this.appliedFence = entry.term;
    if (entry.kind !== 'command') {
      applyNothing(this.state, index);
      return true;
    }
    const command = decodeCommand(entry.payload);
    if (command === undefined || isOfLaterVersion(command)) {
      const reason = `Entry ${index} of the event log is of a kind that this version does not know; upgrade it.`;
      this.outbox.push({ kind: 'halt', reason: new HivemindError('data-format', reason) });
      return false;
    }
    const applied = applyCommand(this.state, index, command);
    this.listeners.onApplied(index, command, applied, at);
    const then = this.decided.get(index);
    this.decided.delete(index);
    then?.({ ok: true, index, applied }, at);
    return true;
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
