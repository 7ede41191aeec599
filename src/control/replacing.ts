/**
 * Control nodes that are down for long, and who takes their places. A set never gets smaller by itself: one that is
 * dead is exchanged for one that lives, or stays.
 */
import type { NodeNumber, WallMs } from '../identity.ts';
import type { CharterChange } from './amending.ts';
import { type ControlState, controlRole } from './control-state.ts';

export interface DeadControlNode {
  readonly number: NodeNumber;
  /** When it was convicted, by the time of the log. */
  readonly since: WallMs;
}

/** The control nodes that were convicted and did not return, the one that is down longest first. */
export function deadControlNodes(state: ControlState): readonly DeadControlNode[] {
  const dead = state.controlNumbers.flatMap((number) => {
    const member = state.members.get(number);
    return member?.status === 'down' ? [{ number, since: member.since }] : [];
  });
  return dead.sort((a, b) => a.since - b.since || a.number - b.number);
}

/** Who could take a dead one's place: living members with the role control that do not sign, the oldest first. */
export function standbyControlNodes(state: ControlState): readonly NodeNumber[] {
  return state.membersOfRole(controlRole).filter((number) => {
    return !state.isControl(number) && state.members.get(number)?.status === 'alive';
  });
}

/** The same number of control nodes, with one in the place of another. */
export function replacementOf(state: ControlState, dead: NodeNumber, successor: NodeNumber): CharterChange {
  const others = state.controlNumbers.filter((number) => number !== dead);
  const numbers = [...others, successor].sort((a, b) => a - b);
  return { kind: 'control-set', numbers, base: state.charter.length };
}
