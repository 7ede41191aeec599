import type { Incarnation } from '../identity.ts';

/** What is published about a member. A suspicion is local and no part of it. */
export interface Standing {
  readonly incarnation: Incarnation;
  readonly status: 'alive' | 'down';
}

/** Returns are rare, so gossip that is further ahead than this is a lie or a fault, and is asked of the pane. */
export const incarnationJumpMax = 16;

export type Weight =
  | 'news'
  | 'same'
  /** Overtaken by what is known already. */
  | 'stale'
  /** More than `incarnationJumpMax` ahead. */
  | 'implausible';

/** The precedence of all that is said about one member: by incarnation, then by status, alive before down. */
export function weigh(said: Standing, known: Standing | undefined): Weight {
  if (known === undefined) return 'news';
  if (said.incarnation > known.incarnation + incarnationJumpMax) return 'implausible';
  if (said.incarnation > known.incarnation) return 'news';
  if (said.incarnation < known.incarnation) return 'stale';
  if (said.status === known.status) return 'same';
  return said.status === 'down' ? 'news' : 'stale';
}

/** A standing as one number: a tenth of the memory, where thousands are remembered. */
export type PackedStanding = number;

export function packed({ incarnation, status }: Standing): PackedStanding {
  return incarnation * 2 + (status === 'down' ? 1 : 0);
}

export function unpacked(standing: PackedStanding | undefined): Standing | undefined {
  if (standing === undefined) return undefined;
  return { incarnation: Math.floor(standing / 2), status: standing % 2 === 1 ? 'down' : 'alive' };
}
