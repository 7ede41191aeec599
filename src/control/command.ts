/** What can be decided: the payloads of the event log. Kinds and their numbers are listed once, in wire/. */
import type { Share } from '../certificate/certificate.ts';
import type { RemovalReason } from '../certificate/statement.ts';
import type { Incarnation, NodeNumber, WallMs } from '../identity.ts';
import type { CharterChange } from './amending.ts';
import type { Turn } from './client-sessions.ts';

interface Dated {
  /** The leader's time of day when it proposed this; the state keeps it from going back. */
  readonly at: WallMs;
}

/** Lets the control nodes apply newer kinds of entries, once all of them know these. */
export interface RaiseFeatureLevel extends Dated {
  readonly kind: 'raise-feature-level';
  readonly level: number;
}

export interface CreateToken extends Dated {
  readonly kind: 'create-token';
  /** The public half; the pane never sees the token itself. */
  readonly publicKey: Uint8Array;
  /** Roles that it may admit; empty: any. */
  readonly roles: readonly string[];
  readonly notAfter: WallMs;
  /** How many nodes it may admit; 0: any number. */
  readonly usesMax: number;
}

export interface RevokeToken extends Dated {
  readonly kind: 'revoke-token';
  readonly publicKey: Uint8Array;
}

/** A join was found right; its number is taken, and the control nodes are asked to sign. Shown to no one yet. */
export interface BeginAdmission extends Dated {
  readonly kind: 'begin-admission';
  /** The join request as both keys signed it. */
  readonly request: Uint8Array;
}

/** A majority signed: from here on the node belongs. */
export interface CompleteAdmission extends Dated {
  readonly kind: 'complete-admission';
  readonly number: NodeNumber;
  readonly shares: readonly Share[];
}

/** Nobody got a certificate together in time; the number stays unused for ever. */
export interface WithdrawAdmission extends Dated {
  readonly kind: 'withdraw-admission';
  readonly number: NodeNumber;
}

/** From here on the node does not belong; the control nodes are asked to sign that. */
export interface BeginRemoval extends Dated {
  readonly kind: 'begin-removal';
  readonly number: NodeNumber;
  readonly reason: RemovalReason;
}

export interface CompleteRemoval extends Dated {
  readonly kind: 'complete-removal';
  readonly number: NodeNumber;
  readonly shares: readonly Share[];
}

export interface Conviction {
  readonly number: NodeNumber;
  readonly incarnation: Incarnation;
}

/** Its observers hold these members for dead. */
export interface Convict extends Dated {
  readonly kind: 'convict';
  readonly subjects: readonly Conviction[];
}

/** A convicted member answered for itself and goes on at its next incarnation. */
export interface Return extends Dated {
  readonly kind: 'return';
  readonly number: NodeNumber;
  readonly incarnation: Incarnation;
}

/** An operator lets convictions pass that the brake holds back, for at most `brakeReleaseMsMax`. */
export interface ReleaseBrake extends Dated {
  readonly kind: 'release-brake';
  /** When the brake holds again; later than the log's time. */
  readonly until: WallMs;
}

/** The charter is to be changed so: the control nodes are asked to sign that. */
export interface BeginAmendment extends Dated {
  readonly kind: 'begin-amendment';
  readonly change: CharterChange;
}

/** A majority signed: from here on it is so. */
export interface CompleteAmendment extends Dated {
  readonly kind: 'complete-amendment';
  readonly shares: readonly Share[];
}

/** A majority did not sign in time. */
export interface WithdrawAmendment extends Dated {
  readonly kind: 'withdraw-amendment';
}
/** An entry of an application's or an operator's own: it decides nothing, it is an ordered and durable record. */
export interface Note extends Dated, Turn {
  readonly kind: 'note';
  /** The member that passed it to the pane. */
  readonly by: NodeNumber;
  /** At most `noteBytesMax` bytes; UTF-8, as a rule. */
  readonly text: Uint8Array;
}

export const noteBytesMax = 4_096;

export type Command =
  | BeginAmendment
  | CompleteAmendment
  | WithdrawAmendment
  | RaiseFeatureLevel
  | CreateToken
  | RevokeToken
  | BeginAdmission
  | CompleteAdmission
  | WithdrawAdmission
  | BeginRemoval
  | CompleteRemoval
  | Convict
  | Return
  | ReleaseBrake
  | Note;

/** The feature level from which on each kind may be applied. A kind above the committed level is a no-op. */
export const featureLevelOf: Readonly<Record<Command['kind'], number>> = {
  'raise-feature-level': 1,
  'create-token': 1,
  'revoke-token': 1,
  'begin-admission': 1,
  'complete-admission': 1,
  'withdraw-admission': 1,
  'begin-removal': 1,
  'complete-removal': 1,
  convict: 1,
  return: 1,
  'release-brake': 1,
  'begin-amendment': 1,
  'complete-amendment': 1,
  'withdraw-amendment': 1,
  note: 1,
};

/** The newest level that this version knows. */
export const featureLevelMax = 1;
