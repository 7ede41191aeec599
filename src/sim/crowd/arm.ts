/** One protocol under comparison, as the crowd drives it: its nodes are pure machines on virtual time. */
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import type { Random } from '../../seam/random.ts';

export type ArmName = 'swim' | 'lifeguard' | 'hivemind';

/** What a node may do; given to it when it is made. */
export interface ArmWorld {
  readonly random: Random;
  /** A datagram; `bytes` is its UDP payload, as a codec would make it. */
  send(from: NodeNumber, to: NodeNumber, packet: unknown, bytes: number): void;
  /** A whole exchange over a stream (TCP), or a bare connection (`bytes` 0): the outcome comes to `onDialled`. */
  dial(from: NodeNumber, to: NodeNumber, token: unknown, bytes: number): void;
  /** From now on `observer` holds `subject` for this; the crowd keeps the statistics. */
  believe(observer: NodeNumber, subject: NodeNumber, status: Belief, now: MonotonicMs): void;
}

/** What the crowd offers beside, to an arm that has standing streams and a control pane. */
export interface PaneWorld extends ArmWorld {
  /** The crowd's own time, for what no single node keeps. */
  now(): MonotonicMs;
  /** The members with whom `from` keeps a standing stream from now on. */
  hold(from: NodeNumber, to: readonly NodeNumber[]): void;
  /** One message over a stream that stands already: late when packets are lost, gone when an end is. */
  post(from: NodeNumber, to: NodeNumber, packet: unknown, bytes: number): void;
  /** Whether both run, and packets pass both ways: for a consensus that is not itself under test. */
  reaches(from: NodeNumber, to: NodeNumber): boolean;
  /** One entry of the pane convicted these. */
  convicted(numbers: readonly NodeNumber[]): void;
  /** One entry of the pane took this member back. */
  returned(number: NodeNumber): void;
}

export type Belief = 'alive' | 'suspect' | 'down';

/** An exchange is `accepted` when it was answered, a bare connection when something listens. */
export type DialEnd = 'accepted' | 'refused' | 'silent';

/** `now` is always the node's own clock, which has an offset and a drift. */
export interface ArmNode {
  receive(from: NodeNumber, packet: unknown, now: MonotonicMs): void;
  /** A stream that `from` kept to this node broke without a goodbye (its process died on a living machine). */
  onStreamBroken(from: NodeNumber, now: MonotonicMs): void;
  onDialled(to: NodeNumber, token: unknown, end: DialEnd, now: MonotonicMs): void;
  tick(now: MonotonicMs): void;
  nextTickAt(): MonotonicMs;
  /** Members that this node keeps. */
  readonly viewSize: number;
  /** Whether it keeps this one; left out where every node keeps everybody. */
  keeps?(subject: NodeNumber): boolean;
  /** Whether it keeps all that it should, in a cluster of so many; left out where that is everybody. */
  isComplete?(members: number): boolean;
}

/** A node's own clock at the moment when it is made. */
export type ClockOf = (number: NodeNumber) => MonotonicMs;

/** A whole cluster of one protocol. */
export interface Arm {
  readonly name: ArmName;
  /** Members 1 … `count` exist, and know each other as they do at rest. Called once, before anything else. */
  found(count: number, world: ArmWorld, clockOf: ClockOf): readonly ArmNode[];
  /** One more that joins through the members `seeds`; or a new process of one that was there before. */
  join(number: NodeNumber, seeds: readonly NodeNumber[], now: MonotonicMs): ArmNode;
  /** What keeps a pane from convicting too many at once; left out where there is no pane. */
  readonly brake?: { readonly isOn: boolean; release(): void };
}
