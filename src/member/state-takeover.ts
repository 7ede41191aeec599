/** A control node's state was not reached entry by entry, but taken from a snapshot: the membership follows at once. */
import { amendmentsMax } from '../certificate/charter.ts';
import type { ControlState } from '../control/control-state.ts';
import type { Instant } from './instant.ts';
import type { Membership } from './membership.ts';

/** What the pane does not know is forgotten; what it knows stands as it says. */
export function takeOver(state: ControlState, membership: Membership, at: Instant): void {
  const { directory } = membership;
  membership.logIndex = state.appliedIndex;
  membership.amend({ amendments: state.charter.since(0, amendmentsMax), members: state.epochSince.members }, at);
  for (const number of state.removed.keys()) membership.remove(number, undefined, at);
  directory.declare([...state.declarations.values()]);
  for (const { number, certificate, locator, status, incarnation } of state.members.values()) {
    const record = certificate === undefined ? directory.get(number) : directory.admit(certificate, at.wall, number);
    if (record === undefined) continue;
    if (locator !== undefined) directory.locate(locator);
    membership.learn(record, status, incarnation, at);
    membership.correct({ number, incarnation, status }, at);
  }
  for (const { number } of directory.list()) if (!state.members.has(number)) membership.remove(number, undefined, at);
}
