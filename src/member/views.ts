/** What a control node works out for others: the slice of each member, and what its knowledge lacks. */
import { equalBytes } from '../bytes.ts';
import type { RoleDeclaration } from '../certificate/join-request.ts';
import type { ControlState } from '../control/control-state.ts';
import { changesMax, type KeepAlive, type ViewChanges } from '../control/keep-alive.ts';
import type { LogIndex, NodeNumber } from '../identity.ts';
import type { Update } from '../swim/message.ts';
import { viewMax } from '../swim/rings.ts';
import { type Slice, sliceOf } from '../swim/slice.ts';
import { slicePeersMax } from '../wire/slice.ts';
import type { Membership } from './membership.ts';

/** What was decided since some index, cut where a list is full. */
interface Since {
  readonly reaches: LogIndex;
  readonly updates: readonly Update[];
  readonly removed: readonly NodeNumber[];
  readonly admitted: readonly NodeNumber[];
}

export class Views {
  private readonly state: ControlState;
  private readonly membership: Membership;

  constructor(state: ControlState, membership: Membership) {
    this.state = state;
    this.membership = membership;
  }

  get size(): number {
    return this.state.members.size;
  }

  /** The view of a member; nothing when it is to know everybody. */
  sliceOf(number: NodeNumber): Slice | undefined {
    const { state, membership } = this;
    const member = state.members.get(number);
    const knowsAll = state.members.size <= viewMax || state.isControl(number);
    if (knowsAll || member === undefined) return undefined;
    const roles = relatedRoles(member.roles, state.declarations);
    const required = roles.map((role) => state.membersOfRole(role));
    const slice = sliceOf(membership.swim.rings, number, { control: membership.directory.controlNumbers(), required });
    return { ...slice, peers: slice.peers.slice(0, slicePeersMax) };
  }

  /** What a member's view hashes to when it knows all it should. */
  hashFor(number: NodeNumber): Uint8Array {
    return this.hashOf(this.sliceOf(number), number);
  }

  private hashOf(slice: Slice | undefined, number: NodeNumber): Uint8Array {
    return slice === undefined ? this.membership.viewHash() : this.membership.hashOf(slice, number);
  }

  /** What a member lacks that says it knows so much; nothing when it knows all it should. */
  changesFor(number: NodeNumber, { logIndex, viewHash }: KeepAlive): ViewChanges | undefined {
    const reached = this.state.appliedIndex;
    // This control node lags behind: it has nothing to tell.
    if (logIndex > reached) return undefined;
    const slice = this.sliceOf(number);
    const isSound = equalBytes(viewHash, this.hashOf(slice, number));
    const since = this.since(logIndex, slice === undefined);
    if (since === undefined) return isSound ? undefined : tooOld(reached, slice);
    const { updates, removed, admitted } = since;
    const isNews = updates.length + removed.length + admitted.length > 0;
    if (isSound && !isNews) return undefined;
    // One datagram holds a slice or lists of news; the member asks again soon.
    return { ...since, slice: isSound || isNews ? undefined : slice, resync: !isSound && !isNews };
  }

  /** Nothing when that is longer ago than this node remembers. */
  private since(logIndex: LogIndex, isComplete: boolean): Since | undefined {
    const changes = this.state.changesSince(logIndex);
    if (changes === undefined) return undefined;
    const updates: Update[] = [];
    const removed: NodeNumber[] = [];
    const admitted: NodeNumber[] = [];
    for (const { index, number, kind } of changes) {
      if (Math.max(updates.length, removed.length, admitted.length) >= changesMax) {
        // One entry that is larger than an answer: the digest has it.
        return index - 1 > logIndex ? { reaches: index - 1, updates, removed, admitted } : undefined;
      }
      const member = this.state.members.get(number);
      if (kind === 'removed') removed.push(number);
      else if (member !== undefined && kind === 'standing') {
        updates.push({ number, incarnation: member.incarnation, status: member.status });
      } else if (member !== undefined && isComplete) admitted.push(number);
    }
    return { reaches: this.state.appliedIndex, updates, removed, admitted };
  }
}

function tooOld(reaches: LogIndex, slice: Slice | undefined): ViewChanges {
  return { reaches, updates: [], removed: [], admitted: [], slice, resync: true };
}

/** Roles whose performers a node of these roles has to find: what it requires, starts from, reads, and is read by. */
function relatedRoles(
  performed: readonly string[],
  declarations: ReadonlyMap<string, RoleDeclaration>,
): readonly string[] {
  const own = performed.flatMap((role) => declarations.get(role) ?? []);
  const wanted = own.flatMap((role) => [...role.requires, ...role.bootstrapFrom, ...role.consumes]);
  const readers = [...declarations.values()].filter(({ consumes }) =>
    consumes.some((role) => performed.includes(role)),
  );
  return [...new Set([...wanted, ...readers.map(({ name }) => name)])].sort();
}
