/**
 * How the leader admits: it judges the request, dials the joiner back, has the log begin the admission, and keeps
 * the joiner waiting until a majority has signed.
 */
import { type JoinRequest, verifyJoinRequest } from '../../certificate/join-request.ts';
import { judgeJoin } from '../../control/admission-policy.ts';
import { isSameWish } from '../../control/apply.ts';
import type { Command } from '../../control/command.ts';
import type { AdmittedMember, ControlState } from '../../control/control-state.ts';
import { HivemindError } from '../../error.ts';
import { endpointText, type MonotonicMs, type NodeNumber } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import { type Admission, reached } from '../../wire/peer-message.ts';
import type { Outbox, Outcome } from '../outbox.ts';
import { noQuorum } from '../pane-refusal.ts';
import type { DecisionLog, Verdict } from './decision-log.ts';
import { refusalOf, type Then } from './pane-reply.ts';
import type { Views } from './views.ts';

/** Joiners that wait for their certificate; one more is refused as busy. */
export const joinersMax = 1_024;
/** A joiner hears by then how it went, or asks again; below its own limit for an answer. */
export const admissionAnswerMs = 8_000;
/** A joiner that does not answer at its own address for so long is refused. */
const dialBackMs = 3_000;

interface Joiner {
  readonly then: Then<Admission>;
  readonly until: MonotonicMs;
}

export class Admissions {
  private readonly log: DecisionLog;
  private readonly views: Views;
  private readonly outbox: Outbox;
  private readonly joiners = new Map<NodeNumber, Joiner[]>();

  constructor(log: DecisionLog, views: Views, outbox: Outbox) {
    this.log = log;
    this.views = views;
    this.outbox = outbox;
  }

  /** Judges a request and admits, as the leader. */
  join(bytes: Uint8Array, isDegraded: boolean, then: Then<Admission>, at: Instant): void {
    const { genesis, genesisHash } = this.state;
    const request = verifyJoinRequest(bytes, genesis.cluster, genesisHash);
    if (request === undefined) {
      const sentence = 'The join request is not signed by its node and its token for this cluster; check the token.';
      then({ ok: false, error: new HivemindError('token-invalid', sentence) }, at);
      return;
    }
    const member = this.state.memberByKey(request.signingKey);
    if (member !== undefined) this.answerMember(member, request, then, at);
    else if (isDegraded) then({ ok: false, error: noQuorum() }, at);
    else this.beginAdmission(request, then, at);
  }

  /** Who asks again gets the same again: a lost answer must not burn a token. */
  private answerMember(member: AdmittedMember, request: JoinRequest, then: Then<Admission>, at: Instant): void {
    if (member.certificate !== undefined && isSameWish(member, request)) {
      then({ ok: true, value: this.admissionOf(member.number, member.certificate) }, at);
      return;
    }
    const roles = member.roles.join(', ');
    const sentence = `This key belongs to ${member.name} with the roles ${roles}; leave first to join otherwise.`;
    then({ ok: false, error: new HivemindError('join-refused', sentence) }, at);
  }

  private beginAdmission(request: JoinRequest, then: Then<Admission>, at: Instant): void {
    const pending = this.state.pendingByKey(request.signingKey);
    if (pending !== undefined) {
      this.await(pending.statement.number, then, at);
      return;
    }
    const refusal = judgeJoin(this.state, request, at.wall);
    if (refusal !== undefined) {
      then({ ok: false, error: new HivemindError(refusal.code, refusal.sentence) }, at);
      return;
    }
    this.dialBack(request, then, at);
  }

  /** Nobody is admitted whom nobody could reach: the joiner's own address is tried first. */
  private dialBack(request: JoinRequest, then: Then<Admission>, at: Instant): void {
    const { endpoints } = request.locator;
    const target = { endpoints, number: 0, publicKey: request.signingKey };
    const onOutcome = (outcome: Outcome<object>, later: Instant): void => {
      if (outcome.ok) {
        const command: Command = { kind: 'begin-admission', at: later.wall, request: request.bytes };
        this.log.propose(command, (verdict, last) => this.onAdmissionBegun(request, verdict, then, last), later);
        return;
      }
      if (outcome.error.code === 'busy') {
        then({ ok: false, error: outcome.error }, later);
        return;
      }
      const where = endpoints.map(endpointText).join(' or ');
      const sentence = `The control pane cannot reach this node at ${where} by TCP; `;
      const remedy = 'open that port, or name the right address with --advertise or advertise:.';
      then({ ok: false, error: new HivemindError('join-refused', sentence + remedy, outcome.error) }, later);
    };
    this.outbox.ask(target, { kind: 'reach' }, reached, dialBackMs, onOutcome, at);
  }

  private onAdmissionBegun(request: JoinRequest, verdict: Verdict, then: Then<Admission>, at: Instant): void {
    const pending = this.state.pendingByKey(request.signingKey);
    const member = this.state.memberByKey(request.signingKey);
    if (pending !== undefined) this.await(pending.statement.number, then, at);
    // It asked twice, and the other request was the faster one.
    else if (member !== undefined) this.answerMember(member, request, then, at);
    else then({ ok: false, error: verdict.ok ? refusalOf(verdict.applied) : verdict.error }, at);
  }

  private await(number: NodeNumber, then: Then<Admission>, at: Instant): void {
    const waiting = this.joiners.get(number) ?? [];
    if (this.joiners.size >= joinersMax || waiting.length >= joinersMax) {
      then({ ok: false, error: new HivemindError('busy', 'Too many nodes are joining; try again in a moment.') }, at);
      return;
    }
    this.setJoiners(number, [...waiting, { then, until: at.now + admissionAnswerMs }]);
  }

  private setJoiners(number: NodeNumber, waiting: Joiner[]): void {
    if (waiting.length > 0) this.joiners.set(number, waiting);
    else this.joiners.delete(number);
  }

  private admissionOf(number: NodeNumber, certificate: Uint8Array): Admission {
    return { certificate, digest: this.views.digestFor(number) };
  }

  /** A majority signed: whoever waited for this number gets its certificate. */
  onAdmitted(number: NodeNumber, certificate: Uint8Array, at: Instant): void {
    const waiting = this.joiners.get(number) ?? [];
    if (waiting.length === 0) return;
    const admission = this.admissionOf(number, certificate);
    for (const joiner of waiting) joiner.then({ ok: true, value: admission }, at);
    this.joiners.delete(number);
  }

  /** Tells those who waited long enough; they ask again. */
  expire(at: Instant): void {
    for (const [number, waiting] of this.joiners) {
      const late = waiting.filter((joiner) => at.now >= joiner.until);
      for (const joiner of late) joiner.then({ ok: false, error: noQuorum() }, at);
      this.setJoiners(
        number,
        waiting.filter((joiner) => at.now < joiner.until),
      );
    }
  }

  private get state(): ControlState {
    return this.log.state;
  }
}
