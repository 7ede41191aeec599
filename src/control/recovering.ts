/**
 * What a recovery makes of the replicated state of the node that goes on: pure, and done while no agent runs. It does
 * what the log would do, if anybody could still write to it.
 */
import { equalBytes } from '../bytes.ts';
import { amendmentsMax, type Charter } from '../certificate/charter.ts';
import type { ControlNode } from '../certificate/genesis.ts';
import { numbersSkipped, type RecoveryStatement, resumedIndex, verifyRecovery } from '../certificate/recovery.ts';
import { sha256 } from '../crypto.ts';
import { type LogIndex, type NodeNumber, nodeNumberMax, type WallMs } from '../identity.ts';
import { newcomer, returned } from './admitted-member.ts';
import { countTokenUse } from './apply.ts';
import { type AdmittedMember, type ControlState, controlRole } from './control-state.ts';
import { decodeNumbers, encodeNumbers, numbersMax } from './number-set.ts';
import type { Refusal } from './refusal.ts';

/** What a node knows of the charter: amendments in order, and who belonged, encoded, when the last epoch began. */
export interface HeardCharter {
  readonly amendments: readonly Uint8Array[];
  readonly members: Uint8Array;
}

/**
 * Takes over amendments that the log of `state` does not hold, and what follows from them: the numbers given out since,
 * and who does not belong any more. The others go by them, and a recovery in the place of one of them would be another
 * charter.
 */
export function heed(state: ControlState, { amendments, members }: HeardCharter): void {
  const { charter } = state;
  for (const amendment of amendments) charter.amend(amendment);
  state.nextNumber = Math.max(state.nextNumber, charter.nextNumber);
  const { epochStatement, lastRecovery } = charter;
  if (epochStatement === undefined) return;
  state.at = Math.max(state.at, epochStatement.at);
  if (!equalBytes(sha256(members), epochStatement.membersHash)) return;
  const belonging = new Set(decodeNumbers(members, numbersMax));
  const isOut = (number: NodeNumber): boolean => number < epochStatement.nextNumber && !belonging.has(number);
  for (const number of [...state.members.keys()]) if (isOut(number)) state.dropMember(number);
  // Who went on then is the one to be given up now, and to be named.
  if (lastRecovery !== undefined && state.isControl(lastRecovery.node.number)) seat(state, lastRecovery);
}

export interface RecoveryWish {
  /** Who goes on: the member that has its key, or else a new one. */
  readonly node: Omit<ControlNode, 'number'>;
  /** Names of other control nodes that live, and remain members. All others are given up. */
  readonly keep: readonly string[];
  /** Of the last entry that is in the state, and the hash chain up to it. */
  readonly lastIndex: LogIndex;
  readonly lastChain: Uint8Array;
  readonly at: WallMs;
}

export interface RecoveryPlan {
  /** To be signed by the recovery key and by the node. */
  readonly statement: RecoveryStatement;
  /** The numbers that go on belonging, encoded. */
  readonly members: Uint8Array;
  /** Control nodes that do not. */
  readonly givenUp: readonly AdmittedMember[];
  /** Control nodes that do, without a vote until they are promoted. */
  readonly kept: readonly AdmittedMember[];
}

/** What is to be signed, or why it cannot be. It changes nothing. */
export function planRecovery(state: ControlState, wish: RecoveryWish): RecoveryPlan | Refusal {
  const { charter } = state;
  const survivor = state.memberByKey(wish.node.signingKey);
  const others = state.controlNumbers
    .filter((number) => number !== survivor?.number)
    .flatMap((number) => state.members.get(number) ?? []);
  const givenUp = others.filter(({ name }) => !wish.keep.includes(name));
  const refusal = judge(state, wish, survivor, others);
  if (refusal !== undefined) return refusal;
  const nextNumber = state.nextNumber + numbersSkipped;
  const gone = new Set(givenUp.map(({ number }) => number));
  const numbers = [...state.members.keys()].filter((number) => !gone.has(number)).sort((a, b) => a - b);
  const members = encodeNumbers(numbers);
  const statement: RecoveryStatement = {
    kind: 'recovery',
    ...charter.next(),
    epoch: charter.epoch + 1,
    nextNumber,
    membersHash: sha256(members),
    at: Math.max(state.at, wish.at),
    lastIndex: Math.max(wish.lastIndex, resumedAt(charter)),
    lastChain: wish.lastChain,
    node: { ...wish.node, number: survivor?.number ?? nextNumber },
  };
  return { statement, members, givenUp, kept: others.filter((other) => !givenUp.includes(other)) };
}

function judge(
  state: ControlState,
  { node, keep }: RecoveryWish,
  survivor: AdmittedMember | undefined,
  others: readonly AdmittedMember[],
): Refusal | undefined {
  const refused = (sentence: string): Refusal => ({ code: 'refused', sentence });
  // One that was kept before has no vote any more: a recovery may be done again, word for word.
  const stranger = keep.find((name) => {
    const other = state.memberByName(name);
    return other === undefined || other === survivor || !other.roles.includes(controlRole);
  });
  if (stranger !== undefined) {
    const names = others.map(({ name }) => name).join(', ') || 'none';
    return refused(`${stranger} is not among the other control nodes (${names}); correct --keep.`);
  }
  if (survivor !== undefined && !survivor.roles.includes(controlRole)) {
    return refused(`${survivor.name} is no control node and keeps no event log; recover on one that does.`);
  }
  const holder = state.memberByName(node.name);
  const isFree = holder === undefined || holder === survivor || (others.includes(holder) && !keep.includes(node.name));
  if (!isFree) {
    return { code: 'name-taken', sentence: `The name ${node.name} is a living member's; choose another with --name.` };
  }
  if (state.charter.length >= amendmentsMax) {
    return refused(`The charter has ${amendmentsMax} amendments, the most that it takes; found a new cluster.`);
  }
  if (state.nextNumber + numbersSkipped >= nodeNumberMax) return refused('No numbers are left; found a new cluster.');
  return undefined;
}

/**
 * Changes the state to the one from the recovery on, once that is signed. False, and nothing is changed, unless it is
 * what was planned, rightly signed, and the next amendment of this state's charter.
 */
export function recover(state: ControlState, { members, givenUp }: RecoveryPlan, signed: Uint8Array): boolean {
  const statement = verifyRecovery(signed, state.genesis)?.statement;
  if (statement === undefined || !equalBytes(statement.membersHash, sha256(members))) return false;
  if (state.charter.amend(signed) !== 'amended') return false;
  const index = resumedIndex(statement);
  state.appliedIndex = index;
  state.at = statement.at;
  state.nextNumber = statement.nextNumber;
  abandon(state);
  for (const { number } of givenUp) state.dropMember(number);
  seat(state, statement);
  state.epochSince = { index, at: state.at, members };
  // Nobody's knowledge of the old log says what it lacks of this one.
  state.changes.forgetTo(index);
  return true;
}

/** What the lost set had begun to sign it can complete no more. Who was about to be admitted asks again. */
function abandon(state: ControlState): void {
  for (const [number, { request }] of [...state.pending]) {
    state.dropPending(number);
    countTokenUse(state, request.tokenKey, -1);
  }
  state.amending = undefined;
  // Removed numbers are known by not being among those that go on belonging.
  state.removed.clear();
}

/** A log from before a recovery that was only heard of ends where that one's goes on: whoever followed it is there. */
function resumedAt({ lastRecovery }: Charter): LogIndex {
  return lastRecovery === undefined ? 0 : resumedIndex(lastRecovery);
}

/** The node that goes on is alive, whatever the lost ones held it for. */
function seat(state: ControlState, { node, at }: RecoveryStatement): void {
  const member = state.members.get(node.number);
  if (member?.status === 'down') state.putMember(returned(member, member.incarnation + 1, at));
  if (member !== undefined) return;
  const { number, name, signingKey, exchangeKey } = node;
  const papers = { roles: [controlRole], certificate: undefined, locator: undefined };
  const joinedAt = state.appliedIndex;
  state.putMember({ number, name, signingKey, exchangeKey, ...papers, joinedAt, ...newcomer(at) });
  state.nextNumber = Math.max(state.nextNumber, number + 1);
}
