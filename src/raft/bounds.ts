import type { LogIndex, Term } from '../identity.ts';
import type { AppendRequest, RaftMessage } from './message.ts';

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
      return isCounter(message.matchIndex) && isCounter(message.round);
    case 'pre-vote-answer':
    case 'vote-answer':
      return true;
  }
}

function isPlausibleAppend(request: AppendRequest): boolean {
  if (request.term === 0 || !isPosition(request.previousIndex, request.previousTerm)) return false;
  if (!isCounter(request.commitIndex) || !isCounter(request.round)) return false;
  let term = request.previousTerm;
  for (const [position, entry] of request.entries.entries()) {
    if (entry.index !== request.previousIndex + 1 + position || !isCounter(entry.index)) return false;
    if (!isCounter(entry.term) || entry.term < Math.max(term, 1)) return false;
    term = entry.term;
  }
  return term <= request.term;
}

/** The empty log ends at index 0 with term 0; any other ends with both above 0. */
function isPosition(index: LogIndex, term: Term): boolean {
  return isCounter(index) && isCounter(term) && (index === 0) === (term === 0);
}

function isCounter(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= counterMax;
}
