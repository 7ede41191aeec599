import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { Update } from './message.ts';
import { type PackedStanding, packed, type Standing, unpacked, weigh } from './precedence.ts';

/** Standings of numbers that are no members here: not yet, or no longer. */
export const strangersMax = 1_024;

export interface Member extends Standing {
  readonly number: NodeNumber;
  /** Since when it has this status here. */
  readonly sinceMs: MonotonicMs;
}

/**
 * What is published about whom. Members are those whom the pane admitted, as far as this node was told; what
 * gossip says about others is kept apart, so that it counts when they become members, and spreads only once.
 */
export class Roster {
  /** Standings of strangers forgotten because there were too many. */
  dropped = 0;
  /** Counts the changes of members and of their status. */
  version = 0;
  private readonly members = new Map<NodeNumber, Member>();
  private readonly strangers = new Map<NodeNumber, PackedStanding>();
  private sorted: readonly NodeNumber[] | undefined;
  private byStatus: Readonly<Record<Standing['status'], readonly NodeNumber[]>> | undefined;

  get size(): number {
    return this.members.size;
  }

  get(number: NodeNumber): Member | undefined {
    return this.members.get(number);
  }

  standingOf(number: NodeNumber): Standing | undefined {
    return this.members.get(number) ?? unpacked(this.strangers.get(number));
  }

  /** All members, ascending. */
  numbers(): readonly NodeNumber[] {
    this.sorted ??= [...this.members.keys()].sort((a, b) => a - b);
    return this.sorted;
  }

  /** The members that are published so, ascending. */
  withStatus(status: Standing['status']): readonly NodeNumber[] {
    this.byStatus ??= {
      alive: this.numbers().filter((number) => this.members.get(number)?.status === 'alive'),
      down: this.numbers().filter((number) => this.members.get(number)?.status === 'down'),
    };
    return this.byStatus[status];
  }

  /** Makes a stranger a member, with the later of this standing and the one that gossip brought. */
  admit(number: NodeNumber, standing: Standing, now: MonotonicMs): Member {
    const heard = unpacked(this.strangers.get(number));
    const later = heard !== undefined && weigh(heard, standing) === 'news' ? heard : standing;
    this.strangers.delete(number);
    return this.put({ number, incarnation: later.incarnation, status: later.status, sinceMs: now });
  }

  /** Takes over what `weigh` called news. */
  apply({ number, incarnation, status }: Update, now: MonotonicMs): void {
    const member = this.members.get(number);
    if (member === undefined) {
      this.remember(number, { incarnation, status });
    } else {
      this.put({ number, incarnation, status, sinceMs: member.status === status ? member.sinceMs : now });
    }
  }

  /** A member no longer, but its standing is kept, so that old gossip about it stays old. */
  remove(number: NodeNumber): void {
    const member = this.members.get(number);
    if (member === undefined) return;
    this.members.delete(number);
    this.forgetLists();
    this.remember(number, { incarnation: member.incarnation, status: member.status });
  }

  private put(member: Member): Member {
    this.members.set(member.number, member);
    this.forgetLists();
    return member;
  }

  private remember(number: NodeNumber, standing: Standing): void {
    this.strangers.delete(number);
    this.strangers.set(number, packed(standing));
    if (this.strangers.size <= strangersMax) return;
    for (const oldest of this.strangers.keys()) {
      this.strangers.delete(oldest);
      this.dropped++;
      return;
    }
  }

  private forgetLists(): void {
    this.version++;
    this.sorted = undefined;
    this.byStatus = undefined;
  }
}
