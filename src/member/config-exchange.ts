/**
 * How configs get where they are consumed: a publication is pushed to a few consumers, who pass it on; what was
 * missed is found by comparing hashes and pulled, both ways; a consumer that starts asks its own kind first, and
 * the owners when it is the first of them (HM-24 to 26).
 */
import { equalBytes } from '../bytes.ts';
import type { RoleDeclaration } from '../certificate/join-request.ts';
import {
  type Config,
  Configs,
  configValueBytesMax,
  type HeldSeq,
  type PutOutcome,
  signConfig,
} from '../config/config.ts';
import type { SigningKey } from '../crypto.ts';
import { HivemindError } from '../error.ts';
import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import { type Random, shuffled } from '../seam/random.ts';
import { type ConfigPage, configPage, type PeerRequest } from '../wire/peer-message.ts';
import type { Membership } from './membership.ts';
import type { Outbox, Outcome } from './outbox.ts';

/**
 * A node's own tags: a config of every node, whatever its roles, that the control nodes keep for whoever asks.
 * No role may be called so.
 */
export const tagsRole = 'tags';
/** A node's tags together; a control node keeps those of all. */
export const tagsBytesMax = 8_192;

/** Consumers that a publication is pushed to, and that each of them passes it on to (HM-24). */
export const pushFanout = 2;
export const antiEntropyPeriodMs = 5_000;
export const syncAnswerMs = 3_000;
/** Values in one answer or push. */
export const configPageBytesMax = 1_048_576;
/** Pages pulled in a row from one peer. */
const pagesMax = 64;
/** Configs of owners that are not known yet, kept until their certificates come. */
const orphansMax = 256;
/** A consumer that becomes known this soon after a publication may have asked before it: it is sent the config. */
export const freshMs = 5_000;

type ConfigSync = Extract<PeerRequest, { readonly kind: 'config-sync' }>;

export class ConfigExchange {
  readonly configs: Configs;
  private readonly self: NodeNumber;
  private readonly key: SigningKey;
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private readonly random: Random;
  /** Roles performed here whose declarations consume something. */
  private readonly consumed: readonly string[];
  private readonly performed: readonly RoleDeclaration[];
  private readonly republish: (role: string, value: Uint8Array, at: Instant) => void;
  /** What each role here published last in this process. */
  private readonly wanted = new Map<string, Uint8Array>();
  private readonly onUnknownOwner: (owner: NodeNumber, from: NodeNumber, at: Instant) => void;
  private readonly orphans = new Map<string, Config>();
  /** Own configs on their way to the disk, the newest of each role: shown to nobody before they are there. */
  private readonly unsaved = new Map<string, Config>();
  /** When an own config was released last, by role. */
  private readonly releasedAt = new Map<string, MonotonicMs>();
  private nextSyncAt: MonotonicMs;

  constructor(parts: {
    readonly self: NodeNumber;
    readonly key: SigningKey;
    readonly membership: Membership;
    readonly outbox: Outbox;
    readonly random: Random;
    readonly performed: readonly RoleDeclaration[];
    readonly onUnknownOwner: (owner: NodeNumber, from: NodeNumber, at: Instant) => void;
    readonly republish: (role: string, value: Uint8Array, at: Instant) => void;
    readonly at: Instant;
  }) {
    this.self = parts.self;
    this.key = parts.key;
    this.membership = parts.membership;
    this.outbox = parts.outbox;
    this.random = parts.random;
    this.performed = parts.performed;
    this.onUnknownOwner = parts.onUnknownOwner;
    this.republish = parts.republish;
    this.configs = new Configs(parts.membership.directory.cluster);
    const isControl = parts.membership.directory.isControl(parts.self);
    const consumed = parts.performed.flatMap((role) => role.consumes);
    this.consumed = [...new Set(isControl ? [...consumed, tagsRole] : consumed)].sort();
    this.nextSyncAt = parts.at.now + this.random.below(antiEntropyPeriodMs);
  }

  nextTickAt(): MonotonicMs {
    return this.nextSyncAt;
  }

  /** Anti-entropy: what I consume with one of my kind or an owner, what I own with one of its consumers. */
  tick(at: Instant): void {
    if (at.now < this.nextSyncAt) return;
    this.nextSyncAt = at.now + antiEntropyPeriodMs / 2 + this.random.below(antiEntropyPeriodMs);
    for (const role of this.consumed) {
      const peers = this.consumers(role);
      const [peer] = shuffled(peers.length > 0 ? peers : this.owners(role), this.random);
      if (peer !== undefined) this.sync(role, peer, at);
    }
    for (const role of [...this.performed.map(({ name }) => name), tagsRole]) {
      if (this.configs.get(role, this.self) === undefined) continue;
      // Always the same one: otherwise all owners keep a connection to every consumer.
      const consumers = this.consumers(role);
      const consumer = consumers[this.self % consumers.length];
      if (consumer !== undefined) this.syncOwn(role, consumer, at);
    }
  }

  // — publishing —

  /**
   * Before a first publication: whoever lost its data learns from its consumers which seq it had reached, so
   * that its next one is newer.
   */
  learnOwn(role: string, then: (at: Instant) => void, at: Instant): void {
    const asked = this.newestOwn(role) === undefined ? this.consumers(role).slice(0, pushFanout) : [];
    let open = asked.length;
    if (open === 0) then(at);
    for (const consumer of asked) {
      this.syncOwn(role, consumer, at, (_ok, later) => {
        open--;
        if (open === 0) then(later);
      });
    }
  }

  /** The own config that is to be durable before anyone sees it: a new one, or the newest when `value` is the same. */
  prepare(role: string, value: Uint8Array): Config | HivemindError {
    const most = role === tagsRole ? tagsBytesMax : configValueBytesMax;
    if (value.length > most) {
      const sentence = `The config of ${role} takes ${value.length} bytes; ${most} is the most.`;
      return new HivemindError('config-too-large', sentence);
    }
    this.wanted.set(role, value);
    const newest = this.newestOwn(role);
    if (newest !== undefined && equalBytes(newest.value, value)) return newest;
    const unsigned = { owner: this.self, role, seq: (newest?.seq ?? 0) + 1, value };
    const config = signConfig(this.key, this.membership.directory.cluster, unsigned);
    this.unsaved.set(role, config);
    return config;
  }

  /** The prepared config, or one with a higher seq, is durable: from here on it may be seen. */
  release(config: Config, at: Instant): void {
    if (this.unsaved.get(config.role) === config) this.unsaved.delete(config.role);
    if (this.configs.put(config, this.key.publicKey) !== 'newer') return;
    this.releasedAt.set(config.role, at.now);
    this.push(config);
  }

  /** All that a restart must find: what is held, and own ones that are not released yet. */
  toRemember(): readonly Config[] {
    const held = this.configs.roles().flatMap((role) => this.configs.list(role));
    const newest = [...this.unsaved.values()].filter((config) => this.newestOwn(config.role) === config);
    const replaced = new Set(newest.map(({ role }) => role));
    return [...held.filter(({ owner, role }) => owner !== this.self || !replaced.has(role)), ...newest];
  }

  private newestOwn(role: string): Config | undefined {
    const [unsaved, held] = [this.unsaved.get(role), this.configs.get(role, this.self)];
    // While one is on its way to the disk, a consumer may bring a newer one from before this node's data was lost.
    return (unsaved?.seq ?? 0) > (held?.seq ?? 0) ? unsaved : held;
  }

  private push(config: Config, except: readonly NodeNumber[] = []): void {
    const others = this.consumers(config.role).filter((number) => !except.includes(number));
    for (const number of shuffled(others, this.random).slice(0, pushFanout)) this.postTo(number, [config]);
    this.tellOf(config);
  }

  private tellOf({ role, owner, seq }: Config): void {
    this.outbox.event({ kind: 'config', role, owner, seq });
  }

  // — receiving —

  onConfigs(from: NodeNumber, configs: readonly Config[], at: Instant): void {
    for (const config of configs) {
      // An honest relay has verified what it passes on: one forgery says what the rest is worth.
      if (this.take(config, from, at) === 'forged') return;
    }
  }

  /** What an earlier run held; nobody needs to hear of it again. */
  recall(configs: readonly Config[]): void {
    for (const config of configs) this.configs.put(config, this.keyOf(config.owner));
  }

  /** @param isPush whether it came as a publication: what was compared, others compare as well */
  private take(config: Config, from: NodeNumber, at: Instant, isPush = true): PutOutcome | undefined {
    const { directory } = this.membership;
    const isWanted = config.owner === this.self || this.consumed.includes(config.role);
    if (!isWanted || directory.removed.has(config.owner)) return undefined;
    const owner = directory.get(config.owner);
    if (owner === undefined) {
      this.keepOrphan(config, from, at);
      return undefined;
    }
    if (config.role !== tagsRole && !owner.roles.includes(config.role)) return undefined;
    if (config.role === tagsRole && config.value.length > tagsBytesMax) return undefined;
    const outcome = this.configs.put(config, owner.signingKey);
    if (outcome !== 'newer') return outcome;
    if (config.owner === this.self) this.onOvertaken(config, at);
    this.replaceNamesake(config);
    if (isPush) this.push(config, [from, config.owner]);
    else this.tellOf(config);
    return outcome;
  }

  /** Before its data was lost this node had come further: what it wants to be known goes on above that. */
  private onOvertaken(config: Config, at: Instant): void {
    const wanted = this.wanted.get(config.role);
    if (wanted !== undefined && !equalBytes(wanted, config.value)) this.republish(config.role, wanted, at);
  }

  /** A node that joined anew under its old name replaces what the old number had published. */
  private replaceNamesake(config: Config): void {
    for (const owner of this.membership.directory.olderNamesakes(config.owner)) {
      if (this.configs.get(config.role, owner) !== undefined) this.forget(owner);
    }
  }

  private keepOrphan(config: Config, from: NodeNumber, at: Instant): void {
    const key = `${config.role}/${config.owner}`;
    const held = this.orphans.get(key);
    if (held !== undefined ? held.seq >= config.seq : this.orphans.size >= orphansMax) return;
    this.orphans.set(key, config);
    this.onUnknownOwner(config.owner, from, at);
  }

  /** A member became known: what came before its certificate counts now, and what it could not be sent is. */
  onMember(number: NodeNumber, at: Instant): void {
    for (const [role, releasedAt] of this.releasedAt) {
      const own = this.configs.get(role, this.self);
      const isFresh = at.now < releasedAt + freshMs;
      if (own !== undefined && isFresh && this.consumers(role).includes(number)) this.postTo(number, [own]);
    }
    for (const [key, config] of this.orphans) {
      if (config.owner !== number) continue;
      this.orphans.delete(key);
      this.take(config, number, at);
    }
  }

  forget(owner: NodeNumber): void {
    for (const config of this.configs.forget(owner)) {
      this.outbox.event({ kind: 'config-gone', role: config.role, owner });
    }
  }

  // — comparing —

  /** Compares what `asker` holds; an owner that consumes nothing of it compares its own config alone. */
  onSync(asker: NodeNumber, { role, hash, held, ownOnly }: ConfigSync): ConfigPage {
    if (ownOnly) return this.compareOwn(asker, role, held);
    if (Buffer.compare(hash, this.configs.hash(role)) === 0) return { configs: [], wanted: [] };
    return {
      configs: this.configs.newerThan(role, held, configPageBytesMax),
      wanted: this.consumed.includes(role) ? this.configs.olderThan(role, held) : [],
    };
  }

  private compareOwn(asker: NodeNumber, role: string, held: readonly HeldSeq[]): ConfigPage {
    const mine = this.configs.get(role, asker);
    const theirs = held.find(({ owner }) => owner === asker)?.seq ?? 0;
    return {
      configs: mine !== undefined && mine.seq > theirs ? [mine] : [],
      wanted: this.consumed.includes(role) && theirs > (mine?.seq ?? 0) ? [asker] : [],
    };
  }

  /** An owner and one of its consumers: which of them has the newer version of the owner's config? */
  private syncOwn(
    role: string,
    peer: NodeNumber,
    at: Instant,
    done: (ok: boolean, at: Instant) => void = () => {},
  ): void {
    const target = this.membership.directory.target(peer);
    if (target === undefined) {
      done(false, at);
      return;
    }
    const own = this.configs.get(role, this.self);
    const held = own === undefined ? [] : [{ owner: this.self, seq: own.seq }];
    const request = { kind: 'config-sync', role, hash: this.configs.hash(role), held, ownOnly: true } as const;
    const then = (outcome: Outcome<ConfigPage>, later: Instant): void => {
      if (outcome.ok) for (const config of outcome.value.configs) this.take(config, peer, later);
      if (outcome.ok && own !== undefined && outcome.value.wanted.includes(this.self)) this.postTo(peer, [own]);
      done(outcome.ok, later);
    };
    this.outbox.ask(target, request, configPage, syncAnswerMs, then, at);
  }

  private sync(role: string, peer: NodeNumber, at: Instant, done: (ok: boolean, at: Instant) => void = () => {}): void {
    this.pullPage(role, peer, pagesMax, done, at);
  }

  private pullPage(
    role: string,
    peer: NodeNumber,
    pagesLeft: number,
    done: (ok: boolean, at: Instant) => void,
    at: Instant,
  ): void {
    const target = this.membership.directory.target(peer);
    if (target === undefined || pagesLeft === 0) {
      done(pagesLeft === 0, at);
      return;
    }
    const request = {
      kind: 'config-sync',
      role,
      hash: this.configs.hash(role),
      held: this.configs.held(role),
      ownOnly: false,
    } as const;
    const then = (outcome: Outcome<ConfigPage>, later: Instant): void => {
      if (!outcome.ok) {
        done(false, later);
        return;
      }
      const { configs, wanted } = outcome.value;
      const outcomes = configs.map((config) => this.take(config, peer, later, false));
      const asked = new Set(wanted);
      const lacking = this.configs.held(role).filter(({ owner }) => !asked.has(owner));
      const mine = this.configs.newerThan(role, lacking, configPageBytesMax);
      if (mine.length > 0) this.postTo(peer, mine);
      if (outcomes.includes('newer')) this.pullPage(role, peer, pagesLeft - 1, done, later);
      else done(true, later);
    };
    this.outbox.ask(target, request, configPage, syncAnswerMs, then, at);
  }

  /** What is held here of one member's. */
  pageOf(role: string, owner: NodeNumber): ConfigPage {
    const config = this.configs.get(role, owner);
    return { configs: config === undefined ? [] : [config], wanted: [] };
  }

  /** Whether this node has to know a member, though it is outside its view: it holds or reads what that publishes. */
  isNeeded(owner: NodeNumber): boolean {
    const roles = this.membership.directory.get(owner)?.roles ?? [];
    return roles.some((role) => this.consumed.includes(role)) || this.configs.holdsAnyOf(owner);
  }

  /** Whether this node keeps all configs of a role. */
  reads(role: string): boolean {
    return this.consumed.includes(role);
  }

  keyOf(owner: NodeNumber): Uint8Array | undefined {
    return this.membership.directory.get(owner)?.signingKey;
  }

  // — starting —

  /**
   * Fills the configs that `role` consumes: from the first of its `bootstrapFrom` roles that has a living member
   * who answers. Peers of a role that consumes the same have the whole map; owners have their own each.
   */
  bootstrap(role: string, then: (from: readonly NodeNumber[], at: Instant) => void, at: Instant): void {
    const wanted = this.declared(role)?.consumes ?? [];
    const steps = wanted.map((consumed) => this.sourcesFor(role, consumed));
    let open = 1;
    const asked: NodeNumber[] = [];
    const settle = (later: Instant): void => {
      open--;
      if (open === 0) then(asked, later);
    };
    wanted.forEach((consumed, position) => {
      for (const peer of steps[position] ?? []) {
        open++;
        asked.push(peer);
        this.sync(consumed, peer, at, (_ok, later) => settle(later));
      }
    });
    settle(at);
  }

  /** Warm: two of the peers that have it all. Cold: every owner. */
  private sourcesFor(role: string, consumed: string): readonly NodeNumber[] {
    for (const source of this.declared(role)?.bootstrapFrom ?? []) {
      const numbers = this.owners(source);
      if (numbers.length === 0) continue;
      const holdsAll = this.declared(source)?.consumes.includes(consumed) === true;
      return holdsAll ? shuffled(numbers, this.random).slice(0, pushFanout) : numbers;
    }
    return this.owners(consumed);
  }

  // — who is who —

  private declared(
    role: string,
  ): { readonly consumes: readonly string[]; readonly bootstrapFrom: readonly string[] } | undefined {
    return this.membership.directory.declarations.get(role);
  }

  /** Living members that perform `role`, this one included. */
  private performers(role: string): readonly NodeNumber[] {
    const { directory, swim } = this.membership;
    const isLive = (number: NodeNumber): boolean => swim.statusOf(number)?.status !== 'down';
    return directory
      .list()
      .filter((record) => record.roles.includes(role) && isLive(record.number))
      .map((record) => record.number);
  }

  /** Living members other than this one that may publish for `role`. */
  owners(role: string): readonly NodeNumber[] {
    return this.performers(role).filter((number) => number !== this.self);
  }

  /** Living members other than this one that perform some role which consumes `role`. */
  consumers(role: string): readonly NodeNumber[] {
    const { declarations } = this.membership.directory;
    if (role === tagsRole) return this.otherControlNodes();
    const consuming = [...declarations.values()].filter((each) => each.consumes.includes(role));
    const numbers = new Set(consuming.flatMap((each) => this.performers(each.name)));
    numbers.delete(this.self);
    return [...numbers].sort((a, b) => a - b);
  }

  private otherControlNodes(): readonly NodeNumber[] {
    const { directory, swim } = this.membership;
    const others = directory.controlNumbers().filter((number) => number !== this.self);
    return others.filter((number) => swim.statusOf(number)?.status !== 'down');
  }

  private postTo(number: NodeNumber, configs: readonly Config[]): void {
    const target = this.membership.directory.target(number);
    if (target !== undefined) this.outbox.post(target, { kind: 'configs', configs });
  }
}
