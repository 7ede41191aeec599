import { ByteWriter } from '../bytes.ts';
import { hashBytes, sha256 } from '../crypto.ts';
import type { LogIndex, NodeNumber, Term } from '../identity.ts';

/**
 * What an entry is for: with `opening` a leader begins its term, `configuration` says who votes and is read by
 * consensus alone, `command` is everybody else's and means nothing to consensus and storage.
 */
export type EntryKind = 'opening' | 'command' | 'configuration';

/** The kinds by their number on disk, on the wire and in the hash chain. Numbers are never reused. */
export const entryKinds: readonly EntryKind[] = ['opening', 'command', 'configuration'];

/** One entry of the event log. */
export interface LogEntry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  /** Empty for an opening. */
  readonly payload: Uint8Array;
}

/** What a voter must never forget, in one checksummed record. */
export interface HardState {
  readonly term: Term;
  /** The candidate voted for in this term; 0 for none. */
  readonly votedFor: NodeNumber;
}

/** All that the entries up to `index` amount to, so that they need not be kept. */
export interface LogSnapshot {
  readonly index: LogIndex;
  readonly term: Term;
  /** The hash chain up to the entry at `index`. */
  readonly chain: Uint8Array;
  /** Who votes as of `index`, as consensus encodes it. */
  readonly configuration: Uint8Array;
  /** The replicated state. It means nothing to consensus and storage. */
  readonly state: Uint8Array;
}

export interface LogWrite {
  readonly hardState?: HardState;
  /**
   * One that a leader sent. It takes the place of all entries at or below its index, and of all others too where the
   * log does not have that very entry (index, term); `entries` come behind it.
   */
  readonly snapshot?: LogSnapshot;
  /** Consecutive; the first one's index may lie at or below the last stored one: it and all after are replaced. */
  readonly entries: readonly LogEntry[];
}

export interface StoredLog {
  readonly hardState: HardState;
  readonly entries: readonly LogEntry[];
  /** What opening repaired, in a sentence each; a torn tail, say. */
  readonly repairs: readonly string[];
}

/**
 * The durable event log of one control node. One write is in flight at a time; the caller batches.
 */
export interface LogStore {
  /** Reads all, verifies checksums and the hash chain, truncates a torn tail. Call it once, first. */
  load(): Promise<StoredLog>;
  /**
   * Resolves when everything in `write` is on disk. A rejection is final: the caller must stop the node,
   * because after a failed fsync nobody knows what is on disk.
   */
  write(write: LogWrite): Promise<void>;
  close(): Promise<void>;
}

export const chainStart: Uint8Array = new Uint8Array(hashBytes);

/** The hash chain: each entry's hash covers all entries before it. */
export function chainHash(previous: Uint8Array, entry: LogEntry): Uint8Array {
  const head = new ByteWriter('hivemind/log-entry/2').raw(previous).u48(entry.index).u48(entry.term);
  head.u8(entryKinds.indexOf(entry.kind));
  return sha256(head.blob(entry.payload).finish());
}
