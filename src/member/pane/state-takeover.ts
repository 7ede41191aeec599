/** A control node's state was not reached entry by entry, but taken from a snapshot: the membership follows at once. */
import { amendmentsMax } from '../../certificate/charter.ts';
import type { ControlState } from '../../control/control-state.ts';
import type { Instant } from '../../seam/instant.ts';
import type { Membership } from '../membership.ts';

/** Whom the pane no longer knows is forgotten; whom it knows stands as it says. */
export function takeOver(state: ControlState, membership: Membership, at: Instant): void {
  const { directory } = membership;
  membership.logIndex = state.appliedIndex;
  membership.amend({ amendments: state.charter.since(0, amendmentsMax), members: state.epochSince.members }, at);
  for (const number of state.removed.keys()) membership.remove(number, undefined, at);
  directory.declare([...state.declarations.values()]);
  for (const { number, certificate, locator, status, incarnation } of state.members.values()) {
    const record = certificate === undefined ? directory.get(number) : directory.admit(certificate, state.at, number);
    if (record === undefined) continue;
    if (locator !== undefined) directory.locate(locator);
    membership.learn(record, status, incarnation, at);
    membership.correct({ number, incarnation, status }, at);
  }
  for (const { number } of directory.list()) {
    // Who was admitted behind the snapshot is known from elsewhere: its entry is still to come.
    const isOut = number < state.nextNumber && !state.members.has(number) && !state.pending.has(number);
    if (isOut) membership.remove(number, undefined, at);
  }
}
