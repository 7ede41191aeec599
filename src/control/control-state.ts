/**
 * The replicated state: what the event log has decided so far. Every control node applies the same entries in
 * the same order and holds the same state; `stateHash` proves it. Nothing here knows of time, sockets or files.
 */
import { ByteWriter, toHex } from '../bytes.ts';
import { Charter } from '../certificate/charter.ts';
import type { Genesis } from '../certificate/genesis.ts';
import type { JoinRequest, RoleDeclaration } from '../certificate/join-request.ts';
import {
  type AdmitStatement,
  type Amendment,
  encodeStatement,
  type RemoveStatement,
} from '../certificate/statement.ts';
import { sha256 } from '../crypto.ts';
import type { Epoch, LogIndex, NodeNumber, WallMs } from '../identity.ts';
import { type AdmittedMember, newcomer } from './admitted-member.ts';
import { Claims } from './claims.ts';
import { Declarations } from './declarations.ts';
import { type MembershipChange, MembershipChanges } from './membership-changes.ts';
import { decodeNumbers, numbersMax } from './number-set.ts';
import { RoleMembers } from './role-members.ts';

export { type AdmittedMember, returnsWithinHour } from './admitted-member.ts';

/** The role of the genesis's nodes; no token admits it, because the control set is changed apart. */
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

export class ControlState {
  readonly genesis: Genesis;
  readonly genesisHash: Uint8Array;
  /** Who signs, and which epoch it is. */
  readonly charter: Charter;
  /** The entry with which the present epoch began, and the time of the log then. */
  epochSince: { readonly index: LogIndex; readonly at: WallMs };
  /** The amendment that is being signed. */
  amending: PendingAmendment | undefined;
  featureLevel: number = 1;
  appliedIndex: LogIndex = 0;
  /** The time of the newest entry; it never goes back. */
  at: WallMs;
  nextNumber: NodeNumber;
  /** Until then the brake on convictions is released, by the time of the log; 0 when it never was. */
  brakeReleasedUntil: WallMs = 0;
  readonly removed: Map<NodeNumber, Removal> = new Map();
  /** By the public key in hexadecimal. */
  readonly tokens: Map<string, TokenRecord> = new Map();
  private readonly membersByNumber = new Map<NodeNumber, AdmittedMember>();
  private readonly pendingByNumber = new Map<NodeNumber, PendingAdmission>();
  private readonly claims = new Claims();
  private readonly declared = new Declarations();
  private readonly roleMembers = new RoleMembers();
  private readonly changes = new MembershipChanges();

  constructor(genesis: Genesis, genesisHash: Uint8Array) {
    this.genesis = genesis;
    this.genesisHash = genesisHash;
    this.charter = new Charter(genesis);
    this.at = genesis.createdAt;
    this.epochSince = { index: 0, at: genesis.createdAt };
    this.nextNumber = genesis.control.length + 1;
    for (const node of genesis.control) {
      const { number, name, signingKey, exchangeKey } = node;
      const founding = { certificate: undefined, locator: undefined, joinedAt: 0, ...newcomer(genesis.createdAt) };
      this.putMember({ number, name, signingKey, exchangeKey, roles: [controlRole], ...founding });
    }
    const { publicKey, notAfter } = genesis.firstToken;
    this.tokens.set(toHex(publicKey), { publicKey, roles: [], notAfter, usesMax: 0, uses: 0 });
  }

  // — members —

  get members(): ReadonlyMap<NodeNumber, AdmittedMember> {
    return this.membersByNumber;
  }

  /** Admits a member, or gives one that is known another standing; its name, keys and roles stay. */
  putMember(member: AdmittedMember): void {
    const { number, roles } = member;
    const isNew = !this.membersByNumber.has(number);
    this.membersByNumber.set(number, member);
    this.changes.record({ index: this.appliedIndex, number, kind: isNew ? 'admitted' : 'standing' });
    if (!isNew) return;
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

  /** A new epoch has begun: who was removed before it is known by not being among these numbers. */
  forgetRemoved(members: Uint8Array): void {
    const kept = new Set(decodeNumbers(members, numbersMax));
    for (const number of [...this.removed.keys()]) if (!kept.has(number)) this.removed.delete(number);
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

/** Equal on two control nodes exactly when their states are: compared at the same applied index. */
export function stateHash(state: ControlState): Uint8Array {
  const out = new ByteWriter('hivemind/state/1').raw(state.genesisHash);
  out.u32(state.epoch).u32(state.featureLevel).u48(state.appliedIndex).u48(state.at).u32(state.nextNumber);
  out.u48(state.brakeReleasedUntil).u32(state.charter.length).raw(state.charter.head);
  out.u48(state.epochSince.index).u48(state.epochSince.at);
  if (state.amending !== undefined) out.blob(encodeStatement(state.amending.statement)).u48(state.amending.since);
  writeAll(out, byNumber(state.members), (member) => {
    const { number, name, status, since, incarnation, returnedAt, joinedAt, certificate, locator } = member;
    out.u32(number).text(name).u32(incarnation).u48(joinedAt);
    out.u8(status === 'down' ? 1 : 0).u48(since);
    writeAll(out, returnedAt, (at) => out.u48(at));
    out.blob(certificate ?? nothing).blob(locator ?? nothing);
  });
  writeAll(out, byNumber(state.pending), ({ statement, request, since }) => {
    out.blob(encodeStatement(statement)).blob(request.bytes).u48(since);
  });
  writeAll(out, byNumber(state.removed), ({ statement, certificate }) => {
    out.blob(encodeStatement(statement)).blob(certificate ?? nothing);
  });
  writeAll(out, byName(state.tokens), (token) => {
    out.raw(token.publicKey).u48(token.notAfter).u32(token.usesMax).u32(token.uses).text(token.roles.join());
  });
  writeAll(out, byName(state.declarations), (role) => {
    out.text(role.name).text(role.requires.join()).text(role.bootstrapFrom.join()).text(role.consumes.join());
  });
  return sha256(out.finish());
}

const nothing = new Uint8Array(0);

function writeAll<T>(out: ByteWriter, values: readonly T[], write: (value: T) => void): void {
  out.u32(values.length);
  for (const value of values) write(value);
}

function byNumber<T>(map: ReadonlyMap<number, T>): readonly T[] {
  return [...map.entries()].sort(([a], [b]) => a - b).map(([, value]) => value);
}

function byName<T>(map: ReadonlyMap<string, T>): readonly T[] {
  return [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}
