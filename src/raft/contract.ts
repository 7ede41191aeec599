/** What a driver gives to a Raft machine, and what the machine answers to what it is asked. */
import type { LogIndex, MonotonicMs, NodeNumber, Term } from '../identity.ts';
import type { HardState, LogEntry, LogSnapshot } from '../seam/log-store.ts';
import type { Random } from '../seam/random.ts';
import type { RaftConfiguration } from './configuration.ts';
import type { RaftSettings } from './settings.ts';

export interface RaftOptions {
  readonly self: NodeNumber;
  /** Who takes part as of `snapshot`, or of the genesis without one. The newest one in `entries` wins. */
  readonly configuration: RaftConfiguration;
  readonly settings: RaftSettings;
  readonly random: Random;
  /** What the disk holds: term and vote, the newest snapshot, and the log. */
  readonly hardState: HardState;
  readonly snapshot?: LogSnapshot;
  /** Consecutive. They begin at 1, or at or below the snapshot's index + 1, and end anywhere. */
  readonly entries: readonly LogEntry[];
  /**
   * Entries up to here are known to be committed from an earlier run, so that a voter that starts without a
   * quorum can still serve what was decided. 0 when nothing is known; at most the last entry's index.
   */
  readonly committed: LogIndex;
  /**
   * The disk lost entries that this voter may have acknowledged, but neither its term nor its vote. It votes for nobody
   * until a Ready says `recovered`. Default false.
   */
  readonly quarantined?: boolean;
  readonly now: MonotonicMs;
}

export interface NotLeader {
  readonly kind: 'not-leader';
  readonly leader?: NodeNumber;
}

/** Too much is under way; ask again in a moment. */
export interface Busy {
  readonly kind: 'busy';
}

/** It cannot be now; `reason` says why, as the end of a sentence. */
export interface Refused {
  readonly kind: 'refused';
  readonly reason: string;
}

/** `busy`: the leader holds as much uncommitted as it may, or hands the lead over. */
export type Proposed =
  | { readonly kind: 'accepted'; readonly firstIndex: LogIndex; readonly lastIndex: LogIndex; readonly term: Term }
  | NotLeader
  | Busy;

/** `pending`: a Ready will name the id, in `reads` or in `readsFailed`. */
export type ReadBegun = { readonly kind: 'pending'; readonly id: number } | NotLeader | Busy;

/** `begun`: within an election timeout this voter leads no more, or goes on as if nothing had been. */
export type TransferBegun = { readonly kind: 'begun'; readonly to: NodeNumber } | NotLeader | Refused;
