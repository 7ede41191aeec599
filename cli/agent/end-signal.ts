import type { HivemindError } from '../../src/error.ts';

/** How whatever runs inside an agent ends it: with a reason when all is well, or with what went wrong. */
export class EndSignal {
  readonly promise: Promise<string>;
  resolve: (why: string) => void = () => {};
  reject: (reason: HivemindError) => void = () => {};

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Whoever never waits for the end is not to be killed by it.
    this.promise.catch(() => {});
  }
}
