/** What a thread of the event log says to whoever asked it. */
import { type ErrorCode, HivemindError } from '../error.ts';
import type { StoredLog } from '../seam/log-store.ts';
import { DiskFull } from './disk-failure.ts';

export type ThreadAnswer =
  | { readonly kind: 'loaded'; readonly log: StoredLog }
  | { readonly kind: 'forgotten'; readonly names: readonly string[] }
  | { readonly kind: 'done' }
  /** The disk is full. Nothing has changed; the same may be asked again. */
  | { readonly kind: 'full'; readonly sentence: string }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly sentence: string };

/**
 * The answer to work that threw. Whatever is not an operating error is thrown on: it ends the thread, and the node
 * with it.
 *
 * @param mayRepeat whether the same work may be asked for again when the disk has room
 */
export function failureAnswer(thrown: unknown, mayRepeat: boolean): ThreadAnswer {
  if (thrown instanceof DiskFull && mayRepeat) return { kind: 'full', sentence: thrown.message };
  if (!(thrown instanceof HivemindError)) throw thrown;
  return { kind: 'failed', code: thrown.code, sentence: thrown.message };
}
