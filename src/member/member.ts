/**
 * One member as a pure machine: sessions, failure detector, configs and, on a control node, the pane, composed.
 * `step` takes an input and the time and returns effects; nothing in here waits, looks at a clock or opens a
 * file. Production drives one of it, the simulator thousands.
 */
import { unreachable } from '../assert.ts';
import type { Genesis } from '../certificate/genesis.ts';
import type { RoleDeclaration } from '../certificate/join-request.ts';
import { type Locator, signLocator, verifyLocator } from '../certificate/locator.ts';
import type { Codec } from '../codec.ts';
import type { Config } from '../config/config.ts';
import { ControlState } from '../control/control-state.ts';
import type { MachineLoad } from '../control/keep-alive.ts';
import { type ExchangeKey, type SigningKey, sha256 } from '../crypto.ts';
import { HivemindError } from '../error.ts';
import type { Endpoint, Epoch, LogIndex, MonotonicMs, NodeNumber, Seq } from '../identity.ts';
import { Raft } from '../raft/raft.ts';
import { type RaftSettings, raftSettingsDefault } from '../raft/settings.ts';
import type { StoredLog } from '../seam/log-store.ts';
import type { Random } from '../seam/random.ts';
import type { StreamPeer } from '../seam/streams.ts';
import { Sessions } from '../session/sessions.ts';
import { type SwimSettings, swimDefaults } from '../swim/settings.ts';
import { Swim, type SwimEffect, type SwimEvent } from '../swim/swim.ts';
import {
  decodePost,
  type LogPage,
  logPage,
  type PaneAsk,
  type PeerPost,
  type PeerRequest,
} from '../wire/peer-message.ts';
import { decodeRumour } from '../wire/rumour.ts';
import { mayPost } from './access.ts';
import { ConfigExchange } from './config-exchange.ts';
import { ControlPane } from './control-pane.ts';
import { DatagramLine } from './datagram-line.ts';
import { acceptCredential, Directory, writeCredential } from './directory.ts';
import type { MemberEffect, MemberInput } from './effect.ts';
import type { Instant } from './instant.ts';
import { Introductions } from './introductions.ts';
import { Membership } from './membership.ts';
import { encodeMemory, type MemberMemory } from './memory.ts';
import { Outbox, type Outcome } from './outbox.ts';
import { PaneClient } from './pane-client.ts';
import { RequestDesk } from './request-desk.ts';

/** Soft memory (what others know as well) is written at most this often. */
export const rememberPeriodMs = 1_000;
/** A return or a leave that the pane did not decide is asked for again. */
export const askAgainMs = 2_000;

export interface MemberOptions {
  readonly number: NodeNumber;
  readonly signingKey: SigningKey;
  readonly exchangeKey: ExchangeKey;
  /** 32 random bytes of this process alone. */
  readonly bootSeed: Uint8Array;
  readonly genesis: Genesis;
  /** Where others reach this node: 1 to 4, the best first. */
  readonly endpoints: readonly Endpoint[];
  /** The roles performed here, as their types declare them. */
  readonly roles: readonly RoleDeclaration[];
  /** From the last run, or from the admission. A control node's first start has none. */
  readonly memory: MemberMemory | undefined;
  /** The event log, on a control node. */
  readonly storedLog: StoredLog | undefined;
  readonly random: Random;
  readonly swim?: SwimSettings;
  readonly raft?: RaftSettings;
}

export class Member {
  readonly number: NodeNumber;
  readonly directory: Directory;
  readonly membership: Membership;
  readonly exchange: ConfigExchange;
  readonly client: PaneClient;
  readonly line: DatagramLine;
  readonly pane: ControlPane | undefined;
  readonly roles: readonly RoleDeclaration[];
  private readonly signingKey: SigningKey;
  private readonly outbox: Outbox;
  private readonly introductions: Introductions;
  private readonly desk: RequestDesk;
  private readonly certificate: Uint8Array | undefined;
  private readonly locator: Locator;
  private leaving: boolean;
  private askAgainAt: MonotonicMs = Number.POSITIVE_INFINITY;
  private remembered: Uint8Array = new Uint8Array(0);
  private rememberAt: MonotonicMs;
  private rememberId = 0;
  private remembering = false;
  /** The time of the current step, for callbacks that are not handed it. */
  private at: Instant;
  private afterRemembering: ((at: Instant) => void)[] = [];

  constructor(options: MemberOptions, at: Instant) {
    const { number, genesis, memory, random } = options;
    this.at = at;
    this.number = number;
    this.roles = options.roles;
    this.signingKey = options.signingKey;
    this.certificate = memory?.certificate;
    this.leaving = memory?.leaving ?? false;
    this.outbox = new Outbox();
    this.directory = new Directory(genesis);
    this.locator = nextLocator(options);
    const swimSettings = options.swim ?? swimDefaults;
    const swim = new Swim({ self: number, settings: swimSettings, random, cluster: genesis.cluster, now: at.now });
    this.membership = new Membership({
      directory: this.directory,
      swim,
      self: number,
      outbox: this.outbox,
      sink: (effects, later) => this.performSwim(effects, later),
      onForgotten: (gone) => this.onForgotten(gone),
    });
    this.line = this.openLine(options);
    const parts = { self: number, membership: this.membership, outbox: this.outbox, random, at };
    this.client = new PaneClient({
      ...parts,
      epoch: memory?.digest.epoch ?? 1,
      send: (to, message, later) => this.line.send(to, [message], later),
    });
    this.introductions = new Introductions(this.membership, this.outbox, (known, later) =>
      this.exchange.onMember(known, later),
    );
    this.exchange = new ConfigExchange({
      ...parts,
      key: options.signingKey,
      performed: options.roles,
      onUnknownOwner: (owner, from, later) => this.introductions.want(owner, from, later),
    });
    this.pane = this.openPane(options, at);
    this.desk = new RequestDesk(this, this.outbox);
    this.rememberAt = at.now;
    this.recall(memory, at);
  }

  // — the outside world —

  step(input: MemberInput, at: Instant): readonly MemberEffect[] {
    this.at = at;
    switch (input.kind) {
      case 'tick':
        break;
      case 'datagram':
        this.line.receive(input.from, input.bytes, at);
        break;
      case 'request':
        this.desk.onRequest(input.id, input.from, input.body, at);
        break;
      case 'post':
        this.onPost(input.from, input.body, at);
        break;
      case 'response':
        this.outbox.onResponse(input.id, input.outcome, at);
        break;
      case 'written':
        this.pane?.log.onWritten(input.id, at);
        break;
      case 'remembered':
        this.onRemembered(input.id, at);
        break;
      default:
        unreachable(input);
    }
    return this.settle(at);
  }

  /** Does what is due, and hands out all effects; for callers of the methods below, too. */
  settle(at: Instant): readonly MemberEffect[] {
    this.line.tick(at);
    const { swim } = this.membership;
    if (at.now >= swim.nextTickAt()) this.performSwim(swim.tick(at.now), at);
    this.pane?.tick(at);
    if (this.pane !== undefined) this.client.follow(this.pane.status(), this.pane.state.epoch, at);
    this.client.tick(at);
    this.introductions.tick(at);
    this.exchange.tick(at);
    if (at.now >= this.askAgainAt) this.askAgain(at);
    if (at.now >= this.rememberAt) this.remember();
    return this.outbox.take();
  }

  nextTickAt(): MonotonicMs {
    return Math.min(
      this.line.nextTickAt(),
      this.membership.swim.nextTickAt(),
      this.pane?.nextTickAt() ?? Number.POSITIVE_INFINITY,
      this.client.nextTickAt(),
      this.introductions.nextTickAt(),
      this.exchange.nextTickAt(),
      this.askAgainAt,
      this.remembering ? Number.POSITIVE_INFINITY : this.rememberAt,
    );
  }

  /** Whether a leave was asked for that the pane has not decided. */
  get isLeaving(): boolean {
    return this.leaving;
  }

  get boot(): Uint8Array {
    return this.line.sessions.boot;
  }

  get epoch(): Epoch {
    return this.client.pane.epoch;
  }

  /** What makes this member known to one that has not heard of it. */
  credential(): Uint8Array {
    return writeCredential(this.certificate, this.locator);
  }

  /** The member that holds `publicKey`, or that the credential introduces; nothing when it is a stranger. */
  identify(publicKey: Uint8Array, number: NodeNumber, credential: Uint8Array, at: Instant): NodeNumber | undefined {
    if (credential.length > 0 && number > 0) this.onCredential(number, credential, at);
    const known = this.directory.numberOf(publicKey);
    return known === number || number === 0 ? known : undefined;
  }

  setLoad(load: MachineLoad): void {
    this.client.load = load;
  }

  // — what this node's operator and roles want —

  /** Asks the pane; the answer tells the entry's index, or why not. */
  ask(ask: PaneAsk, then: (outcome: Outcome<LogIndex>, at: Instant) => void, at: Instant): void {
    this.desk.askPane(this.number, ask, 0, then, at);
  }

  /** Asks to leave, and goes on asking until the pane decides: `removed-me` says that it did. */
  leave(then: (outcome: Outcome<LogIndex>, at: Instant) => void, at: Instant): void {
    this.leaving = true;
    this.rememberSoon(at);
    this.askAgainAt = at.now + askAgainMs;
    this.ask(
      { kind: 'remove', number: this.number },
      (outcome, later) => {
        if (outcome.ok) this.outbox.event({ kind: 'removed-me' });
        else if (outcome.error.code === 'refused') this.stopLeaving(later);
        then(outcome, later);
      },
      at,
    );
  }

  private stopLeaving(at: Instant): void {
    this.leaving = false;
    this.rememberSoon(at);
  }

  /** Publishes this node's value for a role it performs; `then` gets the seq when it is durable and on its way. */
  publish(role: string, value: Uint8Array, then: (outcome: Outcome<Seq>, at: Instant) => void, at: Instant): void {
    this.exchange.learnOwn(role, (later) => this.publishNext(role, value, then, later), at);
  }

  private publishNext(
    role: string,
    value: Uint8Array,
    then: (outcome: Outcome<Seq>, at: Instant) => void,
    at: Instant,
  ): void {
    const from = this.asPeer();
    const prepared = this.exchange.prepare(role, value);
    if (prepared instanceof HivemindError) {
      then({ ok: false, error: prepared }, at);
      return;
    }
    if (prepared.isNew) this.exchange.keepOwn(prepared.config);
    this.afterRemembering.push((later) => {
      if (prepared.isNew) this.exchange.push(prepared.config);
      then({ ok: true, value: prepared.config.seq, from }, later);
    });
    this.rememberSoon(at);
  }

  /** Committed entries, from the own log or a control node's. */
  readLog(from: LogIndex, most: number, then: (outcome: Outcome<LogPage>, at: Instant) => void, at: Instant): void {
    if (this.pane === undefined) {
      this.client.ask({ kind: 'log', from, most }, logPage, then, at);
      return;
    }
    const entries = this.pane.log.committed(from, most);
    then({ ok: true, value: { entries, commitIndex: this.pane.state.appliedIndex }, from: this.asPeer() }, at);
  }

  /** The configs of a role: the ones held here, or what a consumer or the owners say. For people to read. */
  findConfigs(role: string, then: (outcome: Outcome<readonly Config[]>, at: Instant) => void, at: Instant): void {
    const from = this.asPeer();
    this.exchange.find(role, (configs, later) => then({ ok: true, value: configs, from }, later), at);
  }

  /** Fills the configs that a role performed here consumes; tells whom it asked (HM-25, HM-26). */
  bootstrap(role: string, then: (outcome: Outcome<readonly NodeNumber[]>, at: Instant) => void, at: Instant): void {
    const from = this.asPeer();
    const done = (asked: readonly NodeNumber[], later: Instant): void => {
      const consumed = this.roles.find((each) => each.name === role)?.consumes ?? [];
      const configs = consumed.flatMap((each) => this.exchange.configs.list(each)).length;
      this.outbox.event({ kind: 'bootstrapped', role, from: asked, configs });
      then({ ok: true, value: asked, from }, later);
    };
    this.exchange.bootstrap(role, done, at);
  }

  /** Asks something of one member; `not-found` when it is unknown or has no address. */
  askMember<T>(
    to: NodeNumber,
    request: PeerRequest,
    answer: Codec<T>,
    timeoutMs: number,
    then: (outcome: Outcome<T>, at: Instant) => void,
    at: Instant,
  ): void {
    const target = this.directory.target(to);
    if (target !== undefined) {
      this.outbox.ask(target, request, answer, timeoutMs, then, at);
      return;
    }
    const sentence = `No address is known for ${this.directory.nameOf(to)}; \`hivemind members\` lists the members.`;
    then({ ok: false, error: new HivemindError('not-found', sentence) }, at);
  }

  /** This member as its own counterpart, for answers that never left it. */
  asPeer(): StreamPeer {
    const remote = this.locator.endpoints[0] as Endpoint;
    return { kind: 'member', number: this.number, publicKey: this.signingKey.publicKey, remote };
  }

  // — posts and gossip —

  private onPost(from: StreamPeer, body: Uint8Array, at: Instant): void {
    const post = decodePost(body);
    if (post === undefined) {
      this.line.malformed++;
      return;
    }
    const isControl = (number: NodeNumber): boolean => this.directory.isControl(number);
    if (from.kind === 'member' && mayPost(post.kind, from, isControl)) this.onMemberPost(from.number, post, at);
  }

  private onMemberPost(from: NodeNumber, post: PeerPost, at: Instant): void {
    switch (post.kind) {
      case 'raft':
        this.pane?.log.receive(from, post.message, at);
        break;
      case 'share':
        this.pane?.onShare(from, post.number, post.statement, post.share, at);
        break;
      case 'configs':
        this.exchange.onConfigs(from, post.configs, at);
        this.rememberSoftly(at);
        break;
      case 'removal':
        this.membership.onRemoval(post.certificate, at);
        break;
      default:
        unreachable(post);
    }
  }

  private performSwim(effects: readonly SwimEffect[], at: Instant): void {
    for (const effect of effects) this.onSwimEffect(effect, at);
  }

  private onSwimEffect(effect: SwimEffect, at: Instant): void {
    switch (effect.kind) {
      case 'send':
        this.line.send(effect.to, effect.messages, at);
        break;
      case 'rumour':
        this.onRumour(effect.bytes, at);
        break;
      case 'update':
        if (this.directory.get(effect.update.number) === undefined) {
          this.introductions.want(effect.update.number, effect.from, at);
        }
        break;
      case 'testimony':
        this.pane?.onTestimony(effect.from, effect.message, at);
        break;
      case 'convicted-me':
        this.askAgainAt = at.now;
        break;
      case 'event':
        this.onSwimEvent(effect.event, at);
        break;
      default:
        unreachable(effect);
    }
  }

  private onRumour(bytes: Uint8Array, at: Instant): void {
    const rumour = decodeRumour(bytes);
    if (rumour?.kind === 'removal') this.membership.onRemoval(rumour.certificate, at);
    else if (rumour?.kind === 'locator') this.membership.onLocator(rumour.locator);
    else if (rumour?.kind === 'pane-changed') this.client.askSoon(at);
  }

  private onSwimEvent(event: SwimEvent, at: Instant): void {
    const { outbox } = this;
    switch (event.kind) {
      case 'down':
        outbox.event({ ...event, hint: false });
        break;
      case 'hinted-down':
        outbox.event({ ...event, kind: 'down', hint: true });
        break;
      case 'refuted':
        outbox.event({ kind: 'refuted', number: event.number });
        break;
      case 'probe-missed':
        outbox.event({ kind: 'probe-missed', number: event.number });
        break;
      case 'suspected':
      case 'accused-me':
      case 'back':
        outbox.event(event);
        break;
      case 'answers-again':
      case 'implausible':
        break;
      default:
        unreachable(event);
    }
    if (event.kind === 'suspected' && this.directory.isControl(event.number)) this.client.askSoon(at);
    this.rememberSoftly(at);
  }

  private onCredential(number: NodeNumber, credential: Uint8Array, at: Instant): void {
    const wasKnown = this.directory.get(number) !== undefined;
    const record = acceptCredential(this.directory, number, credential, at.wall);
    if (record === undefined || wasKnown || number === this.number) return;
    this.membership.learn(record, 'alive', 0, at);
    this.exchange.onMember(number, at);
    this.rememberSoftly(at);
  }

  private onForgotten(number: NodeNumber): void {
    this.line.forget(number);
    this.exchange.forget(number);
  }

  // — coming back, leaving —

  private askAgain(at: Instant): void {
    this.askAgainAt = Number.POSITIVE_INFINITY;
    if (this.leaving) {
      this.leave(() => {}, at);
      return;
    }
    const standing = this.membership.swim.publishedOf(this.number);
    if (standing?.status !== 'down') return;
    this.askAgainAt = at.now + askAgainMs;
    this.ask({ kind: 'return', incarnation: standing.incarnation + 1 }, () => {}, at);
  }

  // — memory —

  private recall(memory: MemberMemory | undefined, at: Instant): void {
    this.directory.declare(this.roles);
    this.directory.locate(this.locator.bytes);
    if (this.certificate !== undefined) this.directory.admit(this.certificate, at.wall);
    this.directory.locate(this.locator.bytes);
    this.membership.swim.setControlNodes(this.directory.controlNumbers());
    for (const number of this.directory.controlNumbers()) {
      const record = this.directory.get(number);
      if (record !== undefined) this.membership.learn(record, 'alive', 0, at);
    }
    if (memory !== undefined) {
      this.membership.mergeDigest(memory.digest, at);
      this.exchange.onConfigs(this.number, memory.configs, at);
    }
    if (memory?.locator === undefined || !sameBytes(memory.locator, this.locator.bytes)) {
      this.membership.spread({ kind: 'locator', number: this.number, locator: this.locator.bytes }, at);
    }
    if (this.leaving) this.askAgainAt = at.now;
  }

  private rememberSoftly(at: Instant): void {
    this.rememberAt = Math.min(this.rememberAt, at.now + rememberPeriodMs);
  }

  private rememberSoon(at: Instant): void {
    this.rememberAt = at.now;
  }

  private remember(): void {
    if (this.remembering) return;
    const bytes = encodeMemory(this.memory());
    const hash = sha256(bytes);
    this.rememberAt = Number.POSITIVE_INFINITY;
    if (this.afterRemembering.length === 0 && sameBytes(hash, this.remembered)) return;
    this.remembered = hash;
    this.remembering = true;
    this.outbox.push({ kind: 'remember', id: ++this.rememberId, bytes });
  }

  private memory(): MemberMemory {
    const { configs } = this.exchange;
    return {
      certificate: this.certificate,
      locator: this.locator.bytes,
      digest: this.membership.digest(this.epoch),
      configs: configs.roles().flatMap((role) => configs.list(role)),
      commitIndex: this.pane?.state.appliedIndex ?? 0,
      leaving: this.leaving,
    };
  }

  private onRemembered(id: number, at: Instant): void {
    if (id !== this.rememberId) return;
    this.remembering = false;
    const due = this.afterRemembering;
    this.afterRemembering = [];
    for (const then of due) then(at);
  }

  // — parts —

  private openLine(options: MemberOptions): DatagramLine {
    const { directory } = this;
    const sessions = new Sessions({
      self: options.number,
      exchangeKey: options.exchangeKey,
      bootSeed: options.bootSeed,
      cluster: options.genesis.cluster,
      epoch: options.memory?.digest.epoch ?? 1,
      credential: () => this.credential(),
      random: options.random,
      directory: {
        exchangeKeyOf: (number) => directory.get(number)?.exchangeKey,
        introduce: (number, credential) => {
          this.onCredential(number, credential, this.at);
          return directory.get(number)?.exchangeKey;
        },
      },
    });
    return new DatagramLine(sessions, directory, this.outbox, {
      onSwim: (from, message, later) => {
        this.performSwim(this.membership.swim.receive(from, message, later.now), later);
      },
      onKeepAlive: (from, message, later) => {
        const answer = this.pane?.onKeepAlive(message);
        if (answer !== undefined) this.line.send(from, [answer], later);
      },
      onKeepAliveAnswer: (from, message, later) => this.client.onAnswer(from, message, later),
      onEstablished: (number, isRestart, credential, later) => {
        if (credential !== undefined) this.onCredential(number, credential, later);
        if (isRestart) this.outbox.event({ kind: 'restarted', number });
      },
    });
  }

  private openPane(options: MemberOptions, at: Instant): ControlPane | undefined {
    const { storedLog, random, genesis, number } = options;
    if (storedLog === undefined) return undefined;
    const raft = new Raft({
      self: number,
      voters: this.directory.controlNumbers(),
      settings: options.raft ?? raftSettingsDefault,
      random,
      hardState: storedLog.hardState,
      entries: storedLog.entries,
      committed: Math.min(options.memory?.commitIndex ?? 0, storedLog.entries.length),
      now: at.now,
    });
    const state = new ControlState(genesis, this.directory.genesisHash);
    const { membership, outbox } = this;
    return new ControlPane({ self: number, key: options.signingKey, raft, state, membership, outbox, at });
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** The remembered locator while the addresses are the same, else the next version. */
function nextLocator(options: MemberOptions): Locator {
  const { genesis, memory, signingKey, endpoints } = options;
  const last = memory?.locator === undefined ? undefined : verifyLocator(memory.locator, genesis.cluster);
  if (last !== undefined && JSON.stringify(last.endpoints) === JSON.stringify(endpoints)) return last;
  return signLocator(signingKey, genesis.cluster, (last?.version ?? 0) + 1, endpoints);
}
