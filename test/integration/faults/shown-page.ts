/** A page of the log, as a node showed it to a client: what has to be in it, and what the checker is told of it. */
import type { LocalLog } from '../../../src/node/local-api.ts';
import type { Read } from '../../history/history.ts';
import { describedEntry } from './held-log.ts';

export type AskedPage = Pick<Read, 'node' | 'isConsistent' | 'from' | 'most' | 'invokedAt'>;

export function readOf(asked: AskedPage, page: LocalLog, returnedAt: number): Read {
  const { commitIndex } = page;
  // Entries that are no longer kept are not left out.
  const from = Math.max(asked.from, Math.min(page.first, commitIndex + 1));
  // A node that is behind has nothing from there on, and nothing to show.
  const shownFrom = Math.min(from, commitIndex + 1);
  return {
    kind: 'read',
    ...asked,
    from: shownFrom,
    returnedAt,
    commitIndex,
    entries: page.entries.map(describedEntry),
  };
}

/** Who does not know what was asked for passes over it, and shows what may be old. */
export function isAsAsked({ isConsistent }: AskedPage, page: LocalLog): boolean {
  return !isConsistent || page.consistent === true;
}
