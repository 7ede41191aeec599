/** A member as the log has it: what was certified for good, and how it stands with the pane now. */
import type { AdmitStatement } from '../certificate/statement.ts';
import type { Incarnation, LogIndex, NodeNumber, WallMs } from '../identity.ts';
import { keptTogether } from './kept-bytes.ts';

/** Returns are remembered for so long, by the time of the log. */
export const returnMemoryMs = 3_600_000;
/** The newest returns that are remembered of one member. */
export const returnsMax = 16;

export interface AdmittedMember {
  readonly number: NodeNumber;
  readonly name: string;
  readonly signingKey: Uint8Array;
  readonly exchangeKey: Uint8Array;
  readonly roles: readonly string[];
  /** As it travels; nothing for control nodes: the genesis stands for them. */
  readonly certificate: Uint8Array | undefined;
  /** The locator it joined with, as its owner signed it; nothing for control nodes. */
  readonly locator: Uint8Array | undefined;
  readonly joinedAt: LogIndex;
  readonly status: 'alive' | 'down';
  /** Since when it has this status, by the time of the log. */
  readonly since: WallMs;
  readonly incarnation: Incarnation;
  /** Its returns within the hour before the newest one, oldest first, at most `returnsMax`. */
  readonly returnedAt: readonly WallMs[];
}

type Standing = Pick<AdmittedMember, 'status' | 'since' | 'incarnation' | 'returnedAt'>;

const neverReturned: readonly WallMs[] = [];

/** How everybody begins. */
export function newcomer(at: WallMs): Standing {
  return { status: 'alive', since: at, incarnation: 0, returnedAt: neverReturned };
}

/** The member that `statement` certifies; it is kept in as little memory as it needs. */
export function admittedMember(
  statement: AdmitStatement,
  papers: { readonly certificate: Uint8Array; readonly locator: Uint8Array },
  joinedAt: LogIndex,
  at: WallMs,
): AdmittedMember {
  const { number, name, roles } = statement;
  const { certificate: signed, locator: located } = papers;
  const kept = keptTogether(statement.signingKey, statement.exchangeKey, signed, located);
  const [signingKey, exchangeKey, certificate, locator] = kept;
  return { number, name, signingKey, exchangeKey, roles, certificate, locator, joinedAt, ...newcomer(at) };
}

/** `member` once it was convicted at `at`, the log's time. */
export function convicted(member: AdmittedMember, at: WallMs): AdmittedMember {
  return { ...member, status: 'down', since: at };
}

/** `member` once it came back at `at`, the log's time. */
export function returned(member: AdmittedMember, incarnation: Incarnation, at: WallMs): AdmittedMember {
  const returnedAt = [...recentReturns(member, at), at].slice(-returnsMax);
  return { ...member, status: 'alive', since: at, incarnation, returnedAt };
}

/** How often `member` came back within the hour before `at`; 0 … `returnsMax`. */
export function returnsWithinHour(member: AdmittedMember, at: WallMs): number {
  return recentReturns(member, at).length;
}

function recentReturns({ returnedAt }: AdmittedMember, at: WallMs): readonly WallMs[] {
  return returnedAt.filter((each) => each >= at - returnMemoryMs);
}
