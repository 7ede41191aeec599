/**
 * The driver of one member: it owns the timer, hands in what sockets and disks bring, and carries out what the
 * member wants. It decides nothing. All its seams are arguments.
 */
import { unreachable } from '../assert.ts';
import { encode } from '../codec.ts';
import type { MachineLoad } from '../control/keep-alive.ts';
import { HivemindError, toHivemindError } from '../error.ts';
import type { Endpoint, Epoch, LogIndex, MonotonicMs, NodeNumber } from '../identity.ts';
import type { MemberEffect, MemberEvent, MemberInput } from '../member/effect.ts';
import { Member } from '../member/member.ts';
import type { MemberOptions } from '../member/member-options.ts';
import type { Outcome } from '../member/outbox.ts';
import type { CancelTimer, Clock } from '../seam/clock.ts';
import type { Datagrams } from '../seam/datagrams.ts';
import type { Instant } from '../seam/instant.ts';
import type { LogStore, LogTrouble } from '../seam/log-store.ts';
import type { Logger } from '../seam/logger.ts';
import { dialOutcomeOf, type StreamPeer, type Streams } from '../seam/streams.ts';
import { rolePayload } from '../wire/peer-message.ts';

/** How often the machine's load is read for keep-alives. */
const loadPeriodMs = 5_000;
/** A knock that nobody answers ends after this. */
const knockMs = 1_500;

export interface NodeSeams {
  readonly clock: Clock;
  readonly log: Logger;
  /** The event log's disk, on a control node. */
  readonly logStore: LogStore | undefined;
  /** Makes the member's memory durable, replacing the last; `onFull` is told when that waits for room on the disk. */
  readonly remember: (bytes: Uint8Array, onFull: (isFull: boolean) => void) => Promise<void>;
  readonly machineLoad: () => MachineLoad;
  /** The node cannot go on: a disk failed, or the log holds what this version does not know. */
  readonly onHalt: (reason: HivemindError) => void;
}

/** Answers a request to a role that runs here. */
export type RoleDoor = (role: string, from: NodeNumber, body: Uint8Array) => Promise<Uint8Array>;

export type StreamVerdict =
  | { readonly kind: 'member'; readonly number: NodeNumber }
  | { readonly kind: 'stranger' }
  | { readonly kind: 'refused'; readonly code: 'not-admitted'; readonly sentence: string };

interface Pending {
  readonly from: StreamPeer;
  readonly beganAt: number;
  readonly resolve: (body: Uint8Array) => void;
  readonly reject: (error: HivemindError) => void;
}

export class Node {
  readonly member: Member;
  private readonly seams: NodeSeams;
  private readonly listeners = new Set<(event: MemberEvent) => void>();
  private readonly pending = new Map<number, Pending>();
  private datagrams: Datagrams | undefined;
  private streams: Streams | undefined;
  private roleDoor: RoleDoor | undefined;
  private cancelTimer: CancelTimer = () => {};
  private tickPlannedAt: MonotonicMs = Number.POSITIVE_INFINITY;
  private cancelLoad: CancelTimer = () => {};
  private nextRequestId = 1;
  private stopped = false;
  /** Requests of peers that were answered or refused. */
  requestsAnswered = 0;

  constructor(options: MemberOptions, seams: NodeSeams) {
    this.seams = seams;
    this.member = new Member(options, this.time);
  }

  get time(): Instant {
    return { now: this.seams.clock.now(), wall: this.seams.clock.wallNow() };
  }

  start(datagrams: Datagrams, streams: Streams): void {
    this.datagrams = datagrams;
    this.streams = streams;
    datagrams.onDatagram((from, bytes) => this.step({ kind: 'datagram', from, bytes }));
    this.readLoad();
    this.step({ kind: 'tick' });
  }

  /** Stops driving; sockets and disk are the caller's to close. */
  stop(): void {
    this.stopped = true;
    this.cancelTimer();
    this.cancelLoad();
    const gone = new HivemindError('address-unreachable', 'The node is stopping.');
    for (const pending of this.pending.values()) pending.reject(gone);
    this.pending.clear();
  }

  onEvent(listener: (event: MemberEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  openRoles(door: RoleDoor): void {
    this.roleDoor = door;
  }

  /** Calls into the member, and carries out what follows; resolves with the outcome that it tells. */
  async ask<T>(call: (member: Member, then: (outcome: Outcome<T>) => void, at: Instant) => void): Promise<T> {
    const outcome = await new Promise<Outcome<T>>((resolve) => {
      const at = this.time;
      call(this.member, resolve, at);
      this.perform(this.member.settle(at));
    });
    if (outcome.ok) return outcome.value;
    throw outcome.error;
  }

  /**
   * Resolves with an index up to which everything is that was decided before this was called, wherever it was; on a
   * control node all of it is applied here by then.
   *
   * @throws HivemindError `no-quorum` within some seconds when no majority of control nodes is in touch
   */
  async readIndex(): Promise<LogIndex> {
    return await this.ask<LogIndex>((member, then, at) => member.reads.index(then, at));
  }

  /** Calls into the member for something that is decided at once, and carries out what follows. */
  act<T>(call: (member: Member, at: Instant) => T): T {
    const at = this.time;
    const result = call(this.member, at);
    this.perform(this.member.settle(at));
    return result;
  }

  // — what the streams ask of it —

  streamSelf(): {
    readonly number: NodeNumber;
    readonly epoch: Epoch;
    readonly cluster: Uint8Array;
    readonly boot: Uint8Array;
    credential(): Uint8Array;
  } {
    const { member } = this;
    return {
      number: member.number,
      epoch: member.epoch,
      cluster: member.directory.cluster,
      boot: member.boot,
      credential: () => member.credential(),
    };
  }

  /** Who dials: a member by its certificate, or a stranger, who may ask to join. */
  verifyPeer(claim: {
    readonly publicKey: Uint8Array;
    readonly number: NodeNumber;
    readonly credential: Uint8Array;
    readonly remote: Endpoint;
  }): StreamVerdict {
    if (this.member.directory.removed.has(claim.number)) {
      const sentence = 'This node was removed from the cluster; join again with a token and an empty data folder.';
      return { kind: 'refused', code: 'not-admitted', sentence };
    }
    const at = this.time;
    const number = this.member.identify(claim.publicKey, claim.number, claim.credential, at);
    this.perform(this.member.settle(at));
    return number === undefined ? { kind: 'stranger' } : { kind: 'member', number };
  }

  onRequest(from: StreamPeer, body: Uint8Array): Promise<Uint8Array> {
    const id = this.nextRequestId++;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { from, beganAt: this.seams.clock.now(), resolve, reject });
      this.step({ kind: 'request', id, from, body });
    });
  }

  onLogTrouble(trouble: LogTrouble | undefined): void {
    this.step({ kind: 'log-trouble', trouble });
  }

  /** A member's stream to this node broke without a goodbye: its process may have died. */
  onStreamBroken(number: NodeNumber): void {
    this.step({ kind: 'stream-broken', number });
  }

  onPost(from: StreamPeer, body: Uint8Array): void {
    this.step({ kind: 'post', from, body });
  }

  // — effects —

  private step(input: MemberInput): void {
    if (!this.stopped) this.perform(this.member.step(input, this.time));
  }

  private perform(effects: readonly MemberEffect[]): void {
    for (const effect of effects) {
      // One of them may have halted the node: what comes behind it is not to be believed.
      if (!this.stopped) this.onEffect(effect);
    }
    this.planTick();
  }

  private onEffect(effect: MemberEffect): void {
    switch (effect.kind) {
      case 'datagram':
        this.datagrams?.send(effect.to, effect.bytes);
        break;
      case 'request':
        void this.request(effect);
        break;
      case 'post':
        this.streams?.post(effect.to, effect.body);
        break;
      case 'knock':
        void this.knock(effect);
        break;
      case 'hold':
        this.streams?.hold(effect.to);
        break;
      case 'answer':
        this.settle(effect.id, effect.what, effect.body);
        break;
      case 'refuse':
        this.settle(effect.id, effect.what, effect.error);
        break;
      case 'role-request':
        void this.requestRole(effect);
        break;
      case 'write':
        void this.keepLog(async (log) => {
          await log.write(effect.write);
          this.step({ kind: 'written', id: effect.id });
        });
        break;
      case 'compact':
        void this.keepLog(async (log) => {
          await log.compact(effect.snapshot, effect.keepFrom);
          this.step({ kind: 'compacted' });
        });
        break;
      case 'heal':
        void this.keepLog((log) => log.healed());
        break;
      case 'remember':
        void this.remember(effect);
        break;
      case 'event':
        this.tell(effect.event);
        break;
      case 'halt':
        this.halt(effect.reason);
        break;
      default:
        unreachable(effect);
    }
  }

  private async request(effect: Extract<MemberEffect, { kind: 'request' }>): Promise<void> {
    const { id, to, body, timeoutMs } = effect;
    try {
      if (this.streams === undefined) throw new HivemindError('address-unreachable', 'The node is not started.');
      const answer = await this.streams.request(to, body, timeoutMs);
      this.step({ kind: 'response', id, outcome: { ok: true, ...answer } });
    } catch (thrown) {
      const error = toHivemindError(thrown);
      const refused = dialOutcomeOf(error) === 'refused';
      this.step({ kind: 'response', id, outcome: { ok: false, error, refused } });
    }
  }

  private async knock({ number, to }: Extract<MemberEffect, { kind: 'knock' }>): Promise<void> {
    const outcome = (await this.streams?.knock(to, knockMs)) ?? 'silent';
    this.step({ kind: 'knocked', number, outcome });
  }

  private async requestRole(effect: Extract<MemberEffect, { kind: 'role-request' }>): Promise<void> {
    const { id, what, role, from, body } = effect;
    try {
      if (this.roleDoor === undefined) throw new HivemindError('not-found', `The role ${role} is not started.`);
      const answer = await this.roleDoor(role, from, body);
      this.settle(id, `${what} ${role}`, encode(rolePayload, answer));
    } catch (thrown) {
      this.settle(id, `${what} ${role}`, toHivemindError(thrown));
    }
  }

  /** Every request of a peer ends here, once, with one line (HM-28). */
  private settle(id: number, what: string, outcome: Uint8Array | HivemindError): void {
    const pending = this.pending.get(id);
    if (pending === undefined) return;
    this.pending.delete(id);
    this.requestsAnswered++;
    const from = pending.from.kind === 'member' ? this.member.directory.nameOf(pending.from.number) : 'stranger';
    const tookMs = this.seams.clock.now() - pending.beganAt;
    const line = { request: what, from, remote: pending.from.remote.host, tookMs };
    if (outcome instanceof HivemindError) {
      this.seams.log.info('request refused', { ...line, code: outcome.code });
      pending.reject(outcome);
    } else {
      this.seams.log.info('request answered', { ...line, bytes: outcome.length });
      pending.resolve(outcome);
    }
  }

  /** Whatever the disk refuses is final. */
  private async keepLog(work: (log: LogStore) => Promise<void>): Promise<void> {
    try {
      if (this.seams.logStore !== undefined) await work(this.seams.logStore);
    } catch (thrown) {
      this.halt(toHivemindError(thrown));
    }
  }

  private async remember(effect: Extract<MemberEffect, { kind: 'remember' }>): Promise<void> {
    try {
      await this.seams.remember(effect.bytes, (isFull) => this.onMemoryDisk(isFull));
      this.step({ kind: 'remembered', id: effect.id });
    } catch (thrown) {
      this.halt(toHivemindError(thrown));
    }
  }

  private onMemoryDisk(isFull: boolean): void {
    this.tell({ kind: 'memory-disk', state: isFull ? 'full' : 'fine', since: this.time.wall });
  }

  private tell(event: MemberEvent): void {
    for (const listener of this.listeners) listener(event);
  }

  private halt(reason: HivemindError): void {
    if (this.stopped) return;
    this.stop();
    this.seams.onHalt(reason);
  }

  // — time —

  /** A timer that is not needed any more finds nothing to do, and plans the next: cheaper than a new one each step. */
  private planTick(): void {
    const at = this.member.nextTickAt();
    if (this.stopped || at >= this.tickPlannedAt) return;
    this.cancelTimer();
    this.tickPlannedAt = at;
    const delayMs = Math.max(0, Math.ceil(at - this.seams.clock.now()));
    this.cancelTimer = this.seams.clock.after(delayMs, () => {
      this.tickPlannedAt = Number.POSITIVE_INFINITY;
      this.step({ kind: 'tick' });
    });
  }

  private readLoad(): void {
    this.member.setLoad(this.seams.machineLoad());
    this.cancelLoad = this.seams.clock.after(loadPeriodMs, () => this.readLoad());
  }
}
