/** What a node asks for when it wants to belong, signed by its own key and by its token's. */
import { ByteReader, ByteWriter, equalBytes } from '../bytes.ts';
import { publicKeyBytes, type SigningKey, signatureBytes, verifySignature } from '../crypto.ts';
import { isLabel, rolesPerNodeMax, type WallMs } from '../identity.ts';
import { type Locator, verifyLocator } from './locator.ts';

export const relatedRolesMax = 16;

/** A role as its type declares it: what it needs, whom it asks first, whose configs it consumes (HM-16). */
export interface RoleDeclaration {
  readonly name: string;
  readonly requires: readonly string[];
  readonly bootstrapFrom: readonly string[];
  readonly consumes: readonly string[];
}

export interface JoinRequest {
  readonly name: string;
  readonly signingKey: Uint8Array;
  readonly exchangeKey: Uint8Array;
  readonly roles: readonly RoleDeclaration[];
  readonly locator: Locator;
  /** The public half of the token's key. */
  readonly tokenKey: Uint8Array;
  readonly askedAt: WallMs;
  /** The whole request as both keys signed it. */
  readonly bytes: Uint8Array;
}

const label = 'hivemind/join/1';

export type JoinWish = Omit<JoinRequest, 'signingKey' | 'tokenKey' | 'bytes'>;

export function signJoinRequest(
  wish: JoinWish,
  node: SigningKey,
  token: SigningKey,
  genesisHash: Uint8Array,
): JoinRequest {
  const out = new ByteWriter(label).raw(genesisHash).text(wish.name);
  out.raw(node.publicKey).raw(wish.exchangeKey).raw(token.publicKey).u48(wish.askedAt);
  out.u8(wish.roles.length);
  for (const role of wish.roles) {
    out.text(role.name);
    for (const names of [role.requires, role.bootstrapFrom, role.consumes]) writeNames(out, names);
  }
  const signed = out.bytes(wish.locator.bytes).finish();
  const bytes = new ByteWriter().bytes(signed).raw(node.sign(signed)).raw(token.sign(signed)).finish();
  return { ...wish, signingKey: node.publicKey, tokenKey: token.publicKey, bytes };
}

/** The request in a stranger's bytes, or nothing unless both keys signed it for this cluster. */
export function verifyJoinRequest(
  bytes: Uint8Array,
  cluster: Uint8Array,
  genesisHash: Uint8Array,
): JoinRequest | undefined {
  const outer = new ByteReader(bytes);
  const signed = outer.bytes();
  const [byNode, byToken] = [outer.raw(signatureBytes), outer.raw(signatureBytes)];
  if (!outer.done) return undefined;
  const request = readSigned(signed, cluster, genesisHash);
  if (request === undefined) return undefined;
  if (!verifySignature(request.signingKey, signed, byNode)) return undefined;
  if (!verifySignature(request.tokenKey, signed, byToken)) return undefined;
  return { ...request, bytes };
}

function readSigned(
  signed: Uint8Array,
  cluster: Uint8Array,
  genesisHash: Uint8Array,
): Omit<JoinRequest, 'bytes'> | undefined {
  const input = new ByteReader(signed);
  if (input.text() !== label || !equalBytes(input.raw(genesisHash.length), genesisHash)) return undefined;
  const name = input.text();
  const signingKey = input.raw(publicKeyBytes);
  const exchangeKey = input.raw(publicKeyBytes);
  const tokenKey = input.raw(publicKeyBytes);
  const askedAt = input.u48();
  const roleCount = input.u8();
  if (roleCount > rolesPerNodeMax) return undefined;
  const roles = Array.from({ length: roleCount }, () => readDeclaration(input));
  const locator = verifyLocator(input.bytes(), cluster);
  if (!input.done || locator === undefined || !equalBytes(locator.signingKey, signingKey)) return undefined;
  if (!roles.every(isDeclaration)) return undefined;
  return { name, signingKey, exchangeKey, tokenKey, askedAt, roles, locator };
}

function isDeclaration(role: RoleDeclaration): boolean {
  return [role.name, ...role.requires, ...role.bootstrapFrom, ...role.consumes].every(isLabel);
}

function writeNames(out: ByteWriter, names: readonly string[]): void {
  out.u8(names.length);
  for (const name of names) out.text(name);
}

function readNames(input: ByteReader): readonly string[] {
  const count = input.u8();
  return count > relatedRolesMax ? [''] : Array.from({ length: count }, () => input.text());
}

function readDeclaration(input: ByteReader): RoleDeclaration {
  return {
    name: input.text(),
    requires: readNames(input),
    bootstrapFrom: readNames(input),
    consumes: readNames(input),
  };
}
