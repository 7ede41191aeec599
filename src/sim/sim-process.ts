/** The processes that run on one simulated machine, one after the other: their clock, their timers, their pauses. */
import type { MonotonicMs } from '../identity.ts';
import type { CancelTimer } from '../seam/clock.ts';
import { SimClock } from './sim-clock.ts';
import { SimPause } from './sim-pause.ts';
import type { Timeline } from './timeline.ts';

export class SimProcess {
  readonly clock: SimClock;
  /** Counts the processes that this machine has run; what belongs to a dead one dies with it. */
  generation = 0;
  running = false;
  /** When the last process died. */
  diedAt: MonotonicMs = 0;
  private readonly timeline: Timeline;
  private readonly pause = new SimPause();

  constructor(timeline: Timeline) {
    this.timeline = timeline;
    this.clock = new SimClock(timeline);
  }

  get timelineNow(): MonotonicMs {
    return this.timeline.now;
  }

  get isPaused(): boolean {
    return this.pause.isOn;
  }

  /** SIGSTOP, until `goOn`: it neither does nor hears anything, and its kernel keeps what comes. */
  stop(): void {
    if (this.running) this.pause.begin();
  }

  goOn(): void {
    this.pause.end();
  }

  /** Now, or when this process goes on; never when it dies before. */
  awake(then: () => void): void {
    this.pause.awake(this.inThisProcess(then));
  }

  /** The same for a datagram. */
  protected hear(then: () => void): void {
    this.pause.hear(this.inThisProcess(then));
  }

  /** Happens only while this process lives. */
  later(delayMs: MonotonicMs, then: () => void): void {
    this.at(this.timeline.now + delayMs, then);
  }

  /** The same at a time of the timeline. */
  protected at(timelineMs: MonotonicMs, then: () => void): void {
    this.timeline.schedule(
      timelineMs,
      this.inThisProcess(() => this.awake(then)),
    );
  }

  protected after(delayMs: MonotonicMs, fire: () => void): CancelTimer {
    let isOpen = true;
    this.later(delayMs, () => {
      if (isOpen) fire();
    });
    return () => {
      isOpen = false;
    };
  }

  protected beginProcess(): void {
    this.running = true;
    this.generation++;
  }

  protected endProcess(): void {
    this.running = false;
    this.diedAt = this.timeline.now;
    this.generation++;
    this.pause.forget();
  }

  private inThisProcess(then: () => void): () => void {
    const { generation } = this;
    return () => {
      if (this.generation === generation) then();
    };
  }
}
