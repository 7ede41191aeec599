import { unreachable } from '../../assert.ts';
import type { Incarnation, MonotonicMs, NodeNumber } from '../../identity.ts';
import type { MemberlistRumour } from './memberlist-message.ts';
import type { MemberlistNews } from './memberlist-news.ts';
import { type MemberlistRoster, type MemberTable, rowsOf } from './memberlist-roster.ts';
import { MemberlistSuspicion } from './memberlist-suspicion.ts';

type Accusation = Extract<MemberlistRumour, { readonly accuser: NodeNumber }>;

export interface MembershipParts {
  readonly self: NodeNumber;
  readonly roster: MemberlistRoster;
  readonly news: MemberlistNews;
  /** Whether further accusers shorten a suspicion. */
  readonly shrinkingSuspicion: boolean;
  readonly believe: (subject: NodeNumber, status: 'alive' | 'suspect' | 'down', now: MonotonicMs) => void;
  /** Somebody doubted this member, which says something about itself. */
  readonly onRefuted: () => void;
}

/** What one member makes of what it hears: SWIM's order of alive, suspect and dead (Das 2002 §4.2). */
export class MemberlistMembership {
  private readonly parts: MembershipParts;
  private readonly suspicions = new Map<NodeNumber, MemberlistSuspicion>();
  private dueAt: MonotonicMs = Number.POSITIVE_INFINITY;

  constructor(parts: MembershipParts) {
    this.parts = parts;
  }

  /** When the next suspicion runs out. */
  get nextTickAt(): MonotonicMs {
    return this.dueAt;
  }

  tick(now: MonotonicMs): void {
    if (now < this.dueAt) return;
    const { self: accuser } = this.parts;
    for (const [subject, { dueAt, incarnation }] of this.suspicions) {
      if (dueAt <= now) this.onDead({ kind: 'dead', subject, incarnation, accuser }, now);
    }
    this.planTick();
  }

  /** Names itself, so that whoever hears it lists it. */
  announce(): void {
    const { self, roster, news } = this.parts;
    news.add({ kind: 'alive', subject: self, incarnation: roster.incarnationOf(self) });
  }

  onRumour(rumour: MemberlistRumour, now: MonotonicMs): void {
    switch (rumour.kind) {
      case 'alive':
        this.onAlive(rumour, now);
        break;
      case 'suspect':
        this.onSuspect(rumour, now);
        break;
      case 'dead':
        this.onDead(rumour, now);
        break;
      default:
        unreachable(rumour);
    }
  }

  /** This member's own probe found nothing. */
  suspect(subject: NodeNumber, now: MonotonicMs): void {
    const { self: accuser, roster } = this.parts;
    this.onSuspect({ kind: 'suspect', subject, incarnation: roster.incarnationOf(subject), accuser }, now);
  }

  /** Another one's whole list. Whom it holds for dead is only suspected here: it may want to refute. */
  merge(table: MemberTable, now: MonotonicMs): void {
    for (const [subject, standing, incarnation] of rowsOf(table)) {
      if (standing === 'alive') this.onAlive({ kind: 'alive', subject, incarnation }, now);
      else this.onSuspect({ kind: 'suspect', subject, incarnation, accuser: this.parts.self }, now);
    }
  }

  private onAlive(rumour: Extract<MemberlistRumour, { readonly kind: 'alive' }>, now: MonotonicMs): void {
    const { self, roster, news, believe } = this.parts;
    const { subject, incarnation } = rumour;
    if (roster.standingOf(subject) !== 'unknown' && incarnation <= roster.incarnationOf(subject)) return;
    if (subject === self) {
      // An earlier process of this member went further than this one has.
      this.outdo(incarnation);
      return;
    }
    const wasAlive = roster.standingOf(subject) === 'alive';
    this.suspicions.delete(subject);
    roster.set(subject, 'alive', incarnation, now);
    news.add(rumour);
    if (!wasAlive) believe(subject, 'alive', now);
  }

  private onSuspect(rumour: Accusation, now: MonotonicMs): void {
    const { self, roster, news } = this.parts;
    const { subject, incarnation, accuser } = rumour;
    if (incarnation < roster.incarnationOf(subject)) return;
    if (subject === self) {
      this.refute(incarnation);
      return;
    }
    const standing = roster.standingOf(subject);
    if (standing === 'unknown' || standing === 'down') return;
    const running = this.suspicions.get(subject);
    // A suspicion of a later life is another one: its subject has refuted the running one.
    if (running === undefined || incarnation > running.incarnation) {
      this.beginSuspicion(rumour, now);
    } else if (running.confirm(accuser)) {
      this.dueAt = Math.min(this.dueAt, running.dueAt);
      news.add(rumour);
    }
  }

  private beginSuspicion(rumour: Accusation, now: MonotonicMs): void {
    const { roster, news, shrinkingSuspicion, believe } = this.parts;
    const { subject, incarnation, accuser } = rumour;
    const wasAlive = roster.standingOf(subject) === 'alive';
    const cluster = { members: roster.size, shrinks: shrinkingSuspicion };
    const suspicion = new MemberlistSuspicion({ incarnation, accuser, now }, cluster);
    this.suspicions.set(subject, suspicion);
    this.dueAt = Math.min(this.dueAt, suspicion.dueAt);
    roster.set(subject, 'suspect', incarnation, now);
    news.add(rumour);
    if (wasAlive) believe(subject, 'suspect', now);
  }

  private onDead(rumour: Accusation, now: MonotonicMs): void {
    const { self, roster, news, believe } = this.parts;
    const { subject, incarnation } = rumour;
    if (incarnation < roster.incarnationOf(subject)) return;
    if (subject === self) {
      this.refute(incarnation);
      return;
    }
    const standing = roster.standingOf(subject);
    if (standing === 'unknown' || standing === 'down') return;
    this.suspicions.delete(subject);
    roster.set(subject, 'down', incarnation, now);
    news.add(rumour);
    believe(subject, 'down', now);
  }

  private refute(accused: Incarnation): void {
    this.outdo(accused);
    this.parts.onRefuted();
  }

  /** Takes an incarnation that beats whatever is said about this member. */
  private outdo(incarnation: Incarnation): void {
    this.parts.roster.setIncarnation(this.parts.self, incarnation + 1);
    this.announce();
  }

  private planTick(): void {
    this.dueAt = Number.POSITIVE_INFINITY;
    for (const { dueAt } of this.suspicions.values()) this.dueAt = Math.min(this.dueAt, dueAt);
  }
}
