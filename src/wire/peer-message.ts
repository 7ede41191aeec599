/** What travels over streams between nodes: requests with their answers, and one-way posts. */

import type { Share } from '../certificate/certificate.ts';
import type { RoleDeclaration } from '../certificate/join-request.ts';
import { relatedRolesMax } from '../certificate/join-request.ts';
import {
  bool,
  bytes,
  type Codec,
  decode,
  encode,
  fixedBytes,
  list,
  optional,
  record,
  uint,
  variants,
  word,
} from '../codec.ts';
import { type Config, configsPerRoleMax, configValueBytesMax, type HeldSeq } from '../config/config.ts';
import { declarationsMax } from '../control/admission-policy.ts';
import type { PaneHealth } from '../control/keep-alive.ts';
import type { Incarnation, LogIndex, NodeNumber, Term, WallMs } from '../identity.ts';
import { rolesPerNodeMax } from '../identity.ts';
import type { RaftMessage } from '../raft/message.ts';
import type { LogEntry } from '../seam/log-store.ts';
import { joinRequestBytesMax, share } from './command.ts';
import { paneHealth } from './datagram.ts';
import { counter, epoch, incarnation, label, nodeNumber, publicKey, signature } from './fields.ts';

/** What a member may ask of the pane for itself or, as its operator, for others. */
export type PaneAsk =
  | { readonly kind: 'remove'; readonly number: NodeNumber }
  | { readonly kind: 'return'; readonly incarnation: Incarnation }
  | {
      readonly kind: 'create-token';
      readonly publicKey: Uint8Array;
      readonly roles: readonly string[];
      readonly notAfter: WallMs;
      readonly usesMax: number;
    }
  | { readonly kind: 'revoke-token'; readonly publicKey: Uint8Array };

export type PeerRequest =
  /** The only request that a stranger may make. `hops` counts how often it was passed on. */
  | { readonly kind: 'join'; readonly request: Uint8Array; readonly hops: number }
  /** To the pane; `from` differs from the sender only when a control node passes it on to the leader. */
  | { readonly kind: 'ask-pane'; readonly from: NodeNumber; readonly ask: PaneAsk; readonly hops: number }
  | { readonly kind: 'digest' }
  | { readonly kind: 'facts'; readonly numbers: readonly NodeNumber[] }
  | { readonly kind: 'log'; readonly from: LogIndex; readonly most: number }
  | { readonly kind: 'pane-status' }
  | {
      readonly kind: 'config-sync';
      readonly role: string;
      readonly hash: Uint8Array;
      readonly held: readonly HeldSeq[];
      /** Only the asker's own config is compared. */
      readonly ownOnly: boolean;
    }
  | { readonly kind: 'role'; readonly role: string; readonly body: Uint8Array }
  /** "Are you there?" Anyone may ask; a joiner is asked before it is admitted. */
  | { readonly kind: 'reach' };

export type PeerPost =
  | { readonly kind: 'raft'; readonly message: RaftMessage }
  | {
      readonly kind: 'share';
      readonly number: NodeNumber;
      readonly statement: 'admit' | 'remove';
      readonly share: Share;
    }
  | { readonly kind: 'configs'; readonly configs: readonly Config[] }
  /** To a member that was removed: nobody else talks to it any more. */
  | { readonly kind: 'removal'; readonly certificate: Uint8Array };

/** One member as another knows it. */
export interface MemberFacts {
  readonly number: NodeNumber;
  /** Absent for control nodes, whom the genesis names. */
  readonly certificate: Uint8Array | undefined;
  readonly locator: Uint8Array | undefined;
  readonly status: 'alive' | 'down';
  readonly incarnation: Incarnation;
}

/** What an admitted node receives, and whoever missed something pulls. */
export interface Digest {
  readonly genesis: Uint8Array;
  readonly epoch: number;
  readonly logIndex: LogIndex;
  readonly members: readonly MemberFacts[];
  readonly removed: readonly NodeNumber[];
  readonly declarations: readonly RoleDeclaration[];
}

/** What any member may tell of others: each line counts as far as it is signed. */
export interface Facts {
  readonly members: readonly MemberFacts[];
  readonly declarations: readonly RoleDeclaration[];
}

export interface Admission {
  readonly certificate: Uint8Array;
  readonly digest: Digest;
}

export interface Decided {
  /** Where the decision stands in the event log; 0 when it stood already. */
  readonly index: LogIndex;
}

/** Committed entries, with where the log ends. */
export interface LogPage {
  readonly entries: readonly LogEntry[];
  readonly commitIndex: LogIndex;
}

export interface PaneStatus {
  readonly number: NodeNumber;
  readonly role: 'follower' | 'pre-candidate' | 'candidate' | 'leader';
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly health: PaneHealth;
}

export interface ConfigPage {
  /** What the asker lacked, or a first page of it. */
  readonly configs: readonly Config[];
  /** Of whom the asker holds something newer than the answerer. */
  readonly wanted: readonly NodeNumber[];
}

/** Members in one digest; with a certificate each it still fits a frame. */
export const digestMembersMax = 5_000;
export const factsNumbersMax = 256;
export const logPageEntriesMax = 1_000;
const removedMax = 20_000;
const hopsMax = 8;
const raftEntriesMax = 4_096;
export const rolePayloadBytesMax = 1_048_576;
const entryPayloadBytesMax = 1_048_576;

export const config: Codec<Config> = record<Config>({
  owner: nodeNumber,
  role: label,
  seq: counter,
  value: bytes(configValueBytesMax),
  signature,
});
const heldSeq: Codec<HeldSeq> = record<HeldSeq>({ owner: nodeNumber, seq: counter });
const entry: Codec<LogEntry> = record<LogEntry>({
  index: counter,
  term: counter,
  payload: bytes(entryPayloadBytesMax),
});

const paneAsk: Codec<PaneAsk> = variants<PaneAsk>({
  remove: [1, { number: nodeNumber }],
  return: [2, { incarnation }],
  'create-token': [3, { publicKey, roles: list(label, rolesPerNodeMax), notAfter: counter, usesMax: uint(1_000_000) }],
  'revoke-token': [4, { publicKey }],
});

const vote = { term: counter, lastIndex: counter, lastTerm: counter } as const;
const voteAnswer = {
  term: counter,
  granted: bool,
} as const;
const raftMessage: Codec<RaftMessage> = variants<RaftMessage>({
  'pre-vote-request': [1, vote],
  'pre-vote-answer': [2, voteAnswer],
  'vote-request': [3, vote],
  'vote-answer': [4, voteAnswer],
  'append-request': [
    5,
    {
      term: counter,
      previousIndex: counter,
      previousTerm: counter,
      commitIndex: counter,
      round: counter,
      entries: list(entry, raftEntriesMax),
    },
  ],
  'append-answer': [6, { term: counter, accepted: bool, matchIndex: counter, round: counter }],
});

export const peerRequest: Codec<PeerRequest> = variants<PeerRequest>({
  join: [1, { request: bytes(joinRequestBytesMax), hops: uint(hopsMax) }],
  'ask-pane': [2, { from: nodeNumber, ask: paneAsk, hops: uint(hopsMax) }],
  digest: [3, {}],
  facts: [4, { numbers: list(nodeNumber, factsNumbersMax) }],
  log: [5, { from: counter, most: uint(logPageEntriesMax) }],
  'pane-status': [6, {}],
  'config-sync': [7, { role: label, hash: fixedBytes(16), held: list(heldSeq, configsPerRoleMax), ownOnly: bool }],
  role: [8, { role: label, body: bytes(rolePayloadBytesMax) }],
  reach: [9, {}],
});

export const peerPost: Codec<PeerPost> = variants<PeerPost>({
  raft: [1, { message: raftMessage }],
  share: [2, { number: nodeNumber, statement: word('admit', 'remove'), share }],
  configs: [3, { configs: list(config, configsPerRoleMax) }],
  removal: [4, { certificate: bytes(1_000) }],
});

const names: Codec<readonly string[]> = list(label, relatedRolesMax);
const declaration: Codec<RoleDeclaration> = record<RoleDeclaration>({
  name: label,
  requires: names,
  bootstrapFrom: names,
  consumes: names,
});
const memberFacts: Codec<MemberFacts> = record<MemberFacts>({
  number: nodeNumber,
  certificate: optional(bytes(1_100)),
  locator: optional(bytes(400)),
  status: word('alive', 'down'),
  incarnation,
});
const genesisBytesMax = 8_192;

export const digest: Codec<Digest> = record<Digest>({
  genesis: bytes(genesisBytesMax),
  epoch,
  logIndex: counter,
  members: list(memberFacts, digestMembersMax),
  removed: list(nodeNumber, removedMax),
  declarations: list(declaration, declarationsMax),
});
export const facts: Codec<Facts> = record<Facts>({
  members: list(memberFacts, factsNumbersMax),
  declarations: list(declaration, declarationsMax),
});
export const admission: Codec<Admission> = record<Admission>({ certificate: bytes(1_100), digest });
/** Says nothing but that it came. */
export const reached: Codec<object> = record<object>({});
export const decided: Codec<Decided> = record<Decided>({ index: counter });
export const logPage: Codec<LogPage> = record<LogPage>({
  entries: list(entry, logPageEntriesMax),
  commitIndex: counter,
});
export const paneStatus: Codec<PaneStatus> = record<PaneStatus>({
  number: nodeNumber,
  role: word('follower', 'pre-candidate', 'candidate', 'leader'),
  term: counter,
  commitIndex: counter,
  lastIndex: counter,
  health: paneHealth,
});
export const configPage: Codec<ConfigPage> = record<ConfigPage>({
  configs: list(config, configsPerRoleMax),
  wanted: list(nodeNumber, configsPerRoleMax),
});
/** A role's request and answer are its own business: bytes here. */
export const rolePayload: Codec<Uint8Array> = bytes(rolePayloadBytesMax);

export const encodeRequest = (request: PeerRequest): Uint8Array => encode(peerRequest, request);
export const decodeRequest = (body: Uint8Array): PeerRequest | undefined => decode(peerRequest, body);
export const encodePost = (post: PeerPost): Uint8Array => encode(peerPost, post);
export const decodePost = (body: Uint8Array): PeerPost | undefined => decode(peerPost, body);
