/** How a member and the control pane stay in touch (design rule 11). */
import { controlNodesMax } from '../certificate/genesis.ts';
import type { LogIndex, NodeNumber, WallMs } from '../identity.ts';
import type { Update } from '../swim/message.ts';
import type { Slice } from '../swim/slice.ts';

export interface MachineLoad {
  readonly cores: number;
  /** The 15-minute load average. */
  readonly load15: number;
  readonly memoryFreeBytes: number;
  readonly memoryTotalBytes: number;
}

/** From a member to one control node. */
export interface KeepAlive {
  readonly kind: 'keep-alive';
  readonly nonce: number;
  /** The log index that the member's knowledge of the membership reaches. */
  readonly logIndex: LogIndex;
  /** 8 bytes over what the member holds of its view: an audit of what it was told. */
  readonly viewHash: Uint8Array;
  readonly load: MachineLoad;
}

/** All control nodes but the one that answers. */
export const silentControlNodesMax: number = controlNodesMax - 1;

/** A control node that another one does not hear. */
export interface SilentControlNode {
  readonly number: NodeNumber;
  /** When it was last heard; or, for one that never was, since when it would have been. */
  readonly since: WallMs;
}

/** Whether a control node can vote, or why not; `disk-slow`: it votes late, and does not want to lead. */
export const votings = ['votes', 'log-damaged', 'disk-full', 'disk-slow'] as const;
export type Voting = (typeof votings)[number];

/** Whether a majority of control nodes is in touch, as one control node sees it. */
export interface PaneHealth {
  readonly state: 'healthy' | 'degraded';
  readonly since: WallMs;
  /** 0 when none is known. */
  readonly leader: NodeNumber;
  /**
   * Control nodes that this one does not hear, at most `silentControlNodesMax`; the others are in touch with it. Empty
   * for a follower that has a leader: nobody else speaks to it.
   */
  readonly silent: readonly SilentControlNode[];
  /** How it is with the answering control node's own vote. */
  readonly voting: Voting;
}

export interface KeepAliveAnswer {
  readonly kind: 'keep-alive-answer';
  readonly nonce: number;
  /** How often the charter was amended: an asker that knows of fewer is to ask for the rest. */
  readonly charter: number;
  readonly logIndex: LogIndex;
  readonly health: PaneHealth;
  /** All members of the cluster, those that are down included. */
  readonly size: number;
  /** What the asker lacks; nothing when it knows all that it should. */
  readonly changes: ViewChanges | undefined;
}

/** Entries of one list in a keep-alive's answer; what does not fit follows with the next one. */
export const changesMax = 48;

/** What was decided since the asker's log index, as far as it concerns the asker's view. */
export interface ViewChanges {
  /** Where the asker's knowledge reaches with this. */
  readonly reaches: LogIndex;
  readonly updates: readonly Update[];
  readonly removed: readonly NodeNumber[];
  /** Members to get to know; whoever has a slice finds them there. */
  readonly admitted: readonly NodeNumber[];
  /** The slice that the asker should have, when it is another one. */
  readonly slice: Slice | undefined;
  /** The asker's knowledge is of another cluster's size, too old, or wrong: it is to pull its digest. */
  readonly resync: boolean;
}
