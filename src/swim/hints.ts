import type { Incarnation, MonotonicMs, NodeNumber } from '../identity.ts';
import type { Hint } from './effect.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { Outbox } from './outbox.ts';
import { ringsMax } from './rings.ts';
import type { Member, Roster } from './roster.ts';

/** Subjects of whom hints are kept; beyond, the one that was hinted at first is forgotten. */
export const hintedMax = 1_024;
/** Hints that are kept of one subject: nobody has more observers. */
export const hintersMax: number = ringsMax;
/** Whoever keeps a slice cannot tell who observes whom in it: so many known members have to say it. */
export const hintersMin = 3;

export interface HintSeams {
  readonly self: NodeNumber;
  readonly roster: Roster;
  readonly neighbourhood: Neighbourhood;
  readonly outbox: Outbox;
}

interface Held {
  readonly number: NodeNumber;
  readonly incarnation: Incarnation;
  readonly sinceMs: MonotonicMs;
}

interface Rumoured {
  /** Who says that it is down, and at which incarnation. */
  readonly said: Map<NodeNumber, Incarnation>;
  /** Set while enough of them do. */
  held: Held | undefined;
}

/**
 * What observers say of their subjects while no quorum can convict anybody, for all who do not observe those
 * themselves. It makes nobody down for good: the pane's word, and any sign of life, outweighs it.
 */
export class Hints {
  /** Hints forgotten because there were too many. */
  dropped = 0;
  /** Whether the view is everybody, so that the rings tell who observes whom. */
  isComplete = true;
  private readonly seams: HintSeams;
  private isHeeding = false;
  private readonly rumoured = new Map<NodeNumber, Rumoured>();
  /** Held until the quorum was back; told with the next tick. */
  private overruled: Held[] = [];

  constructor(seams: HintSeams) {
    this.seams = seams;
  }

  /** With a quorum nothing of this counts any more: the pane decides. */
  setQuorum(healthy: boolean): void {
    this.isHeeding = !healthy;
    if (!healthy) return;
    for (const { held } of this.rumoured.values()) if (held !== undefined) this.overruled.push(held);
    this.rumoured.clear();
  }

  /** Since when a member is held to be down; nothing when it is not. */
  heldSince(subject: NodeNumber): MonotonicMs | undefined {
    return this.rumoured.get(subject)?.held?.sinceMs;
  }

  /** One's own subjects are left out: there this node is a witness itself. */
  onHint(by: NodeNumber, { number, incarnation, isDown }: Hint, now: MonotonicMs): void {
    const { self, roster, neighbourhood } = this.seams;
    const subject = roster.get(number);
    if (!this.isHeeding || subject === undefined) return;
    if (number === self || neighbourhood.subjects.has(number) || !this.mayHint(by, number)) return;
    if (isDown) this.note(by, { number, incarnation }, now);
    else this.rumoured.get(number)?.said.delete(by);
    this.weigh(subject, now);
  }

  /** It lives: it was heard, or the pane says so. */
  clear(subject: NodeNumber, now: MonotonicMs): void {
    const held = this.rumoured.get(subject)?.held;
    this.rumoured.delete(subject);
    if (held !== undefined) this.tellRefuted(held, now);
  }

  /** The pane decided, or it is a member no longer. */
  forget(subject: NodeNumber): void {
    this.rumoured.delete(subject);
  }

  /** In the past when something is to be told. */
  nextTickAt(): MonotonicMs {
    return this.overruled.length > 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }

  tick(now: MonotonicMs): void {
    for (const held of this.overruled) this.tellRefuted(held, now);
    this.overruled = [];
  }

  private mayHint(by: NodeNumber, subject: NodeNumber): boolean {
    if (this.isComplete) return this.seams.neighbourhood.rings.observersOf(subject).includes(by);
    return by !== subject && this.seams.roster.get(by) !== undefined;
  }

  private note(by: NodeNumber, { number, incarnation }: Omit<Hint, 'isDown'>, now: MonotonicMs): void {
    const { said } = this.rumoured.get(number) ?? this.begin(number, now);
    said.delete(by);
    const [oldest] = said.size >= hintersMax ? said.keys() : [];
    if (oldest !== undefined) {
      said.delete(oldest);
      this.dropped++;
    }
    said.set(by, incarnation);
  }

  private begin(number: NodeNumber, now: MonotonicMs): Rumoured {
    const [oldest] = this.rumoured.size >= hintedMax ? this.rumoured.keys() : [];
    if (oldest !== undefined) {
      this.clear(oldest, now);
      this.dropped++;
    }
    const begun: Rumoured = { said: new Map(), held: undefined };
    this.rumoured.set(number, begun);
    return begun;
  }

  private weigh(subject: Member, now: MonotonicMs): void {
    const { number, incarnation } = subject;
    const rumoured = this.rumoured.get(number);
    if (rumoured === undefined) return;
    if (!this.isEnough(subject, rumoured.said)) {
      if (rumoured.held !== undefined) this.tellRefuted(rumoured.held, now);
      rumoured.held = undefined;
      if (rumoured.said.size === 0) this.rumoured.delete(number);
    } else if (rumoured.held === undefined) {
      rumoured.held = { number, incarnation, sinceMs: now };
      this.seams.outbox.event({ kind: 'hinted-down', number, incarnation });
    }
  }

  /** Of all living observers a majority, where they are known. */
  private isEnough({ number, incarnation, status }: Member, said: ReadonlyMap<NodeNumber, Incarnation>): boolean {
    if (status === 'down') return false;
    const { roster, neighbourhood } = this.seams;
    const isLive = (by: NodeNumber): boolean => roster.get(by)?.status === 'alive';
    const says = (by: NodeNumber): boolean => said.get(by) === incarnation;
    const sayers = [...said.keys()].filter((by) => isLive(by) && says(by)).length;
    if (!this.isComplete) return sayers >= hintersMin;
    return sayers * 2 > neighbourhood.rings.observersOf(number).filter(isLive).length;
  }

  private tellRefuted({ number, incarnation, sinceMs }: Held, now: MonotonicMs): void {
    const { neighbourhood, roster, outbox } = this.seams;
    // Whoever came to observe it meanwhile has an own opinion; and a conviction since then is told already.
    if (neighbourhood.subjects.has(number) || roster.get(number)?.status !== 'alive') return;
    outbox.event({ kind: 'refuted', number, incarnation, suspectedForMs: now - sinceMs });
  }
}
