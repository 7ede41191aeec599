import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import { shuffled } from '../../seam/random.ts';
import type { Arm } from './arm.ts';
import type { Crowd } from './crowd.ts';
import { controlNodes } from './hivemind-arm.ts';

/** The operator looks at a frozen pane for so long before releasing the brake. */
export const operatorDelayMs = 5_000;
const pollPeriodMs = 100;

/** A crowd in which things go wrong, and the truth about them. */
export class Stage {
  readonly crowd: Crowd;
  /** When the run ends. */
  endMs: MonotonicMs = 0;
  /** Milliseconds until what the scenario waits for had come; nothing while it has not. */
  reachedAfterMs: number | undefined;
  private readonly arm: Arm;

  constructor(crowd: Crowd, arm: Arm) {
    this.crowd = crowd;
    this.arm = arm;
  }

  /** So many healthy members that run, control nodes apart: their loss has tests of its own. */
  draw(count: number): readonly NodeNumber[] {
    const { crowd } = this;
    const healthy = crowd.numbers.filter(
      (number) => number > controlNodes && crowd.isRunning(number) && crowd.truth.isHealthy(number),
    );
    return shuffled(healthy, crowd.random).slice(0, count);
  }

  /** They die, with or without their machines; whoever keeps them is expected to notice. */
  fail(numbers: readonly NodeNumber[], how: 'kill' | 'vanish'): void {
    this.markFaulty(numbers, true);
    this.crowd[how](numbers);
    this.crowd.truth.forget(numbers);
  }

  /** Something is wrong with these; with `isFatal` whoever keeps them is expected to hold them for down. */
  markFaulty(numbers: readonly NodeNumber[], isFatal: boolean): void {
    const { crowd } = this;
    crowd.truth.markFaulty(numbers);
    if (!isFatal) return;
    const healthy = crowd.numbers.filter((number) => crowd.isRunning(number) && crowd.truth.isHealthy(number));
    crowd.truth.expectDown(numbers, (subject) => healthy.filter((each) => crowd.keeps(each, subject)), crowd.now);
  }

  /** Notes how long after now `isReached` came true, and ends the run `graceMs` later. */
  await(isReached: () => boolean, graceMs: number): void {
    const { crowd } = this;
    const sinceMs = crowd.now;
    const poll = (): void => {
      if (!isReached()) {
        crowd.at(crowd.now + pollPeriodMs, poll);
        return;
      }
      this.reachedAfterMs = crowd.now - sinceMs;
      this.endMs = crowd.now + graceMs;
    };
    poll();
  }

  /** An operator who lets everything pass some seconds after the pane froze. */
  releaseBrake(): void {
    const { crowd, arm } = this;
    const watch = (): void => {
      if (arm.brake?.isOn) crowd.at(crowd.now + operatorDelayMs, () => arm.brake?.release());
      else crowd.at(crowd.now + pollPeriodMs, watch);
    };
    watch();
  }
}
