/**
 * One simulated process with its machine: the same `Member` that production runs, on virtual time, a simulated
 * disk and a simulated network. It may be killed at any moment and started again from what its disk kept.
 */
import { unreachable } from '../assert.ts';
import { controlNodesMax, type Genesis } from '../certificate/genesis.ts';
import type { RoleDeclaration } from '../certificate/join-request.ts';
import type { JoinToken } from '../certificate/token.ts';
import { controlRole } from '../control/control-state.ts';
import { type ExchangeKey, exchangeKeyFrom, type SigningKey, seedBytes, signingKeyFrom } from '../crypto.ts';
import { HivemindError } from '../error.ts';
import type { Endpoint, MonotonicMs, NodeNumber } from '../identity.ts';
import type { MemberEffect, MemberEvent, MemberInput, RawOutcome } from '../member/effect.ts';
import { acceptAdmission, type JoinAttempt, type Joined, type JoinerOptions, prepareJoin } from '../member/joining.ts';
import { Member } from '../member/member.ts';
import { decodeMemory, encodeMemory, type MemberMemory } from '../member/memory.ts';
import type { AddressedRaftMessage } from '../raft/message.ts';
import type { Instant } from '../seam/instant.ts';
import { type Random, shuffled } from '../seam/random.ts';
import type { StreamPeer, StreamTarget } from '../seam/streams.ts';
import { swimDefaults } from '../swim/settings.ts';
import { type Death, SimDisk } from './sim-disk.ts';
import { SimLog } from './sim-log.ts';
import type { SimNetwork } from './sim-network.ts';
import { SimProcess } from './sim-process.ts';
import { SimStreams, type StreamEnd } from './sim-streams.ts';
import type { Timeline } from './timeline.ts';

const joinRetryMs = 2_000;
const joinAnswerMs = 9_000;
const knockMs = 1_500;
/** A sound disk's worst. */
export const fsyncMsUsual = 4;

/** What the nodes of one simulation share. */
export interface SimWorld {
  readonly timeline: Timeline;
  readonly network: SimNetwork;
  readonly random: Random;
  readonly snapshotEveryEntries: number;
  readonly replaceControlAfterMs: number;
  at(endpoint: Endpoint): SimNode | undefined;
  /** Called after every step of a node, with what it did. */
  observe(node: SimNode, effects: readonly MemberEffect[]): void;
}

export interface SimNodeOptions {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly roles: readonly RoleDeclaration[];
}

interface Identity {
  readonly genesis: Genesis;
  readonly number: NodeNumber;
}

export class SimNode extends SimProcess implements StreamEnd {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly roles: readonly RoleDeclaration[];
  readonly signingKey: SigningKey;
  readonly exchangeKey: ExchangeKey;
  readonly disk: SimDisk;
  readonly streams: SimStreams;
  readonly events: MemberEvent[] = [];
  private readonly raftDatagrams: AddressedRaftMessage[] = [];
  private log: SimLog | undefined;
  member: Member | undefined;
  /** It learnt that it does not belong any more, and stays stopped. */
  hasLeft = false;
  /** Why the last attempt to join failed. */
  joinError: HivemindError | undefined;
  /** Why the last process ended by itself, or did not begin. */
  failure: HivemindError | undefined;
  /** How long this disk takes at most to make something durable. */
  fsyncMsMax: number = fsyncMsUsual;
  private readonly world: SimWorld;
  private identity: Identity | undefined;
  private token: JoinToken | undefined;
  private wakeAt = Number.POSITIVE_INFINITY;

  constructor(world: SimWorld, options: SimNodeOptions) {
    super(world.timeline);
    this.world = world;
    this.name = options.name;
    this.endpoint = options.endpoint;
    this.roles = options.roles;
    this.disk = new SimDisk(world.random);
    this.streams = new SimStreams(this, world);
    this.signingKey = signingKeyFrom(world.random.bytes(seedBytes));
    this.exchangeKey = exchangeKeyFrom(world.random.bytes(seedBytes));
  }

  /** As its own clocks tell. */
  get time(): Instant {
    return { now: this.clock.now, wall: this.clock.wallNow };
  }

  get number(): NodeNumber {
    return this.identity?.number ?? 0;
  }

  /** Whether it is a control node of the genesis. */
  isControl(): boolean {
    return this.number >= 1 && this.number <= Math.min(controlNodesMax, this.identity?.genesis.control.length ?? 0);
  }

  /** Its log is gone, so that it can never take part again: somebody has to take it out. */
  get isLost(): boolean {
    return this.disk.isWiped;
  }

  /** Whether it has an event log. */
  keepsLog(): boolean {
    return this.isControl() || this.roles.some(({ name }) => name === controlRole);
  }

  /** Makes it a control node of this genesis, or gives it the token to join with. */
  belong(as: { readonly genesis: Genesis; readonly number: NodeNumber } | { readonly token: JoinToken }): void {
    if ('token' in as) this.token = as.token;
    else this.identity = as;
  }

  start(bootstrap: readonly Endpoint[]): void {
    if (this.running || this.hasLeft || this.disk.files.syncHangs) return;
    this.beginProcess();
    this.failure = undefined;
    if (this.identity === undefined) this.join(bootstrap);
    else this.become(this.identity, this.rememberedOnDisk());
  }

  /** Nothing is said, nothing is flushed: kill -9, or the power of its machine fails; drawn, unless it is said. */
  crash(death: Death = this.world.random.next() < 0.5 ? 'power' : 'process'): void {
    if (!this.running) return;
    this.endProcess();
    this.member = undefined;
    this.wakeAt = Number.POSITIVE_INFINITY;
    this.streams.reset();
    this.disk.crash(this.world.random, death);
  }

  /** Calls into the member and carries out what follows. */
  act(call: (member: Member, at: Instant) => void): void {
    this.awake(() => {
      if (this.member === undefined) return;
      call(this.member, this.time);
      this.perform(this.member.settle(this.time));
    });
  }

  step(input: MemberInput): void {
    if (this.member !== undefined) this.perform(this.member.step(input, this.time));
  }

  private rememberedOnDisk(): MemberMemory | undefined {
    return this.disk.memory === undefined ? undefined : decodeMemory(this.disk.memory);
  }

  private become(identity: Identity, memory: MemberMemory | undefined): void {
    this.identity = identity;
    try {
      this.member = this.makeMember(identity, memory);
    } catch (thrown) {
      if (!(thrown instanceof HivemindError)) throw thrown;
      this.halt(thrown);
      return;
    }
    this.watchRaftDatagrams(this.member);
    this.perform(this.member.settle(this.time));
  }

  private makeMember(identity: Identity, memory: MemberMemory | undefined): Member {
    const storedLog = this.keepsLog() ? this.disk.load() : undefined;
    this.log = storedLog === undefined ? undefined : this.openLog();
    const { signingKey, exchangeKey, roles } = this;
    const { random, snapshotEveryEntries } = this.world;
    return new Member(
      {
        ...identity,
        signingKey,
        exchangeKey,
        roles,
        random,
        memory,
        storedLog,
        swim: swimDefaults,
        reapAfterMs: 0,
        replaceControlAfterMs: this.world.replaceControlAfterMs,
        snapshotEveryEntries,
        bootSeed: random.bytes(seedBytes),
        endpoints: [this.endpoint],
      },
      this.time,
    );
  }

  private openLog(): SimLog {
    return new SimLog({
      disk: this.disk,
      clock: {
        wallNow: () => this.time.wall,
        after: (delayMs, fire) => this.after(delayMs, fire),
      },
      tookMs: () => this.diskMs(),
      onTrouble: (trouble) => this.step({ kind: 'log-trouble', trouble }),
      onFailure: (reason) => this.halt(reason),
    });
  }

  /** The process ends by itself, in order: the machine goes on. */
  private halt(reason: HivemindError): void {
    this.crash('process');
    this.failure = reason;
  }

  /** Sealed they would tell the invariants nothing. */
  private watchRaftDatagrams({ line }: Member): void {
    const send = line.send.bind(line);
    line.send = (to, messages, at) => {
      for (const sent of messages) if (sent.kind === 'raft') this.raftDatagrams.push({ to, message: sent.message });
      send(to, messages, at);
    };
  }

  /** What the pane of this node said by datagram since this was asked last. */
  takeRaftDatagrams(): readonly AddressedRaftMessage[] {
    return this.raftDatagrams.splice(0);
  }

  // — joining —

  private join(bootstrap: readonly Endpoint[]): void {
    const { token, name, roles, signingKey, exchangeKey, endpoint } = this;
    const [through] = shuffled(bootstrap, this.world.random);
    if (token === undefined || through === undefined) return;
    const options = { name, roles, signingKey, exchangeKey, token, endpoints: [endpoint], at: this.time.wall };
    const attempt = prepareJoin(options);
    this.streams.ask({ endpoints: [through], number: 0 }, attempt.request, joinAnswerMs, (outcome) =>
      this.onJoinAnswer(outcome, attempt, options, bootstrap),
    );
  }

  private onJoinAnswer(
    outcome: RawOutcome,
    attempt: JoinAttempt,
    options: JoinerOptions,
    bootstrap: readonly Endpoint[],
  ): void {
    if (!outcome.ok) {
      this.joinError = outcome.error;
      this.later(joinRetryMs, () => this.join(bootstrap));
      return;
    }
    const joined: Joined = acceptAdmission(outcome.body, attempt, options);
    this.disk.keepMemory(encodeMemory(joined.memory));
    this.become(joined, joined.memory);
  }

  // — effects —

  private perform(effects: readonly MemberEffect[]): void {
    for (const effect of effects) this.onEffect(effect);
    this.world.observe(this, effects);
    if (this.hasLeft) this.crash();
    else this.planWake();
  }

  private onEffect(effect: MemberEffect): void {
    switch (effect.kind) {
      case 'datagram':
        this.sendDatagram(effect.to, effect.bytes);
        break;
      case 'request':
        this.streams.ask(effect.to, effect.body, effect.timeoutMs, (outcome) =>
          this.step({ kind: 'response', id: effect.id, outcome }),
        );
        break;
      case 'post':
        this.streams.post(effect.to, effect.body);
        break;
      case 'knock':
        this.streams.knock(effect.to, knockMs, (outcome) =>
          this.step({ kind: 'knocked', number: effect.number, outcome }),
        );
        break;
      case 'hold':
        this.streams.hold(effect.to);
        break;
      case 'answer':
      case 'role-request':
        this.streams.answer(effect.id, effect.body);
        break;
      case 'refuse':
        this.streams.answer(effect.id, effect.error);
        break;
      case 'write':
        this.log?.write(effect.write, () => this.step({ kind: 'written', id: effect.id }));
        break;
      case 'compact':
        this.log?.compact(effect.snapshot, effect.keepFrom, () => this.step({ kind: 'compacted' }));
        break;
      case 'heal':
        this.disk.heal();
        break;
      case 'remember':
        this.later(this.diskMs(), () => {
          this.disk.keepMemory(effect.bytes);
          this.step({ kind: 'remembered', id: effect.id });
        });
        break;
      case 'event':
        this.onEvent(effect.event);
        break;
      case 'halt':
        this.halt(effect.reason);
        break;
      default:
        unreachable(effect);
    }
  }

  private onEvent(event: MemberEvent): void {
    this.events.push(event);
    if (event.kind === 'left') this.streams.disconnect(event.number);
    if (event.kind === 'removed-me') this.hasLeft = true;
  }

  private planWake(): void {
    if (this.member === undefined) return;
    const at = Math.max(this.clock.timelineAt(this.member.nextTickAt()), this.timelineNow + 1);
    if (at >= this.wakeAt || at === Number.POSITIVE_INFINITY) return;
    this.wakeAt = at;
    this.at(at, () => {
      if (this.wakeAt !== at) return;
      this.wakeAt = Number.POSITIVE_INFINITY;
      this.step({ kind: 'tick' });
    });
  }

  private diskMs(): MonotonicMs {
    return 1 + this.world.random.below(this.fsyncMsMax);
  }

  // — the network —

  private sendDatagram(to: Endpoint, bytes: Uint8Array): void {
    const target = this.world.at(to);
    if (target === undefined) return;
    this.world.network.datagram(this.name, target.name, () => {
      target.hear(() => target.step({ kind: 'datagram', from: this.endpoint, bytes }));
    });
  }

  holds(to: StreamTarget): boolean {
    return to.publicKey === undefined || Buffer.compare(to.publicKey, this.signingKey.publicKey) === 0;
  }

  onPeerBroken(number: NodeNumber): void {
    this.awake(() => this.step({ kind: 'stream-broken', number }));
  }

  asPeer(): StreamPeer {
    const { number, endpoint } = this;
    return { kind: 'member', number, publicKey: this.signingKey.publicKey, remote: endpoint };
  }
}
