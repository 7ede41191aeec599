/** The arithmetic of majorities, and all of it: during a change of voters both sets must agree (Raft §4.3). */
import type { NodeNumber } from '../identity.ts';
import type { RaftConfiguration } from './configuration.ts';

/** How many of `voters` are a majority: 3 → 2, 4 → 3, 5 → 3. Any two majorities share a voter. */
export function quorumSize(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/**
 * The highest value that a majority of these has reached; 0 where nobody votes. It is asked for at each answer of a
 * follower, so it makes no lists: there are nine voters at most.
 */
export function agreedAmong(voters: readonly NodeNumber[], reached: (voter: NodeNumber) => number): number {
  const majority = quorumSize(voters.length);
  let agreed = 0;
  for (const voter of voters) {
    const value = reached(voter);
    if (value > agreed && countAtLeast(value, voters, reached) >= majority) agreed = value;
  }
  return agreed;
}

function countAtLeast(value: number, voters: readonly NodeNumber[], reached: (voter: NodeNumber) => number): number {
  let count = 0;
  for (const voter of voters) if (reached(voter) >= value) count++;
  return count;
}

/**
 * The highest value that a majority of each set of voters has reached. Two sets are counted apart: a majority of both
 * together may be a minority of either.
 */
export function agreedIn({ voters, outgoing }: RaftConfiguration, reached: (voter: NodeNumber) => number): number {
  const agreed = agreedAmong(voters, reached);
  return outgoing.length === 0 ? agreed : Math.min(agreed, agreedAmong(outgoing, reached));
}

/** Whether those who said yes are a majority of each set of voters; whoever is no voter does not count. */
export function hasMajority(configuration: RaftConfiguration, yes: ReadonlySet<NodeNumber>): boolean {
  return agreedIn(configuration, (voter) => (yes.has(voter) ? 1 : 0)) === 1;
}
