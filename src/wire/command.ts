/** The payload of a log entry. Numbers are never reused; a new kind comes with a feature level. */
import type { Share } from '../certificate/certificate.ts';
import { controlNodesMax } from '../certificate/genesis.ts';
import { removalReasons } from '../certificate/statement.ts';
import { bytes, type Codec, decode, encode, fixedBytes, list, record, uint, variants, word } from '../codec.ts';
import { membersMax } from '../control/admission-policy.ts';
import type { CharterChange } from '../control/amending.ts';
import { sessionIdBytes } from '../control/client-sessions.ts';
import { type Command, type Conviction, noteBytesMax } from '../control/command.ts';
import { rolesPerNodeMax } from '../identity.ts';
import { counter, incarnation, label, nodeNumber, publicKey, signature } from './fields.ts';

export const joinRequestBytesMax = 16_384;

export const share: Codec<Share> = record<Share>({ signer: nodeNumber, signature });
export const sessionId: Codec<Uint8Array> = fixedBytes(sessionIdBytes);
const shares = list(share, controlNodesMax);
const conviction: Codec<Conviction> = record<Conviction>({ number: nodeNumber, incarnation });

export const charterChange: Codec<CharterChange> = variants<CharterChange>({
  'control-set': [1, { numbers: list(nodeNumber, controlNodesMax), base: counter }],
  epoch: [2, {}],
});

const codec: Codec<Command> = variants<Command>({
  'raise-feature-level': [1, { at: counter, level: uint(65_535) }],
  'create-token': [
    2,
    { at: counter, publicKey, roles: list(label, rolesPerNodeMax), notAfter: counter, usesMax: uint(1_000_000) },
  ],
  'revoke-token': [3, { at: counter, publicKey }],
  'begin-admission': [4, { at: counter, request: bytes(joinRequestBytesMax) }],
  'complete-admission': [5, { at: counter, number: nodeNumber, shares }],
  'withdraw-admission': [6, { at: counter, number: nodeNumber }],
  'begin-removal': [7, { at: counter, number: nodeNumber, reason: word(...removalReasons) }],
  'complete-removal': [8, { at: counter, number: nodeNumber, shares }],
  convict: [9, { at: counter, subjects: list(conviction, membersMax) }],
  return: [10, { at: counter, number: nodeNumber, incarnation }],
  'release-brake': [11, { at: counter, until: counter }],
  'begin-amendment': [13, { at: counter, change: charterChange }],
  'complete-amendment': [14, { at: counter, shares }],
  'withdraw-amendment': [15, { at: counter }],
  note: [
    12,
    { at: counter, by: nodeNumber, session: sessionId, since: counter, sequence: counter, text: bytes(noteBytesMax) },
  ],
});

export function encodeCommand(command: Command): Uint8Array {
  return encode(codec, command);
}

/** Nothing when the entry's kind is not known to this version: the node must not go on applying. */
export function decodeCommand(payload: Uint8Array): Command | undefined {
  return decode(codec, payload);
}
