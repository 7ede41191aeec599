import type { LogIndex, Term } from '../identity.ts';
import { decodeConfiguration } from './configuration.ts';
import type { AppendRequest, RaftMessage, SnapshotChunk } from './message.ts';
import { snapshotBytesMax } from './snapshot-transfer.ts';

/** The highest term and index: what the log's encoding holds (48 bits). At a second each it lasts 8 million years. */
export const counterMax: number = 2 ** 48 - 1;

/**
 * Can an honest voter have said this? It bounds the numbers, so that no sum with them loses precision, and
 * holds the entries of a request to what is true of every log: they are consecutive, and terms never fall.
 */
export function isPlausible(message: RaftMessage): boolean {
  if (!isCounter(message.term)) return false;
  switch (message.kind) {
    case 'pre-vote-request':
    case 'vote-request':
      return isPosition(message.lastIndex, message.lastTerm) && message.lastTerm < message.term;
    case 'append-request':
      return isPlausibleAppend(message);
    case 'append-answer':
      return isCounter(message.matchIndex) && isCounter(message.round) && isCounter(message.lostLog);
    case 'snapshot-chunk':
      return isPlausibleChunk(message);
    case 'snapshot-answer':
      return [message.round, message.index, message.offset, message.lostLog].every(isCounter);
    case 'time-out-now':
      return message.term > 0;
    case 'pre-vote-answer':
    case 'vote-answer':
      return true;
  }
}

function isPlausibleAppend(request: AppendRequest): boolean {
  if (request.term === 0 || !isPosition(request.previousIndex, request.previousTerm)) return false;
  if (![request.commitIndex, request.round, request.lossSeen].every(isCounter)) return false;
  let term = request.previousTerm;
  for (const [position, entry] of request.entries.entries()) {
    if (entry.index !== request.previousIndex + 1 + position || !isCounter(entry.index)) return false;
    if (!isCounter(entry.term) || entry.term < Math.max(term, 1)) return false;
    if (entry.kind === 'configuration' && decodeConfiguration(entry.payload) === undefined) return false;
    term = entry.term;
  }
  return term <= request.term;
}

/** A chunk brings the next bytes; only the state without any has one that is empty. */
function isPlausibleChunk(chunk: SnapshotChunk): boolean {
  const { index, lastTerm, offset, totalBytes, bytes } = chunk;
  if (index === 0 || !isPosition(index, lastTerm) || lastTerm > chunk.term || !isCounter(chunk.round)) return false;
  if (!isCounter(offset) || !isCounter(totalBytes) || totalBytes > snapshotBytesMax) return false;
  const isNext = offset + bytes.length <= totalBytes && (bytes.length > 0 || totalBytes === 0);
  return isNext && decodeConfiguration(chunk.configuration) !== undefined;
}

/** The empty log ends at index 0 with term 0; any other ends with both above 0. */
function isPosition(index: LogIndex, term: Term): boolean {
  return isCounter(index) && isCounter(term) && (index === 0) === (term === 0);
}

function isCounter(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= counterMax;
}
