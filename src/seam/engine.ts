import type { LogIndex, MonotonicMs, NodeNumber } from '../identity.ts';
import type { Instant } from './instant.ts';
import type { LogEntry, LogSnapshot } from './log-store.ts';

/**
 * Names one lead: it grows with each, and nobody else's is the same. What is appended under it bears it as its `term`.
 * It means nothing else.
 */
export type Fence = number;

export interface Append {
  /** The lead under which it was judged. */
  readonly fence: Fence;
  /** The end of the log for which it was judged: it stands behind this entry, or nowhere. */
  readonly head: LogIndex;
  /** Not empty. */
  readonly payload: Uint8Array;
}

export type AppendOutcome =
  /** Told before `watch` gives the entry. */
  | { readonly kind: 'committed'; readonly index: LogIndex }
  /**
   * Nothing of it is in the log, nor ever will be. `not-leader`: this fence leads no more; `conflict`: the log ends
   * elsewhere by now; `busy`: too much is open, ask again in a moment.
   */
  | { readonly kind: 'refused'; readonly why: 'not-leader' | 'conflict' | 'busy' }
  /** It may come into the log later, once, or never. */
  | { readonly kind: 'unknown' };

export type ReadOutcome =
  /** All that was committed anywhere before the read was asked for ends here at the latest, and `watch` gives it. */
  | { readonly kind: 'current'; readonly index: LogIndex }
  | { readonly kind: 'refused'; readonly why: 'not-leader' | 'busy' };

export type Watched =
  /** Committed, in order, none left out; empty when there are no more yet. */
  | { readonly kind: 'entries'; readonly entries: readonly LogEntry[] }
  /** Those asked for are kept no more: this is what they amounted to, and the log goes on behind it. */
  | { readonly kind: 'compacted'; readonly snapshot: TakenSnapshot };

/** What all entries up to `index` amount to. */
export type TakenSnapshot = Pick<LogSnapshot, 'index' | 'chain' | 'state'>;

/** Where the log begins that `watch` gives. */
export interface KeptFrom {
  readonly index: LogIndex;
  /** The hash chain before it. */
  readonly chain: Uint8Array;
}

/** How it stands with an engine now: read anew at each look. */
export interface EngineStatus {
  /** Nothing while this engine does not lead. */
  readonly fence: Fence | undefined;
  /** Who leads, if it is known. */
  readonly leader: NodeNumber | undefined;
  /** The end of the log, what is not committed included. */
  readonly head: LogIndex;
  readonly keptFrom: KeptFrom;
  /** Enough was committed behind the last snapshot for a new one. */
  readonly wantsSnapshot: boolean;
  /** Is there a majority, as far as this engine can know? */
  hasQuorum(now: MonotonicMs): boolean;
}

/**
 * Keeps the pane's log: control nodes agree through it on one sequence of entries, whoever of them leads and fails.
 * Raft is the embedded one (`member/pane/raft-engine`).
 *
 * Calls are synchronous, and an outcome is told once, by a callback: within the call, or in a later step. What an
 * engine wants done it hands out as effects; what it is told in return (messages, disks, answers of a server) is its
 * own business. Each lead begins with an `opening` entry. `test/conformance/engine.ts` is what every engine must pass.
 */
export interface Engine {
  readonly status: EngineStatus;
  /** The time by which `campaign` wants to be called; other calls may change it. */
  campaignAt(): MonotonicMs;
  /**
   * Sees to it that somebody leads: stands for the lead where no leader is heard, keeps the lead that it has, and
   * gives it up when no majority follows. Calling it early or late does no harm.
   */
  campaign(at: Instant): void;
  append(wanted: Append, then: (outcome: AppendOutcome, at: Instant) => void, at: Instant): void;
  /** Makes sure that no later decision has overtaken what is read here; without a majority it is refused soon. */
  read(then: (outcome: ReadOutcome, at: Instant) => void, at: Instant): void;
  /** At most `most` committed entries from `from` (1 or more) on. An engine's owner is called when there are more. */
  watch(from: LogIndex, most: number): Watched;
  /** Takes what all entries up to an applied one amount to, so that those before it need not be kept. */
  snapshot(taken: TakenSnapshot): void;
}
