/** What a control node works out for others: the slice of each member, and what its knowledge lacks. */
import { equalBytes } from '../../bytes.ts';
import type { RoleDeclaration } from '../../certificate/join-request.ts';
import { type ControlState, controlRole } from '../../control/control-state.ts';
import { changesMax, type KeepAlive, type ViewChanges } from '../../control/keep-alive.ts';
import type { LogIndex, NodeNumber } from '../../identity.ts';
import type { Update } from '../../swim/message.ts';
import { viewMax } from '../../swim/rings.ts';
import { includes, type Slice, sliceOf } from '../../swim/slice.ts';
import { type Digest, type MemberLine, type MemberPage, memberPageMax } from '../../wire/peer-message.ts';
import { slicePeersMax } from '../../wire/slice.ts';
import type { Membership } from '../membership.ts';

/** What was decided since some index, cut where a list is full. */
interface Since {
  readonly reaches: LogIndex;
  readonly updates: readonly Update[];
  readonly removed: readonly NodeNumber[];
  readonly admitted: readonly NodeNumber[];
}

interface Concern {
  readonly isComplete: boolean;
  readonly includes: (number: NodeNumber) => boolean;
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
    const knowsAll = state.members.size <= viewMax || member?.roles.includes(controlRole) === true;
    if (knowsAll || member === undefined) return undefined;
    const roles = relatedRoles(member.roles, state.declarations);
    const required = roles.map((role) => ({
      members: state.membersOfRole(role),
      isMember: (each: NodeNumber): boolean => state.members.get(each)?.roles.includes(role) === true,
    }));
    const slice = sliceOf(membership.swim.rings, number, { control: membership.directory.controlNumbers(), required });
    return { ...slice, peers: slice.peers.slice(0, slicePeersMax) };
  }

  /** What a member with this number is to know of the cluster. */
  digestFor(number: NodeNumber): Digest {
    return this.membership.digestFor(this.sliceOf(number), number);
  }

  /** What a member's view hashes to when it knows all it should. */
  hashFor(number: NodeNumber): Uint8Array {
    return this.hashOf(this.sliceOf(number), number);
  }

  private hashOf(slice: Slice | undefined, number: NodeNumber): Uint8Array {
    return slice === undefined ? this.membership.viewHash() : this.membership.hashOf(slice, number);
  }

  /** One page of all members, or the one of a name, for people to read. */
  page({ from, name }: { readonly from: NodeNumber; readonly name: string }): MemberPage {
    if (name !== '') {
      const line = this.lineOf(this.state.memberByName(name)?.number ?? 0);
      return { members: line === undefined ? [] : [line], next: 0, size: this.size };
    }
    const numbers = this.membership.directory.list().map(({ number }) => number);
    const shown = numbers.filter((number) => number >= from);
    const members = shown.slice(0, memberPageMax).flatMap((number) => this.lineOf(number) ?? []);
    return { members, next: shown[memberPageMax] ?? 0, size: this.size };
  }

  private lineOf(number: NodeNumber): MemberLine | undefined {
    const member = this.state.members.get(number);
    if (member === undefined) return undefined;
    const { name, roles, status, incarnation, since } = member;
    const locator = this.membership.directory.get(number)?.locator?.bytes;
    return { number, name, roles, status, incarnation, since, locator };
  }

  /** What a member lacks that says it knows so much; nothing when it knows all it should. */
  changesFor(number: NodeNumber, { logIndex, viewHash }: KeepAlive): ViewChanges | undefined {
    const reached = this.state.appliedIndex;
    // This control node lags behind: it has nothing to tell.
    if (logIndex > reached) return undefined;
    const slice = this.sliceOf(number);
    const isSound = equalBytes(viewHash, this.hashOf(slice, number));
    const since = this.since(logIndex, this.concernOf(number, slice));
    if (since === undefined) return isSound ? undefined : tooOld(reached, slice);
    const { updates, removed, admitted } = since;
    const isNews = updates.length + removed.length + admitted.length > 0;
    if (isSound && !isNews) return undefined;
    // One datagram holds a slice or lists of news; the member asks again soon.
    return { ...since, slice: isSound || isNews ? undefined : slice, resync: !isSound && !isNews };
  }

  /** Whose standing a member is told: all, or those in its slice and those who publish what its roles read. */
  private concernOf(number: NodeNumber, slice: Slice | undefined): Concern {
    if (slice === undefined) return { isComplete: true, includes: () => true };
    const { members, declarations } = this.state;
    const read = members.get(number)?.roles.flatMap((role) => declarations.get(role)?.consumes ?? []) ?? [];
    const publishes = (each: NodeNumber): boolean =>
      read.length > 0 && members.get(each)?.roles.some((role) => read.includes(role)) === true;
    return { isComplete: false, includes: (each) => each === number || includes(slice, each) || publishes(each) };
  }

  /** Nothing when that is longer ago than this node remembers. */
  private since(logIndex: LogIndex, concern: Concern): Since | undefined {
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
      else if (member === undefined || !concern.includes(number)) continue;
      else if (kind === 'standing') {
        updates.push({ number, incarnation: member.incarnation, status: member.status });
      } else if (concern.isComplete) admitted.push(number);
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
