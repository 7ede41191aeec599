/**
 * The control pane of the hivemind arm. Consensus is not what is compared here (`npm run sim` tests it), so all control
 * nodes share one state, and who leads is decided by looking; judging, committing and telling take the time and the
 * packets that they take.
 */
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import type { PaneWorld } from './arm.ts';
import { linkDefaults } from './links.ts';
import type { PaneState } from './pane-state.ts';

/** A leader that is lost is replaced after so long: an election timeout and a vote. */
const electionMs = 1_500;

export class PaneModel {
  readonly state: PaneState;
  leader: NodeNumber | undefined;
  /** The last process of each member that a control node spoke with; the first ones are left out. */
  readonly processes: Map<NodeNumber, number> = new Map();
  private readonly world: PaneWorld;
  private lostSinceMs: MonotonicMs | undefined;
  /** Since when a control node has had no contact with the leader. */
  private readonly aloneSinceMs = new Map<NodeNumber, MonotonicMs>();

  constructor(state: PaneState, world: PaneWorld) {
    this.state = state;
    this.world = world;
    [this.leader] = state.control;
  }

  /** Replaces a leader that has reached no majority for too long by the lowest control node that does. */
  review(): void {
    if (this.leader !== undefined && this.reachesMajority(this.leader)) {
      this.lostSinceMs = undefined;
      return;
    }
    const now = this.world.now();
    this.lostSinceMs ??= now;
    if (now - this.lostSinceMs < electionMs) return;
    this.leader = this.state.control.find((number) => this.reachesMajority(number));
    if (this.leader !== undefined) this.lostSinceMs = undefined;
  }

  /** Whether this control node knows a leader: as a follower does, for as long as an election takes. */
  hasQuorumAt(number: NodeNumber): boolean {
    const { leader } = this;
    if (leader !== undefined && (number === leader || this.world.reaches(number, leader))) {
      this.aloneSinceMs.delete(number);
      return true;
    }
    const sinceMs = this.aloneSinceMs.get(number) ?? this.world.now();
    this.aloneSinceMs.set(number, sinceMs);
    return this.world.now() - sinceMs < electionMs;
  }

  /** Whether what this one proposes now will be committed. */
  reachesMajority(number: NodeNumber): boolean {
    const { control } = this.state;
    const reached = control.filter((other) => other === number || this.world.reaches(number, other));
    return reached.length > control.length / 2;
  }

  roundTripMs(): number {
    const { delayMs, jitterMs } = linkDefaults;
    return 2 * (delayMs + (this.world.random.next() * 2 - 1) * jitterMs);
  }
}
