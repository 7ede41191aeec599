/** The smallest protocol there is: its nodes do what a test tells them, and note what happens to them. */
import type { Arm, ArmNode, DialEnd, PaneWorld } from '../../src/sim/crowd/arm.ts';
import { Crowd, type CrowdOptions } from '../../src/sim/crowd/crowd.ts';

export interface Noted {
  readonly what: 'packet' | 'tick' | 'broken' | DialEnd;
  readonly of: unknown;
  /** The crowd's time, and the node's own. */
  readonly atMs: number;
  readonly clock: number;
}

export class NotingNode implements ArmNode {
  readonly noted: Noted[] = [];
  readonly viewSize = 0;
  tickAt = Number.POSITIVE_INFINITY;
  readonly madeAt: number;
  private readonly now: () => number;

  constructor(now: () => number, madeAt: number) {
    this.now = now;
    this.madeAt = madeAt;
  }

  receive(_from: number, packet: unknown, now: number): void {
    this.note('packet', packet, now);
  }

  onStreamBroken(from: number, now: number): void {
    this.note('broken', from, now);
  }

  onDialled(_to: number, token: unknown, end: DialEnd, now: number): void {
    this.note(end, token, now);
  }

  tick(now: number): void {
    this.note('tick', undefined, now);
    this.tickAt = Number.POSITIVE_INFINITY;
  }

  nextTickAt(): number {
    return this.tickAt;
  }

  private note(what: Noted['what'], of: unknown, clock: number): void {
    this.noted.push({ what, of, atMs: this.now(), clock });
  }
}

export interface NotingCrowd {
  readonly crowd: Crowd;
  readonly world: PaneWorld;
  node(number: number): NotingNode;
}

/** Members 1 … `nodes` on links without loss, unless the test wants some. */
export function notingCrowd(nodes: number, links: CrowdOptions['links'] = { loss: 0 }, seed = 1): NotingCrowd {
  const made = new Map<number, NotingNode>();
  let world: PaneWorld | undefined;
  const make = (number: number, madeAt: number): NotingNode => {
    const node = new NotingNode(() => (world as PaneWorld).now(), madeAt);
    made.set(number, node);
    return node;
  };
  const arm: Arm = {
    name: 'swim',
    found(count, given, clockOf) {
      world = given as PaneWorld;
      return Array.from({ length: count }, (_, index) => make(index + 1, clockOf(index + 1)));
    },
    join: (number, _seeds, now) => make(number, now),
  };
  const crowd = new Crowd({ arm, nodes, seed, ...(links && { links }) });
  return { crowd, world: world as unknown as PaneWorld, node: (number) => made.get(number) as NotingNode };
}
