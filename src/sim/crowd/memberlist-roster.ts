import type { Incarnation, MonotonicMs, NodeNumber } from '../../identity.ts';
import type { Random } from '../../seam/random.ts';
import { gossipToTheDeadMs } from './memberlist-settings.ts';

/** What one member holds another for. */
export type Standing = 'unknown' | 'alive' | 'suspect' | 'down';

const standings: readonly Standing[] = ['unknown', 'alive', 'suspect', 'down'];
const codeOf: Readonly<Record<Standing, number>> = { unknown: 0, alive: 1, suspect: 2, down: 3 };

/** Each process begins with this one. */
export const firstIncarnation: Incarnation = 1;

/** Tries per member listed when members are drawn at random, before fewer will do. */
const drawsPerMember = 3;

/** A whole membership list as it crosses a stream: standing and incarnation by number. */
export interface MemberTable {
  readonly standings: Uint8Array;
  readonly incarnations: Uint32Array;
}

export function* rowsOf(table: MemberTable): Generator<readonly [NodeNumber, Standing, Incarnation]> {
  for (let number = 1; number < table.standings.length; number++) {
    const code = table.standings[number] ?? 0;
    if (code !== 0) yield [number, standings[code] as Standing, table.incarnations[number] ?? 0];
  }
}

/**
 * The full membership list of one member, itself included, and its round of probes: every other one once, in an order
 * that is shuffled anew for each round (SWIM, Das 2002 §4.3). Nine bytes per entry: a crowd keeps a list at each node.
 */
export class MemberlistRoster {
  private readonly random: Random;
  private standings: Uint8Array;
  private incarnations: Uint32Array;
  private round: Uint32Array;
  private roundSize = 0;
  private cursor = 0;
  private readonly downSince = new Map<NodeNumber, MonotonicMs>();

  /** A list with itself alone, and room for `capacity` members before it grows. */
  constructor(self: NodeNumber, capacity: number, random: Random) {
    this.random = random;
    const entries = Math.max(self, capacity) + 1;
    this.standings = new Uint8Array(entries);
    this.incarnations = new Uint32Array(entries);
    this.round = new Uint32Array(entries);
    this.standings[self] = codeOf.alive;
    this.incarnations[self] = firstIncarnation;
  }

  /** All that are listed: itself, and the down ones that are not forgotten yet. */
  get size(): number {
    return this.roundSize + 1;
  }

  standingOf(number: NodeNumber): Standing {
    return standings[this.standings[number] ?? 0] as Standing;
  }

  incarnationOf(number: NodeNumber): Incarnation {
    return this.incarnations[number] ?? 0;
  }

  setIncarnation(number: NodeNumber, incarnation: Incarnation): void {
    this.incarnations[number] = incarnation;
  }

  /** Whether this one is alive or suspected, or went down so lately that it may still refute. */
  isWorthTelling(number: NodeNumber, now: MonotonicMs): boolean {
    const downSince = this.downSince.get(number);
    return downSince === undefined || now - downSince < gossipToTheDeadMs;
  }

  set(number: NodeNumber, standing: 'alive' | 'suspect' | 'down', incarnation: Incarnation, now: MonotonicMs): void {
    if (this.standingOf(number) === 'unknown') this.insert(number);
    this.standings[number] = codeOf[standing];
    this.incarnations[number] = incarnation;
    if (standing === 'down') this.downSince.set(number, now);
    else this.downSince.delete(number);
  }

  /** The next one of the round that is not down; nothing when all others are. */
  nextSubject(now: MonotonicMs): NodeNumber | undefined {
    for (let tries = this.roundSize; tries >= 0; tries--) {
      if (this.cursor >= this.roundSize) this.beginRound(now);
      if (this.roundSize === 0) return undefined;
      const number = this.round[this.cursor++] as NodeNumber;
      if (this.standingOf(number) !== 'down') return number;
    }
    return undefined;
  }

  /** Up to `count` others that will do, drawn at random; in a small list sometimes fewer than there are. */
  draw(count: number, willDo: (number: NodeNumber) => boolean): readonly NodeNumber[] {
    const drawn: NodeNumber[] = [];
    if (this.roundSize === 0) return drawn;
    for (let tries = drawsPerMember * this.size; tries > 0 && drawn.length < count; tries--) {
      const number = this.round[this.random.below(this.roundSize)] as NodeNumber;
      if (!drawn.includes(number) && willDo(number)) drawn.push(number);
    }
    return drawn;
  }

  table(): MemberTable {
    return { standings: this.standings.slice(), incarnations: this.incarnations.slice() };
  }

  /** A new member comes at a random place of the round, so that it does not wait for all the others. */
  private insert(number: NodeNumber): void {
    this.grow(Math.max(number, this.roundSize + 1) + 1);
    const place = this.random.below(this.roundSize + 1);
    this.round[this.roundSize++] = this.round[place] as number;
    this.round[place] = number;
  }

  private beginRound(now: MonotonicMs): void {
    this.forgetLongDown(now);
    this.cursor = 0;
    for (let last = this.roundSize - 1; last > 0; last--) {
      const pick = this.random.below(last + 1);
      const moved = this.round[last] as number;
      this.round[last] = this.round[pick] as number;
      this.round[pick] = moved;
    }
  }

  private forgetLongDown(now: MonotonicMs): void {
    if (this.downSince.size === 0) return;
    let kept = 0;
    for (let place = 0; place < this.roundSize; place++) {
      const number = this.round[place] as NodeNumber;
      if (this.isWorthTelling(number, now)) this.round[kept++] = number;
      else this.forget(number);
    }
    this.roundSize = kept;
  }

  private forget(number: NodeNumber): void {
    this.standings[number] = codeOf.unknown;
    this.incarnations[number] = 0;
    this.downSince.delete(number);
  }

  private grow(entries: number): void {
    if (entries <= this.standings.length) return;
    const roomy = Math.max(entries, this.standings.length * 2);
    const wider = <T extends Uint8Array | Uint32Array>(from: T, into: T): T => {
      into.set(from);
      return into;
    };
    this.standings = wider(this.standings, new Uint8Array(roomy));
    this.incarnations = wider(this.incarnations, new Uint32Array(roomy));
    this.round = wider(this.round, new Uint32Array(roomy));
  }
}
