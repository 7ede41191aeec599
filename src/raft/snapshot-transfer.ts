/** How a snapshot gets from a leader to a follower: in pieces, one on its way at a time. */
import { concatBytes } from '../bytes.ts';
import type { LogIndex, Term } from '../identity.ts';
import type { LogSnapshot } from '../seam/log-store.ts';
import type { SnapshotChunk } from './message.ts';

/** The largest state that a snapshot holds: far beyond what a cluster has, and no threat to a machine yet. */
export const snapshotBytesMax: number = 256 * 1024 * 1024;

/**
 * The leader's end, for one follower. It goes on with the snapshot that it began with, though a newer one may have
 * been made since: or else a large one would never arrive where snapshots are made often.
 */
export class OutgoingSnapshot {
  private readonly snapshot: LogSnapshot;
  private offset = 0;

  constructor(snapshot: LogSnapshot) {
    this.snapshot = snapshot;
  }

  get index(): LogIndex {
    return this.snapshot.index;
  }

  /** Whether the follower has shown that it got some of it. */
  get isUnderWay(): boolean {
    return this.offset > 0;
  }

  chunk(term: Term, round: number, bytesMax: number): SnapshotChunk {
    const { index, term: lastTerm, chain, configuration, state } = this.snapshot;
    const { offset } = this;
    const bytes = state.subarray(offset, offset + bytesMax);
    const position = { index, lastTerm, chain, configuration, offset, totalBytes: state.length };
    return { kind: 'snapshot-chunk', term, round, ...position, bytes };
  }

  /**
   * The follower has so many bytes; true when the next chunk may go. An answer that is repeated or late sends none,
   * so that copies do not breed; where the follower has less than it had, it lost it, and the next heartbeat goes
   * back there.
   */
  onAnswer(index: LogIndex, offset: number): boolean {
    if (index !== this.index || offset > this.snapshot.state.length) return false;
    const isProgress = offset > this.offset;
    this.offset = offset;
    return isProgress;
  }
}

/**
 * The follower's end. Pieces of one snapshot of one leader are put together in order; what comes out of order is
 * not kept, and a piece of another snapshot begins anew, because the bytes of two need not fit together.
 */
export class IncomingSnapshot {
  readonly index: LogIndex;
  private readonly term: Term;
  private readonly totalBytes: number;
  private readonly parts: Uint8Array[] = [];
  private received = 0;

  constructor({ term, index, totalBytes }: SnapshotChunk) {
    this.term = term;
    this.index = index;
    this.totalBytes = totalBytes;
  }

  get offset(): number {
    return this.received;
  }

  get isWhole(): boolean {
    return this.received === this.totalBytes;
  }

  isOf({ term, index, totalBytes }: SnapshotChunk): boolean {
    return term === this.term && index === this.index && totalBytes === this.totalBytes;
  }

  /** Whether this is a newer one of the same leader. */
  supersedes({ term, index }: SnapshotChunk): boolean {
    return term === this.term && index < this.index;
  }

  add({ offset, bytes }: SnapshotChunk): void {
    if (offset !== this.received) return;
    this.parts.push(bytes);
    this.received += bytes.length;
  }

  state(): Uint8Array {
    return concatBytes(...this.parts);
  }
}
