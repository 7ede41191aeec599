/** What clients of a real cluster asked for and were told, and what its control nodes hold in the end. */

/** An entry of the event log as far as all who show it show the same. */
export interface Entry {
  readonly index: number;
  readonly term: number;
  readonly kind: string;
  /** What it says; empty for what nobody wrote. */
  readonly text: string;
}

export type AppendOutcome =
  /** `index`: absent where the answer does not tell it. */
  | { readonly kind: 'acked'; readonly index?: number }
  /** Whoever refused says that it is not decided, and never will be. */
  | { readonly kind: 'refused' }
  /** The answer was lost, or says that nobody can tell. */
  | { readonly kind: 'unknown' };

/** Times are of one clock that all clients read. */
interface Operation {
  readonly invokedAt: number;
  readonly returnedAt: number;
}

/** One client's wish to have `value` in the log, which is unique; asked for again it is the same wish. */
export interface Append extends Operation {
  readonly kind: 'append';
  readonly value: string;
  readonly outcome: AppendOutcome;
}

/** One page of the log, as a node gave it. */
export interface Read extends Operation {
  readonly kind: 'read';
  readonly node: string;
  /** Asked for as the newest there is; else it may be as old as the node likes. */
  readonly isConsistent: boolean;
  /** The first entry that the page has to show: what was asked for, less what the node says that nobody can have. */
  readonly from: number;
  /** So many entries were asked for at most. */
  readonly most: number;
  /** What was decided when it was read, as the node says. */
  readonly commitIndex: number;
  readonly entries: readonly Entry[];
}

export interface ChainedEntry extends Entry {
  /** What a client wanted to have in the log. */
  readonly value?: string;
  /** The hash of this entry and, through the one before, of all that came before. */
  readonly chain: string;
}

/** A log as one node holds it. */
export interface HeldLog {
  readonly node: string;
  /** What lies before is forgotten; `chainBefore` stands for it. */
  readonly first: number;
  readonly chainBefore: string;
  readonly entries: readonly ChainedEntry[];
}

export interface History {
  readonly operations: readonly (Append | Read)[];
  /** What was copied from the log while it grew, from entry 1 on: control nodes forget theirs. */
  readonly archive: HeldLog;
  /** Who has to have a log, by name. */
  readonly control: readonly string[];
  /** The logs of all control nodes, once nothing is asked for any more and all are in touch. */
  readonly logs: readonly HeldLog[];
  readonly members: {
    /** Whom the whole log admitted and did not remove, by name. */
    readonly decided: readonly string[];
    /** Whom each running node counts as a member in the end, by the node's name. */
    readonly seen: ReadonlyMap<string, readonly string[]>;
  };
}
