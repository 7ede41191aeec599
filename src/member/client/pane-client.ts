/**
 * A member's line to the control pane: keep-alives that say how the quorum is, and requests that find their way
 * to the leader through whichever control node answers (design rule 11).
 */
import { ByteWriter } from '../../bytes.ts';
import { majorityOf } from '../../certificate/certificate.ts';
import type { Codec } from '../../codec.ts';
import { clockSkewMs } from '../../control/admission-policy.ts';
import type { KeepAlive, KeepAliveAnswer, MachineLoad, PaneHealth } from '../../control/keep-alive.ts';
import { sha256 } from '../../crypto.ts';
import { type ErrorCode, HivemindError } from '../../error.ts';
import type { LogIndex, MonotonicMs, NodeNumber, WallMs } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import { type Random, shuffled } from '../../seam/random.ts';
import { type Digest, digest, type PeerRequest } from '../../wire/peer-message.ts';
import type { PaneState } from '../effect.ts';
import type { Membership } from '../membership.ts';
import type { Outbox, Outcome } from '../outbox.ts';
import { leadingItself, noQuorum, unknownOutcome } from '../pane-refusal.ts';
import { PaneContacts } from './pane-contacts.ts';
import { mayBeDecided, mayRepeat, settles } from './repetition.ts';

export const keepAlivePeriodMs = 10_000;
/** While the pane is not known to be healthy it is asked this often. */
export const keepAliveUrgentMs = 1_000;
/** A control node that does not answer for so long: the next one is asked. */
export const keepAliveAnswerMs = 500;
/** Answers that could not mend this node's view, before it pulls its digest: once may be news on its way. */
const mismatchesMax = 2;
/** A control node that hears no leader for so long asks others who the control nodes are. */
export const leaderlessMs = 5_000;
/** Silence of all of them for so long is "no pane". */
export const paneSilenceMs = 3_000;
/** News of one control node's quorum counts at most this often: anybody may make it up. */
const changePeriodMs = 500;
/** Members ask after such news within this time at most, the later the more they are. */
const changeSpreadMsMax = 2_000;
const crowdingMax = 8;
/** Why no control node answers is asked over a stream, so often at most. */
const askWhyPeriodMs = 3_000;
/** One attempt at one control node, and the pause before all are tried again. */
export const askAttemptMs = 9_000;
export const askPauseMs = 300;
/** After this a request that found no leader is given up. */
export const askPatienceMs = 12_000;

/** How long somebody wants to wait for an answer, and for that of one control node. */
export interface AskPatience {
  readonly attemptMs: number;
  readonly patienceMs: number;
}

const askPatience: AskPatience = { attemptMs: askAttemptMs, patienceMs: askPatienceMs };

/** Refusals after which asking another control node, or the same one later, may help. */
const passing: ReadonlySet<ErrorCode> = new Set([
  'not-leader',
  'no-leader',
  'address-unreachable',
  'time-out',
  'unknown-outcome',
]);

/** A request on its way from one control node to the next. */
interface Asking<T> {
  readonly request: PeerRequest;
  readonly answer: Codec<T>;
  readonly then: (outcome: Outcome<T>, at: Instant) => void;
  readonly deadline: MonotonicMs;
  readonly attemptMs: number;
  /** An earlier attempt may have been decided: whoever asked must not hear that nothing was. */
  isOpen: boolean;
}

interface WaitingAsk {
  readonly retryAt: MonotonicMs;
  readonly retry: (at: Instant) => void;
}

/** What this node knows of the pane. */
export interface PaneView {
  readonly state: PaneState;
  readonly since: WallMs;
  readonly leader: NodeNumber;
  readonly logIndex: LogIndex;
  /** When a control node said so last; 0 for never. */
  readonly heardAt: WallMs;
}

export class PaneClient {
  private readonly self: NodeNumber;
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private readonly random: Random;
  private readonly leads: () => boolean;
  private readonly onAmended: (from: NodeNumber, at: Instant) => void;
  private readonly send: (to: NodeNumber, message: KeepAlive, at: Instant) => void;
  private readonly view: { -readonly [Field in keyof PaneView]: PaneView[Field] };
  private nextKeepAliveAt: MonotonicMs;
  /** On a control node: since when it hears no leader, or asked last who there is. */
  private leaderlessSince: MonotonicMs | undefined;
  /** Control nodes not asked yet in this round, best first. */
  private candidates: NodeNumber[] = [];
  private awaited: { readonly nonce: number; readonly from: NodeNumber; readonly until: MonotonicMs } | undefined;
  private unansweredSince: MonotonicMs | undefined;
  /** A whole round went by without an answer. */
  private allSilent = false;
  private degradedBy: { readonly since: WallMs } | undefined;
  private mismatches = 0;
  private nextWhyAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  private pulling = false;
  /** Control nodes that refused this node as no member, since one last answered it. */
  private readonly notAdmittedBy = new Set<NodeNumber>();
  /** When each control node's last change was, by its clock. */
  private readonly changes = new Map<NodeNumber, WallMs>();
  private waiting: WaitingAsk[] = [];
  /** How each control node was found at the last attempt. */
  readonly contacts: PaneContacts = new PaneContacts();
  load: MachineLoad = { cores: 1, load15: 0, memoryFreeBytes: 0, memoryTotalBytes: 0 };

  constructor(parts: {
    readonly self: NodeNumber;
    readonly membership: Membership;
    readonly outbox: Outbox;
    readonly random: Random;
    /** Whether this node leads the pane itself. */
    readonly leads: () => boolean;
    /** This control node knows of more amendments. */
    readonly onAmended: (from: NodeNumber, at: Instant) => void;
    readonly send: (to: NodeNumber, message: KeepAlive, at: Instant) => void;
    readonly at: Instant;
  }) {
    this.self = parts.self;
    this.membership = parts.membership;
    this.outbox = parts.outbox;
    this.random = parts.random;
    this.leads = parts.leads;
    this.send = parts.send;
    this.onAmended = parts.onAmended;
    this.nextKeepAliveAt = parts.at.now;
    const { wall } = parts.at;
    this.view = { state: 'unknown', since: wall, leader: 0, logIndex: 0, heardAt: 0 };
  }

  /** As it is now: it changes in place. */
  get pane(): PaneView {
    return this.view;
  }

  /** On a control node: what it knows itself stands for keep-alives. */
  follow(health: PaneHealth, commitIndex: LogIndex, at: Instant): void {
    this.nextKeepAliveAt = Number.POSITIVE_INFINITY;
    this.hear(health.leader, commitIndex, at);
    this.become(health.state === 'healthy' ? 'healthy' : 'no-quorum', health.since, at);
    this.lookForLeader(health.leader, at);
  }

  /**
   * Who was away while others came to sign and vote does not know those who could lead it, and takes nothing from
   * strangers; and who was removed meanwhile hears nothing at all. So a control node that hears no leader asks the
   * others that it knows who the control nodes are now.
   */
  private lookForLeader(leader: NodeNumber, at: Instant): void {
    if (leader !== 0) {
      this.leaderlessSince = undefined;
      this.notAdmittedBy.clear();
      return;
    }
    this.leaderlessSince ??= at.now;
    if (at.now < this.leaderlessSince + leaderlessMs) return;
    this.leaderlessSince = at.now;
    const others = this.rendezvous();
    const from = others[this.random.below(Math.max(1, others.length))] ?? 0;
    const target = this.membership.directory.target(from);
    if (target === undefined) return;
    const then = (outcome: Outcome<Digest>, later: Instant): void => {
      this.onAdmittance(from, outcome);
      if (outcome.ok) this.membership.mergeSigned(outcome.value, later);
    };
    this.outbox.ask(target, { kind: 'digest', atLeast: 0 }, digest, askAttemptMs, then, at);
  }

  nextTickAt(): MonotonicMs {
    let soonest = this.awaited?.until ?? this.nextKeepAliveAt;
    for (const { retryAt } of this.waiting) soonest = Math.min(soonest, retryAt);
    return soonest;
  }

  tick(at: Instant): void {
    if (this.waiting.length > 0) this.retry(at);
    if (this.awaited !== undefined && at.now >= this.awaited.until) this.onSilence(at);
    else if (this.awaited === undefined && at.now >= this.nextKeepAliveAt) this.beginRound(at);
  }

  private retry(at: Instant): void {
    const due = this.waiting.filter((ask) => at.now >= ask.retryAt);
    this.waiting = this.waiting.filter((ask) => at.now < ask.retryAt);
    for (const ask of due) ask.retry(at);
  }

  /** Something hints that the pane changed: ask now. */
  askSoon(at: Instant): void {
    this.nextKeepAliveAt = Math.min(this.nextKeepAliveAt, at.now);
  }

  /** Gossip says that a control node lost or found the quorum; nobody signed it, so it counts only now and then. */
  heardOfChange(by: NodeNumber, changedAt: WallMs, at: Instant): boolean {
    const last = this.changes.get(by) ?? Number.NEGATIVE_INFINITY;
    if (changedAt < last + changePeriodMs || changedAt > at.wall + clockSkewMs) return false;
    this.changes.set(by, changedAt);
    // All members hear of it within a moment, and would all ask at once.
    const spreadMs = Math.min(changeSpreadMsMax, this.membership.size / 5);
    this.nextKeepAliveAt = Math.min(this.nextKeepAliveAt, at.now + this.random.next() * spreadMs);
    return true;
  }

  // — keep-alives —

  /** How many times as seldom the members of a large cluster ask, so that they do not bury a pane in trouble. */
  private get crowding(): number {
    return Math.min(crowdingMax, Math.max(1, this.membership.size / 1_000));
  }

  private urgentMs(): number {
    const { crowding } = this;
    return crowding === 1 ? keepAliveUrgentMs : keepAliveUrgentMs * crowding * (0.5 + this.random.next());
  }

  private beginRound(at: Instant): void {
    this.candidates = [...this.rendezvous()];
    this.degradedBy = undefined;
    this.askNext(at);
  }

  /** The live control nodes in the order of their hash with this node, so that the load is even; then the rest. */
  private rendezvous(): readonly NodeNumber[] {
    const { directory, swim } = this.membership;
    const score = (number: NodeNumber): string =>
      Buffer.from(sha256(new ByteWriter().u32(this.self).u32(number).finish())).toString('hex');
    const isSilent = (number: NodeNumber): number => (swim.statusOf(number)?.status === 'alive' ? 0 : 1);
    const numbers = directory.controlNumbers().filter((number) => number !== this.self);
    this.contacts.keep(numbers);
    return numbers
      .map((number) => ({ number, silent: isSilent(number), score: score(number) }))
      .sort((a, b) => a.silent - b.silent || (a.score < b.score ? -1 : 1))
      .map(({ number }) => number);
  }

  private askNext(at: Instant): void {
    const from = this.candidates.shift();
    if (from === undefined) {
      this.endRound(at);
      return;
    }
    const nonce = this.random.below(0x1_0000_0000);
    this.awaited = { nonce, from, until: at.now + keepAliveAnswerMs };
    const { logIndex } = this.membership;
    this.send(from, { kind: 'keep-alive', nonce, logIndex, viewHash: this.membership.viewHash(), load: this.load }, at);
  }

  private onSilence(at: Instant): void {
    if (this.awaited !== undefined) this.contacts.onSilence(this.awaited.from, at);
    this.awaited = undefined;
    this.unansweredSince ??= at.now - keepAliveAnswerMs;
    const silentMs = at.now - this.unansweredSince;
    if (this.allSilent && silentMs >= paneSilenceMs) this.become('no-pane', at.wall - silentMs, at);
    this.askNext(at);
  }

  /** All were asked and none said that it has a quorum. */
  private endRound(at: Instant): void {
    this.allSilent = this.degradedBy === undefined;
    if (this.degradedBy !== undefined) this.become('no-quorum', this.degradedBy.since, at);
    const isGone = this.allSilent && this.view.state === 'no-pane';
    if (isGone) this.askWhy(at);
    // Whether anybody is there wants to be known soon: the answers that are waited for are pause enough.
    this.nextKeepAliveAt = isGone || !this.allSilent ? at.now + this.urgentMs() : at.now;
  }

  /** Packets of a node that was removed are dropped without a word; a stream is refused with the reason. */
  private askWhy(at: Instant): void {
    if (at.now < this.nextWhyAt) return;
    this.nextWhyAt = at.now + askWhyPeriodMs * this.crowding;
    const { directory } = this.membership;
    const isAsked = (number: NodeNumber): boolean => this.notAdmittedBy.has(number);
    const unasked = this.rendezvous().filter((number) => !isAsked(number) && directory.target(number) !== undefined);
    const next = this.contacts.leastExplained(shuffled(unasked, this.random));
    if (next !== undefined) this.pullDigest(next, at);
  }

  onAnswer(from: NodeNumber, answer: KeepAliveAnswer, at: Instant): void {
    if (this.awaited?.nonce !== answer.nonce || this.awaited.from !== from) return;
    this.awaited = undefined;
    this.unansweredSince = undefined;
    this.allSilent = false;
    const { leader } = answer.health;
    this.hear(leader, answer.logIndex, at);
    this.contacts.onAnswer(from, answer.health, at);
    this.notAdmittedBy.clear();
    if (answer.health.state === 'healthy') {
      this.become('healthy', answer.health.since, at);
      // An election is under way: soon there is a leader to know.
      this.nextKeepAliveAt = at.now + (leader === 0 ? this.urgentMs() : keepAlivePeriodMs);
    } else {
      this.degradedBy = { since: answer.health.since };
      this.askNext(at);
    }
    if (answer.charter > this.membership.directory.charter.length) this.onAmended(from, at);
    this.takeOver(from, answer, at);
  }

  /** In place: a control node hears itself at each step. */
  private hear(leader: NodeNumber, logIndex: LogIndex, at: Instant): void {
    this.view.leader = leader;
    this.view.logIndex = logIndex;
    this.view.heardAt = at.wall;
  }

  private become(state: PaneState, since: WallMs, at: Instant): void {
    if (this.view.state === state) return;
    this.view.state = state;
    this.view.since = Math.min(since, at.wall);
    this.membership.swim.setQuorum(state === 'healthy');
    this.outbox.event({ kind: 'pane', state, since: this.view.since });
  }

  /** Takes over what was missed. What a few answers in a row do not mend was missed for good: the digest is pulled. */
  private takeOver(from: NodeNumber, { logIndex, size, changes }: KeepAliveAnswer, at: Instant): void {
    this.membership.setSize(size);
    if (changes === undefined) {
      this.mismatches = 0;
      this.membership.logIndex = Math.max(this.membership.logIndex, logIndex);
      return;
    }
    this.membership.mergeChanges(changes, size, from, at);
    this.mismatches = changes.resync ? this.mismatches + 1 : 0;
    if (this.mismatches >= mismatchesMax) this.pullDigest(from, at);
    else this.nextKeepAliveAt = Math.min(this.nextKeepAliveAt, at.now + this.urgentMs());
  }

  private pullDigest(from: NodeNumber, at: Instant): void {
    const target = this.membership.directory.target(from);
    if (target === undefined || this.pulling) return;
    this.pulling = true;
    const then = (outcome: Outcome<Digest>, later: Instant): void => {
      this.pulling = false;
      this.mismatches = 0;
      this.contacts.onStream(from, outcome, later);
      this.onAdmittance(from, outcome);
      if (outcome.ok) this.membership.mergeDigest(outcome.value, later);
    };
    this.outbox.ask(target, { kind: 'digest', atLeast: 0 }, digest, askAttemptMs, then, at);
  }

  /** One control node may be wrong, or lie; of a majority one is right. */
  private onAdmittance(by: NodeNumber, outcome: Outcome<Digest>): void {
    if (outcome.ok) this.notAdmittedBy.delete(by);
    if (outcome.ok || outcome.error.code !== 'not-admitted') return;
    this.notAdmittedBy.add(by);
    const majority = majorityOf(this.membership.directory.controlNumbers().length);
    if (this.notAdmittedBy.size >= majority) this.outbox.event({ kind: 'removed-me' });
  }

  /** This node believes something that the pane refuses: it takes over what the pane says. */
  refresh(at: Instant): void {
    this.nextWhyAt = at.now;
    this.askWhy(at);
  }

  // — requests —

  /** Asks control nodes in turn until one decides, refuses for good, or patience ends. */
  ask<T>(
    request: PeerRequest,
    answer: Codec<T>,
    then: (outcome: Outcome<T>, at: Instant) => void,
    at: Instant,
    { attemptMs, patienceMs }: AskPatience = askPatience,
  ): void {
    const deadline = at.now + patienceMs;
    this.attempt({ request, answer, then, deadline, attemptMs, isOpen: false }, this.askOrder(), at);
  }

  /** The leader first, when it is known; then the others that live, then the rest. */
  private askOrder(): NodeNumber[] {
    const { directory, swim } = this.membership;
    const others = directory.controlNumbers().filter((number) => number !== this.self);
    const rank = (number: NodeNumber): number =>
      number === this.view.leader ? 0 : swim.statusOf(number)?.status === 'alive' ? 1 : 2;
    return shuffled(others, this.random).sort((a, b) => rank(a) - rank(b));
  }

  private attempt<T>(asking: Asking<T>, order: NodeNumber[], at: Instant): void {
    const targets = order.map((number) => this.membership.directory.target(number));
    const first = targets.findIndex((each) => each !== undefined);
    const target = targets[first];
    const left = asking.deadline - at.now;
    if (left <= 0 || this.isForItself(asking)) asking.then({ ok: false, error: this.endOf(asking) }, at);
    else if (target === undefined) {
      const retry = (later: Instant): void => this.attempt(asking, this.askOrder(), later);
      this.waiting.push({ retryAt: at.now + askPauseMs, retry });
    } else {
      const { request, answer, attemptMs } = asking;
      const rest = order.slice(first + 1);
      const onOutcome = (outcome: Outcome<T>, later: Instant): void => this.onOutcome(asking, outcome, rest, later);
      this.outbox.ask(target, request, answer, Math.min(left, attemptMs), onOutcome, at);
    }
  }

  /** Meanwhile this node was elected: whoever asks turns to it. */
  private isForItself({ request }: Pick<Asking<unknown>, 'request'>): boolean {
    return this.leads() && (request.kind === 'ask-pane' || request.kind === 'read-index');
  }

  private endOf(asking: Pick<Asking<unknown>, 'request' | 'isOpen'>): HivemindError {
    if (asking.isOpen) return unknownOutcome();
    return this.isForItself(asking) ? leadingItself() : this.giveUp();
  }

  private onOutcome<T>(asking: Asking<T>, outcome: Outcome<T>, rest: NodeNumber[], at: Instant): void {
    const { request, then } = asking;
    asking.isOpen ||= mayBeDecided(request, outcome);
    const isPassing = !outcome.ok && passing.has(outcome.error.code);
    if (isPassing && (mayRepeat(request) || !asking.isOpen)) this.attempt(asking, rest, at);
    else then(asking.isOpen && !settles(outcome) ? { ok: false, error: unknownOutcome() } : outcome, at);
  }

  private giveUp(): HivemindError {
    if (this.view.state !== 'no-pane') return noQuorum();
    return new HivemindError('no-quorum', 'No control node answers; check that they run and can be reached.');
  }
}
