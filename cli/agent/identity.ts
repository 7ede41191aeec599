/** Who this node is, as its data folder remembers it, and whether the settings still fit that. */
import { isAdmission } from '../../src/certificate/certificate.ts';
import { decodeGenesis, type Genesis } from '../../src/certificate/genesis.ts';
import type { AdmitStatement } from '../../src/certificate/statement.ts';
import type { JoinToken } from '../../src/certificate/token.ts';
import { controlRole } from '../../src/control/control-state.ts';
import { HivemindError } from '../../src/error.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { charterOf } from '../../src/member/directory.ts';
import type { MemberMemory } from '../../src/member/memory.ts';
import type { Logger } from '../../src/seam/logger.ts';
import type { NodeFolder } from './node-folder.ts';

export interface Identity {
  readonly genesis: Genesis;
  readonly number: NodeNumber;
  readonly memory: MemberMemory | undefined;
  /** It is a control node without a certificate: the genesis or a recovery names it, and its folder says which one. */
  readonly isFounder: boolean;
}

/**
 * Nothing in a folder that never belonged to a cluster.
 *
 * @throws HivemindError `data-corrupt`
 */
export async function rememberedIdentity(folder: NodeFolder, log: Logger): Promise<Identity | undefined> {
  const { memory, repair } = await folder.memory();
  if (repair !== undefined) log.warn('memory repaired', { repair });
  return await identityIn(folder, memory);
}

/**
 * The same for a folder that remembers this.
 *
 * @throws HivemindError `data-corrupt`
 */
export async function identityIn(folder: NodeFolder, memory: MemberMemory | undefined): Promise<Identity | undefined> {
  const founding = await folder.founding();
  if (founding !== undefined) return { ...founding, memory, isFounder: true };
  if (memory === undefined) return undefined;
  const genesis = decodeGenesis(memory.digest.genesis);
  const number = genesis === undefined ? undefined : certifiedAs(genesis, memory)?.number;
  if (genesis !== undefined && number !== undefined) return { genesis, number, memory, isFounder: false };
  throw new HivemindError(
    'data-corrupt',
    `${folder.path} does not say who this node is; empty it and join again with a token.`,
  );
}

/**
 * A token of another cluster beside the data of this one is a mistake worth stopping for.
 *
 * @throws HivemindError `cluster-mismatch`
 */
export function checkCluster(identity: Identity, folder: NodeFolder, token: JoinToken): void {
  if (Buffer.compare(token.cluster, identity.genesis.cluster) === 0) return;
  const sentence = `${folder.path} holds the data of another cluster than the token's; `;
  throw new HivemindError('cluster-mismatch', `${sentence}choose another folder with --folder, or empty it.`);
}

/**
 * A member is called and performs what its certificate says, neither more nor less.
 *
 * @throws HivemindError `name-invalid`, `roles-not-allowed`
 */
export function checkRoles(identity: Identity, name: string, roles: readonly string[]): void {
  if (identity.isFounder) {
    if (roles.length === 0) return;
    const sentence = `${name} is a control node and performs nothing else; remove its roles: section.`;
    throw new HivemindError('roles-not-allowed', sentence);
  }
  const certified = identity.memory === undefined ? undefined : certifiedAs(identity.genesis, identity.memory);
  if (certified === undefined) return;
  if (certified.name !== name) {
    const sentence = `This node was admitted as ${certified.name}, not ${name}; `;
    throw new HivemindError('name-invalid', `${sentence}restore its name, or leave and join again.`);
  }
  if ([...certified.roles].sort().join() === [...roles].sort().join()) return;
  const sentence = `This node was admitted with the roles ${certified.roles.join(', ')}, not ${roles.join(', ')}; `;
  throw new HivemindError('roles-not-allowed', `${sentence}restore them, or leave and join again.`);
}

/** Whether it keeps the event log: a founder, or one that joined with the role. */
export function keepsLog(identity: Identity): boolean {
  const { genesis, memory, isFounder } = identity;
  if (isFounder) return true;
  return memory !== undefined && certifiedAs(genesis, memory)?.roles.includes(controlRole) === true;
}

/** What the remembered certificate says of this node; nothing when its cluster's control nodes did not sign it. */
function certifiedAs(genesis: Genesis, memory: MemberMemory): AdmitStatement | undefined {
  const { certificate: bytes, digest } = memory;
  const certificate = bytes === undefined ? undefined : charterOf(genesis, digest.charter).verify(bytes);
  return isAdmission(certificate) ? certificate.statement : undefined;
}
