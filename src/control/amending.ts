/**
 * Amending the charter: who the control nodes are, and the epoch. Two entries, as for an admission: the first says what
 * is to be signed, the second brings the signatures of a majority of those who are in force before it.
 */
import { assembleCertificate, majorityOf, type Share, verifyShare } from '../certificate/certificate.ts';
import { amendmentsMax } from '../certificate/charter.ts';
import { controlNodesMax } from '../certificate/genesis.ts';
import type { Amendment } from '../certificate/statement.ts';
import { sha256 } from '../crypto.ts';
import type { NodeNumber } from '../identity.ts';
import { type ControlState, controlRole, type PendingAmendment } from './control-state.ts';
import { encodeNumbers, numbersMax } from './number-set.ts';
import type { Refusal } from './refusal.ts';

/** What a majority did not sign in this time is given up, by the time of the log. */
export const amendmentLifeMs = 60_000;

/** What is asked for: these control nodes from now on, or the next epoch. */
export type CharterChange =
  /** `base`: the amendments that the asker knew of, so that two who ask at once do not undo each other. */
  | { readonly kind: 'control-set'; readonly numbers: readonly NodeNumber[]; readonly base: number }
  | { readonly kind: 'epoch' };

/** Amendments that are kept for changes of the control set, when epochs have taken all others, … */
export const amendmentsReserve = 64;
/** … and those that are kept for recoveries. */
export const recoveriesReserve = 8;
/** The next epoch begins by itself when so many removed numbers are remembered by everybody, … */
export const epochRemovedMax = 1_000;
/** … or so many entries were decided in this one, … */
export const epochEntriesMax = 1_000_000;
/** … but never sooner after the one before than this, so that the charter lasts for ten years, … */
export const epochAgeMsMin: number = 8 * 86_400_000;
/** … unless so many removed numbers are remembered that there is soon no room for joins; nor with nothing to forget; */
export const epochRemovedUrgent: number = numbersMax / 2;
/** … or it is so old, by the time of the log, and there is anything to forget. */
export const epochAgeMsMax: number = 30 * 86_400_000;

/** Whether it is time for the next epoch. */
export function isEpochDue({ removed, epochSince, appliedIndex, at }: ControlState): boolean {
  if (removed.size >= epochRemovedUrgent) return true;
  if (removed.size === 0 || at - epochSince.at < epochAgeMsMin) return false;
  if (removed.size >= epochRemovedMax || appliedIndex - epochSince.index >= epochEntriesMax) return true;
  return at - epochSince.at >= epochAgeMsMax;
}

/** Why a change cannot be, or nothing. The pane asks before it proposes, too. */
export function judgeChange(state: ControlState, change: CharterChange): Refusal | undefined {
  if (state.amending !== undefined) {
    return { code: 'busy', sentence: 'The charter is being amended already; ask again in a moment.' };
  }
  const reserve = change.kind === 'epoch' ? amendmentsReserve : recoveriesReserve;
  if (state.charter.length >= amendmentsMax - reserve) {
    return { code: 'refused', sentence: `The charter has ${state.charter.length} amendments, the most that it takes.` };
  }
  if (change.kind === 'epoch') return undefined;
  if (change.base === state.charter.length) return judgeControlSet(state, change.numbers);
  return {
    code: 'refused',
    sentence: 'The charter has changed meanwhile; look at `hivemind control ls`, and ask again.',
  };
}

function judgeControlSet(state: ControlState, numbers: readonly NodeNumber[]): Refusal | undefined {
  const refused = (sentence: string): Refusal => ({ code: 'refused', sentence });
  const isAscending = numbers.every((number, at) => number > (numbers[at - 1] ?? 0));
  if (numbers.length < 1 || numbers.length > controlNodesMax || !isAscending) {
    return refused(`A cluster has 1 to ${controlNodesMax} control nodes, each counted once.`);
  }
  if (numbers.join() === state.controlNumbers.join()) return refused('These are the control nodes already.');
  for (const number of numbers) {
    const member = state.members.get(number);
    if (member === undefined) return refused(`There is no member #${number}; \`hivemind members\` lists them.`);
    if (!member.roles.includes(controlRole)) {
      return refused(`${member.name} has not the role control; let a node join with --role control for it.`);
    }
    if (member.status === 'down' && !state.isControl(number)) {
      return refused(`${member.name} is down; promote it when it is back.`);
    }
  }
  const alive = numbers.filter((number) => state.members.get(number)?.status === 'alive').length;
  if (alive >= majorityOf(numbers.length)) return undefined;
  return refused(
    `Of these ${numbers.length} control nodes ${alive} would be alive, and ${majorityOf(numbers.length)} are needed ` +
      'to decide anything; take down ones out, or wait until they are back.',
  );
}

/** What the control nodes are to sign for it: the same on each of them. */
export function amendmentFor(state: ControlState, change: CharterChange): PendingAmendment {
  const { charter, nextNumber, at: since } = state;
  const place = { ...charter.next(), nextNumber };
  if (change.kind === 'control-set') {
    const nodes = change.numbers.flatMap((number) => state.members.get(number) ?? []);
    const keys = nodes.map(({ number, name, signingKey, exchangeKey }) => ({ number, name, signingKey, exchangeKey }));
    const statement = { kind: 'control-set', ...place, epoch: charter.epoch, nodes: keys } as const;
    return { statement, members: new Uint8Array(0), since };
  }
  // Who is about to be admitted under the old epoch belongs to the new one, too.
  const numbers = [...state.members.keys(), ...state.pending.keys()].sort((a, b) => a - b);
  const members = encodeNumbers(numbers);
  const epoch = charter.epoch + 1;
  const statement = { kind: 'epoch', ...place, epoch, membersHash: sha256(members), at: since } as const;
  return { statement, members, since };
}

/** The certificate out of right shares of different signers; nothing unless a majority of the set in force signed. */
export function certifyAmendment(
  state: ControlState,
  statement: Amendment,
  shares: readonly Share[],
): Uint8Array | undefined {
  const set = state.charter.controlSet;
  const signers = new Set(shares.filter((share) => verifyShare(share, statement, set)).map(({ signer }) => signer));
  const majority = majorityOf(set.signingKeys.size);
  if (signers.size < shares.length || signers.size < majority) return undefined;
  return assembleCertificate(statement, shares.slice(0, majority)).bytes;
}
