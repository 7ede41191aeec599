/** What a member remembers over a restart: itself, the cluster as it last knew it, and the configs it holds. */
import { bool, bytes, type Codec, decode, encode, list, optional, packed, record } from '../codec.ts';
import { type Config, configsPerRoleMax, configValueBytesMax } from '../config/config.ts';
import { membersMax } from '../control/admission-policy.ts';
import { type LogIndex, rolesPerNodeMax } from '../identity.ts';
import { counter } from '../wire/fields.ts';
import { config, type Digest, digestOf, memberFacts } from '../wire/peer-message.ts';

export interface MemberMemory {
  /** Nothing for a control node of the genesis. */
  readonly certificate: Uint8Array | undefined;
  /** The own locator, whose version must never be used twice for different addresses. */
  readonly locator: Uint8Array | undefined;
  readonly digest: Digest;
  /** Own configs, whose seqs must never be used twice, and those consumed. */
  readonly configs: readonly Config[];
  /** On a node that has an event log, from its first start as one on: entries up to here are committed. */
  readonly commitIndex: LogIndex | undefined;
  /** A leave that the pane has not decided yet. */
  readonly leaving: boolean;
}

/** Others' configs are remembered up to so many bytes together; they can be asked for again. */
export const rememberedBytesMax = 33_554_432;
const factsBytesMax = 2_048;
const configBytesMax: number = configValueBytesMax + 256;
const configsMax: number = configsPerRoleMax * rolesPerNodeMax;

const codec: Codec<MemberMemory> = record<MemberMemory>({
  certificate: optional(bytes(1_100)),
  locator: optional(bytes(400)),
  digest: digestOf(list(packed(memberFacts, factsBytesMax), membersMax)),
  configs: list(packed(config, configBytesMax), configsMax),
  commitIndex: optional(counter),
  leaving: bool,
});

export function encodeMemory(memory: MemberMemory): Uint8Array {
  return encode(codec, memory);
}

export function decodeMemory(stored: Uint8Array): MemberMemory | undefined {
  return decode(codec, stored);
}

/** The own ones, and of the others what there is room for. */
export function worthRemembering(configs: readonly Config[], self: number): readonly Config[] {
  let bytesLeft = rememberedBytesMax;
  return configs.filter(({ owner, value }) => {
    if (owner === self) return true;
    bytesLeft -= value.length;
    return bytesLeft >= 0;
  });
}
