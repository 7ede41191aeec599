import type { SimNode } from './sim-node.ts';

/** Something that must hold always did not; the seed replays it. */
export class InvariantViolation extends Error {
  readonly invariant: string;

  constructor(invariant: string, node: SimNode, detail: string) {
    super(`${invariant}: ${node.name} at ${node.timelineNow} ms: ${detail}`);
    this.name = 'InvariantViolation';
    this.invariant = invariant;
  }
}

export function violated(invariant: string, node: SimNode, detail: string): never {
  throw new InvariantViolation(invariant, node, detail);
}
