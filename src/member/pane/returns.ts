/**
 * How a convicted member comes back: the leader watches whether it answers datagrams cleanly, longer each time, and
 * only then has the log decide (design rule 8). A stream alone would have it convicted again at once.
 */
import type { Command } from '../../control/command.ts';
import { type ControlState, returnsWithinHour } from '../../control/control-state.ts';
import { HivemindError } from '../../error.ts';
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import { Probation, returnWaitMs } from '../../swim/probation.ts';
import type { Membership } from '../membership.ts';

export class Returns {
  private readonly state: ControlState;
  private readonly membership: Membership;
  private readonly propose: (command: Command, at: Instant) => void;
  private readonly probation = new Probation();

  constructor(state: ControlState, membership: Membership, propose: (command: Command, at: Instant) => void) {
    this.state = state;
    this.membership = membership;
    this.propose = propose;
  }

  nextTickAt(): MonotonicMs {
    return this.probation.nextTickAt();
  }

  /** Watches from now on, unless it does already; what the asker is told meanwhile. */
  begin(number: NodeNumber, uptimeMs: number, at: Instant): HivemindError {
    const member = this.state.members.get(number);
    const isNewProcess = member !== undefined && at.wall - uptimeMs > member.since;
    const waitMs = returnWaitMs(isNewProcess, member === undefined ? 0 : returnsWithinHour(member, at.wall));
    this.probation.begin(number, waitMs, at.now);
    const seconds = Math.ceil(waitMs / 1_000);
    const sentence = `The control pane watches for ${seconds} s whether this node answers its datagrams; `;
    return new HivemindError('busy', `${sentence}if this goes on, open its UDP port.`);
  }

  /** Whether its answers are being watched. */
  isTrying(number: NodeNumber): boolean {
    return this.probation.has(number);
  }

  onAnswer(number: NodeNumber): void {
    this.probation.onAnswer(number);
  }

  tick(leads: boolean, at: Instant): void {
    if (at.now < this.probation.nextTickAt()) return;
    const { ask, passed } = this.probation.due(at.now);
    if (!leads) return;
    for (const number of ask) this.membership.callDown(number, at);
    for (const number of passed) {
      const member = this.state.members.get(number);
      if (member?.status !== 'down') continue;
      this.propose({ kind: 'return', at: at.wall, number, incarnation: member.incarnation + 1 }, at);
    }
  }
}
