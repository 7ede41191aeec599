/** One control node's part in the pane: it hears testimony, and while it leads it judges, convicts and takes back. */
import type { KeepAlive, KeepAliveAnswer } from '../../control/keep-alive.ts';
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import { Jury, reportLeaseMs, type Verdict } from '../../swim/jury.ts';
import type { Accusation, Report, Update } from '../../swim/message.ts';
import { Probation, returnWaitMs } from '../../swim/probation.ts';
import type { PaneWorld } from './arm.ts';
import { somewhen } from './hint-courier.ts';
import { entryBytes, exchangeBytes, type HivemindPacket, memberFactsBytes, updateBytes } from './hivemind-packet.ts';
import type { PaneModel } from './pane-model.ts';

/** How often a control node looks whether the pane still has a leader and a majority. */
const reviewPeriodMs = 100;
/** Verdicts are proposed once in this time. */
const convictRepeatMs = 500;
/** What a commit takes beside the round trip: two disks. */
const commitMinMs = 2;
const commitMaxMs = 5;

/** What the seat makes its node do. */
export interface SeatHands {
  /** A decision is known here: apply it, and let gossip have it. */
  publish(update: Update, now: MonotonicMs): void;
  /** New members: get to know them, and let gossip have them. */
  admit(numbers: readonly NodeNumber[], now: MonotonicMs): void;
  callDown(number: NodeNumber, now: MonotonicMs): void;
  setQuorum(healthy: boolean, now: MonotonicMs): void;
  /** Whose reports count about a member. */
  jurorsOf(subject: NodeNumber): readonly NodeNumber[];
}

interface Pending {
  readonly dueAt: MonotonicMs;
  commit(now: MonotonicMs): void;
}

export class PaneSeat {
  private readonly self: NodeNumber;
  private readonly pane: PaneModel;
  private readonly world: PaneWorld;
  private readonly hands: SeatHands;
  private jury: Jury;
  private probation = new Probation();
  private readonly joiners = new Set<NodeNumber>();
  private pending: Pending[] = [];
  private leadsSince: MonotonicMs = Number.POSITIVE_INFINITY;
  private convictedAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  private reviewAt: MonotonicMs;
  private admitAt: MonotonicMs = Number.POSITIVE_INFINITY;
  private hasQuorum = true;

  constructor(self: NodeNumber, pane: PaneModel, world: PaneWorld, hands: SeatHands, now: MonotonicMs) {
    this.self = self;
    this.pane = pane;
    this.world = world;
    this.hands = hands;
    this.jury = this.newJury();
    this.reviewAt = now;
    // The leader of a cluster that exists has led for long.
    if (pane.leader === self) this.leadsSince = now - reportLeaseMs;
  }

  private get leads(): boolean {
    return this.pane.leader === this.self && this.hasQuorum;
  }

  private get canCommit(): boolean {
    return this.leads && this.pane.reachesMajority(this.self);
  }

  get isBraked(): boolean {
    return this.leads && this.jury.brake.on;
  }

  nextTickAt(): MonotonicMs {
    const judgeAt = this.leads ? Math.max(this.jury.nextVerdictAt(), this.verdictsFrom) : Number.POSITIVE_INFINITY;
    let next = Math.min(this.reviewAt, this.admitAt, judgeAt, this.probation.nextTickAt());
    for (const { dueAt } of this.pending) next = Math.min(next, dueAt);
    return next;
  }

  tick(now: MonotonicMs): void {
    if (now >= this.reviewAt) this.review(now);
    const due = this.pending.filter(({ dueAt }) => dueAt <= now);
    this.pending = this.pending.filter(({ dueAt }) => dueAt > now);
    for (const { commit } of due) if (this.canCommit) commit(now);
    if (now >= this.admitAt) this.admitAll(now);
    if (this.leads && now >= Math.max(this.jury.nextVerdictAt(), this.verdictsFrom)) this.judge(now);
    if (now >= this.probation.nextTickAt()) this.probe(now);
  }

  // — what reaches it —

  hear(from: NodeNumber, message: Accusation | Report, now: MonotonicMs): void {
    if (message.kind === 'accusation') this.jury.accuse(from, message.subject, now);
    else this.jury.report(from, message, now);
  }

  /** A stranger asks to be admitted; those who ask within one commit share an entry. */
  onJoinAsk(from: NodeNumber, now: MonotonicMs): void {
    if (!this.leads) return;
    if (this.joiners.size === 0) this.admitAt = now + this.commitMs();
    this.joiners.add(from);
  }

  onReturnAsk(from: NodeNumber, process: number, now: MonotonicMs): void {
    const standing = this.pane.state.standingOf(from);
    if (!this.leads || standing === undefined) return;
    if (standing.status === 'alive') {
      this.tellReturned(from);
      return;
    }
    this.pane.processes.set(from, process);
    const returns = this.pane.state.returnsWithinHour(from, this.world.now());
    this.probation.begin(from, returnWaitMs(process !== standing.process, returns), now);
  }

  onAnswersAgain(number: NodeNumber): void {
    this.probation.onAnswer(number);
  }

  onEntry(admitted: readonly NodeNumber[], updates: readonly Update[], now: MonotonicMs): void {
    if (admitted.length > 0) this.hands.admit(admitted, now);
    for (const update of updates) this.hands.publish(update, now);
  }

  answer(from: NodeNumber, process: number, { nonce, logIndex }: KeepAlive): KeepAliveAnswer {
    const { state, leader, processes } = this.pane;
    if (process > 0) processes.set(from, process);
    return {
      kind: 'keep-alive-answer',
      nonce,
      charter: 0,
      logIndex: state.logIndex,
      health: {
        state: this.hasQuorum ? 'healthy' : 'degraded',
        since: somewhen,
        leader: leader ?? 0,
        silent: [],
        voting: 'votes',
      },
      size: state.size,
      changes: this.hasQuorum ? state.changesSince(logIndex, from) : undefined,
    };
  }

  // — what it decides —

  /** A new leader waits for one lease, so that nobody is convicted by what was reported about an earlier time. */
  private get verdictsFrom(): MonotonicMs {
    return Math.max(this.convictedAt + convictRepeatMs, this.leadsSince + reportLeaseMs);
  }

  private newJury(): Jury {
    return new Jury({ observersOf: (subject) => this.hands.jurorsOf(subject), groups: () => [] });
  }

  private review(now: MonotonicMs): void {
    this.reviewAt = now + reviewPeriodMs;
    this.pane.review();
    const led = this.leads;
    const hasQuorum = this.pane.hasQuorumAt(this.self);
    if (hasQuorum !== this.hasQuorum) {
      this.hasQuorum = hasQuorum;
      this.hands.setQuorum(hasQuorum, now);
    }
    if (this.leads === led && this.leadsSince < Number.POSITIVE_INFINITY === led) return;
    this.leadsSince = this.leads ? now : Number.POSITIVE_INFINITY;
    this.jury = this.newJury();
    this.probation = new Probation();
  }

  private judge(now: MonotonicMs): void {
    const { state } = this.pane;
    const verdicts = this.jury.verdicts(now, {
      live: state.live,
      incarnationOf: (number) => state.standingOf(number)?.incarnation,
      brakeReleased: this.world.now() < state.brakeReleasedUntilMs,
    });
    if (verdicts.length === 0) return;
    this.convictedAt = now;
    this.propose((later) => this.convict(verdicts, later), now);
  }

  private convict(verdicts: readonly Verdict[], now: MonotonicMs): void {
    const { state } = this.pane;
    const numbers = verdicts.flatMap(({ number, incarnation }) =>
      state.convict(number, incarnation, this.pane.processes.get(number) ?? 0) ? [number] : [],
    );
    if (numbers.length === 0) return;
    this.world.convicted(numbers);
    this.tellAll([], numbers, now);
  }

  private probe(now: MonotonicMs): void {
    const { ask, passed } = this.probation.due(now);
    for (const number of ask) this.hands.callDown(number, now);
    for (const number of passed) this.propose((later) => this.takeBack(number, later), now);
  }

  private takeBack(number: NodeNumber, now: MonotonicMs): void {
    if (!this.pane.state.takeBack(number, this.world.now())) return;
    this.world.returned(number);
    this.tellAll([], [number], now);
    this.tellReturned(number);
  }

  private admitAll(now: MonotonicMs): void {
    this.admitAt = Number.POSITIVE_INFINITY;
    const joiners = [...this.joiners];
    this.joiners.clear();
    if (!this.canCommit) return;
    const { state } = this.pane;
    const admitted = joiners.filter((number) => state.admit(number));
    this.tellAll(admitted, [], now);
    for (const number of joiners) {
      const slice = state.sliceOf(number);
      const members = state.viewOf(number, slice);
      const digest: HivemindPacket = { kind: 'digest', logIndex: state.logIndex, members, slice };
      this.world.post(this.self, number, digest, exchangeBytes + members.length * memberFactsBytes);
    }
  }

  private propose(commit: (now: MonotonicMs) => void, now: MonotonicMs): void {
    this.pending.push({ dueAt: now + this.commitMs(), commit });
  }

  /** A round trip to a follower, and its disk. */
  private commitMs(): number {
    const { random } = this.world;
    return this.pane.roundTripMs() + commitMinMs + random.next() * (commitMaxMs - commitMinMs);
  }

  private tellAll(admitted: readonly NodeNumber[], changed: readonly NodeNumber[], now: MonotonicMs): void {
    const { state } = this.pane;
    const updates = changed.flatMap((number) => state.updateOf(number) ?? []);
    const bytes = entryBytes + updates.length * updateBytes + admitted.length * memberFactsBytes;
    for (const control of state.control) {
      if (control !== this.self) this.world.post(this.self, control, { kind: 'entry', admitted, updates }, bytes);
    }
    this.onEntry(admitted, updates, now);
  }

  private tellReturned(number: NodeNumber): void {
    const update = this.pane.state.updateOf(number);
    if (update === undefined) return;
    const packet: HivemindPacket = { kind: 'returned', update };
    this.world.post(this.self, number, packet, exchangeBytes);
  }
}
