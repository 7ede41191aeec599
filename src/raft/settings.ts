/** Timing and limits of one Raft machine. All voters of a cluster should have the same timing. */
export interface RaftSettings {
  /** A leader speaks to every follower at least this often. Default 100. */
  readonly heartbeatMs: number;
  /**
   * Default 1000. Each wait for a leader is drawn from once to twice this. A voter that heard a leader within
   * it refuses to elect another, and a leader that heard no majority within it steps down.
   */
  readonly electionTimeoutMs: number;
  /** Entries in one append request. Default 1024. */
  readonly messageEntriesMax: number;
  /** Payload bytes in one append request; a single larger entry still travels, alone. Default 512 KiB. */
  readonly messageBytesMax: number;
  /** Entries that a leader holds uncommitted before it is busy. Default 4096. */
  readonly uncommittedEntriesMax: number;
  /** Payload bytes that a leader holds uncommitted before it is busy. Default 8 MiB. */
  readonly uncommittedBytesMax: number;
  /**
   * Append requests with entries on their way to one follower, unanswered. Default 4: what comes meanwhile goes
   * together into the next, and a request costs more than an entry. A follower far away gets larger ones.
   */
  readonly inflightMessagesMax: number;
  /**
   * For so long followers are not told of a new commit index alone: the next append may carry it. Default 0: they are
   * told at once.
   */
  readonly commitAnnounceMs: number;
  /** Bytes of a snapshot in one message. Default 64 KiB; one is on its way to a follower at a time. */
  readonly snapshotChunkBytes: number;
}

export const raftSettingsDefault: RaftSettings = {
  heartbeatMs: 100,
  electionTimeoutMs: 1000,
  messageEntriesMax: 1024,
  messageBytesMax: 512 * 1024,
  uncommittedEntriesMax: 4096,
  uncommittedBytesMax: 8 * 1024 * 1024,
  inflightMessagesMax: 4,
  commitAnnounceMs: 0,
  snapshotChunkBytes: 64 * 1024,
};
