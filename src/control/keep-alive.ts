/** The datagrams by which a member and the pane stay in touch (design rule 11). */
import type { Epoch, LogIndex, NodeNumber, WallMs } from '../identity.ts';

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
  readonly load: MachineLoad;
}

/** Whether a majority of control nodes is in touch, as one control node sees it. */
export interface PaneHealth {
  readonly state: 'healthy' | 'degraded';
  readonly since: WallMs;
  /** 0 when none is known. */
  readonly leader: NodeNumber;
}

export interface KeepAliveAnswer {
  readonly kind: 'keep-alive-answer';
  readonly nonce: number;
  readonly epoch: Epoch;
  readonly logIndex: LogIndex;
  readonly health: PaneHealth;
  /** 16 bytes; unequal to the member's own: something was missed, pull the digest. */
  readonly membershipHash: Uint8Array;
}
