import type { LogIndex, NodeNumber, Term } from '../identity.ts';
import type { LogEntry } from '../seam/log-store.ts';

/** What voters say to each other (Raft, Ongaro 2014, figure 3.1; pre-vote: §9.6). */
export type RaftMessage =
  | PreVoteRequest
  | PreVoteAnswer
  | VoteRequest
  | VoteAnswer
  | AppendRequest
  | AppendAnswer
  | SnapshotChunk
  | SnapshotAnswer
  | TimeOutNow;

/**
 * Names one loss of a voter's entries: drawn from 1 … 2^32−1 when it starts in quarantine, and said in all its answers
 * until it ends. 0 stands for none.
 */
export type LossId = number;

/** "Would you vote for me in this term?" It changes nothing at the receiver. */
export interface PreVoteRequest {
  readonly kind: 'pre-vote-request';
  /** The term in which the sender would stand: one above its own. */
  readonly term: Term;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
}

export interface PreVoteAnswer {
  readonly kind: 'pre-vote-answer';
  /** The term asked for when granted, the answerer's own when not. */
  readonly term: Term;
  readonly granted: boolean;
}

export interface VoteRequest {
  readonly kind: 'vote-request';
  readonly term: Term;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** The leader itself asked for this election (§3.10): whoever hears it need not refuse. */
  readonly isTransfer: boolean;
}

export interface VoteAnswer {
  readonly kind: 'vote-answer';
  readonly term: Term;
  readonly granted: boolean;
}

/** Replicates entries; without any it is a heartbeat. */
export interface AppendRequest {
  readonly kind: 'append-request';
  readonly term: Term;
  readonly previousIndex: LogIndex;
  readonly previousTerm: Term;
  readonly commitIndex: LogIndex;
  /** Counted up by the leader at each heartbeat and echoed: tells which answers are recent. */
  readonly round: number;
  /** The latest loss that the receiver reported in this term and that the sender took into account; 0 for none. */
  readonly lossSeen: LossId;
  readonly entries: readonly LogEntry[];
}

export interface AppendAnswer {
  readonly kind: 'append-answer';
  readonly term: Term;
  readonly accepted: boolean;
  /** Accepted: all up to here is durable at the answerer and equals the leader's. Else: try from at most here. */
  readonly matchIndex: LogIndex;
  readonly round: number;
  /** Not 0: what earlier answers said of `matchIndex` may not be true any more. */
  readonly lostLog: LossId;
}

/** A piece of a snapshot, for a follower whose next entry the leader has forgotten; also a heartbeat. */
export interface SnapshotChunk {
  readonly kind: 'snapshot-chunk';
  readonly term: Term;
  readonly round: number;
  /** The last entry that the snapshot holds. */
  readonly index: LogIndex;
  readonly lastTerm: Term;
  /** The hash chain up to there. */
  readonly chain: Uint8Array;
  /** Who votes as of there; see `encodeConfiguration`. */
  readonly configuration: Uint8Array;
  /** Where in the state these bytes belong. */
  readonly offset: number;
  readonly totalBytes: number;
  readonly bytes: Uint8Array;
}

export interface SnapshotAnswer {
  readonly kind: 'snapshot-answer';
  readonly term: Term;
  readonly round: number;
  readonly index: LogIndex;
  /** Bytes of it that the answerer has, from the first on without a gap. */
  readonly offset: number;
  /** All up to `index` is durable at the answerer and equals the leader's. */
  readonly done: boolean;
  readonly lostLog: LossId;
}

/** The leader asks a voter with a log as long as its own to stand for election at once (§3.10). */
export interface TimeOutNow {
  readonly kind: 'time-out-now';
  readonly term: Term;
}

/** The sender is known from the session or stream that carried the message. */
export interface AddressedRaftMessage {
  readonly to: NodeNumber;
  readonly message: RaftMessage;
}
