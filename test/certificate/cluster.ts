/** A cluster of known keys: control node n signs with the seed of 32 bytes n, everybody else from 0x40 on. */
import {
  assembleCertificate,
  type Certificate,
  type ControlSet,
  controlSetOf,
  majorityOf,
  type Share,
  signShare,
} from '../../src/certificate/certificate.ts';
import { Charter } from '../../src/certificate/charter.ts';
import { type Genesis, genesisHash } from '../../src/certificate/genesis.ts';
import {
  type JoinRequest,
  type JoinWish,
  type RoleDeclaration,
  signJoinRequest,
} from '../../src/certificate/join-request.ts';
import { signLocator } from '../../src/certificate/locator.ts';
import { numbersSkipped, type RecoveryStatement } from '../../src/certificate/recovery.ts';
import type {
  AdmitStatement,
  ControlSetStatement,
  EpochStatement,
  RemoveStatement,
  Statement,
} from '../../src/certificate/statement.ts';
import { exchangeKeyFrom, type SigningKey, signingKeyFrom } from '../../src/crypto.ts';
import type { NodeNumber } from '../../src/identity.ts';

/** 2026-01-02T00:00:00Z. */
export const foundedAt = 1_767_312_000_000;
export const dayMs = 86_400_000;
export const clusterId: Uint8Array = filled(16, 0xcc);

export function filled(length: number, byte: number): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

const signingKeys = new Map<number, SigningKey>();
const exchangeKeys = new Map<number, Uint8Array>();

export function signingKey(seed: number): SigningKey {
  const key = signingKeys.get(seed) ?? signingKeyFrom(filled(32, seed));
  signingKeys.set(seed, key);
  return key;
}

export function exchangeKey(seed: number): Uint8Array {
  const key = exchangeKeys.get(seed) ?? exchangeKeyFrom(filled(32, seed)).publicKey;
  exchangeKeys.set(seed, key);
  return key;
}

/** The seeds of the joiner atlas, of its exchange key and of the first token. */
export const atlasSeed = 0x41;
export const atlasExchangeSeed = 0x42;
export const firstTokenSeed = 0x43;
export const recoverySeed = 0x44;

export class Founders {
  readonly genesis: Genesis;
  readonly hash: Uint8Array;
  readonly set: ControlSet;
  readonly numbers: readonly NodeNumber[];

  constructor(size = 3, cluster: Uint8Array = clusterId) {
    this.numbers = Array.from({ length: size }, (_, position) => position + 1);
    this.genesis = {
      cluster,
      createdAt: foundedAt,
      control: this.numbers.map((number) => ({
        number,
        name: `control-${number}`,
        signingKey: signingKey(number).publicKey,
        exchangeKey: exchangeKey(0x10 + number),
        endpoints: [{ host: `10.0.0.${number}`, port: 7100 }],
      })),
      firstToken: { publicKey: signingKey(firstTokenSeed).publicKey, notAfter: foundedAt + dayMs },
      recoveryKey: signingKey(recoverySeed).publicKey,
    };
    this.hash = genesisHash(this.genesis);
    this.set = controlSetOf(this.genesis);
  }

  get majority(): readonly NodeNumber[] {
    return this.numbers.slice(0, majorityOf(this.numbers.length));
  }

  shares(statement: Statement, signers: readonly NodeNumber[] = this.majority): readonly Share[] {
    return signers.map((signer) => signShare(signingKey(signer), signer, statement));
  }

  certificate<S extends Statement>(statement: S, signers: readonly NodeNumber[] = this.majority): Certificate<S> {
    return assembleCertificate(statement, this.shares(statement, signers));
  }

  admission(changes: Partial<AdmitStatement> = {}): AdmitStatement {
    return {
      kind: 'admit',
      cluster: this.genesis.cluster,
      epoch: 1,
      controlSet: 0,
      number: 4,
      name: 'atlas',
      signingKey: signingKey(atlasSeed).publicKey,
      exchangeKey: exchangeKey(atlasExchangeSeed),
      roles: ['host', 'dns'],
      notBefore: foundedAt,
      notAfter: foundedAt + dayMs,
      ...changes,
    };
  }

  removal(changes: Partial<RemoveStatement> = {}): RemoveStatement {
    return {
      kind: 'remove',
      cluster: this.genesis.cluster,
      epoch: 1,
      controlSet: 0,
      number: 4,
      reason: 'left',
      ...changes,
    };
  }

  get charter(): Charter {
    return new Charter(this.genesis);
  }

  /** These numbers sign from now on, each with the key of its number. */
  successors(
    charter: Charter,
    numbers: readonly NodeNumber[],
    changes: Partial<ControlSetStatement> = {},
  ): ControlSetStatement {
    const nodes = numbers.map((number) => ({
      number,
      name: `control-${number}`,
      signingKey: signingKey(number).publicKey,
      exchangeKey: exchangeKey(0x10 + number),
    }));
    return { kind: 'control-set', ...charter.next(), epoch: charter.epoch, nextNumber: 20, nodes, ...changes };
  }

  nextEpoch(charter: Charter, changes: Partial<EpochStatement> = {}): EpochStatement {
    const epoch = charter.epoch + 1;
    return {
      kind: 'epoch',
      ...charter.next(),
      epoch,
      nextNumber: 20,
      membersHash: filled(32, 0xee),
      at: foundedAt,
      ...changes,
    };
  }

  /** Control node `number` goes on alone, of 20 numbers and an event log of 100 entries. */
  recovery(charter: Charter, number: NodeNumber = 1, changes: Partial<RecoveryStatement> = {}): RecoveryStatement {
    return {
      kind: 'recovery',
      ...charter.next(),
      epoch: charter.epoch + 1,
      nextNumber: 20 + numbersSkipped,
      membersHash: filled(32, 0xee),
      at: foundedAt + 1_000,
      lastIndex: 100,
      lastChain: filled(32, 0xef),
      node: {
        number,
        name: `control-${number}`,
        signingKey: signingKey(number).publicKey,
        exchangeKey: exchangeKey(0x10 + number),
        endpoints: [{ host: `10.0.0.${number}`, port: 7100 }],
      },
      ...changes,
    };
  }

  joinRequest({ seed = atlasSeed, token = firstTokenSeed, ...changes }: WishChanges = {}): JoinRequest {
    const key = signingKey(seed);
    const wish: JoinWish = {
      name: 'atlas',
      exchangeKey: exchangeKey(seed + 1),
      roles: [role('host')],
      locator: signLocator(key, this.genesis.cluster, 1, [{ host: '10.0.0.21', port: 7100 }]),
      askedAt: foundedAt + 1_000,
      ...changes,
    };
    return signJoinRequest(wish, key, signingKey(token), this.hash);
  }
}

export interface WishChanges extends Partial<JoinWish> {
  readonly seed?: number;
  readonly token?: number;
}

export function role(name: string, changes: Partial<RoleDeclaration> = {}): RoleDeclaration {
  return { name, requires: [], bootstrapFrom: [], consumes: [], ...changes };
}

/** The same bytes with one bit turned, once for each byte. */
export function alterations(bytes: Uint8Array): readonly Uint8Array[] {
  return Array.from(bytes, (byte, at) => {
    const altered = Uint8Array.from(bytes);
    altered[at] = byte ^ (1 << (at % 8));
    return altered;
  });
}

/** Every beginning of the bytes, from none of them to all but one. */
export function truncations(bytes: Uint8Array): readonly Uint8Array[] {
  return Array.from(bytes, (_, length) => bytes.slice(0, length));
}
