/**
 * One member as a pure machine: sessions, failure detector, configs and, on a control node, the pane, composed.
 * `step` takes an input and the time and returns effects; nothing in here waits, looks at a clock or opens a
 * file. Production drives one of it, the simulator thousands.
 */
import { unreachable } from '../assert.ts';
import type { RoleDeclaration } from '../certificate/join-request.ts';
import type { Locator } from '../certificate/locator.ts';
import type { Codec } from '../codec.ts';
import type { MachineLoad } from '../control/keep-alive.ts';
import type { SigningKey } from '../crypto.ts';
import { HivemindError } from '../error.ts';
import type { Endpoint, Epoch, LogIndex, MonotonicMs, NodeNumber, Seq } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import type { StreamPeer } from '../seam/streams.ts';
import { Sessions } from '../session/sessions.ts';
import { Swim } from '../swim/swim.ts';
import { decodePost, type PaneAsk, type PeerPost, type PeerRequest } from '../wire/peer-message.ts';
import { mayPost } from './access.ts';
import { CharterReader } from './client/charter-reader.ts';
import { CharterSearch } from './client/charter-search.ts';
import { MemberFinder } from './client/member-finder.ts';
import { PaneClient } from './client/pane-client.ts';
import { ConfigExchange } from './config-exchange.ts';
import { ConfigSearch } from './config-search.ts';
import { DatagramLine } from './datagram-line.ts';
import { acceptCredential, Directory, writeCredential } from './directory.ts';
import type { MemberEffect, MemberInput } from './effect.ts';
import { Introductions } from './introductions.ts';
import { hasMoved, type MemberOptions, nextLocator } from './member-options.ts';
import { Membership } from './membership.ts';
import { type MemberMemory, worthRemembering } from './memory.ts';
import { Outbox, type Outcome } from './outbox.ts';
import { OwnStanding } from './own-standing.ts';
import type { ControlPane } from './pane/control-pane.ts';
import { openPane } from './pane/open-pane.ts';
import { type Published, Publishing } from './publishing.ts';
import { Reads } from './reads.ts';
import { Recollection } from './recollection.ts';
import { RequestDesk } from './request-desk.ts';
import { SwimNews } from './swim-news.ts';
import type { Timed } from './timed.ts';
import { UserEvents } from './user-events.ts';

export class Member {
  readonly number: NodeNumber;
  readonly directory: Directory;
  readonly membership: Membership;
  readonly exchange: ConfigExchange;
  readonly client: PaneClient;
  readonly line: DatagramLine;
  readonly pane: ControlPane | undefined;
  readonly roles: readonly RoleDeclaration[];
  readonly signingKey: SigningKey;
  private readonly outbox: Outbox;
  private readonly introductions: Introductions;
  private readonly desk: RequestDesk;
  private readonly news: SwimNews;
  private readonly certificate: Uint8Array | undefined;
  private readonly locator: Locator;
  private readonly standing: OwnStanding;
  private readonly recollection: Recollection;
  /** Configs for people to read, wherever they are held. */
  readonly search: ConfigSearch;
  /** Those outside this node's view. */
  readonly finder: MemberFinder;
  /** The log, and consistent reads. */
  readonly reads: Reads;
  private readonly userEvents: UserEvents;
  private readonly charterReader: CharterReader;
  private readonly charterSearch: CharterSearch;
  /** In the order in which they do what is due. */
  private readonly timed: readonly Timed[];
  private readonly publishing: Publishing;
  /** The time of the current step, for callbacks that are not handed it. */
  private at: Instant;

  constructor(options: MemberOptions, at: Instant) {
    const { number, genesis, memory, random } = options;
    this.at = at;
    this.number = number;
    this.roles = options.roles;
    this.signingKey = options.signingKey;
    this.certificate = memory?.certificate;
    this.outbox = new Outbox();
    this.directory = new Directory(genesis, memory?.digest.charter);
    this.locator = nextLocator(options, at.wall);
    const swim = new Swim({ self: number, settings: options.swim, random, cluster: genesis.cluster, now: at.now });
    this.membership = new Membership({
      directory: this.directory,
      swim,
      self: number,
      outbox: this.outbox,
      sink: (effects, later) => this.news.perform(effects, later),
      listeners: {
        onUnknown: (unknown, toldBy, later) => this.introductions.want(unknown, toldBy, later),
        onForgotten: (gone, isRemoved) => this.onForgotten(gone, isRemoved),
        onAmended: (later) => this.onAmended(later),
        isNeeded: (outside) => this.exchange.isNeeded(outside),
      },
    });
    this.userEvents = new UserEvents(number, this.membership, this.outbox);
    this.line = this.openLine(options);
    const parts = { self: number, membership: this.membership, outbox: this.outbox, random, at };
    this.client = new PaneClient({
      ...parts,
      leads: () => this.pane?.leads === true,
      onAmended: (from, later) => this.charterReader.want(from, later),
      send: (to, message, later) => this.line.send(to, [message], later),
    });
    this.charterReader = new CharterReader(number, this.membership, this.outbox, random);
    this.charterSearch = new CharterSearch({ ...parts, client: this.client, reader: this.charterReader });
    this.finder = new MemberFinder(this.membership, this.client);
    this.introductions = new Introductions({
      ...parts,
      onKnown: (known, later) => this.exchange.onMember(known, later),
    });
    this.exchange = new ConfigExchange({
      ...parts,
      key: options.signingKey,
      performed: options.roles,
      onUnknownOwner: (owner, from, later) => this.introductions.want(owner, from, later),
      republish: (role, value, later) => this.publishing.publishNext(role, value, () => {}, later),
    });
    this.publishing = new Publishing(this.exchange, () => this.recollection);
    this.search = new ConfigSearch({ ...parts, exchange: this.exchange, asPeer: () => this.asPeer() });
    this.pane = openPane(
      options,
      this.membership,
      this.outbox,
      {
        sendDatagram: (to, datagram, later) => this.line.send(to, [datagram], later),
        onLaterCharter: (from, later) => this.charterReader.want(from, later),
      },
      at,
    );
    this.reads = new Reads({ ...parts, client: this.client, pane: this.pane, asPeer: () => this.asPeer() });
    this.desk = new RequestDesk(this, this.outbox);
    this.news = new SwimNews(
      this,
      this.introductions,
      this.outbox,
      {
        onConvicted: (later) => this.standing.onConvicted(later),
      },
      at,
    );
    this.recollection = new Recollection(this.outbox, () => this.memory(), at);
    this.standing = new OwnStanding({
      ...parts,
      leaving: memory?.leaving ?? false,
      ask: (ask, then, later) => this.ask(ask, then, later),
      onChange: (later) => this.recollection.soon(later),
      onMistaken: (later) => this.client.refresh(later),
    });
    const { client, charterReader, charterSearch, introductions, exchange, standing } = this;
    this.timed = [client, charterReader, charterSearch, introductions, exchange, standing];
    this.recall(memory, hasMoved(options), at);
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
      case 'compacted':
      case 'log-trouble':
        this.pane?.onDisk(input, at);
        break;
      case 'remembered':
        this.recollection.onRemembered(input.id, at);
        break;
      case 'knocked':
        this.membership.onDialled(input.number, input.outcome, at);
        break;
      case 'stream-broken':
        this.membership.onStreamClosed(input.number, at);
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
    if (at.now >= swim.nextTickAt()) this.news.perform(swim.tick(at.now), at);
    this.pane?.tick(at);
    if (this.pane !== undefined) this.client.follow(this.pane.watch.health, this.pane.engine.raft.commitIndex, at);
    for (const part of this.timed) part.tick(at);
    if (this.outbox.takeEventful()) this.recollection.softly(at);
    this.recollection.tick(at);
    return this.outbox.take();
  }

  nextTickAt(): MonotonicMs {
    const { line, membership, pane, recollection } = this;
    const paneAt = pane?.nextTickAt() ?? Number.POSITIVE_INFINITY;
    const firstAt = Math.min(line.nextTickAt(), membership.swim.nextTickAt(), paneAt, recollection.nextTickAt());
    return this.timed.reduce((soonest, part) => Math.min(soonest, part.nextTickAt()), firstAt);
  }

  /** Whether a leave was asked for that the pane has not decided. */
  get isLeaving(): boolean {
    return this.standing.isLeaving;
  }

  get boot(): Uint8Array {
    return this.line.sessions.boot;
  }

  get epoch(): Epoch {
    return this.directory.charter.epoch;
  }

  /** What makes this member known to one that has not heard of it. */
  credential(): Uint8Array {
    return writeCredential(this.certificate, this.locator);
  }

  /** The member that holds `publicKey`, or that the credential introduces; nothing when it is a stranger. */
  identify(publicKey: Uint8Array, number: NodeNumber, credential: Uint8Array, at: Instant): NodeNumber | undefined {
    if (credential.length > 0 && number > 0) this.onCredential(number, credential, at);
    const known = this.directory.numberOf(publicKey);
    if (known === undefined && number > 0) this.charterSearch.onStranger(publicKey, credential, at);
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
    this.standing.leave(then, at);
  }

  /** Publishes this node's value for a role it performs; `then` gets the seq when it is durable and on its way. */
  publish(role: string, value: Uint8Array, then: (outcome: Outcome<Seq>, at: Instant) => void, at: Instant): void {
    const tell = (published: Published, later: Instant): void =>
      then(published.ok ? this.own(published.seq) : published, later);
    this.publishing.publish(role, value, tell, at);
  }

  /** Fills the configs that a role performed here consumes; tells whom it asked (HM-25, HM-26). */
  bootstrap(role: string, then: (outcome: Outcome<readonly NodeNumber[]>, at: Instant) => void, at: Instant): void {
    const { consumes = [], bootstrapFrom = [] } = this.roles.find((each) => each.name === role) ?? {};
    const done = (asked: readonly NodeNumber[], later: Instant): void => {
      const configs = consumes.flatMap((each) => this.exchange.configs.list(each)).length;
      this.outbox.event({ kind: 'bootstrapped', role, from: asked, configs });
      then(this.own(asked), later);
    };
    const sources = new Set([...consumes, ...bootstrapFrom]);
    this.finder.performing([...sources], (later) => this.exchange.bootstrap(role, done, later), at);
  }

  /** Tells all members something, once each; the reason when it cannot be told. */
  sendEvent(name: string, payload: Uint8Array, at: Instant): HivemindError | undefined {
    return this.userEvents.send(name, payload, at);
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

  /** An answer that never left this member. */
  private own<T>(value: T): Outcome<T> {
    return { ok: true, value, from: this.asPeer() };
  }

  // — posts and gossip —

  private onPost(from: StreamPeer, body: Uint8Array, at: Instant): void {
    const post = decodePost(body);
    if (post === undefined) {
      this.line.malformed++;
      return;
    }
    const isControl = (number: NodeNumber): boolean => this.directory.keepsLog(number);
    if (from.kind === 'member' && mayPost(post.kind, from, isControl)) this.onMemberPost(from.number, post, at);
  }

  private onMemberPost(from: NodeNumber, post: PeerPost, at: Instant): void {
    switch (post.kind) {
      case 'raft':
        this.pane?.onRaft(from, post, at);
        break;
      case 'share':
        this.pane?.onShare(from, post.number, post.statement, post.share, at);
        break;
      case 'configs':
        this.exchange.onConfigs(from, post.configs, at);
        break;
      case 'removal':
        this.membership.onRemoval(post.certificate, at);
        break;
      default:
        unreachable(post);
    }
  }

  private onCredential(number: NodeNumber, credential: Uint8Array, at: Instant): void {
    const wasKnown = this.directory.get(number) !== undefined;
    const record = acceptCredential(this.directory, number, credential, at.wall);
    if (record === undefined || wasKnown || number === this.number) return;
    this.membership.learn(record, 'alive', 0, at);
    this.exchange.onMember(number, at);
    if (!this.directory.isComplete(number)) this.introductions.want(number, number, at);
  }

  private onForgotten(number: NodeNumber, isRemoved: boolean): void {
    this.line.forget(number);
    if (isRemoved) this.exchange.forget(number);
  }

  /** Other control nodes, or another epoch: whoever was dropped with the old one is out of the membership by now. */
  private onAmended(at: Instant): void {
    this.line.followEpoch(at);
    this.recollection.soon(at);
  }

  // — memory —

  private recall(memory: MemberMemory | undefined, isElsewhere: boolean, at: Instant): void {
    this.directory.declare(this.roles);
    if (this.certificate !== undefined) this.directory.admit(this.certificate, at.wall, this.number);
    this.directory.locate(this.locator.bytes);
    this.membership.swim.setControlNodes(this.directory.controlNumbers());
    // No entry admits those of the genesis; who does not sign any more belongs all the same.
    for (const record of this.directory.list()) this.membership.learn(record, 'alive', 0, at);
    if (memory !== undefined) {
      this.membership.mergeDigest(memory.digest, at);
      this.exchange.recall(memory.configs);
    }
    this.pane?.begin(at);
    if (isElsewhere) this.membership.spread({ kind: 'locator', number: this.number, locator: this.locator.bytes }, at);
  }

  private memory(): MemberMemory {
    return {
      certificate: this.certificate,
      locator: this.locator.bytes,
      digest: this.membership.digest(),
      configs: worthRemembering(this.exchange.toRemember(), this.number),
      commitIndex: this.pane?.state.appliedIndex,
      leaving: this.isLeaving,
    };
  }

  // — parts —

  private openLine(options: MemberOptions): DatagramLine {
    const { directory } = this;
    const sessions = new Sessions({
      self: options.number,
      exchangeKey: options.exchangeKey,
      bootSeed: options.bootSeed,
      cluster: options.genesis.cluster,
      epoch: directory.charter.epoch,
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
        // Somebody misses a control node: is the pane still there?
        const isDoubt = message.kind === 'probe-request' || message.kind === 'accusation';
        if (isDoubt && this.directory.isControl(message.subject)) this.client.askSoon(later);
        this.news.perform(this.membership.swim.receive(from, message, later.now), later);
      },
      onKeepAlive: (from, message, later) => {
        if (this.pane !== undefined) this.line.send(from, [this.pane.onKeepAlive(from, message)], later);
      },
      onRaft: (from, datagram, later) => this.pane?.onRaftDatagram(from, datagram, later),
      onKeepAliveAnswer: (from, message, later) => this.client.onAnswer(from, message, later),
      onOtherEpoch: (from, epoch, proven, later) => this.charterReader.onEpoch(from, epoch, proven, later),
      onEstablished: (number, isRestart, credential, later) => {
        if (credential !== undefined) this.onCredential(number, credential, later);
        if (!isRestart) return;
        this.membership.onRestarted(number, later);
        this.outbox.event({ kind: 'restarted', number });
      },
    });
  }
}
