import { utf8 } from '../bytes.ts';
import { hashBytes, sha256 } from '../crypto.ts';
import type { LogIndex, NodeNumber, Term, WallMs } from '../identity.ts';

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

/** In this order: the hard state, then the snapshot, then the entries. */
export interface LogWrite {
  readonly hardState?: HardState | undefined;
  /**
   * One that a leader sent. It takes the place of all entries up to its index, and of those after it as well
   * unless the log holds the very entry at which it was taken.
   */
  readonly snapshot?: LogSnapshot | undefined;
  /**
   * Consecutive; the first one's index may lie at or below the last stored one: it and all after are replaced.
   * Those that a snapshot covers never are.
   */
  readonly entries: readonly LogEntry[];
}

export interface StoredLog {
  readonly hardState: HardState;
  /** The newest one that can be read. */
  readonly snapshot?: LogSnapshot;
  /** They begin at 1, or at most one behind the snapshot; those that it covers may be there still. */
  readonly entries: readonly LogEntry[];
  /** What opening repaired, in a sentence each; a torn tail, say. */
  readonly repairs: readonly string[];
  /**
   * What was lost and where, in a sentence: entries that this node promised to keep may be gone, so it must not
   * vote before it has got them again from its peers. It stays over restarts until `healed`.
   */
  readonly damage?: string;
  /** There was no log before this opening, which began one durably: whoever had one has lost all of it. */
  readonly isNew?: true;
}

/** Why a write has not ended yet: the disk is full, and it is tried again each second; or the disk is slow. */
export interface LogTrouble {
  readonly kind: 'full' | 'slow';
  readonly since: WallMs;
}

/**
 * The durable event log of one control node. One write is in flight at a time; the caller batches.
 */
export interface LogStore {
  /**
   * Reads all, verifies checksums and the hash chain, and cuts off a torn tail. What is damaged otherwise is set
   * aside, and `damage` tells. Call it once, first.
   */
  load(): Promise<StoredLog>;
  /**
   * Resolves when everything in `write` is on disk. A rejection is final: the caller must stop the node,
   * because after a failed fsync nobody knows what is on disk.
   */
  write(write: LogWrite): Promise<void>;
  /**
   * Resolves when a snapshot of applied entries is durable and storage that only holds entries below `keepFrom`
   * is free again; `keepFrom` is at most one above its index. One at a time; it goes on beside writes, and holds
   * up none. A rejection is final as well.
   */
  compact(snapshot: LogSnapshot, keepFrom: LogIndex): Promise<void>;
  /** Resolves when `damage` is durably forgotten: what was lost has come back from the peers. */
  healed(): Promise<void>;
  close(): Promise<void>;
}

export const chainStart: Uint8Array = new Uint8Array(hashBytes);

const chainLabel = utf8('hivemind/log-entry/2');
const chainHeadBytes: number = 2 + chainLabel.length + hashBytes + 6 + 6 + 1 + 4;

/**
 * The hash chain: each entry's hash covers all entries before it. It is computed for every entry several times on
 * its way, so it lays out the canonical encoding by hand.
 */
export function chainHash(previous: Uint8Array, entry: LogEntry): Uint8Array {
  const bytes = Buffer.allocUnsafe(chainHeadBytes + entry.payload.length);
  let at = bytes.writeUInt16BE(chainLabel.length, 0);
  bytes.set(chainLabel, at);
  at += chainLabel.length;
  bytes.set(previous, at);
  at = bytes.writeUIntBE(entry.index, at + hashBytes, 6);
  at = bytes.writeUIntBE(entry.term, at, 6);
  at = bytes.writeUInt8(entryKinds.indexOf(entry.kind), at);
  at = bytes.writeUInt32BE(entry.payload.length, at);
  bytes.set(entry.payload, at);
  return sha256(bytes);
}
