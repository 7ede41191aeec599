import type { NodeNumber } from '../identity.ts';
import { chooseObservers, type Places, ringsMax, stepsBack } from './rings.ts';
import { includes, type Slice } from './slice.ts';

/** A member and how far back, on each ring, its observer there stands. */
interface Span {
  readonly subject: NodeNumber;
  readonly home: Uint32Array;
  readonly steps: readonly number[];
}

/**
 * Tells of thousands of joins, at a glance each, whether they may change one slice: only somebody who stands
 * nearer, on some ring, than an observer or a subject does.
 */
export class Reach {
  private readonly slice: Slice;
  private readonly self: NodeNumber;
  private readonly places: Places;
  private readonly spans: readonly Span[];
  /** How far ahead, on each ring, the nearest subject stands. */
  private readonly ahead: readonly number[];

  constructor(slice: Slice, self: NodeNumber, places: Places) {
    this.slice = slice;
    this.self = self;
    this.places = places;
    const watched = slice.subjects.map(({ number, observers }) => this.spanOf(number, [...observers, self]));
    this.spans = [this.spanOf(self, slice.observers), ...watched];
    this.ahead = Array.from({ length: ringsMax }, (_, ring) =>
      Math.min(...slice.subjects.map(({ number }) => this.stepsAhead(number, ring))),
    );
  }

  /** Whether a number is in the slice, or may be by its joining. */
  covers(number: NodeNumber): boolean {
    if (includes(this.slice, number)) return true;
    return this.spans.some((span) => this.isWithin(span, number)) || this.isAhead(number);
  }

  private spanOf(subject: NodeNumber, observers: readonly NodeNumber[]): Span {
    const home = this.places.of(subject);
    const chosen = chooseObservers(this.places, subject, observers);
    const steps = Array.from({ length: ringsMax }, (_, ring) => {
      const observer = chosen[ring];
      return observer === undefined ? Number.POSITIVE_INFINITY : this.steps(subject, home, observer, ring);
    });
    return { subject, home, steps };
  }

  private isWithin({ subject, home, steps }: Span, number: NodeNumber): boolean {
    return steps.some((most, ring) => this.steps(subject, home, number, ring) <= most);
  }

  private isAhead(number: NodeNumber): boolean {
    return this.ahead.some((most, ring) => this.stepsAhead(number, ring) <= most);
  }

  private stepsAhead(number: NodeNumber, ring: number): number {
    return this.steps(number, this.places.of(number), this.self, ring);
  }

  private steps(subject: NodeNumber, home: Uint32Array, candidate: NodeNumber, ring: number): number {
    return stepsBack(subject, home[ring] as number, candidate, this.places.of(candidate)[ring] as number);
  }
}
