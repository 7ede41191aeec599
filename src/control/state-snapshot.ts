/**
 * The whole replicated state as bytes: whatever `apply` depends on, and what control nodes answer from. Equal states
 * have equal bytes, so their hash tells whether two control nodes agree, and a node that goes on from a snapshot is
 * the same as one that applied every entry (docs/formats.md).
 *
 * The newest changes of the membership are part of it, although no entry depends on them: from them keep-alives are
 * answered. A control node that forgot them would send everybody who is a few entries behind to its digest, all at
 * once; they take 44 KiB at most.
 */
import { ByteReader, ByteWriter, equalBytes } from '../bytes.ts';
import { amendmentsMax } from '../certificate/charter.ts';
import type { ControlNode, Genesis } from '../certificate/genesis.ts';
import {
  type JoinRequest,
  type RoleDeclaration,
  relatedRolesMax,
  verifyJoinRequest,
} from '../certificate/join-request.ts';
import { recoveryIn } from '../certificate/recovery.ts';
import { type AdmitStatement, decodeStatement, encodeStatement, type Statement } from '../certificate/statement.ts';
import { publicKeyBytes, sha256 } from '../crypto.ts';
import { rolesPerNodeMax } from '../identity.ts';
import { declarationsMax, membersMax, tokensMax } from './admission-policy.ts';
import { type AdmittedMember, admittedMember, returnsMax } from './admitted-member.ts';
import { type SessionRecord, type SessionsKept, sessionIdBytes, sessionsMax, turnsKept } from './client-sessions.ts';
import {
  ControlState,
  controlRole,
  type PendingAdmission,
  type PendingAmendment,
  type Removal,
  type StateContents,
  type TokenRecord,
} from './control-state.ts';
import { type ChangesKept, type MembershipChange, membershipChangesMax } from './membership-changes.ts';
import { numbersMax } from './number-set.ts';

const label = 'hivemind/state/2';
const changeKinds: readonly MembershipChange['kind'][] = ['admitted', 'removed', 'standing'];
const statuses: readonly AdmittedMember['status'][] = ['alive', 'down'];
const nothing = new Uint8Array(0);

export function encodeState(state: ControlState): Uint8Array {
  const out = new ByteWriter(label).raw(state.genesisHash);
  out.u32(state.featureLevel).u48(state.appliedIndex).u48(state.at).u32(state.nextNumber);
  out.u48(state.brakeReleasedUntil);
  const { charter, epochSince, amending } = state;
  writeAll(out, charter.since(0, amendmentsMax), (to, amendment) => to.bytes(amendment));
  out.u48(epochSince.index).u48(epochSince.at).blob(epochSince.members);
  writeAll(out, amending === undefined ? [] : [amending], writeAmending);
  writeAll(out, byNumber(state.members), writeMember);
  writeAll(out, byName(state.declarations), writeDeclaration);
  writeAll(out, byNumber(state.pending), writePending);
  writeAll(out, byNumber(state.removed), writeRemoval);
  writeAll(out, byName(state.tokens), writeToken);
  const { changes, sessions } = state;
  writeAll(out.u48(changes.kept.forgottenTo), changes.kept.newest, writeChange);
  writeAll(out.u48(sessions.kept.forgottenTo), sessions.kept.records, writeSession);
  return out.finish();
}

/** Equal on two control nodes exactly when their states are: compared at the same applied index. */
export function stateHash(state: ControlState): Uint8Array {
  return sha256(encodeState(state));
}

/**
 * The state in these bytes, or nothing unless they are one of this cluster, within its bounds. Join requests are
 * verified, because this node may be asked to sign for them, and so is each amendment of the charter; certificates are
 * verified by whoever relies on them.
 */
export function decodeState(bytes: Uint8Array, genesis: Genesis, genesisHash: Uint8Array): ControlState | undefined {
  const input = new StateReader(bytes);
  if (input.text() !== label || !equalBytes(input.raw(genesisHash.length), genesisHash)) return undefined;
  const contents = input.contents(genesis, genesisHash);
  if (!input.done || contents === undefined) return undefined;
  const state = new ControlState(genesis, genesisHash, contents);
  // One that does not follow from those before it is no charter, and what is missing would be missed by nobody.
  return state.charter.length === contents.amendments.length ? state : undefined;
}

// — writing —

function writeAll<T>(out: ByteWriter, values: readonly T[], write: (out: ByteWriter, value: T) => void): void {
  out.u32(values.length);
  for (const value of values) write(out, value);
}

function byNumber<T>(map: ReadonlyMap<number, T>): readonly T[] {
  return [...map.entries()].sort(([a], [b]) => a - b).map(([, value]) => value);
}

function byName<T>(map: ReadonlyMap<string, T>): readonly T[] {
  return [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}

/** Name, keys and roles are in the certificate, or in the genesis. */
function writeMember(out: ByteWriter, member: AdmittedMember): void {
  const { number, certificate, locator, joinedAt, status, since, incarnation, returnedAt } = member;
  out
    .u32(number)
    .bytes(certificate ?? nothing)
    .bytes(locator ?? nothing)
    .u48(joinedAt);
  out.u8(statuses.indexOf(status)).u48(since).u32(incarnation).u8(returnedAt.length);
  for (const at of returnedAt) out.u48(at);
}

function writeNames(out: ByteWriter, names: readonly string[]): void {
  out.u8(names.length);
  for (const name of names) out.text(name);
}

function writeDeclaration(out: ByteWriter, role: RoleDeclaration): void {
  out.text(role.name);
  for (const names of [role.requires, role.bootstrapFrom, role.consumes]) writeNames(out, names);
}

function writePending(out: ByteWriter, { statement, request, since }: PendingAdmission): void {
  out.bytes(encodeStatement(statement)).bytes(request.bytes).u48(since);
}

function writeAmending(out: ByteWriter, { statement, members, since }: PendingAmendment): void {
  out.bytes(encodeStatement(statement)).blob(members).u48(since);
}

/** A certificate begins with its statement. */
function writeRemoval(out: ByteWriter, { statement, certificate }: Removal): void {
  out.u8(certificate === undefined ? 0 : 1).bytes(certificate ?? encodeStatement(statement));
}

function writeToken(out: ByteWriter, token: TokenRecord): void {
  writeNames(out.raw(token.publicKey), token.roles);
  out.u48(token.notAfter).u32(token.usesMax).u32(token.uses);
}

function writeChange(out: ByteWriter, { index, number, kind }: MembershipChange): void {
  out.u48(index).u32(number).u8(changeKinds.indexOf(kind));
}

function writeSession(out: ByteWriter, { session, turns, usedAt }: SessionRecord): void {
  out.raw(session).u48(usedAt).u8(turns.length);
  for (const { sequence, index } of turns) out.u48(sequence).u48(index);
}

// — reading —

/** Once anything is wrong it reads zeros and nothing, and is not done. */
class StateReader extends ByteReader {
  private isWrong = false;

  override get done(): boolean {
    return super.done && !this.isWrong;
  }

  contents(genesis: Genesis, genesisHash: Uint8Array): StateContents | undefined {
    const head = {
      featureLevel: this.u32(),
      appliedIndex: this.u48(),
      at: this.u48(),
      nextNumber: this.u32(),
      brakeReleasedUntil: this.u48(),
    };
    const amendments = this.all(amendmentsMax, () => this.bytes());
    const founders = [...genesis.control, ...amendments.flatMap((each) => recoveryIn(each)?.node ?? [])];
    return {
      ...head,
      amendments,
      epochSince: { index: this.u48(), at: this.u48(), members: this.blob() },
      amending: this.all(1, () => this.amending())[0],
      members: this.all(membersMax, () => this.member(founders)),
      declarations: this.all(declarationsMax, () => this.declaration()),
      pending: this.all(membersMax, () => this.pending(genesis, genesisHash)),
      removed: this.all(numbersMax, () => this.removal()),
      tokens: this.all(tokensMax, () => this.token()),
      changes: this.changes(),
      sessions: this.sessions(),
    };
  }

  /** A list of at most `most` values, none of which is missing. */
  private all<T>(most: number, read: () => T | undefined): readonly T[] {
    const count = this.u32();
    const values: T[] = [];
    if (count > most) this.isWrong = true;
    while (values.length < count && !this.isWrong) {
      const value = read();
      if (value === undefined) this.isWrong = true;
      else values.push(value);
    }
    return values;
  }

  private member(founders: readonly ControlNode[]): AdmittedMember | undefined {
    const number = this.u32();
    const [certificate, locator] = [this.bytes(), this.bytes()];
    const joinedAt = this.u48();
    const status = statuses[this.u8()];
    const [since, incarnation] = [this.u48(), this.u32()];
    const returnedAt = this.few(returnsMax, () => this.u48());
    if (status === undefined) return undefined;
    const standing = { status, since, incarnation, returnedAt };
    if (certificate.length === 0) {
      const founder = founders.find((node) => node.number === number);
      if (founder === undefined) return undefined;
      const { name, signingKey, exchangeKey } = founder;
      const papers = { roles: [controlRole], certificate: undefined, locator: undefined };
      return { number, name, signingKey, exchangeKey, ...papers, joinedAt, ...standing };
    }
    const statement = statementIn(certificate);
    if (statement?.kind !== 'admit' || statement.number !== number) return undefined;
    return { ...admittedMember(statement, { certificate, locator }, joinedAt, since), ...standing };
  }

  private declaration(): RoleDeclaration {
    const name = this.text();
    const [requires, bootstrapFrom, consumes] = [relatedRolesMax, relatedRolesMax, relatedRolesMax].map((most) =>
      this.names(most),
    ) as [readonly string[], readonly string[], readonly string[]];
    return { name, requires, bootstrapFrom, consumes };
  }

  private names(most: number): readonly string[] {
    return this.few(most, () => this.text());
  }

  /** A list behind a count of one byte. */
  private few<T>(most: number, read: () => T): readonly T[] {
    const length = this.u8();
    if (length > most) this.isWrong = true;
    return Array.from({ length: this.isWrong ? 0 : length }, read);
  }

  private pending({ cluster }: Genesis, genesisHash: Uint8Array): PendingAdmission | undefined {
    const statement = decodeStatement(this.bytes());
    const request = verifyJoinRequest(this.bytes(), cluster, genesisHash);
    const since = this.u48();
    if (statement?.kind !== 'admit' || request === undefined) return undefined;
    return isAskedFor(statement, request) ? { statement, request, since } : undefined;
  }

  private amending(): PendingAmendment | undefined {
    const statement = decodeStatement(this.bytes());
    const [members, since] = [this.blob(), this.u48()];
    return statement?.kind === 'control-set' || statement?.kind === 'epoch' ? { statement, members, since } : undefined;
  }

  private removal(): Removal | undefined {
    const isSigned = this.u8() === 1;
    const bytes = this.bytes();
    const statement = isSigned ? statementIn(bytes) : decodeStatement(bytes);
    if (statement?.kind !== 'remove') return undefined;
    return { statement, certificate: isSigned ? bytes : undefined };
  }

  private token(): TokenRecord {
    const publicKey = this.raw(publicKeyBytes);
    const roles = this.names(rolesPerNodeMax);
    return { publicKey, roles, notAfter: this.u48(), usesMax: this.u32(), uses: this.u32() };
  }

  private changes(): ChangesKept {
    const forgottenTo = this.u48();
    const newest = this.all(membershipChangesMax, () => {
      const [index, number, kind] = [this.u48(), this.u32(), changeKinds[this.u8()]];
      return kind === undefined ? undefined : { index, number, kind };
    });
    return { forgottenTo, newest };
  }

  private sessions(): SessionsKept {
    const forgottenTo = this.u48();
    const records = this.all(sessionsMax, () => {
      const [session, usedAt] = [this.raw(sessionIdBytes), this.u48()];
      const turns = this.few(turnsKept, () => ({ sequence: this.u48(), index: this.u48() }));
      return { session, usedAt, turns };
    });
    return { forgottenTo, records };
  }
}

/** This node may be asked to sign it, and a snapshot is one control node's word: the joiner asked for all of it. */
function isAskedFor(statement: AdmitStatement, request: JoinRequest): boolean {
  const { name, signingKey, exchangeKey, roles } = statement;
  const areItsKeys = equalBytes(signingKey, request.signingKey) && equalBytes(exchangeKey, request.exchangeKey);
  return areItsKeys && name === request.name && roles.join() === request.roles.map((role) => role.name).join();
}

function statementIn(certificate: Uint8Array): Statement | undefined {
  return decodeStatement(new ByteReader(certificate).bytes());
}
