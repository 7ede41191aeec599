/** What a member remembers over a restart: itself, the cluster as it last knew it, and the configs it holds. */
import { bool, bytes, type Codec, decode, encode, list, optional, record } from '../codec.ts';
import { type Config, configsPerRoleMax } from '../config/config.ts';
import type { LogIndex } from '../identity.ts';
import { counter } from '../wire/fields.ts';
import { config, type Digest, digest } from '../wire/peer-message.ts';

export interface MemberMemory {
  /** Nothing for a control node of the genesis. */
  readonly certificate: Uint8Array | undefined;
  /** The own locator, whose version must never be used twice for different addresses. */
  readonly locator: Uint8Array | undefined;
  readonly digest: Digest;
  /** Own configs, whose seqs must never be used twice, and those consumed. */
  readonly configs: readonly Config[];
  /** On a control node: entries up to here are committed. */
  readonly commitIndex: LogIndex;
  /** A leave that the pane has not decided yet. */
  readonly leaving: boolean;
}

const codec: Codec<MemberMemory> = record<MemberMemory>({
  certificate: optional(bytes(1_100)),
  locator: optional(bytes(400)),
  digest,
  configs: list(config, configsPerRoleMax),
  commitIndex: counter,
  leaving: bool,
});

export function encodeMemory(memory: MemberMemory): Uint8Array {
  return encode(codec, memory);
}

export function decodeMemory(stored: Uint8Array): MemberMemory | undefined {
  return decode(codec, stored);
}
