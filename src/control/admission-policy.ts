/** Who may join: judged by the leader before it proposes, and again by every control node as it applies. */
import { equalBytes, toHex, u48Max } from '../bytes.ts';
import type { JoinRequest, RoleDeclaration } from '../certificate/join-request.ts';
import type { AdmitStatement } from '../certificate/statement.ts';
import { encodeStatement } from '../certificate/statement.ts';
import type { ErrorCode } from '../error.ts';
import { isLabel, type NodeNumber, type WallMs, wallText } from '../identity.ts';
import { type ControlState, controlRole, type TokenRecord } from './control-state.ts';
import { numbersMax } from './number-set.ts';
import type { Refusal } from './refusal.ts';

/** Clocks of joiners and control nodes may differ by this much. */
export const clockSkewMs = 300_000;
/** A certificate's life. None is renewed, so it must outlast any cluster of this version. */
export const certificateLifeMs: number = 3_650 * 86_400_000;
/** An admitting entry that found no majority of signatures for this long is withdrawn. */
export const admissionLifeMs = 60_000;
/** Members and pending admissions together; a control node's state takes about 2 KiB of memory for each. */
export const membersMax = 20_000;
export const tokensMax = 10_000;
/** Role types in one cluster; a digest carries them all. */
export const declarationsMax = 256;
/** Keeps certificate and locator together inside one datagram. */
const statementBytesMax = 520;

function refusal(code: ErrorCode, sentence: string): Refusal {
  return { code, sentence };
}

/**
 * The reason to refuse `request` at the time `at`, or nothing. A token's end is judged by the log's own time, which
 * never goes back; the joiner's clock by this moment's.
 */
export function judgeJoin(state: ControlState, request: JoinRequest, at: WallMs): Refusal | undefined {
  return (
    judgeToken(state, request, Math.max(at, state.at)) ??
    judgeTime(request, at) ??
    judgeWish(state, request) ??
    judgeRoles(state, request)
  );
}

function judgeToken(state: ControlState, request: JoinRequest, at: WallMs): Refusal | undefined {
  const token = state.tokens.get(toHex(request.tokenKey));
  if (token === undefined) {
    return refusal(
      'token-invalid',
      'The join token is not known to this cluster; create one with `hivemind token create`.',
    );
  }
  if (at > token.notAfter) {
    const since = wallText(token.notAfter);
    return refusal('token-expired', `The join token expired at ${since}; create one with \`hivemind token create\`.`);
  }
  if (token.usesMax > 0 && token.uses >= token.usesMax) {
    const times = token.usesMax === 1 ? 'its one node' : `all of its ${token.usesMax} nodes`;
    return refusal('token-used-up', `The join token has admitted ${times}; create one with \`hivemind token create\`.`);
  }
  return judgeTokenRoles(token, request);
}

function judgeTokenRoles(token: TokenRecord, request: JoinRequest): Refusal | undefined {
  if (request.roles.length > 1 && request.roles.some(({ name }) => name === controlRole)) {
    return refusal('roles-not-allowed', 'A control node performs no other role; join with --role control alone.');
  }
  const allows = (name: string): boolean =>
    token.roles.includes(name) || (token.roles.length === 0 && name !== controlRole);
  const beyond = request.roles.map((role) => role.name).filter((name) => !allows(name));
  if (beyond.length === 0) return undefined;
  return refusal(
    'roles-not-allowed',
    `The join token admits ${token.roles.join(', ') || 'all roles but control'}, not ${beyond.join(', ')}; ` +
      `create one with \`hivemind token create --role ${request.roles.map((role) => role.name).join()}\`.`,
  );
}

/** A request that somebody recorded must not bring a removed node back while its token lives. */
function judgeTime(request: JoinRequest, at: WallMs): Refusal | undefined {
  if (Math.abs(at - request.askedAt) <= clockSkewMs) return undefined;
  const says = `This node's clock says ${wallText(request.askedAt)}, the cluster's ${wallText(at)}`;
  return refusal('refused', `${says}; set it right (NTP does) and join again.`);
}

function judgeWish(state: ControlState, request: JoinRequest): Refusal | undefined {
  if (!isLabel(request.name)) {
    return refusal('name-invalid', `"${request.name}" is not a lower-case DNS label; choose a name like host-a.`);
  }
  const holder = state.memberByName(request.name) ?? state.pendingByName(request.name)?.request;
  if (holder !== undefined && !equalBytes(holder.signingKey, request.signingKey)) {
    return refusal(
      'name-taken',
      `The name ${request.name} is taken by another node; choose another with --name, ` +
        `or remove that node with \`hivemind remove ${request.name}\`.`,
    );
  }
  if (state.amending !== undefined) {
    // Its number would be neither before the amendment nor behind it.
    return refusal('busy', 'The charter is being amended; ask again in a moment.');
  }
  if (state.members.size + state.pending.size >= membersMax) {
    return refusal('refused', `The cluster has ${membersMax} members, the most that it admits; remove some first.`);
  }
  if (state.members.size + state.pending.size + state.removed.size >= numbersMax) {
    const sentence = `${numbersMax} numbers are in use or remembered as removed, the most of one epoch; `;
    return refusal('refused', `${sentence}begin the next with \`hivemind epoch advance\`.`);
  }
  return undefined;
}

function judgeRoles(state: ControlState, request: JoinRequest): Refusal | undefined {
  const names = request.roles.map((role) => role.name);
  if (names.length === 0 || new Set(names).size !== names.length) {
    return refusal('roles-not-allowed', 'A node joins with one or more different roles; name them with --role.');
  }
  return judgeDeclarations(state, request) ?? judgeStatement(state, request);
}

function judgeDeclarations(state: ControlState, request: JoinRequest): Refusal | undefined {
  const otherwise = request.roles.find((role) => !isSameDeclaration(state.declarationAhead(role.name) ?? role, role));
  if (otherwise !== undefined) {
    return refusal(
      'refused',
      `The role ${otherwise.name} is declared otherwise in this cluster; run the same version of its file everywhere.`,
    );
  }
  const unheardOf = request.roles.filter((role) => state.declarationAhead(role.name) === undefined);
  if (state.declarationsAhead + unheardOf.length > declarationsMax) {
    return refusal(
      'refused',
      `The cluster has ${declarationsMax} roles, the most that it admits; join with known ones.`,
    );
  }
  return undefined;
}

function isSameDeclaration(a: RoleDeclaration, b: RoleDeclaration): boolean {
  const namesOf = (role: RoleDeclaration): readonly string[] =>
    [role.requires, role.bootstrapFrom, role.consumes].map((names) => names.join());
  return namesOf(a).join(';') === namesOf(b).join(';');
}

function judgeStatement(state: ControlState, request: JoinRequest): Refusal | undefined {
  if (encodeStatement(admitStatement(state, request, 1, 0)).length > statementBytesMax) {
    return refusal('refused', 'The roles’ names together are too long for a certificate; use fewer or shorter ones.');
  }
  return undefined;
}

/** The one statement that follows from a request: each control node makes it anew before it signs. */
export function admitStatement(
  state: ControlState,
  request: JoinRequest,
  number: NodeNumber,
  at: WallMs,
): AdmitStatement {
  return {
    kind: 'admit',
    cluster: state.genesis.cluster,
    epoch: state.epoch,
    controlSet: state.charter.controlSet.index,
    number,
    name: request.name,
    signingKey: request.signingKey,
    exchangeKey: request.exchangeKey,
    roles: request.roles.map((role) => role.name),
    notBefore: Math.max(0, at - clockSkewMs),
    notAfter: Math.min(at + certificateLifeMs, u48Max),
  };
}
