/** The joiner's part of a join: what it asks, and whether what comes back may be believed. Pure. */
import { equalBytes } from '../bytes.ts';
import { isAdmission } from '../certificate/certificate.ts';
import { decodeGenesis, type Genesis, genesisHash } from '../certificate/genesis.ts';
import { type RoleDeclaration, signJoinRequest } from '../certificate/join-request.ts';
import { signLocator } from '../certificate/locator.ts';
import type { JoinToken } from '../certificate/token.ts';
import { decode, encode } from '../codec.ts';
import type { ExchangeKey, SigningKey } from '../crypto.ts';
import { HivemindError } from '../error.ts';
import type { Endpoint, NodeNumber, WallMs } from '../identity.ts';
import { admission, decodeRequest, encodeRequest, reached } from '../wire/peer-message.ts';
import { charterOf } from './directory.ts';
import type { MemberMemory } from './memory.ts';

export interface JoinerOptions {
  readonly name: string;
  readonly roles: readonly RoleDeclaration[];
  readonly endpoints: readonly Endpoint[];
  readonly signingKey: SigningKey;
  readonly exchangeKey: ExchangeKey;
  readonly token: JoinToken;
  readonly at: WallMs;
}

export interface Joined {
  readonly genesis: Genesis;
  readonly number: NodeNumber;
  readonly memory: MemberMemory;
}

export interface JoinAttempt {
  readonly request: Uint8Array;
  /** The locator in the request: the member goes on with it. */
  readonly locator: Uint8Array;
}

export function prepareJoin(options: JoinerOptions): JoinAttempt {
  const { name, roles, endpoints, signingKey, exchangeKey, token, at } = options;
  // A time rather than 1: whoever joins again, from elsewhere, must be believed over its first try.
  const locator = signLocator(signingKey, token.cluster, at, endpoints);
  const wish = { name, roles, locator, exchangeKey: exchangeKey.publicKey, askedAt: at };
  const { bytes } = signJoinRequest(wish, signingKey, token.key, token.genesisHash);
  return { request: encodeRequest({ kind: 'join', request: bytes, hops: 0 }), locator: locator.bytes };
}

/**
 * What a node answers to peers while it is no member yet: that it is there, and nothing else.
 *
 * @throws HivemindError `not-admitted`
 */
export function answerAsJoiner(body: Uint8Array): Uint8Array {
  if (decodeRequest(body)?.kind === 'reach') return encode(reached, {});
  throw new HivemindError('not-admitted', 'This node is joining itself; ask another member.');
}

/**
 * What an answer makes of the joiner.
 *
 * @throws HivemindError `cluster-mismatch` when the genesis is not the token's; `join-refused` when the
 *   certificate is not signed by its control nodes or not for this node
 */
export function acceptAdmission(body: Uint8Array, attempt: JoinAttempt, options: JoinerOptions): Joined {
  const answer = decode(admission, body);
  if (answer === undefined)
    throw new HivemindError('frame-invalid', 'The answer to the join is unreadable; ask another member.');
  const genesis = decodeGenesis(answer.digest.genesis);
  if (genesis === undefined || !equalBytes(genesisHash(genesis), options.token.genesisHash)) {
    const sentence = 'The address belongs to another cluster than the token; check both.';
    throw new HivemindError('cluster-mismatch', sentence);
  }
  const certificate = charterOf(genesis, answer.digest.charter).verify(answer.certificate);
  if (!isAdmission(certificate) || !equalBytes(certificate.statement.signingKey, options.signingKey.publicKey)) {
    const sentence = 'The certificate in the answer is not signed by the cluster’s control nodes for this node.';
    throw new HivemindError('join-refused', sentence);
  }
  const memory: MemberMemory = {
    certificate: certificate.bytes,
    locator: attempt.locator,
    digest: answer.digest,
    configs: [],
    commitIndex: undefined,
    leaving: false,
  };
  return { genesis, number: certificate.statement.number, memory };
}
