/** Which change of a configuration may begin, and what it makes of it. */
import type { LogIndex, NodeNumber } from '../identity.ts';
import { flawOf, type RaftConfiguration, sameNumbers } from './configuration.ts';
import { quorumSize } from './quorum.ts';

/** Entries by which a learner that becomes a voter may lag: a moment's worth, so that the new majority is no slower. */
export const lagEntriesMax = 1000;

/** Who shall take part when the change is complete, in any order. */
export interface WantedConfiguration {
  readonly voters: readonly NodeNumber[];
  readonly learners: readonly NodeNumber[];
}

/** What a leader knows of its cluster. */
export interface LeaderView {
  readonly self: NodeNumber;
  readonly configuration: RaftConfiguration;
  /** The configuration is committed, and so is an entry of the leader's own term. */
  readonly isSettled: boolean;
  readonly lastIndex: LogIndex;
  /** How far a follower has got; nothing for one that has not answered lately, or has no entry yet. */
  matchIndex(follower: NodeNumber): LogIndex | undefined;
}

export type PlannedChange =
  | { readonly kind: 'change'; readonly configuration: RaftConfiguration }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * The next configuration on the way to the wanted one. Learners come and go by one entry, as they count for nothing.
 * Another set of voters goes through joint consensus; the leader ends that by itself.
 */
export function planChange(wanted: WantedConfiguration, leader: LeaderView): PlannedChange {
  const present = leader.configuration;
  if (!leader.isSettled || present.outgoing.length > 0) return refused('another change, or an election, is under way');
  const next = { voters: ascending(wanted.voters), learners: ascending(wanted.learners), outgoing: [] };
  const flaw = flawOf(next);
  if (flaw !== undefined) return refused(flaw);
  const hasSameVoters = sameNumbers(next.voters, present.voters);
  if (hasSameVoters && sameNumbers(next.learners, present.learners)) return refused('it would change nothing');
  for (const voter of next.voters) {
    if (present.voters.includes(voter)) continue;
    if (!present.learners.includes(voter)) return refused(`number ${voter} has to be a learner first`);
    const lag = leader.lastIndex - (leader.matchIndex(voter) ?? Number.NEGATIVE_INFINITY);
    if (lag > lagEntriesMax) return refused(`number ${voter} has not caught up yet`);
  }
  // It could be begun, but never ended: the pane would stand still until the silent ones are back.
  const silent = next.voters.filter((voter) => voter !== leader.self && leader.matchIndex(voter) === undefined);
  const hasQuorum = next.voters.length - silent.length >= quorumSize(next.voters.length);
  if (!hasSameVoters && !hasQuorum) return refused(`it would have no quorum without ${silent.join(', ')}, now silent`);
  return { kind: 'change', configuration: hasSameVoters ? next : { ...next, outgoing: present.voters } };
}

/** What follows on a committed joint configuration. */
export function completed(joint: RaftConfiguration): RaftConfiguration {
  return { ...joint, outgoing: [] };
}

function refused(reason: string): PlannedChange {
  return { kind: 'refused', reason };
}

function ascending(numbers: readonly NodeNumber[]): readonly NodeNumber[] {
  return [...numbers].sort((a, b) => a - b);
}
