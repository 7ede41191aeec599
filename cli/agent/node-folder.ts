/**
 * The data folder of one node:
 *
 * ```
 * keys             the node's secrets, mode 0600
 * tls.pem          its TLS key and certificate, made once with the keys
 * genesis          on a control node: the genesis and its own number in it
 * member.snapshot  what it remembers over a restart
 * log/             on a control node: the event log
 * roles/NAME/      whatever a role keeps
 * ```
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ByteReader, ByteWriter, fromUtf8, utf8 } from '../../src/bytes.ts';
import { decodeGenesis, encodeGenesis, type Genesis } from '../../src/certificate/genesis.ts';
import { type ExchangeKey, exchangeKeyFrom, type SigningKey, signingKeyFrom } from '../../src/crypto.ts';
import { HivemindError } from '../../src/error.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { decodeMemory, type MemberMemory } from '../../src/member/memory.ts';
import { createTlsIdentity, type TlsIdentity } from '../../src/net/tls-identity.ts';
import { writeFileAtomically } from '../../src/store/atomic-file.ts';
import { DiskFull } from '../../src/store/disk-failure.ts';
import { makeFolder } from '../../src/store/folder.ts';
import { createKeys, loadKeys } from '../../src/store/key-file.ts';
import { createRecordFile, type RecordFileKind, readRecordFile } from '../../src/store/record-file.ts';
import { peekSnapshot, readSnapshot, retireSnapshot, writeSnapshot } from '../../src/store/snapshot-file.ts';
import { fullRetryMs } from '../../src/store/write-ahead-log.ts';
import { systemRandom } from '../../src/system/random.ts';

const genesisFile: RecordFileKind = { magic: 'HIVEGENE', version: 1, noun: 'the genesis of a cluster' };
const certificateBegins = '-----BEGIN CERTIFICATE-----';

export interface NodeKeys {
  readonly signing: SigningKey;
  readonly exchange: ExchangeKey;
  readonly tls: TlsIdentity;
}

export interface Founding {
  readonly genesis: Genesis;
  readonly number: NodeNumber;
}

export class NodeFolder {
  readonly path: string;
  private isForgotten = false;

  constructor(path: string) {
    this.path = path;
    makeFolder(path);
  }

  get logFolder(): string {
    return join(this.path, 'log');
  }

  roleFolder(role: string): string {
    const path = join(this.path, 'roles', role);
    makeFolder(path);
    return path;
  }

  /** The node's keys; made when there are none. */
  async keys(): Promise<NodeKeys> {
    const path = join(this.path, 'keys');
    const seeds = (await loadKeys(path)) ?? (await createKeys(path, systemRandom));
    return {
      signing: signingKeyFrom(seeds.signingSeed),
      exchange: exchangeKeyFrom(seeds.exchangeSeed),
      tls: await this.tlsIdentity(seeds.signingSeed),
    };
  }

  async found(founding: Founding): Promise<void> {
    const body = new ByteWriter().u32(founding.number).blob(encodeGenesis(founding.genesis)).finish();
    await createRecordFile(join(this.path, 'genesis'), genesisFile, body);
  }

  /** What makes this a control node; nothing on any other. */
  async founding(): Promise<Founding | undefined> {
    const path = join(this.path, 'genesis');
    const body = await readRecordFile(path, genesisFile);
    if (body === undefined) return undefined;
    const input = new ByteReader(body);
    const number = input.u32();
    const genesis = decodeGenesis(input.blob());
    if (genesis !== undefined && input.done) return { genesis, number };
    throw new HivemindError('data-corrupt', `${path} holds no genesis; restore this control node's data from a copy.`);
  }

  /** What the node remembers, and what had to be moved aside because it was unreadable. */
  async memory(): Promise<{ readonly memory: MemberMemory | undefined; readonly repair?: string }> {
    const { bytes, repair } = await readSnapshot(this.path);
    const memory = bytes === undefined ? undefined : decodeMemory(bytes);
    return repair === undefined ? { memory } : { memory, repair };
  }

  /**
   * What the node remembers, and nothing is moved: for whoever only looks, or must not go on without it.
   *
   * @param advice what to do when it cannot be read
   * @throws HivemindError `data-corrupt` when it is damaged or of another version; `disk-failed`
   */
  async peekMemory(advice: string): Promise<MemberMemory | undefined> {
    const bytes = await peekSnapshot(this.path).catch((thrown: unknown) => {
      const isDisk = thrown instanceof HivemindError && thrown.code === 'disk-failed';
      throw isDisk ? thrown : unreadable(this.path, advice, thrown);
    });
    const memory = bytes === undefined ? undefined : decodeMemory(bytes);
    if (bytes !== undefined && memory === undefined) throw unreadable(this.path, advice);
    return memory;
  }

  /**
   * Waits for room on a full disk where there is an `onFull` to be told of it, and of its end.
   *
   * @throws HivemindError `disk-failed`
   */
  async remember(bytes: Uint8Array, onFull?: (isFull: boolean) => void): Promise<void> {
    for (let wasFull = false; !this.isForgotten; wasFull = true) {
      try {
        await writeSnapshot(this.path, bytes);
        if (wasFull) onFull?.(false);
        return;
      } catch (thrown) {
        if (onFull === undefined || !(thrown instanceof DiskFull)) throw thrown;
        if (!wasFull) onFull(true);
      }
      await sleep(fullRetryMs, undefined, { ref: false });
    }
  }

  /** It does not belong to its cluster any more: a later start joins anew, with a token, under the same keys. */
  async forget(): Promise<void> {
    this.isForgotten = true;
    await retireSnapshot(this.path);
  }

  private async tlsIdentity(signingSeed: Uint8Array): Promise<TlsIdentity> {
    const path = join(this.path, 'tls.pem');
    const stored = await readFile(path, 'utf8').catch(() => undefined);
    const certificateAt = stored?.indexOf(certificateBegins) ?? -1;
    if (stored !== undefined && certificateAt > 0) {
      return { keyPem: stored.slice(0, certificateAt), certificatePem: stored.slice(certificateAt) };
    }
    const made = await createTlsIdentity(signingSeed);
    await writeFileAtomically(path, utf8(`${made.keyPem.trimEnd()}\n${made.certificatePem}`));
    return made;
  }
}

function unreadable(folder: string, advice: string, cause?: unknown): HivemindError {
  const path = join(folder, 'member.snapshot');
  return new HivemindError('data-corrupt', `${path} is damaged or of another version of hivemind; ${advice}.`, cause);
}

/** A token from a file, for those who keep it off command lines. */
export async function readTokenFile(path: string): Promise<string> {
  try {
    return (fromUtf8(await readFile(path)) ?? '').trim();
  } catch (cause) {
    throw new HivemindError('token-invalid', `The token file ${path} cannot be read; check join.tokenFile.`, cause);
  }
}
