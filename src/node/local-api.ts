/**
 * What a program on the same machine may ask of the agent, over its unix socket: the CLI does, and so may any
 * application. Bodies are msgpack of these objects; times are ISO 8601 in UTC, or milliseconds where named so.
 */
import type { MachineLoad, Voting } from '../control/keep-alive.ts';
import type { ContactState } from '../member/client/pane-contacts.ts';
import type { PaneState } from '../member/effect.ts';
import type { RoleStatus } from '../role/supervisor.ts';
import type { LogEntry } from '../seam/log-store.ts';
import type { ReplacementObstacle } from '../wire/peer-message.ts';
import type { OperationStanding } from './operations.ts';

export type { RoleStatus } from '../role/supervisor.ts';

export type LocalRequest =
  | { readonly kind: 'status' }
  /**
   * Here and in the two below, `consistent` (default false): the answer misses nothing that was decided before it was
   * asked for, whoever is asked; without a majority it is refused within 6 s, as `no-quorum`.
   */
  | { readonly kind: 'members'; readonly consistent?: boolean }
  | { readonly kind: 'node'; readonly name: string; readonly consistent?: boolean }
  /** Entries from index `from` on; at most 1,000. */
  | { readonly kind: 'log'; readonly from: number; readonly most: number; readonly consistent?: boolean }
  /** As a subscription: pages of the log from index `from` on, then each new entry, in order, none twice. */
  | { readonly kind: 'follow-log'; readonly from: number }
  /** The same entries as bytes, with what it takes to verify them. */
  | { readonly kind: 'export-log'; readonly from: number; readonly most: number }
  /**
   * On a control node: all that is decided, in pieces. The first one, at offset 0, takes the snapshot; the others name
   * its index.
   */
  | { readonly kind: 'snapshot'; readonly index: number; readonly offset: number }
  /** Begins a session, in which each note is taken once however often it is sent. */
  | { readonly kind: 'open-session' }
  /**
   * Puts a text of at most 4,096 bytes of UTF-8 into the event log. Whoever lost the answer sends it again with the
   * same session and sequence, through any agent, and gets the index of the same entry. The sequence counts a
   * session's notes from 1. Up to 64 may be under way at a time. Without a session (an empty text) the agent opens
   * one for this note alone.
   */
  | { readonly kind: 'note'; readonly text: string; readonly session: string; readonly sequence: number }
  /** The last events, and with `follow` all that come, as a subscription. */
  | { readonly kind: 'events'; readonly most: number; readonly follow: boolean }
  /** The configs of a role that this node holds or, when it consumes none, asks a consumer for. */
  | { readonly kind: 'configs'; readonly role: string }
  | { readonly kind: 'pane' }
  | {
      readonly kind: 'create-token';
      readonly roles: readonly string[];
      readonly ttlMs: number;
      /** 0: any number of nodes. */
      readonly usesMax: number;
    }
  /** Ends a token; `key` is its public key in base64url, as the event log shows it. */
  | { readonly kind: 'revoke-token'; readonly key: string }
  | { readonly kind: 'leave' }
  | { readonly kind: 'remove'; readonly name: string }
  /** Tells all members something, once each; the payload takes at most 512 bytes of UTF-8. */
  | { readonly kind: 'send-event'; readonly name: string; readonly payload: string }
  /** The tags of a member, by default this one. */
  | { readonly kind: 'tags'; readonly name: string }
  /** Changes this node's own tags: sets some, drops others. */
  | { readonly kind: 'set-tags'; readonly set: Readonly<Record<string, string>>; readonly drop: readonly string[] }
  /** Whether the brake holds convictions back. */
  | { readonly kind: 'brake' }
  /** Makes a node with the role control one of the control nodes, or one of them such a node again. */
  | { readonly kind: 'change-control'; readonly change: 'promote' | 'demote'; readonly name: string }
  /** Makes a control node the leader. */
  | { readonly kind: 'transfer-lead'; readonly name: string }
  /** Begins the next epoch. */
  | { readonly kind: 'advance-epoch' }
  /** Lets convictions pass for so long, an hour at most. */
  | { readonly kind: 'release-brake'; readonly forMs: number }
  /** Ends the agent in good order; for supervisors without signals. */
  | { readonly kind: 'stop' };

export interface LocalStatus {
  readonly version: string;
  readonly name: string;
  readonly number: number;
  readonly cluster: string;
  readonly epoch: number;
  readonly roles: readonly RoleStatus[];
  readonly addresses: readonly string[];
  readonly boot: string;
  readonly startedAt: string;
  readonly pane: {
    /**
     * `healthy`; `no-quorum`: control nodes answer, but are no majority; `no-pane`: none answers; `unknown`: just
     * started.
     */
    readonly state: PaneState;
    readonly since: string;
    /** The leader's name, when it is known. */
    readonly leader?: string;
    readonly logIndex: number;
    /** When a control node was heard last; absent for never. */
    readonly heardAt?: string;
    readonly controlNodes: readonly string[];
    /** How this node fares with each of them, in the same order. */
    readonly contacts: readonly LocalControlContact[];
  };
  /** What works at present, and what does not, in the order of the table in docs/control.md. */
  readonly operations: readonly OperationStanding[];
  /** The part of the membership that this node keeps. */
  readonly view: LocalView;
  readonly leaving: boolean;
  readonly load: MachineLoad;
  /** Datagrams dropped since the start, by reason; streams refused and requests answered. */
  readonly drops: Readonly<Record<string, number>>;
  readonly counters: Readonly<Record<string, number>>;
}

/** A control node that another control node does not hear, and since when. */
export interface LocalSilentControlNode {
  readonly name: string;
  readonly since: string;
}

/** How a node fares with one control node (HM-6). */
export interface LocalControlContact {
  readonly name: string;
  /**
   * `self`: the node is that control node. `untried`: it had no reason to ask it since the start. `streams-only`: it
   * answers by TCP and not by UDP. `refused`: nobody listens there. `not-admitted`: for it this node is no member.
   */
  readonly contact: ContactState | 'self' | 'untried';
  readonly since?: string;
  /** The last attempt. */
  readonly triedAt?: string;
  /** What it said of itself, and of the control nodes that it does not hear, at its last answer. */
  readonly voting?: Voting;
  readonly silent?: readonly LocalSilentControlNode[];
}

/** What a node knows of the membership (HM-15). Lists overlap: a member may be subject and observer at once. */
export interface LocalView {
  /** Members known here, this node included. */
  readonly size: number;
  readonly alive: number;
  readonly suspect: number;
  readonly down: number;
  /** Members of the whole cluster, as far as this node was told. */
  readonly cluster: number;
  /** Whether it knows everybody: small clusters are known whole. */
  readonly complete: boolean;
  /** Whom it probes; who probes it; who probes the same; kept in reserve; control nodes; of related roles. */
  readonly subjects: number;
  readonly observers: number;
  readonly coObservers: number;
  readonly reserve: number;
  readonly control: number;
  readonly peers: number;
}

/** How an event went out (CS-14): to some of these at once, and from them to all. */
export interface LocalSent {
  /** The members to whom this node passes news. */
  readonly neighbours: readonly string[];
  /** Members of the whole cluster. */
  readonly size: number;
}

export interface LocalTags {
  readonly node: string;
  /** Counts each change; 0 when the node never had tags. */
  readonly seq: number;
  readonly tags: Readonly<Record<string, string>>;
}

export interface LocalBrake {
  readonly on: boolean;
  readonly since?: string;
  /** Names of those whom their observers hold for dead, and who are not convicted. */
  readonly accused: readonly string[];
  readonly releasedUntil?: string;
}

export interface LocalMember {
  readonly number: number;
  readonly name: string;
  readonly roles: readonly string[];
  readonly status: 'alive' | 'suspect' | 'down';
  readonly incarnation: number;
  /** Down only by what most observers say, while there is no quorum. */
  readonly hint: boolean;
  readonly since: string;
  readonly addresses: readonly string[];
  readonly self: boolean;
}

/** Of a read that was asked to be consistent. */
export interface LocalConsistency {
  readonly consistent?: true;
  /** Everything that was decided before the read was asked for ends at this entry of the log at the latest. */
  readonly index?: number;
}

export interface LocalMembers extends LocalConsistency {
  /** Whose view this is, and how old its word from the pane. */
  readonly observer: string;
  /** When the observer, or the control node that it asked, last had the pane's word; absent for never (CS-13). */
  readonly heardAt?: string;
  /** `pane`: all members, as a control node lists them. `view`: those that this node knows. */
  readonly source: 'pane' | 'view';
  /** Members of the whole cluster. */
  readonly size: number;
  readonly pane: PaneState;
  readonly members: readonly LocalMember[];
}

/** One member in full: what its certificate and its roles' types say (HM-16). */
export interface LocalNode extends LocalMember, LocalConsistency {
  readonly declarations: readonly {
    readonly name: string;
    readonly requires: readonly string[];
    readonly bootstrapFrom: readonly string[];
    readonly consumes: readonly string[];
  }[];
  /** Hexadecimal Ed25519 public key. */
  readonly key: string;
}

export interface LocalLogEntry {
  readonly index: number;
  readonly term: number;
  /** Absent for the entry with which a leader opens its term. */
  readonly at?: string;
  readonly kind: string;
  /** What it says, for people: names and values of the entry. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface LocalLog extends LocalConsistency {
  readonly entries: readonly LocalLogEntry[];
  readonly commitIndex: number;
  /** The first entry that is still kept: above the one asked for, what lies between cannot be had any more. */
  readonly first: number;
}

export interface LocalLogExport {
  readonly genesis: Uint8Array;
  readonly entries: readonly LogEntry[];
  readonly commitIndex: number;
  /** The first entry that is still kept, and the hash of the one before. */
  readonly first: number;
  readonly chain: Uint8Array;
}

export interface LocalSnapshotPiece {
  /** What the snapshot covers: the last entry, its term, the hash chain up to it, and who votes. */
  readonly index: number;
  readonly term: number;
  readonly chain: Uint8Array;
  readonly configuration: Uint8Array;
  readonly genesis: Uint8Array;
  /** The state's length; this is what `bytes` are a piece of. */
  readonly totalBytes: number;
  readonly bytes: Uint8Array;
}

export interface LocalSession {
  /** To be sent as it is. */
  readonly session: string;
}

export interface LocalEvent {
  readonly at: string;
  /** Those of `MemberEvent` (joined, left, suspected, refuted, down, back …); a role's own begin with `role-`. */
  readonly kind: string;
  /** The member it is about, by name, when there is one. */
  readonly node?: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface LocalEvents {
  readonly events: readonly LocalEvent[];
}

export interface LocalConfig {
  readonly owner: string;
  readonly ownerStatus: 'alive' | 'suspect' | 'down';
  readonly role: string;
  readonly seq: number;
  readonly value: unknown;
}

export interface LocalConfigs {
  readonly configs: readonly LocalConfig[];
}

/** One control node, as it answers itself; `error` when it does not. */
export interface LocalPaneNode {
  readonly name: string;
  /** Whether it votes and signs; who does not waits to take another's place. */
  readonly votes: boolean;
  readonly role?: 'follower' | 'pre-candidate' | 'candidate' | 'leader';
  readonly term?: number;
  readonly commitIndex?: number;
  readonly lastIndex?: number;
  readonly voting?: Voting;
  /** Which others it does not hear; a follower with a leader hears nobody else, and says nothing. */
  readonly silent?: readonly LocalSilentControlNode[];
  readonly error?: string;
}

/** The control node that is down longest, and when its vote goes to another, or why not. */
export interface LocalReplacement {
  readonly node: string;
  readonly since: string;
  /** At the soonest; absent for never. */
  readonly dueAt?: string;
  /** Absent while there is an obstacle. */
  readonly by?: string;
  readonly obstacle: ReplacementObstacle;
}

export interface LocalPane {
  readonly nodes: readonly LocalPaneNode[];
  /** As the leader says; absent while no control node is down, or nobody leads. */
  readonly replacement?: LocalReplacement;
}

export interface LocalToken {
  readonly token: string;
  readonly expiresAt: string;
  readonly index: number;
}

export interface LocalDecided {
  readonly index: number;
}

/** The answer to each kind of request. Events with `follow`, and pages of `follow-log`, come as items instead. */
export interface LocalAnswers {
  readonly 'follow-log': LocalLog;
  readonly status: LocalStatus;
  readonly members: LocalMembers;
  readonly node: LocalNode;
  readonly log: LocalLog;
  readonly 'export-log': LocalLogExport;
  readonly snapshot: LocalSnapshotPiece;
  readonly 'open-session': LocalSession;
  readonly note: LocalDecided;
  readonly events: LocalEvents;
  readonly configs: LocalConfigs;
  readonly pane: LocalPane;
  readonly 'create-token': LocalToken;
  readonly 'revoke-token': LocalDecided;
  readonly leave: LocalDecided;
  readonly remove: LocalDecided;
  readonly 'send-event': LocalSent;
  readonly tags: LocalTags;
  readonly 'set-tags': LocalTags;
  readonly brake: LocalBrake;
  readonly 'change-control': LocalDecided;
  readonly 'transfer-lead': LocalDecided;
  readonly 'advance-epoch': LocalDecided;
  readonly 'release-brake': LocalDecided;
  readonly stop: LocalDecided;
}
