/** Why the pane did not decide what it was asked for, where the reason is no fault of the asker's. */
import { HivemindError } from '../error.ts';
import type { Outcome } from './outbox.ts';

/** Nothing of it was written down here. */
export function notLeading(): HivemindError {
  return new HivemindError('not-leader', 'This control node does not lead; ask again.');
}

/** Whoever looked for the leader was elected meanwhile: see `isLedHere`. */
export function leadingItself(): HivemindError {
  return new HivemindError('not-leader', 'This control node was elected meanwhile; ask it again.');
}

/** Whether what was asked of others, and is not known to be decided, is to be asked of this node itself by now. */
export function isLedHere<T>(outcome: Outcome<T>, pane: { readonly leads: boolean } | undefined): boolean {
  if (outcome.ok || pane?.leads !== true) return false;
  return outcome.error.code === 'not-leader' || outcome.error.code === 'unknown-outcome';
}

export function noLeader(): HivemindError {
  return new HivemindError('no-leader', 'The control pane has no leader at the moment; try again.');
}

/** It was written down, or may have been, and whoever knows how that ended did not say. */
export function unknownOutcome(): HivemindError {
  return new HivemindError('unknown-outcome', 'It is not known whether this was decided; look, then ask again.');
}

export function noQuorum(): HivemindError {
  return new HivemindError(
    'no-quorum',
    'The cluster is degraded: too few control nodes are in touch to decide anything; bring them back and try again.',
  );
}
