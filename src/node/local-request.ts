/** Reads what a program on this machine sent over the unix socket: checked like any other bytes from outside. */
import { u48Max } from '../bytes.ts';
import { bool, type Codec, type Fields, list, Malformed, text, uint } from '../codec.ts';
import { brakeReleaseMsMax } from '../control/apply.ts';
import { noteBytesMax } from '../control/command.ts';
import { HivemindError } from '../error.ts';
import { isLabel, rolesPerNodeMax } from '../identity.ts';
import { unpack } from '../packed.ts';
import type { LocalRequest } from './local-api.ts';
import { localSessionCharactersMax } from './local-session.ts';

type OfKind<K extends LocalRequest['kind']> = Omit<Extract<LocalRequest, { readonly kind: K }>, 'kind'>;
type Table = { readonly [K in LocalRequest['kind']]: Fields<OfKind<K>> };

const name: Codec<string> = text(63);
const role: Codec<string> = text(63, isLabel);
const count: Codec<number> = uint(1_000_000);
/** Absent for no. */
const flag: Codec<boolean | undefined> = {
  write: (value) => value,
  read: (value) => (value === undefined ? undefined : bool.read(value)),
};

/** Base64url of 32 bytes. */
const tokenKeyCharactersMax = 43;

const tagKey: Codec<string> = text(63, isLabel);
const tagsMax = 256;
const tagValue: Codec<string> = text(8_192);
/** An object of texts. */
const tags: Codec<Readonly<Record<string, string>>> = {
  write: (value) => value,
  read(value) {
    if (!isRecord(value) || Object.keys(value).length > tagsMax) throw new Malformed();
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [tagKey.read(key), tagValue.read(each)]));
  },
};

const controlChanges = ['promote', 'demote'] as const;
/** By its word: what comes over the socket is written by hand, too. */
const controlChange: Codec<(typeof controlChanges)[number]> = {
  write: (value) => value,
  read(value) {
    const change = controlChanges.find((each) => each === value);
    if (change === undefined) throw new Malformed();
    return change;
  },
};

const fieldsOf: Table = {
  status: {},
  members: { consistent: flag },
  node: { name, consistent: flag },
  log: { from: uint(u48Max), most: count, consistent: flag },
  'follow-log': { from: uint(u48Max) },
  'export-log': { from: uint(u48Max), most: count },
  snapshot: { index: uint(u48Max), offset: uint(u48Max) },
  'open-session': {},
  note: { text: text(noteBytesMax), session: text(localSessionCharactersMax), sequence: uint(u48Max) },
  events: { most: count, follow: bool },
  configs: { role },
  pane: {},
  'create-token': { roles: list(role, rolesPerNodeMax), ttlMs: uint(), usesMax: count },
  'revoke-token': { key: text(tokenKeyCharactersMax) },
  leave: {},
  remove: { name },
  stop: {},
  'send-event': { name: role, payload: text(512) },
  tags: { name },
  'set-tags': { set: tags, drop: list(tagKey, tagsMax) },
  brake: {},
  'advance-epoch': {},
  'change-control': { change: controlChange, name },
  'transfer-lead': { name },
  'release-brake': { forMs: uint(brakeReleaseMsMax) },
};

/** @throws HivemindError `usage` for a request that is none, or that holds what may not be there */
export function readLocalRequest(body: Uint8Array): LocalRequest {
  const request = unpack(body);
  const kind = isRecord(request) ? request.kind : undefined;
  if (isRecord(request) && typeof kind === 'string' && Object.hasOwn(fieldsOf, kind)) {
    const fields = fieldsOf[kind as LocalRequest['kind']] as Fields<Record<string, unknown>>;
    const read: Record<string, unknown> = { kind };
    for (const field of Object.keys(fields)) {
      const value = readField(fields[field] as Codec<unknown>, request, field);
      if (value !== undefined) read[field] = value;
    }
    return read as unknown as LocalRequest;
  }
  throw new HivemindError('usage', "This agent does not know the request; use the agent's own release of hivemind.");
}

function readField(codec: Codec<unknown>, request: Record<string, unknown>, field: string): unknown {
  try {
    return codec.read(request[field]);
  } catch (thrown) {
    if (!(thrown instanceof Malformed)) throw thrown;
    throw new HivemindError('usage', `"${field}" of the request ${request.kind} is missing or beyond its limits.`);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
