/**
 * What may be asked again while nobody knows what became of it: an answer may be lost, or a leader deposed, after the
 * wish was written down.
 */
import type { ErrorCode } from '../../error.ts';
import type { PaneAsk, PeerRequest } from '../../wire/peer-message.ts';
import type { Outcome } from '../outbox.ts';

const mayRepeatAsk: Readonly<Record<PaneAsk['kind'], boolean>> = {
  // What stands already needs no entry.
  remove: true,
  return: true,
  'create-token': true,
  'revoke-token': true,
  transfer: true,
  // It ends some seconds later, at most.
  'release-brake': true,
  // Each turn of a session is taken once.
  note: true,
  // A second one would begin one more epoch, or be refused for the first one's sake.
  amend: false,
};

/** Refusals that do not say whether it was decided. */
const open: ReadonlySet<ErrorCode> = new Set(['unknown-outcome', 'address-unreachable', 'time-out']);

/** Whether asking twice comes to the same as asking once. */
export function mayRepeat(request: PeerRequest): boolean {
  return request.kind !== 'ask-pane' || mayRepeatAsk[request.ask.kind];
}

/** Whether a wish may have been decided although this came of it. Where nobody listens nothing was heard. */
export function mayBeDecided(request: PeerRequest, outcome: Outcome<unknown>): boolean {
  if (request.kind !== 'ask-pane' || outcome.ok) return false;
  return open.has(outcome.error.code) && outcome.refused !== true;
}

/**
 * Whether this answer says how an earlier attempt ended of which nobody told. A refusal does not: what was decided
 * may be what it goes by, as when a token is revoked already, or is about to be. Only who is no member is out for good.
 */
export function settles(outcome: Outcome<unknown>): boolean {
  return outcome.ok || outcome.error.code === 'not-admitted';
}
