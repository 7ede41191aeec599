import type { Incarnation, MonotonicMs, NodeNumber } from '../../identity.ts';
import { confirmationsWanted, suspicionWindow } from './memberlist-settings.ts';

/**
 * A member on trial. With Lifeguard's component the window shrinks with each further accuser,
 * max(Min, Max − (Max − Min)·log(C + 1) / log(K + 1)) (Dadgar 2018, §IV-B); without it, it is Min from the start.
 */
export class MemberlistSuspicion {
  readonly incarnation: Incarnation;
  /** When the member is declared dead. */
  dueAt: MonotonicMs;
  private readonly since: MonotonicMs;
  private readonly leastMs: number;
  private readonly mostMs: number;
  private readonly wanted: number;
  private readonly accusers: NodeNumber[];

  constructor(
    start: { readonly incarnation: Incarnation; readonly accuser: NodeNumber; readonly now: MonotonicMs },
    cluster: { readonly members: number; readonly shrinks: boolean },
  ) {
    const { leastMs, mostMs } = suspicionWindow(cluster.members);
    this.incarnation = start.incarnation;
    this.since = start.now;
    this.accusers = [start.accuser];
    // Neither the suspect nor the first accuser can be a further one: below K others nobody could shorten the window.
    this.wanted = cluster.shrinks && cluster.members - 2 >= confirmationsWanted ? confirmationsWanted : 0;
    this.leastMs = leastMs;
    this.mostMs = this.wanted > 0 ? mostMs : leastMs;
    this.dueAt = this.since + this.mostMs;
  }

  /** Whether this accuser was a further one that counts; only such an accusation is passed on. */
  confirm(accuser: NodeNumber): boolean {
    if (this.accusers.length > this.wanted || this.accusers.includes(accuser)) return false;
    this.accusers.push(accuser);
    this.dueAt = this.since + this.windowMs();
    return true;
  }

  private windowMs(): number {
    const share = Math.log(this.accusers.length) / Math.log(this.wanted + 1);
    return Math.max(this.leastMs, this.mostMs - (this.mostMs - this.leastMs) * share);
  }
}
