/** The pane's own messages: they travel by datagram and by stream alike. */
import { bool, bytes, type Codec, fixedBytes, list, record, uint, variants } from '../codec.ts';
import { hashBytes } from '../crypto.ts';
import type { RaftMessage } from '../raft/message.ts';
import { type EntryKind, entryKinds, type LogEntry } from '../seam/log-store.ts';
import { counter } from './fields.ts';

const raftEntriesMax = 4_096;
const entryPayloadBytesMax = 1_048_576;

const kindNumber = uint(entryKinds.length - 1);
const entryKind: Codec<EntryKind> = {
  write: (kind) => entryKinds.indexOf(kind),
  read: (value) => entryKinds[kindNumber.read(value)] as EntryKind,
};

export const entry: Codec<LogEntry> = record<LogEntry>({
  index: counter,
  term: counter,
  kind: entryKind,
  payload: bytes(entryPayloadBytesMax),
});

/** Above the chunk that any settings here ask for. */
const snapshotChunkBytesMax = 1_048_576;
/** Far above the longest that `decodeConfiguration` takes. */
const configurationBytesMax = 1_024;
const lossId = uint(0xffff_ffff);

const vote = { term: counter, lastIndex: counter, lastTerm: counter } as const;
const voteAnswer = {
  term: counter,
  granted: bool,
} as const;
export const raftMessage: Codec<RaftMessage> = variants<RaftMessage>({
  'pre-vote-request': [1, vote],
  'pre-vote-answer': [2, voteAnswer],
  'vote-request': [3, { ...vote, isTransfer: bool }],
  'vote-answer': [4, voteAnswer],
  'append-request': [
    5,
    {
      term: counter,
      previousIndex: counter,
      previousTerm: counter,
      commitIndex: counter,
      round: counter,
      lossSeen: lossId,
      entries: list(entry, raftEntriesMax),
    },
  ],
  'append-answer': [6, { term: counter, accepted: bool, matchIndex: counter, round: counter, lostLog: lossId }],
  'snapshot-chunk': [
    7,
    {
      term: counter,
      round: counter,
      index: counter,
      lastTerm: counter,
      chain: fixedBytes(hashBytes),
      configuration: bytes(configurationBytesMax),
      offset: counter,
      totalBytes: counter,
      bytes: bytes(snapshotChunkBytesMax),
    },
  ],
  'snapshot-answer': [
    8,
    { term: counter, round: counter, index: counter, offset: counter, done: bool, lostLog: lossId },
  ],
  'time-out-now': [9, { term: counter }],
});
