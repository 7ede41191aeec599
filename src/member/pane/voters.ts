/**
 * Keeps consensus in step with the charter: whoever signs has to vote, and whoever has the role of control nodes
 * follows the log. The charter changes first, by signatures; the leader then changes who votes, again and again until
 * it is so.
 */
import { type CharterChange, judgeChange } from '../../control/amending.ts';
import type { Command } from '../../control/command.ts';
import { type ControlState, controlRole } from '../../control/control-state.ts';
import { HivemindError } from '../../error.ts';
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import { isVoter, learnersMax, type RaftConfiguration, sameNumbers } from '../../raft/configuration.ts';
import type { Raft } from '../../raft/raft.ts';
import type { Instant } from '../../seam/instant.ts';

/** A change that was refused, because a learner has not caught up, say, is tried again after this. */
const tryPeriodMs = 500;

type Wanted = Pick<RaftConfiguration, 'voters' | 'learners'>;

export class Voters {
  private readonly raft: Raft;
  private readonly state: ControlState;
  private tryAtMs: MonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(raft: Raft, state: ControlState) {
    this.raft = raft;
    this.state = state;
  }

  /** As the leader. Whether a change was begun, so that there is something to send. */
  reconcile(at: Instant): boolean {
    if (at.now < this.tryAtMs || this.isInStep) return false;
    this.tryAtMs = at.now + tryPeriodMs;
    return this.raft.changeConfiguration(this.next, at.now).kind === 'accepted';
  }

  /** What to propose for a change of the charter; refused without an entry, because the log says what happened. */
  amendmentFor(change: CharterChange, at: Instant): Command | HivemindError {
    const refusal = judgeChange(this.state, change);
    if (refusal !== undefined) return new HivemindError(refusal.code, refusal.sentence);
    const unfit = change.kind === 'control-set' ? this.judge(change.numbers, at) : undefined;
    return unfit ?? { kind: 'begin-amendment', at: at.wall, change };
  }

  /**
   * Why these cannot be the control nodes now, or nothing. Who signs changes first, so whatever keeps them from voting
   * has to be known before; the way back to fewer of those who vote is always open.
   */
  private judge(numbers: readonly NodeNumber[], { now }: Instant): HivemindError | undefined {
    const { voters, learners, outgoing } = this.raft.configuration;
    const isWayBack = numbers.every((number) => voters.includes(number));
    if (outgoing.length > 0 || !(this.isInStep || isWayBack)) {
      return new HivemindError('busy', 'The control nodes are being changed already; ask again in a moment.');
    }
    const stranger = numbers.find((number) => !voters.includes(number) && !learners.includes(number));
    if (stranger !== undefined) {
      const name = this.state.members.get(stranger)?.name ?? `#${stranger}`;
      return new HivemindError('refused', `${name} does not follow the event log yet; ask again in a moment.`);
    }
    if (sameNumbers(numbers, voters)) return undefined;
    const objection = this.raft.objectionTo({ voters: numbers, learners: this.othersThan(numbers) }, now);
    if (objection === undefined) return undefined;
    return new HivemindError('refused', `The control nodes stay as they are: ${objection}.`);
  }

  /** Why a member cannot be removed, or nothing: whoever signs or votes has to be demoted first. */
  objectionToRemoval(number: NodeNumber): HivemindError | undefined {
    const name = this.state.members.get(number)?.name ?? `#${number}`;
    if (this.state.isControl(number)) {
      const sentence = `${name} is a control node; \`hivemind control demote ${name}\` comes first.`;
      return new HivemindError('refused', sentence);
    }
    if (!isVoter(this.raft.configuration, number)) return undefined;
    return new HivemindError('busy', `${name} was demoted, and votes for a moment yet; ask again.`);
  }

  /** On the way there: nobody votes who did not follow before, so a new one is a learner first. */
  private get next(): Wanted {
    const { wanted } = this;
    const { voters, learners } = this.raft.configuration;
    const follow = wanted.voters.every((number) => voters.includes(number) || learners.includes(number));
    return follow ? wanted : { voters, learners: this.othersThan(voters) };
  }

  private get wanted(): Wanted {
    const voters = this.state.controlNumbers;
    return { voters, learners: this.othersThan(voters) };
  }

  private othersThan(voters: readonly NodeNumber[]): readonly NodeNumber[] {
    const others = this.state.membersOfRole(controlRole).filter((number) => !voters.includes(number));
    return others.slice(0, learnersMax);
  }

  private get isInStep(): boolean {
    const { voters, learners, outgoing } = this.raft.configuration;
    const { wanted } = this;
    return outgoing.length === 0 && sameNumbers(voters, wanted.voters) && sameNumbers(learners, wanted.learners);
  }
}
