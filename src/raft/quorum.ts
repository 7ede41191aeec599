/** The arithmetic of majorities, and all of it: during a change of voters both sets must agree (Raft §4.3). */
import type { NodeNumber } from '../identity.ts';
import type { RaftConfiguration } from './configuration.ts';

/** How many of `voters` are a majority: 3 → 2, 4 → 3, 5 → 3. Any two majorities share a voter. */
export function quorumSize(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** The highest value that a majority has reached, given what each voter has reached. */
export function agreedValue(reached: readonly number[]): number {
  const descending = [...reached].sort((a, b) => b - a);
  return descending[quorumSize(reached.length) - 1] ?? 0;
}

/** The highest value that a majority of each set of voters has reached. */
export function agreedIn(configuration: RaftConfiguration, reached: (voter: NodeNumber) => number): number {
  return Math.min(...votingSets(configuration).map((voters) => agreedValue(voters.map(reached))));
}

/** Whether those who said yes are a majority of each set of voters; whoever is no voter does not count. */
export function hasMajority(configuration: RaftConfiguration, yes: ReadonlySet<NodeNumber>): boolean {
  return agreedIn(configuration, (voter) => (yes.has(voter) ? 1 : 0)) === 1;
}

/** Two sets are counted apart: a majority of both together may be a minority of either. */
function votingSets({ voters, outgoing }: RaftConfiguration): readonly (readonly NodeNumber[])[] {
  return outgoing.length === 0 ? [voters] : [voters, outgoing];
}
