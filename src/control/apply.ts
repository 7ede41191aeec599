/**
 * Applies one entry of the event log to the replicated state. A command that does not fit the state is a no-op
 * on every control node alike, and says why to whoever asked for it.
 */
import { unreachable } from '../assert.ts';
import { toHex } from '../bytes.ts';
import { assembleCertificate, majorityOf, type Share, verifyShare } from '../certificate/certificate.ts';
import { type JoinRequest, verifyJoinRequest } from '../certificate/join-request.ts';
import type { Amendment, MemberStatement } from '../certificate/statement.ts';
import type { LogIndex, NodeNumber, WallMs } from '../identity.ts';
import { admissionLifeMs, admitStatement, judgeJoin, tokensMax } from './admission-policy.ts';
import { type AdmittedMember, admittedMember, convicted, returned } from './admitted-member.ts';
import { amendmentFor, amendmentLifeMs, certifyAmendment, judgeChange } from './amending.ts';
import {
  type BeginAdmission,
  type BeginAmendment,
  type BeginRemoval,
  type Command,
  type CompleteAdmission,
  type CompleteAmendment,
  type CompleteRemoval,
  type Convict,
  type CreateToken,
  featureLevelMax,
  featureLevelOf,
  type Note,
  type RaiseFeatureLevel,
  type ReleaseBrake,
  type Return,
  type RevokeToken,
  type WithdrawAdmission,
} from './command.ts';
import type { ControlState } from './control-state.ts';
import { keptTogether } from './kept-bytes.ts';
import type { Refusal } from './refusal.ts';

/** An operator who released the brake looks again after an hour at the latest. */
export const brakeReleaseMsMax = 3_600_000;

/** What an entry changed, for those who act on it. */
export type ControlEvent =
  /** Everyone who can sign should. */
  | { readonly kind: 'signatures-wanted'; readonly statement: MemberStatement }
  | { readonly kind: 'admitted'; readonly member: AdmittedMember }
  | { readonly kind: 'withdrawn'; readonly number: NodeNumber }
  /** It does not belong any more; the certificate follows. */
  | { readonly kind: 'removing'; readonly member: AdmittedMember }
  | { readonly kind: 'removed'; readonly number: NodeNumber; readonly certificate: Uint8Array }
  | { readonly kind: 'convicted'; readonly member: AdmittedMember }
  | { readonly kind: 'returned'; readonly member: AdmittedMember }
  | { readonly kind: 'brake-released'; readonly until: WallMs }
  /** Everyone who can sign should: the charter is to be amended so. */
  | { readonly kind: 'amendment-wanted'; readonly statement: Amendment }
  /** The charter says so from here on; `members` are the numbers that go on belonging where the epoch is a new one. */
  | { readonly kind: 'amended'; readonly amendment: Uint8Array; readonly members: Uint8Array }
  | { readonly kind: 'amendment-withdrawn' }
  | { readonly kind: 'token-changed' }
  | { readonly kind: 'feature-level'; readonly level: number };

export type Applied =
  | { readonly kind: 'changed'; readonly events: readonly ControlEvent[] }
  /** A session's command that the entry `index` applied already: it was sent again, and changed nothing. */
  | { readonly kind: 'repeated'; readonly index: LogIndex }
  | { readonly kind: 'ignored'; readonly refusal: Refusal };

const changed = (...events: readonly ControlEvent[]): Applied => ({ kind: 'changed', events });

function ignored(code: Refusal['code'], sentence: string): Applied {
  return { kind: 'ignored', refusal: { code, sentence } };
}

/** An entry without a command: a leader's first one. */
export function applyNothing(state: ControlState, index: LogIndex): void {
  state.appliedIndex = index;
}

export function applyCommand(state: ControlState, index: LogIndex, command: Command): Applied {
  state.appliedIndex = index;
  state.at = Math.max(state.at, command.at);
  if (featureLevelOf[command.kind] > state.featureLevel) {
    return ignored(
      'refused',
      `Entries of kind ${command.kind} come with a later feature level; upgrade all control nodes.`,
    );
  }
  switch (command.kind) {
    case 'raise-feature-level':
      return onRaiseFeatureLevel(state, command);
    case 'create-token':
      return onCreateToken(state, command);
    case 'revoke-token':
      return onRevokeToken(state, command);
    case 'begin-admission':
      return onBeginAdmission(state, command);
    case 'complete-admission':
      return onCompleteAdmission(state, index, command);
    case 'withdraw-admission':
      return onWithdrawAdmission(state, command);
    case 'begin-removal':
      return onBeginRemoval(state, command);
    case 'complete-removal':
      return onCompleteRemoval(state, command);
    case 'convict':
      return onConvict(state, command);
    case 'return':
      return onReturn(state, command);
    case 'release-brake':
      return onReleaseBrake(state, command);
    case 'begin-amendment':
      return onBeginAmendment(state, command);
    case 'complete-amendment':
      return onCompleteAmendment(state, command);
    case 'withdraw-amendment':
      return onWithdrawAmendment(state);
    case 'note':
      return onNote(state, index, command);
    default:
      return unreachable(command);
  }
}

function onRaiseFeatureLevel(state: ControlState, command: RaiseFeatureLevel): Applied {
  if (command.level !== state.featureLevel + 1 || command.level > featureLevelMax) {
    return ignored('refused', `The feature level is ${state.featureLevel} and rises one at a time.`);
  }
  state.featureLevel = command.level;
  return changed({ kind: 'feature-level', level: command.level });
}

function onCreateToken(state: ControlState, command: CreateToken): Applied {
  if (state.tokens.has(toHex(command.publicKey))) return ignored('refused', 'This token is known already.');
  if (state.tokens.size >= tokensMax) dropExpiredTokens(state);
  if (state.tokens.size >= tokensMax) {
    return ignored('refused', `There are ${tokensMax} tokens that still admit nodes; wait until some expire.`);
  }
  const { publicKey, roles, notAfter, usesMax } = command;
  state.tokens.set(toHex(publicKey), { publicKey, roles, notAfter, usesMax, uses: 0 });
  return changed({ kind: 'token-changed' });
}

function dropExpiredTokens(state: ControlState): void {
  for (const [key, { notAfter }] of state.tokens) if (notAfter < state.at) state.tokens.delete(key);
}

function onRevokeToken(state: ControlState, command: RevokeToken): Applied {
  if (!state.tokens.delete(toHex(command.publicKey))) return ignored('not-found', 'There is no such token.');
  return changed({ kind: 'token-changed' });
}

function onBeginAdmission(state: ControlState, command: BeginAdmission): Applied {
  const request = verifyJoinRequest(command.request, state.genesis.cluster, state.genesisHash);
  if (request === undefined) return ignored('refused', 'The join request is not signed by its keys.');
  if (state.memberByKey(request.signingKey) !== undefined || state.pendingByKey(request.signingKey) !== undefined) {
    return ignored('refused', 'This key is admitted already; ask again to get its certificate.');
  }
  const refusal = judgeJoin(state, request, command.at);
  if (refusal !== undefined) return { kind: 'ignored', refusal };
  countTokenUse(state, request.tokenKey, 1);
  const number = state.nextNumber++;
  const statement = admitStatement(state, request, number, command.at);
  state.putPending({ statement, request, since: state.at });
  return changed({ kind: 'signatures-wanted', statement });
}

function onCompleteAdmission(state: ControlState, index: LogIndex, command: CompleteAdmission): Applied {
  const admission = state.pending.get(command.number);
  if (admission === undefined) return ignored('not-found', 'There is no such admission.');
  const certificate = certify(state, admission.statement, command.shares);
  if (certificate === undefined) return ignored('refused', 'A majority of control nodes has not signed.');
  state.dropPending(command.number);
  const { statement, request } = admission;
  const member = admittedMember(statement, { certificate, locator: request.locator.bytes }, index, state.at);
  state.putMember(member);
  state.declare(request.roles);
  return changed({ kind: 'admitted', member });
}

function onWithdrawAdmission(state: ControlState, command: WithdrawAdmission): Applied {
  const admission = state.pending.get(command.number);
  if (admission === undefined) return ignored('not-found', 'There is no such admission.');
  if (state.at < admission.since + admissionLifeMs) return ignored('refused', 'The admission still has time.');
  state.dropPending(command.number);
  countTokenUse(state, admission.request.tokenKey, -1);
  return changed({ kind: 'withdrawn', number: command.number });
}

function onBeginRemoval(state: ControlState, command: BeginRemoval): Applied {
  const member = state.members.get(command.number);
  if (member === undefined) return ignored('not-found', 'There is no such member; `hivemind members` lists them.');
  if (state.isControl(command.number)) {
    return ignored('refused', `${member.name} is a control node; take it out of the control set first.`);
  }
  if (isBeingPromoted(state, command.number)) {
    return ignored('busy', `${member.name} is about to become a control node; ask again in a moment.`);
  }
  if (command.reason === 'reaped' && member.status !== 'down') {
    return ignored('refused', `${member.name} has come back meanwhile.`);
  }
  const { cluster, index } = state.charter.controlSet;
  const { number, reason } = command;
  const statement = { kind: 'remove', cluster, epoch: state.epoch, controlSet: index, number, reason } as const;
  state.dropMember(number);
  state.removed.set(number, { statement, certificate: undefined });
  return changed({ kind: 'removing', member }, { kind: 'signatures-wanted', statement });
}

function isBeingPromoted({ amending }: ControlState, number: NodeNumber): boolean {
  const statement = amending?.statement;
  return statement?.kind === 'control-set' && statement.nodes.some((node) => node.number === number);
}

function onCompleteRemoval(state: ControlState, command: CompleteRemoval): Applied {
  const removal = state.removed.get(command.number);
  if (removal === undefined || removal.certificate !== undefined) return ignored('not-found', 'No such removal.');
  const signed = certify(state, removal.statement, command.shares);
  if (signed === undefined) return ignored('refused', 'A majority of control nodes has not signed.');
  const [certificate] = keptTogether(signed);
  state.removed.set(command.number, { statement: removal.statement, certificate });
  return changed({ kind: 'removed', number: command.number, certificate });
}

function onConvict(state: ControlState, command: Convict): Applied {
  const events: ControlEvent[] = [];
  for (const { number, incarnation } of command.subjects) {
    const member = state.members.get(number);
    if (member === undefined || member.status === 'down' || member.incarnation !== incarnation) continue;
    const down = convicted(member, state.at);
    state.putMember(down);
    events.push({ kind: 'convicted', member: down });
  }
  return events.length > 0 ? changed(...events) : ignored('refused', 'None of them is alive at that incarnation.');
}

function onReturn(state: ControlState, command: Return): Applied {
  const member = state.members.get(command.number);
  if (member === undefined) return ignored('not-found', 'There is no such member.');
  if (member.status !== 'down' || command.incarnation !== member.incarnation + 1) {
    return ignored('refused', 'Only a member that is down returns, at its next incarnation.');
  }
  const back = returned(member, command.incarnation, state.at);
  state.putMember(back);
  return changed({ kind: 'returned', member: back });
}

function onBeginAmendment(state: ControlState, { change }: BeginAmendment): Applied {
  const refusal = judgeChange(state, change);
  if (refusal !== undefined) return { kind: 'ignored', refusal };
  state.amending = amendmentFor(state, change);
  return changed({ kind: 'amendment-wanted', statement: state.amending.statement });
}

/** With a new epoch, what was removed before it is forgotten: those numbers are not among the ones that go on. */
function onCompleteAmendment(state: ControlState, { shares }: CompleteAmendment): Applied {
  const { amending } = state;
  if (amending === undefined) return ignored('not-found', 'The charter is not being amended.');
  const amendment = certifyAmendment(state, amending.statement, shares);
  if (amendment === undefined) return ignored('refused', 'A majority of control nodes has not signed.');
  state.amending = undefined;
  if (state.charter.amend(amendment) !== 'amended') return changed({ kind: 'amendment-withdrawn' });
  if (amending.statement.kind === 'epoch') {
    state.epochSince = { index: state.appliedIndex, at: state.at, members: amending.members };
    state.forgetRemoved(amending.members);
  }
  return changed({ kind: 'amended', amendment, members: amending.members });
}

function onWithdrawAmendment(state: ControlState): Applied {
  const { amending } = state;
  if (amending === undefined) return ignored('not-found', 'The charter is not being amended.');
  if (state.at < amending.since + amendmentLifeMs) return ignored('refused', 'The amendment still has time.');
  state.amending = undefined;
  return changed({ kind: 'amendment-withdrawn' });
}

function onReleaseBrake(state: ControlState, { until }: ReleaseBrake): Applied {
  if (until <= state.at || until > state.at + brakeReleaseMsMax) {
    return ignored('refused', 'The brake is released for a time in the future, for one hour at most.');
  }
  state.brakeReleasedUntil = until;
  return changed({ kind: 'brake-released', until });
}

function onNote(state: ControlState, index: LogIndex, note: Note): Applied {
  const standing = state.sessions.judge(note, index);
  if (standing.kind === 'repeated') return standing;
  if (standing.kind === 'refused') return { kind: 'ignored', refusal: standing.refusal };
  state.sessions.settle(note, index);
  return changed();
}

export function countTokenUse(state: ControlState, publicKey: Uint8Array, by: number): void {
  const key = toHex(publicKey);
  const token = state.tokens.get(key);
  if (token !== undefined) state.tokens.set(key, { ...token, uses: Math.max(0, token.uses + by) });
}

/** The certificate out of right shares of different signers; a majority of them, so that it stays small. */
function certify(state: ControlState, statement: MemberStatement, shares: readonly Share[]): Uint8Array | undefined {
  // The set that was asked to sign; another one may be in force by now.
  const set = state.charter.setAt(statement.controlSet);
  if (set === undefined) return undefined;
  const signers = new Set(shares.filter((share) => verifyShare(share, statement, set)).map((share) => share.signer));
  const majority = majorityOf(set.signingKeys.size);
  if (signers.size < shares.length || signers.size < majority) return undefined;
  return assembleCertificate(statement, shares.slice(0, majority)).bytes;
}

/** Whether a member that asks again asks for what it has: then it gets the same certificate once more. */
export function isSameWish(member: AdmittedMember, request: JoinRequest): boolean {
  return member.name === request.name && member.roles.join() === request.roles.map((role) => role.name).join();
}
