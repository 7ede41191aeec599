/** Thrown when the program itself is wrong. It is never caught to go on: the process ends with its state. */
export class AssertionError extends Error {
  constructor(invariant: string) {
    super(`broken invariant: ${invariant}`);
    this.name = 'AssertionError';
  }
}

/** Holds an invariant of our own. Never call it on what a peer sent, a file held or a user typed. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(invariant);
}

/** Ends a switch over a union, so that a forgotten case does not compile. */
export function unreachable(value: never): never {
  throw new AssertionError(`unexpected case ${JSON.stringify(value)}`);
}
