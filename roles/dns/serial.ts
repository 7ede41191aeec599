/**
 * The SOA serial: one number that rises with every change of what is served, and that is equal on all dns nodes
 * which saw the same changes, with nobody handing it out.
 *
 * It is the sum of all hosts' seqs and of one version for each member. A version is odd while its member is up and
 * even while it is down, so that a node which starts late, and sees only that a member is down, agrees with those
 * who saw it fall. What goes leaves its last count behind, plus one step: the sum never falls while the process
 * runs. A late starter counts less than its peers by the returns and removals that it missed, so a secondary stays
 * with one primary.
 */
import type { NodeNumber, RoleMember, Seq } from '../../src/role/role.ts';

export interface SerialHistory {
  /** What the members and configs that are gone have left behind. */
  readonly settled: number;
  readonly seqs: ReadonlyMap<NodeNumber, Seq>;
  readonly members: ReadonlyMap<NodeNumber, MemberVersion>;
}

interface MemberVersion {
  readonly version: number;
  /** All of the member that a zone shows. */
  readonly shown: string;
}

export const emptyHistory: SerialHistory = { settled: 0, seqs: new Map(), members: new Map() };

export function advance(
  history: SerialHistory,
  members: Iterable<RoleMember>,
  seqs: ReadonlyMap<NodeNumber, Seq>,
): SerialHistory {
  const versions = new Map<NodeNumber, MemberVersion>();
  for (const member of members) versions.set(member.number, nextVersion(history.members.get(member.number), member));
  let settled = history.settled;
  for (const [number, { version }] of history.members) if (!versions.has(number)) settled += version + 1;
  for (const [number, seq] of history.seqs) if (!seqs.has(number)) settled += seq + 1;
  return { settled, seqs, members: versions };
}

/** Compare two of them by RFC 1982 only. */
export function serialOf(history: SerialHistory): number {
  let sum = history.settled;
  for (const seq of history.seqs.values()) sum += seq;
  for (const { version } of history.members.values()) sum += version;
  return sum % 0x1_0000_0000;
}

function nextVersion(previous: MemberVersion | undefined, member: RoleMember): MemberVersion {
  const parity = member.health === 'down' ? 0 : 1;
  const shown = JSON.stringify([member.name, member.roles, member.endpoints.map(({ host }) => host), parity]);
  if (previous === undefined) return { version: 2 - parity, shown };
  if (previous.shown === shown) return previous;
  const flipped = previous.version % 2 !== parity;
  return { version: previous.version + (flipped ? 1 : 2), shown };
}
