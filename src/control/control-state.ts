/**
 * The replicated state: what the event log has decided so far. Every control node applies the same entries in
 * the same order and holds the same state; `stateHash` proves it, and `encodeState` keeps it. Nothing here knows
 * of time, sockets or files.
 */
import { toHex } from '../bytes.ts';
import { Charter } from '../certificate/charter.ts';
import type { Genesis } from '../certificate/genesis.ts';
import type { JoinRequest, RoleDeclaration } from '../certificate/join-request.ts';
import type { AdmitStatement, Amendment, RemoveStatement, Statement } from '../certificate/statement.ts';
import type { Epoch, LogIndex, NodeNumber, WallMs } from '../identity.ts';
import { type AdmittedMember, newcomer } from './admitted-member.ts';
import { Claims } from './claims.ts';
import { ClientSessions, noSessions, type SessionsKept } from './client-sessions.ts';
import { Declarations } from './declarations.ts';
import { type ChangesKept, type MembershipChange, MembershipChanges, noChanges } from './membership-changes.ts';
import { decodeNumbers, numbersMax } from './number-set.ts';
import { RoleMembers } from './role-members.ts';

export { type AdmittedMember, returnsWithinHour } from './admitted-member.ts';

/** The role of the genesis's nodes. A token that names it admits who keeps the log; who votes is changed apart. */
export const controlRole = 'control';

/** Between the two entries of an admission: known to the pane and the joiner alone. */
export interface PendingAdmission {
  readonly statement: AdmitStatement;
  readonly request: JoinRequest;
  readonly since: WallMs;
}

/** Between the two entries of an amendment. */
export interface PendingAmendment {
  readonly statement: Amendment;
  /** The numbers that go on belonging, encoded; empty where the epoch stays. */
  readonly members: Uint8Array;
  readonly since: WallMs;
}

/** The entry with which the present epoch began. */
export interface EpochBeginning {
  readonly index: LogIndex;
  /** The time of the log then. */
  readonly at: WallMs;
  /** The numbers that went on belonging, encoded; empty in the first epoch. */
  readonly members: Uint8Array;
}

export interface Removal {
  readonly statement: RemoveStatement;
  /** As it travels; nothing until a majority signed. */
  readonly certificate: Uint8Array | undefined;
}

export interface TokenRecord {
  readonly publicKey: Uint8Array;
  readonly roles: readonly string[];
  readonly notAfter: WallMs;
  readonly usesMax: number;
  readonly uses: number;
}

/** All that the log has decided, as plain lists; only in `changes` and `sessions` the order means something. */
export interface StateContents {
  /** Of the charter, in order. */
  readonly amendments: readonly Uint8Array[];
  readonly epochSince: EpochBeginning;
  readonly amending: PendingAmendment | undefined;
  readonly featureLevel: number;
  readonly appliedIndex: LogIndex;
  readonly at: WallMs;
  readonly nextNumber: NodeNumber;
  readonly brakeReleasedUntil: WallMs;
  readonly members: readonly AdmittedMember[];
  readonly pending: readonly PendingAdmission[];
  readonly removed: readonly Removal[];
  readonly tokens: readonly TokenRecord[];
  readonly declarations: readonly RoleDeclaration[];
  readonly changes: ChangesKept;
  readonly sessions: SessionsKept;
}

/** What stands before the first entry: the control nodes and the token of the genesis. */
function foundation({ control, createdAt, firstToken }: Genesis): StateContents {
  const founding = { certificate: undefined, locator: undefined, joinedAt: 0, ...newcomer(createdAt) };
  return {
    amendments: [],
    epochSince: { index: 0, at: createdAt, members: new Uint8Array(0) },
    amending: undefined,
    featureLevel: 1,
    appliedIndex: 0,
    at: createdAt,
    nextNumber: control.length + 1,
    brakeReleasedUntil: 0,
    members: control.map(({ number, name, signingKey, exchangeKey }) => {
      return { number, name, signingKey, exchangeKey, roles: [controlRole], ...founding };
    }),
    pending: [],
    removed: [],
    tokens: [{ ...firstToken, roles: [], usesMax: 0, uses: 0 }],
    declarations: [],
    changes: noChanges,
    sessions: noSessions,
  };
}

export class ControlState {
  readonly genesis: Genesis;
  readonly genesisHash: Uint8Array;
  /** Who signs, and which epoch it is. */
  readonly charter: Charter;
  epochSince: EpochBeginning;
  /** The amendment that is being signed. */
  amending: PendingAmendment | undefined;
  featureLevel: number;
  appliedIndex: LogIndex;
  /** The time of the newest entry; it never goes back. */
  at: WallMs;
  nextNumber: NodeNumber;
  /** Until then the brake on convictions is released, by the time of the log; 0 when it never was. */
  brakeReleasedUntil: WallMs;
  readonly removed: Map<NodeNumber, Removal> = new Map();
  /** By the public key in hexadecimal. */
  readonly tokens: Map<string, TokenRecord> = new Map();
  readonly sessions: ClientSessions;
  readonly changes: MembershipChanges;
  private readonly membersByNumber = new Map<NodeNumber, AdmittedMember>();
  private readonly pendingByNumber = new Map<NodeNumber, PendingAdmission>();
  private readonly claims = new Claims();
  private readonly declared = new Declarations();
  private readonly roleMembers = new RoleMembers();

  /** The state as `contents` has it; by default the one before the first entry. */
  constructor(genesis: Genesis, genesisHash: Uint8Array, contents: StateContents = foundation(genesis)) {
    this.genesis = genesis;
    this.genesisHash = genesisHash;
    this.charter = new Charter(genesis);
    for (const amendment of contents.amendments) this.charter.amend(amendment);
    this.epochSince = contents.epochSince;
    this.amending = contents.amending;
    this.featureLevel = contents.featureLevel;
    this.appliedIndex = contents.appliedIndex;
    this.at = contents.at;
    this.nextNumber = contents.nextNumber;
    this.brakeReleasedUntil = contents.brakeReleasedUntil;
    this.changes = new MembershipChanges(contents.changes);
    this.sessions = new ClientSessions(contents.sessions);
    for (const member of contents.members) this.enter(member);
    this.declare(contents.declarations);
    for (const admission of contents.pending) this.putPending(admission);
    for (const removal of contents.removed) this.removed.set(removal.statement.number, removal);
    for (const token of contents.tokens) this.tokens.set(toHex(token.publicKey), token);
  }

  /** Takes over all that `other` holds, which nobody may use any more: whoever holds this state has that one now. */
  become(other: ControlState): void {
    Object.assign(this, other);
  }

  // — members —

  get members(): ReadonlyMap<NodeNumber, AdmittedMember> {
    return this.membersByNumber;
  }

  /** Admits a member, or gives one that is known another standing; its name, keys and roles stay. */
  putMember(member: AdmittedMember): void {
    const { number } = member;
    const isNew = !this.membersByNumber.has(number);
    this.changes.record({ index: this.appliedIndex, number, kind: isNew ? 'admitted' : 'standing' });
    if (isNew) this.enter(member);
    else this.membersByNumber.set(number, member);
  }

  private enter(member: AdmittedMember): void {
    const { number, roles } = member;
    this.membersByNumber.set(number, member);
    this.claims.take(number, member);
    this.roleMembers.add(number, roles);
  }

  /** Frees its name and its key; the number is never given out again. */
  dropMember(number: NodeNumber): void {
    const member = this.membersByNumber.get(number);
    if (member === undefined) return;
    this.membersByNumber.delete(number);
    this.changes.record({ index: this.appliedIndex, number, kind: 'removed' });
    this.claims.release(member);
    this.roleMembers.remove(number, member.roles);
  }

  memberByKey(signingKey: Uint8Array): AdmittedMember | undefined {
    return this.membersByNumber.get(this.claims.holderOfKey(signingKey) ?? 0);
  }

  memberByName(name: string): AdmittedMember | undefined {
    return this.membersByNumber.get(this.claims.holderOfName(name) ?? 0);
  }

  /** The numbers of all members that perform `role`, ascending, those that are down included; a live list. */
  membersOfRole(role: string): readonly NodeNumber[] {
    return this.roleMembers.of(role);
  }

  /** What changed behind the entry `index`, the oldest first; nothing when that is longer ago than is remembered. */
  changesSince(index: LogIndex): readonly MembershipChange[] | undefined {
    return this.changes.since(index);
  }

  get epoch(): Epoch {
    return this.charter.epoch;
  }

  /** Whether it is one of the control nodes that sign now. */
  isControl(number: NodeNumber): boolean {
    return this.charter.controlSet.signingKeys.has(number);
  }

  /** The control nodes that sign now, ascending. */
  get controlNumbers(): readonly NodeNumber[] {
    return [...this.charter.controlSet.signingKeys.keys()];
  }

  /** What the control nodes are still to sign. */
  get unsigned(): readonly Statement[] {
    const removals = [...this.removed.values()].filter(({ certificate }) => certificate === undefined);
    const about = [...this.pending.values(), ...removals, ...(this.amending === undefined ? [] : [this.amending])];
    return about.map(({ statement }) => statement);
  }

  /** A new epoch has begun: who was removed before it is known by not being among these numbers. */
  forgetRemoved(members: Uint8Array): void {
    const kept = new Set(decodeNumbers(members, numbersMax));
    for (const [number, { certificate }] of [...this.removed]) {
      // One that is still to be signed has to come to its end.
      if (!kept.has(number) && certificate !== undefined) this.removed.delete(number);
    }
  }

  // — pending admissions —

  get pending(): ReadonlyMap<NodeNumber, PendingAdmission> {
    return this.pendingByNumber;
  }

  putPending(admission: PendingAdmission): void {
    const { statement, request } = admission;
    this.pendingByNumber.set(statement.number, admission);
    this.claims.take(statement.number, statement);
    this.declared.expect(request.roles);
  }

  /** The admission ended: it is complete, or withdrawn. */
  dropPending(number: NodeNumber): void {
    const admission = this.pendingByNumber.get(number);
    if (admission === undefined) return;
    this.pendingByNumber.delete(number);
    this.claims.release(admission.statement);
    this.declared.release(admission.request.roles);
  }

  pendingByKey(signingKey: Uint8Array): PendingAdmission | undefined {
    return this.pendingByNumber.get(this.claims.holderOfKey(signingKey) ?? 0);
  }

  pendingByName(name: string): PendingAdmission | undefined {
    return this.pendingByNumber.get(this.claims.holderOfName(name) ?? 0);
  }

  // — what roles declare —

  /** Of all roles that a member ever had, by name. */
  get declarations(): ReadonlyMap<string, RoleDeclaration> {
    return this.declared.standing;
  }

  /** How many there are once all pending admissions are complete. */
  get declarationsAhead(): number {
    return this.declared.sizeAhead;
  }

  /** How a role is declared, or will be once all pending admissions are complete. */
  declarationAhead(role: string): RoleDeclaration | undefined {
    return this.declared.ahead(role);
  }

  declare(roles: readonly RoleDeclaration[]): void {
    this.declared.declare(roles);
  }
}
