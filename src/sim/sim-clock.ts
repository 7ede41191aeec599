import type { MonotonicMs, WallMs } from '../identity.ts';
import type { Timeline } from './timeline.ts';

/** The time of day at which every simulation begins: 2026-01-01. */
export const simulationBeganAt: WallMs = 1_767_225_600_000;

/** The clocks of one machine: one runs a little fast or slow, the other tells a time of day that may be wrong. */
export class SimClock {
  /** How far the time of day is off, in milliseconds. */
  wallOffsetMs = 0;
  private readonly timeline: Timeline;
  private rate = 1;
  private since: { readonly timeline: MonotonicMs; readonly own: MonotonicMs } = { timeline: 0, own: 0 };

  constructor(timeline: Timeline) {
    this.timeline = timeline;
  }

  get now(): MonotonicMs {
    return this.since.own + (this.timeline.now - this.since.timeline) * this.rate;
  }

  /** In whole milliseconds, as everybody has it; what is due on the timeline may fall between two. */
  get wallNow(): WallMs {
    return simulationBeganAt + Math.floor(this.timeline.now) + this.wallOffsetMs;
  }

  /** From now on it counts so many milliseconds in each. */
  drift(rate: number): void {
    this.since = { timeline: this.timeline.now, own: this.now };
    this.rate = rate;
  }

  /** When, on the timeline, it will show `own`. */
  timelineAt(own: MonotonicMs): MonotonicMs {
    return Math.ceil(this.since.timeline + (own - this.since.own) / this.rate);
  }
}
