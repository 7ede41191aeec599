import type { LogIndex, NodeNumber, Term } from '../identity.ts';
import type { LogEntry } from '../seam/log-store.ts';

/** What voters say to each other (Raft, Ongaro 2014, figure 3.1; pre-vote: §9.6). */
export type RaftMessage = PreVoteRequest | PreVoteAnswer | VoteRequest | VoteAnswer | AppendRequest | AppendAnswer;

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
  readonly entries: readonly LogEntry[];
}

export interface AppendAnswer {
  readonly kind: 'append-answer';
  readonly term: Term;
  readonly accepted: boolean;
  /** Accepted: all up to here is durable at the answerer and equals the leader's. Else: try from at most here. */
  readonly matchIndex: LogIndex;
  readonly round: number;
}

/** The sender is known from the session or stream that carried the message. */
export interface AddressedRaftMessage {
  readonly to: NodeNumber;
  readonly message: RaftMessage;
}
