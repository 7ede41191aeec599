/**
 * The arithmetic of majorities, and all of it: whoever changes how voters are counted (two overlapping sets
 * of them, say, as in Raft §4.3) changes this file.
 */

/** How many of `voters` are a majority: 3 → 2, 4 → 3, 5 → 3. Any two majorities share a voter. */
export function quorumSize(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** The highest value that a majority has reached, given what each voter has reached. */
export function agreedValue(reached: readonly number[]): number {
  const descending = [...reached].sort((a, b) => b - a);
  return descending[quorumSize(reached.length) - 1] ?? 0;
}
