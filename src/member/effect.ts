/** What goes into a member and what comes out of it: the whole of its outside world. */
import type { HivemindError } from '../error.ts';
import type { Endpoint, Epoch, Incarnation, LogIndex, NodeNumber, Seq, WallMs } from '../identity.ts';
import type { LogSnapshot, LogTrouble, LogWrite } from '../seam/log-store.ts';
import type { KnockOutcome, StreamPeer, StreamTarget } from '../seam/streams.ts';

export type MemberInput =
  | { readonly kind: 'tick' }
  | { readonly kind: 'datagram'; readonly from: Endpoint; readonly bytes: Uint8Array }
  /** A peer's request over a stream; answered by an `answer` effect with the same id, sooner or later. */
  | { readonly kind: 'request'; readonly id: number; readonly from: StreamPeer; readonly body: Uint8Array }
  | { readonly kind: 'post'; readonly from: StreamPeer; readonly body: Uint8Array }
  /** The outcome of a `request` effect of ours. */
  | { readonly kind: 'response'; readonly id: number; readonly outcome: RawOutcome }
  /** The `write` effect with this id is durable. */
  | { readonly kind: 'written'; readonly id: number }
  /** The `remember` effect with this id is durable. */
  | { readonly kind: 'remembered'; readonly id: number }
  /** The disk of the event log is full or slow, or nothing any more. */
  | { readonly kind: 'log-trouble'; readonly trouble: LogTrouble | undefined }
  /** The `compact` effect is durable. */
  | { readonly kind: 'compacted' }
  /** How a `knock` effect ended. */
  | { readonly kind: 'knocked'; readonly number: NodeNumber; readonly outcome: KnockOutcome }
  /** A member's stream to this node broke without a goodbye. */
  | { readonly kind: 'stream-broken'; readonly number: NodeNumber };

export type RawOutcome =
  | { readonly ok: true; readonly from: StreamPeer; readonly body: Uint8Array }
  /** `refused`: the kernel of the machine says that nobody listens there. */
  | { readonly ok: false; readonly error: HivemindError; readonly refused?: boolean };

export type MemberEffect =
  | { readonly kind: 'datagram'; readonly to: Endpoint; readonly bytes: Uint8Array }
  | {
      readonly kind: 'request';
      readonly id: number;
      readonly to: StreamTarget;
      readonly body: Uint8Array;
      readonly timeoutMs: number;
    }
  | { readonly kind: 'post'; readonly to: StreamTarget; readonly body: Uint8Array }
  /** Does anything listen there? Told by `knocked`. */
  | { readonly kind: 'knock'; readonly number: NodeNumber; readonly to: StreamTarget }
  /** From now on exactly these streams are kept open: their end tells the others that this process died. */
  | { readonly kind: 'hold'; readonly to: readonly StreamTarget[] }
  /** `what` names the request, for the log line that each gets. */
  | { readonly kind: 'answer'; readonly id: number; readonly what: string; readonly body: Uint8Array }
  | { readonly kind: 'refuse'; readonly id: number; readonly what: string; readonly error: HivemindError }
  /** A request to a role that runs here: the shell hands it over and answers by the same id itself. */
  | {
      readonly kind: 'role-request';
      readonly id: number;
      readonly what: string;
      readonly from: NodeNumber;
      readonly role: string;
      readonly body: Uint8Array;
    }
  /** Event log to disk; one at a time, confirmed by `written`. */
  | { readonly kind: 'write'; readonly id: number; readonly write: LogWrite }
  /** A snapshot of the applied state to disk, beside writes; one at a time, confirmed by `compacted`. */
  | { readonly kind: 'compact'; readonly snapshot: LogSnapshot; readonly keepFrom: LogIndex }
  /** What the event log lost has come back from other control nodes: its disk may forget the damage. */
  | { readonly kind: 'heal' }
  /** The member's own memory to disk, replacing the last; one at a time, confirmed by `remembered`. */
  | { readonly kind: 'remember'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: 'event'; readonly event: MemberEvent }
  /** The member cannot go on: an entry of a later version, say. */
  | { readonly kind: 'halt'; readonly reason: HivemindError };

/** Why a member cannot count on the pane. */
export type PaneState =
  | 'healthy'
  /** Control nodes answer, and say that they are no majority. */
  | 'no-quorum'
  /** No control node answers. */
  | 'no-pane'
  /** Nothing was heard yet since the start. */
  | 'unknown';

/** What happened, for `hivemind events`, for roles and for tests. */
export type MemberEvent =
  | { readonly kind: 'joined'; readonly number: NodeNumber; readonly name: string; readonly roles: readonly string[] }
  | { readonly kind: 'left'; readonly number: NodeNumber; readonly name: string }
  | { readonly kind: 'probe-missed'; readonly number: NodeNumber }
  | { readonly kind: 'suspected'; readonly number: NodeNumber; readonly incarnation: Incarnation }
  /** Most probes of it are lost: reported to the pane, though it answers some. */
  | { readonly kind: 'lossy'; readonly number: NodeNumber; readonly incarnation: Incarnation }
  | { readonly kind: 'accused-me'; readonly by: NodeNumber }
  | { readonly kind: 'refuted'; readonly number: NodeNumber }
  | { readonly kind: 'down'; readonly number: NodeNumber; readonly incarnation: Incarnation; readonly hint: boolean }
  | { readonly kind: 'back'; readonly number: NodeNumber; readonly incarnation: Incarnation }
  | { readonly kind: 'moved'; readonly number: NodeNumber; readonly endpoints: readonly Endpoint[] }
  | { readonly kind: 'restarted'; readonly number: NodeNumber }
  | { readonly kind: 'removed-me' }
  /** Datagrams to and from this member do not pass, though streams do: a port is blocked. */
  | {
      readonly kind: 'datagrams-blocked';
      readonly number: NodeNumber;
      readonly endpoints: readonly Endpoint[];
      /** It is this node, which nobody answers by datagram. */
      readonly isOwn: boolean;
    }
  | { readonly kind: 'datagrams-open'; readonly number: NodeNumber }
  /** The disk of the event log does not keep up, or does again (`fine`). */
  | { readonly kind: 'log-disk'; readonly state: LogTrouble['kind'] | 'fine'; readonly since: WallMs }
  /** The disk has no room for what this node remembers over a restart, or has it again (`fine`). */
  | { readonly kind: 'memory-disk'; readonly state: 'full' | 'fine'; readonly since: WallMs }
  /** This control node's time of day is ahead of most others' by so much (behind: below 0), or no longer (0). */
  | { readonly kind: 'clock'; readonly offByMs: number }
  /** The charter was amended: the epoch, and who the control nodes are now. */
  | { readonly kind: 'amended'; readonly epoch: Epoch; readonly control: readonly NodeNumber[] }
  /**
   * Somebody holds another amendment with this number, which is signed as well: two recoveries of one cluster, or
   * control nodes that went on after one. Their charters never meet again; the one known first stands here.
   */
  | { readonly kind: 'charter-forked'; readonly amendment: number }
  /** On the leader: `number`, a control node that is down since then, is given up, and `by` is to take its place. */
  | {
      readonly kind: 'control-replaced';
      readonly number: NodeNumber;
      readonly by: NodeNumber;
      readonly since: WallMs;
    }
  /** This node's view is another one now: so many of the cluster's members. */
  | { readonly kind: 'view'; readonly members: number; readonly size: number }
  /** On the leader: too many are accused at once to be believed, or no longer. */
  | { readonly kind: 'brake'; readonly on: boolean; readonly accused: readonly NodeNumber[] }
  /** `number` is who sent it; `event` its name. */
  | {
      readonly kind: 'user-event';
      readonly number: NodeNumber;
      readonly event: string;
      readonly payload: Uint8Array;
    }
  | { readonly kind: 'pane'; readonly state: PaneState; readonly since: WallMs }
  | { readonly kind: 'leader'; readonly number: NodeNumber; readonly term: number }
  | { readonly kind: 'decided'; readonly index: LogIndex; readonly what: string }
  | { readonly kind: 'config'; readonly role: string; readonly owner: NodeNumber; readonly seq: Seq }
  | { readonly kind: 'config-gone'; readonly role: string; readonly owner: NodeNumber }
  | {
      readonly kind: 'bootstrapped';
      readonly role: string;
      readonly from: readonly NodeNumber[];
      readonly configs: number;
    };
