/**
 * The replicated state: what the event log has decided so far. Every control node applies the same entries in
 * the same order and holds the same state; `stateHash` proves it. Nothing here knows of time, sockets or files.
 */
import { ByteWriter, toHex } from '../bytes.ts';
import type { Certificate } from '../certificate/certificate.ts';
import type { Genesis } from '../certificate/genesis.ts';
import type { JoinRequest, RoleDeclaration } from '../certificate/join-request.ts';
import { type AdmitStatement, encodeStatement, type RemoveStatement } from '../certificate/statement.ts';
import { sha256 } from '../crypto.ts';
import type { Epoch, Incarnation, LogIndex, NodeNumber, WallMs } from '../identity.ts';

/** The role of the genesis's nodes; no token admits it, because the control set is changed apart. */
export const controlRole = 'control';

export interface AdmittedMember {
  readonly number: NodeNumber;
  readonly name: string;
  readonly signingKey: Uint8Array;
  readonly exchangeKey: Uint8Array;
  readonly roles: readonly string[];
  /** Nothing for control nodes: the genesis stands for them. */
  readonly certificate: Certificate<AdmitStatement> | undefined;
  /** The locator it joined with, as its owner signed it; nothing for control nodes. */
  readonly locator: Uint8Array | undefined;
  readonly joinedAt: LogIndex;
  readonly status: 'alive' | 'down';
  readonly incarnation: Incarnation;
}

/** Between the two entries of an admission: known to the pane and the joiner alone. */
export interface PendingAdmission {
  readonly statement: AdmitStatement;
  readonly request: JoinRequest;
  readonly since: WallMs;
}

export interface Removal {
  readonly statement: RemoveStatement;
  /** Nothing until a majority signed. */
  readonly certificate: Certificate<RemoveStatement> | undefined;
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
  epoch: Epoch = 1;
  featureLevel: number = 1;
  appliedIndex: LogIndex = 0;
  /** The time of the newest entry; it never goes back. */
  at: WallMs;
  nextNumber: NodeNumber;
  readonly members: Map<NodeNumber, AdmittedMember> = new Map();
  readonly pending: Map<NodeNumber, PendingAdmission> = new Map();
  readonly removed: Map<NodeNumber, Removal> = new Map();
  /** By the public key in hexadecimal. */
  readonly tokens: Map<string, TokenRecord> = new Map();
  readonly declarations: Map<string, RoleDeclaration> = new Map();

  constructor(genesis: Genesis, genesisHash: Uint8Array) {
    this.genesis = genesis;
    this.genesisHash = genesisHash;
    this.at = genesis.createdAt;
    this.nextNumber = genesis.control.length + 1;
    for (const node of genesis.control) {
      const { number, name, signingKey, exchangeKey } = node;
      const founding = {
        certificate: undefined,
        locator: undefined,
        joinedAt: 0,
        status: 'alive',
        incarnation: 0,
      } as const;
      this.members.set(number, { number, name, signingKey, exchangeKey, roles: [controlRole], ...founding });
    }
    const { publicKey, notAfter } = genesis.firstToken;
    this.tokens.set(toHex(publicKey), { publicKey, roles: [], notAfter, usesMax: 0, uses: 0 });
  }

  memberByKey(signingKey: Uint8Array): AdmittedMember | undefined {
    const wanted = toHex(signingKey);
    return [...this.members.values()].find((member) => toHex(member.signingKey) === wanted);
  }

  memberByName(name: string): AdmittedMember | undefined {
    return [...this.members.values()].find((member) => member.name === name);
  }

  pendingByKey(signingKey: Uint8Array): PendingAdmission | undefined {
    const wanted = toHex(signingKey);
    return [...this.pending.values()].find((admission) => toHex(admission.request.signingKey) === wanted);
  }

  isControl(number: NodeNumber): boolean {
    return number >= 1 && number <= this.genesis.control.length;
  }
}

/** Equal on two control nodes exactly when their states are: compared at the same applied index. */
export function stateHash(state: ControlState): Uint8Array {
  const out = new ByteWriter('hivemind/state/1').raw(state.genesisHash);
  out.u32(state.epoch).u32(state.featureLevel).u48(state.appliedIndex).u48(state.at).u32(state.nextNumber);
  writeAll(out, byNumber(state.members), (member) => {
    const { number, name, status, incarnation, joinedAt, certificate, locator } = member;
    out.u32(number).text(name).u32(incarnation).u48(joinedAt);
    out.u8(status === 'down' ? 1 : 0);
    out.blob(certificate?.bytes ?? nothing).blob(locator ?? nothing);
  });
  writeAll(out, byNumber(state.pending), ({ statement, request, since }) => {
    out.blob(encodeStatement(statement)).blob(request.bytes).u48(since);
  });
  writeAll(out, byNumber(state.removed), ({ statement, certificate }) => {
    out.blob(encodeStatement(statement)).blob(certificate?.bytes ?? nothing);
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
