/** Looks a role's configs up for people: held here, or asked of those who hold them and not kept. */
import { type Config, Configs } from '../config/config.ts';
import type { NodeNumber } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import { type Random, shuffled } from '../seam/random.ts';
import type { StreamPeer } from '../seam/streams.ts';
import { type ConfigPage, configPage } from '../wire/peer-message.ts';
import { type ConfigExchange, syncAnswerMs } from './config-exchange.ts';
import type { Membership } from './membership.ts';
import type { Outbox, Outcome } from './outbox.ts';

export class ConfigSearch {
  private readonly self: NodeNumber;
  private readonly asPeer: () => StreamPeer;
  private readonly exchange: ConfigExchange;
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private readonly random: Random;

  constructor(parts: {
    readonly self: NodeNumber;
    /** This member as its own counterpart, for what is held here. */
    readonly asPeer: () => StreamPeer;
    readonly exchange: ConfigExchange;
    readonly membership: Membership;
    readonly outbox: Outbox;
    readonly random: Random;
  }) {
    this.self = parts.self;
    this.asPeer = parts.asPeer;
    this.exchange = parts.exchange;
    this.membership = parts.membership;
    this.outbox = parts.outbox;
    this.random = parts.random;
  }

  /** What there is of a role's configs: held here when they are consumed here, else asked for and not kept. */
  find(role: string, then: (outcome: Outcome<readonly Config[]>, at: Instant) => void, at: Instant): void {
    const consumers = this.exchange.consumers(role);
    const owners = this.exchange.owners(role);
    const asked = this.exchange.reads(role) ? [] : consumers.length > 0 ? consumers.slice(0, 1) : owners;
    const found = new Configs(this.membership.directory.cluster);
    for (const config of this.exchange.configs.list(role)) found.put(config, this.exchange.keyOf(config.owner));
    let open = asked.length;
    const tell = (later: Instant): void => then({ ok: true, value: found.list(role), from: this.asPeer() }, later);
    if (open === 0) tell(at);
    for (const number of asked) {
      const request = { kind: 'config-sync', role, hash: new Uint8Array(16), held: [], ownOnly: false } as const;
      const target = this.membership.directory.target(number);
      const settle = (outcome: Outcome<ConfigPage> | undefined, later: Instant): void => {
        const configs = outcome?.ok === true ? outcome.value.configs : [];
        for (const config of configs) found.put(config, this.exchange.keyOf(config.owner));
        open--;
        if (open === 0) tell(later);
      };
      if (target === undefined) settle(undefined, at);
      else this.outbox.ask(target, request, configPage, syncAnswerMs, settle, at);
    }
  }

  /** One member's config, if it has one: held here, or asked of a consumer or of its owner. */
  findOne(
    role: string,
    owner: NodeNumber,
    then: (outcome: Outcome<Config | undefined>, at: Instant) => void,
    at: Instant,
  ): void {
    const held = this.exchange.configs.get(role, owner);
    const isHere = owner === this.self || this.exchange.reads(role);
    const [asked = owner] = shuffled(this.exchange.consumers(role), this.random);
    const target = this.membership.directory.target(asked);
    if (isHere || target === undefined) {
      then({ ok: true, value: held, from: this.asPeer() }, at);
      return;
    }
    const onOutcome = (outcome: Outcome<ConfigPage>, later: Instant): void => {
      if (!outcome.ok) {
        then(outcome, later);
        return;
      }
      const found = outcome.value.configs.find((config) => config.owner === owner);
      const right = new Configs(this.membership.directory.cluster);
      if (found !== undefined) right.put(found, this.exchange.keyOf(owner));
      then({ ...outcome, value: right.get(role, owner) }, later);
    };
    this.outbox.ask(target, { kind: 'config', role, owner }, configPage, syncAnswerMs, onOutcome, at);
  }
}
