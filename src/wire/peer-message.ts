/** What travels over streams between nodes: requests with their answers, and one-way posts. */

import type { Share } from '../certificate/certificate.ts';
import { amendmentBytesMax, amendmentsMax } from '../certificate/charter.ts';
import type { RoleDeclaration } from '../certificate/join-request.ts';
import { relatedRolesMax } from '../certificate/join-request.ts';
import type { Statement } from '../certificate/statement.ts';
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
import { declarationsMax, membersMax } from '../control/admission-policy.ts';
import type { CharterChange } from '../control/amending.ts';
import { brakeReleaseMsMax } from '../control/apply.ts';
import type { Turn } from '../control/client-sessions.ts';
import { noteBytesMax } from '../control/command.ts';
import type { PaneHealth } from '../control/keep-alive.ts';
import { hashBytes } from '../crypto.ts';
import type { Incarnation, LogIndex, NodeNumber, Term, WallMs } from '../identity.ts';
import { rolesPerNodeMax } from '../identity.ts';
import type { RaftMessage } from '../raft/message.ts';
import type { LogEntry } from '../seam/log-store.ts';
import type { Slice } from '../swim/slice.ts';
import { charterChange, joinRequestBytesMax, sessionId, share } from './command.ts';
import { paneHealth } from './datagram.ts';
import {
  counter,
  incarnation,
  label,
  labelOrEmpty,
  nodeNumber,
  nodeNumberOrNone,
  publicKey,
  signature,
} from './fields.ts';
import { entry, raftMessage } from './raft.ts';
import { slice } from './slice.ts';

/** What a member may ask of the pane for itself or, as its operator, for others. */
export type PaneAsk =
  | { readonly kind: 'remove'; readonly number: NodeNumber }
  /** `uptimeMs`: how long the asking process runs, so that a restarted one need not wait like a stalled one. */
  | { readonly kind: 'return'; readonly incarnation: Incarnation; readonly uptimeMs: number }
  /** Lets convictions pass that the brake holds back, for so long. */
  | { readonly kind: 'release-brake'; readonly forMs: number }
  | {
      readonly kind: 'create-token';
      readonly publicKey: Uint8Array;
      readonly roles: readonly string[];
      readonly notAfter: WallMs;
      readonly usesMax: number;
    }
  | { readonly kind: 'revoke-token'; readonly publicKey: Uint8Array }
  /** The lead, to another control node. */
  | { readonly kind: 'transfer'; readonly to: NodeNumber }
  /** Other control nodes, or the next epoch. */
  | { readonly kind: 'amend'; readonly change: CharterChange }
  /** Into the event log, once for each turn of the session. */
  | ({ readonly kind: 'note'; readonly text: Uint8Array } & Turn);

export type PeerRequest =
  /** A stranger may make this one and `reach`. `hops` counts how often it was passed on. */
  | { readonly kind: 'join'; readonly request: Uint8Array; readonly hops: number }
  /** To the pane; `from` differs from the sender only when a control node passes it on to the leader. */
  | { readonly kind: 'ask-pane'; readonly from: NodeNumber; readonly ask: PaneAsk; readonly hops: number }
  /** Here and below, `atLeast`: answered once all up to this entry is applied; 0 for at once. */
  | { readonly kind: 'digest'; readonly atLeast: LogIndex }
  | { readonly kind: 'facts'; readonly numbers: readonly NodeNumber[] }
  /** To a control node: members from this number on, for people to read. */
  /** `name`: the one of this name alone; empty for all, from a number on. */
  | { readonly kind: 'members'; readonly from: NodeNumber; readonly name: string; readonly atLeast: LogIndex }
  /** To a control node: who performs a role. */
  | { readonly kind: 'role-members'; readonly role: string }
  | { readonly kind: 'log'; readonly from: LogIndex; readonly most: number; readonly atLeast: LogIndex }
  | { readonly kind: 'pane-status' }
  | {
      readonly kind: 'config-sync';
      readonly role: string;
      readonly hash: Uint8Array;
      readonly held: readonly HeldSeq[];
      /** Only the asker's own config is compared. */
      readonly ownOnly: boolean;
    }
  /** One member's config, from whoever holds it. */
  | { readonly kind: 'config'; readonly role: string; readonly owner: NodeNumber }
  | { readonly kind: 'role'; readonly role: string; readonly body: Uint8Array }
  /** "Are you there?" Anyone may ask; a joiner is asked before it is admitted. */
  | { readonly kind: 'reach' }
  /** The amendments of the charter behind so many. Anyone may ask: they are signed, and whoever was away needs them. */
  | { readonly kind: 'charter'; readonly length: number }
  /** "Up to which entry is everything that was decided by now?" Told by the leader, once a majority confirmed it. */
  | { readonly kind: 'read-index'; readonly hops: number };

export type PeerPost =
  /** `wall`: the sender's time of day. */
  | { readonly kind: 'raft'; readonly message: RaftMessage; readonly wall: WallMs }
  | {
      readonly kind: 'share';
      readonly number: NodeNumber;
      readonly statement: Statement['kind'];
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
  readonly charter: CharterPage;
  readonly logIndex: LogIndex;
  /** All members of the cluster; `members` holds those of the receiver's view. */
  readonly size: number;
  /** What the receiver's view is made of; nothing when it is everybody. */
  readonly slice: Slice | undefined;
  readonly members: readonly MemberFacts[];
  /** All removed numbers of the epoch, ascending (see control/number-set.ts). */
  readonly removed: Uint8Array;
  readonly declarations: readonly RoleDeclaration[];
}

/** Amendments of the charter, and with the present epoch the numbers that went on belonging when it began. */
export interface CharterPage {
  readonly amendments: readonly Uint8Array[];
  /** Ascending (see control/number-set.ts); empty in the first epoch, and where the answerer does not know them. */
  readonly members: Uint8Array;
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

/** All that was decided before the question was asked ends here at the latest. */
export interface ReadIndex {
  readonly index: LogIndex;
}

export interface Decided {
  /** Where the decision stands in the event log; 0 when it stood already. */
  readonly index: LogIndex;
}

/** Committed entries, with where the log ends. */
export interface LogPage {
  readonly entries: readonly LogEntry[];
  readonly commitIndex: LogIndex;
  /** The first entry that is still kept. */
  readonly first: LogIndex;
  /** The hash of the one before that. */
  readonly chain: Uint8Array;
}

/** One member as the pane lists it, for people. */
export interface MemberLine {
  readonly number: NodeNumber;
  readonly name: string;
  readonly roles: readonly string[];
  readonly status: 'alive' | 'down';
  readonly incarnation: Incarnation;
  /** When it got this status, by the log. */
  readonly since: WallMs;
  readonly locator: Uint8Array | undefined;
}

export interface MemberPage {
  readonly members: readonly MemberLine[];
  /** Where the next page begins; 0 after the last one. */
  readonly next: NodeNumber;
  readonly size: number;
}

/** The brake on convictions, as a leader sees it: too many are accused at once to be believed. */
export interface BrakeStatus {
  /** Whether it holds convictions back now. */
  readonly on: boolean;
  readonly since: WallMs;
  readonly accused: readonly NodeNumber[];
  /** Convictions pass until then; 0 when nobody released it. */
  readonly releasedUntil: WallMs;
}

/** Why a control node that is down is not replaced; `standby-unfit`: whoever waits does not follow the log closely. */
export const replacementObstacles = [
  'none',
  'no-standby',
  'standby-unfit',
  'change-under-way',
  'brake',
  'back',
  'turned-off',
] as const;
export type ReplacementObstacle = (typeof replacementObstacles)[number];

/** The control node that is down longest, and who is to take its place. */
export interface ReplacementStatus {
  readonly number: NodeNumber;
  /** When it was convicted. */
  readonly since: WallMs;
  /** When it is replaced at the soonest; 0 for never. */
  readonly dueAt: WallMs;
  /** 0 while there is an obstacle. */
  readonly successor: NodeNumber;
  readonly obstacle: ReplacementObstacle;
}

export interface PaneStatus {
  readonly number: NodeNumber;
  readonly role: 'follower' | 'pre-candidate' | 'candidate' | 'leader';
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly health: PaneHealth;
  /** Only the leader judges. */
  readonly brake: BrakeStatus | undefined;
  /** Only the leader replaces; nothing while no control node is down. */
  readonly replacement: ReplacementStatus | undefined;
}

export interface ConfigPage {
  /** What the asker lacked, or a first page of it. */
  readonly configs: readonly Config[];
  /** Of whom the asker holds something newer than the answerer. */
  readonly wanted: readonly NodeNumber[];
}

/** Members in one digest: a full view, or the largest slice. */
export const digestMembersMax = 1_024;
export const factsNumbersMax = 256;
export const logPageEntriesMax = 1_000;
/** Payloads in one page, unless a single one takes more. */
export const logPageBytesMax = 1_048_576;
/** Removed numbers take one or two bytes each. */
const removedBytesMax = 262_144;
export const memberPageMax = 256;
const brakeAccusedMax = 4_096;
const hopsMax = 8;
export const rolePayloadBytesMax = 1_048_576;

export const config: Codec<Config> = record<Config>({
  owner: nodeNumber,
  role: label,
  seq: counter,
  value: bytes(configValueBytesMax),
  signature,
});
const heldSeq: Codec<HeldSeq> = record<HeldSeq>({ owner: nodeNumber, seq: counter });

const paneAsk: Codec<PaneAsk> = variants<PaneAsk>({
  remove: [1, { number: nodeNumber }],
  return: [2, { incarnation, uptimeMs: counter }],
  'create-token': [3, { publicKey, roles: list(label, rolesPerNodeMax), notAfter: counter, usesMax: uint(1_000_000) }],
  'revoke-token': [4, { publicKey }],
  'release-brake': [5, { forMs: uint(brakeReleaseMsMax) }],
  amend: [6, { change: charterChange }],
  transfer: [8, { to: nodeNumber }],
  note: [7, { text: bytes(noteBytesMax), session: sessionId, since: counter, sequence: counter }],
});

export const peerRequest: Codec<PeerRequest> = variants<PeerRequest>({
  join: [1, { request: bytes(joinRequestBytesMax), hops: uint(hopsMax) }],
  'ask-pane': [2, { from: nodeNumber, ask: paneAsk, hops: uint(hopsMax) }],
  digest: [3, { atLeast: counter }],
  facts: [4, { numbers: list(nodeNumber, factsNumbersMax) }],
  log: [5, { from: counter, most: uint(logPageEntriesMax), atLeast: counter }],
  'pane-status': [6, {}],
  'config-sync': [7, { role: label, hash: fixedBytes(16), held: list(heldSeq, configsPerRoleMax), ownOnly: bool }],
  role: [8, { role: label, body: bytes(rolePayloadBytesMax) }],
  reach: [9, {}],
  members: [10, { from: nodeNumberOrNone, name: labelOrEmpty, atLeast: counter }],
  'role-members': [11, { role: label }],
  config: [12, { role: label, owner: nodeNumber }],
  charter: [13, { length: counter }],
  'read-index': [14, { hops: uint(hopsMax) }],
});

export const peerPost: Codec<PeerPost> = variants<PeerPost>({
  raft: [1, { message: raftMessage, wall: counter }],
  share: [2, { number: nodeNumberOrNone, statement: word('admit', 'remove', 'control-set', 'epoch'), share }],
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
export const memberFacts: Codec<MemberFacts> = record<MemberFacts>({
  number: nodeNumber,
  certificate: optional(bytes(1_100)),
  locator: optional(bytes(400)),
  status: word('alive', 'down'),
  incarnation,
});
const genesisBytesMax = 8_192;

export const charterPage: Codec<CharterPage> = record<CharterPage>({
  amendments: list(bytes(amendmentBytesMax), amendmentsMax),
  members: bytes(removedBytesMax),
});

/** A digest whose members are listed so. */
export const digestOf = (members: Codec<readonly MemberFacts[]>): Codec<Digest> =>
  record<Digest>({
    genesis: bytes(genesisBytesMax),
    charter: charterPage,
    logIndex: counter,
    size: counter,
    slice: optional(slice),
    members,
    removed: bytes(removedBytesMax),
    declarations: list(declaration, declarationsMax),
  });
export const digest: Codec<Digest> = digestOf(list(memberFacts, digestMembersMax));
export const facts: Codec<Facts> = record<Facts>({
  members: list(memberFacts, factsNumbersMax),
  declarations: list(declaration, declarationsMax),
});
export const admission: Codec<Admission> = record<Admission>({ certificate: bytes(1_100), digest });
/** Says nothing but that it came. */
export const reached: Codec<object> = record<object>({});
export const decided: Codec<Decided> = record<Decided>({ index: counter });
export const readIndex: Codec<ReadIndex> = record<ReadIndex>({ index: counter });
export const logPage: Codec<LogPage> = record<LogPage>({
  entries: list(entry, logPageEntriesMax),
  commitIndex: counter,
  first: counter,
  chain: fixedBytes(hashBytes),
});
const memberLine: Codec<MemberLine> = record<MemberLine>({
  number: nodeNumber,
  name: label,
  roles: list(label, rolesPerNodeMax),
  status: word('alive', 'down'),
  incarnation,
  since: counter,
  locator: optional(bytes(400)),
});
const brakeStatus: Codec<BrakeStatus> = record<BrakeStatus>({
  on: bool,
  since: counter,
  accused: list(nodeNumber, brakeAccusedMax),
  releasedUntil: counter,
});
const replacementStatus: Codec<ReplacementStatus> = record<ReplacementStatus>({
  number: nodeNumber,
  since: counter,
  dueAt: counter,
  successor: nodeNumberOrNone,
  obstacle: word(...replacementObstacles),
});
export const paneStatus: Codec<PaneStatus> = record<PaneStatus>({
  number: nodeNumber,
  role: word('follower', 'pre-candidate', 'candidate', 'leader'),
  term: counter,
  commitIndex: counter,
  lastIndex: counter,
  health: paneHealth,
  brake: optional(brakeStatus),
  replacement: optional(replacementStatus),
});
export const memberPage: Codec<MemberPage> = record<MemberPage>({
  members: list(memberLine, memberPageMax),
  next: nodeNumberOrNone,
  size: counter,
});
export const roleMembers: Codec<{ readonly numbers: readonly NodeNumber[] }> = record({
  numbers: list(nodeNumber, membersMax),
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
