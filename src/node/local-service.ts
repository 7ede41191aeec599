/** Answers what programs on this machine ask of the agent; one method for each kind of request. */
import { unreachable } from '../assert.ts';
import { fromBase64Url, toHex } from '../bytes.ts';
import { tokenText } from '../certificate/token.ts';
import type { Config } from '../config/config.ts';
import { publicKeyBytes, seedBytes, signingKeyFrom } from '../crypto.ts';
import { HivemindError, toHivemindError } from '../error.ts';
import { endpointText, type LogIndex, type Seq, type WallMs, wallText } from '../identity.ts';
import { tagsRole } from '../member/config-exchange.ts';
import { pack, unpack } from '../packed.ts';
import type { Clock } from '../seam/clock.ts';
import type { Random } from '../seam/random.ts';
import { describeView } from './describe.ts';
import type { EventRing } from './event-ring.ts';
import type {
  LocalBrake,
  LocalConfig,
  LocalConfigs,
  LocalDecided,
  LocalEvent,
  LocalRequest,
  LocalSent,
  LocalStatus,
  LocalTags,
  LocalToken,
  RoleStatus,
} from './local-api.ts';
import { LogDesk } from './log-desk.ts';
import { MembersDesk } from './members-desk.ts';
import type { Node } from './node.ts';
import { standingsOf } from './operations.ts';
import { describeContacts, PaneDesk } from './pane-desk.ts';
import { SnapshotDesk } from './snapshot-desk.ts';

/** A token may live this long: ten years. */
export const tokenLifeMsMax: number = 3_650 * 86_400_000;

export interface LocalServiceParts {
  readonly node: Node;
  readonly random: Random;
  readonly clock: Clock;
  readonly events: EventRing;
  readonly version: string;
  readonly startedAt: WallMs;
  readonly roles: () => readonly RoleStatus[];
  /** Sockets' own counters: datagrams, streams. */
  readonly counters: () => Readonly<Record<string, number>>;
  /** Ends the agent in good order, soon. */
  readonly onStop: () => void;
}

export class LocalService {
  private readonly parts: LocalServiceParts;
  private readonly node: Node;
  private readonly logDesk: LogDesk;
  private readonly membersDesk: MembersDesk;
  private readonly paneDesk: PaneDesk;
  private readonly snapshotDesk: SnapshotDesk;

  constructor(parts: LocalServiceParts) {
    this.parts = parts;
    this.node = parts.node;
    this.logDesk = new LogDesk(parts);
    this.membersDesk = new MembersDesk(parts.node);
    this.paneDesk = new PaneDesk(parts.node);
    this.snapshotDesk = new SnapshotDesk(parts);
  }

  async answer(request: LocalRequest): Promise<unknown> {
    switch (request.kind) {
      case 'status':
        return this.status();
      case 'members':
        return await this.membersDesk.list(request.consistent === true);
      case 'node':
        return await this.membersDesk.show(request.name, request.consistent === true);
      case 'log':
        return await this.logDesk.read(request);
      case 'export-log':
        return await this.logDesk.export(request.from, request.most);
      case 'follow-log':
        throw new HivemindError('usage', 'The log is followed by a subscription; ask for `log` to read it once.');
      case 'snapshot':
        return this.snapshotDesk.piece(request);
      case 'open-session':
        return await this.logDesk.openSession();
      case 'note':
        return await this.logDesk.note(request);
      case 'events':
        return { events: this.parts.events.last(request.most) };
      case 'configs':
        return await this.configs(request.role);
      case 'pane':
        return await this.paneDesk.pane();
      case 'create-token':
        return await this.createToken(request);
      case 'revoke-token':
        return await this.revokeToken(request.key);
      case 'leave':
        return await this.leave();
      case 'remove':
        return await this.remove(request.name);
      case 'send-event':
        return this.sendEvent(request.name, request.payload);
      case 'tags':
        return await this.tags(request.name);
      case 'set-tags':
        return await this.setTags(request.set, request.drop);
      case 'brake':
        return await this.brake();
      case 'change-control':
        return await this.changeControl(request.change, request.name);
      case 'transfer-lead':
        return await this.transferLead(request.name);
      case 'advance-epoch':
        return await this.advanceEpoch();
      case 'release-brake':
        return await this.releaseBrake(request.forMs);
      case 'stop':
        this.parts.onStop();
        return { index: 0 };
      default:
        return unreachable(request);
    }
  }

  /**
   * Gives what a subscription asks for until `signal` aborts; `give` says false when its reader does not keep up.
   *
   * @throws HivemindError `usage` for what nobody can follow, `busy`
   */
  async follow(request: LocalRequest, give: (item: unknown) => boolean, signal: AbortSignal): Promise<void> {
    if (request.kind === 'events') await this.followEvents(request.most, give, signal);
    else if (request.kind === 'follow-log') await this.logDesk.follow(request.from, give, signal);
    else throw new HivemindError('usage', `There is nothing to follow in ${request.kind}; ask for it instead.`);
  }

  /** Gives the last events and then each that comes. */
  private async followEvents(most: number, give: (event: LocalEvent) => void, signal: AbortSignal): Promise<void> {
    const { events } = this.parts;
    for (const event of events.last(most)) give(event);
    const stop = events.listen(give);
    if (stop === undefined) throw new HivemindError('busy', 'Too many programs follow the events; close one of them.');
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    stop();
  }

  private status(): LocalStatus {
    const { member } = this.node;
    const { directory, client, membership, line } = member;
    const self = directory.get(member.number);
    const { state, since, leader, logIndex, heardAt } = client.pane;
    return {
      version: this.parts.version,
      name: self?.name ?? '',
      number: member.number,
      cluster: toHex(directory.cluster),
      epoch: member.epoch,
      roles: this.parts.roles(),
      addresses: self?.endpoints.map(endpointText) ?? [],
      boot: toHex(member.boot),
      startedAt: wallText(this.parts.startedAt),
      pane: {
        state,
        since: wallText(since),
        ...(leader > 0 ? { leader: directory.nameOf(leader) } : {}),
        logIndex,
        ...(heardAt > 0 ? { heardAt: wallText(heardAt) } : {}),
        controlNodes: directory.controlNumbers().map((number) => directory.nameOf(number)),
        contacts: describeContacts(member),
      },
      operations: standingsOf(state),
      view: describeView(member),
      leaving: member.isLeaving,
      load: client.load,
      drops: { ...line.sessions.dropped(), 'malformed-body': line.malformed, ...swimDrops(membership.swim.drops) },
      counters: { requestsAnswered: this.node.requestsAnswered, ...this.parts.counters() },
    };
  }

  private async configs(role: string): Promise<LocalConfigs> {
    const configs = await this.node.ask<readonly Config[]>((member, then, at) => member.search.find(role, then, at));
    return { configs: configs.map((config) => this.describeConfig(config)) };
  }

  private describeConfig({ owner, role, seq, value }: Config): LocalConfig {
    const { directory, membership } = this.node.member;
    const ownerStatus = membership.swim.statusOf(owner)?.status ?? 'alive';
    return { owner: directory.nameOf(owner), ownerStatus, role, seq, value: unpack(value) };
  }

  private async createToken(request: Extract<LocalRequest, { kind: 'create-token' }>): Promise<LocalToken> {
    const { roles, usesMax, ttlMs } = request;
    if (!(ttlMs > 0 && ttlMs <= tokenLifeMsMax)) {
      throw new HivemindError('usage', 'A token lives between a moment and ten years; give --ttl a time like 24h.');
    }
    const seed = this.parts.random.bytes(seedBytes);
    const notAfter = Math.round(this.node.time.wall + ttlMs);
    const ask = { kind: 'create-token', publicKey: signingKeyFrom(seed).publicKey, roles, notAfter, usesMax } as const;
    const index = await this.node.ask<LogIndex>((member, then, at) => member.ask(ask, then, at));
    const { cluster, genesisHash } = this.node.member.directory;
    return { token: tokenText(seed, cluster, genesisHash), expiresAt: wallText(notAfter), index };
  }

  private async revokeToken(key: string): Promise<LocalDecided> {
    const publicKey = fromBase64Url(key);
    if (publicKey?.length !== publicKeyBytes) {
      throw new HivemindError('usage', 'That is no key of a token; `hivemind log --json` shows those of all tokens.');
    }
    const ask = { kind: 'revoke-token', publicKey } as const;
    return { index: await this.node.ask<LogIndex>((member, then, at) => member.ask(ask, then, at)) };
  }

  private async leave(): Promise<LocalDecided> {
    try {
      return { index: await this.node.ask<LogIndex>((member, then, at) => member.leave(then, at)) };
    } catch (thrown) {
      const error = toHivemindError(thrown);
      if (!this.node.member.isLeaving) throw error;
      const sentence = 'The leave is kept, and carried out as soon as the control pane can decide; this node works on.';
      throw new HivemindError(error.code, `${error.message} ${sentence}`, error);
    }
  }

  private async remove(name: string): Promise<LocalDecided> {
    const { number } = await this.membersDesk.named(name);
    const ask = { kind: 'remove', number } as const;
    return { index: await this.node.ask<LogIndex>((member, then, at) => member.ask(ask, then, at)) };
  }

  private sendEvent(name: string, payload: string): LocalSent {
    const bytes = new TextEncoder().encode(payload);
    const failed = this.node.act((member, at) => member.sendEvent(name, bytes, at));
    if (failed !== undefined) throw failed;
    const { directory, membership } = this.node.member;
    const { subjects, observers } = membership.swim.slice;
    const neighbours = new Set([...subjects.map(({ number }) => number), ...observers]);
    return { neighbours: [...neighbours].map((number) => directory.nameOf(number)).sort(), size: membership.size };
  }

  private async tags(name: string): Promise<LocalTags> {
    const { member } = this.node;
    const { number } = name === '' ? { number: member.number } : await this.membersDesk.named(name);
    const config = await this.node.ask<Config | undefined>((asked, then, at) =>
      asked.search.findOne(tagsRole, number, then, at),
    );
    const node = member.directory.nameOf(number);
    return { node, seq: config?.seq ?? 0, tags: tagsOf(config) };
  }

  private async setTags(set: Readonly<Record<string, string>>, drop: readonly string[]): Promise<LocalTags> {
    const { member } = this.node;
    const { tags } = await this.tags('');
    const kept = Object.entries(tags).filter(([key]) => !drop.includes(key));
    const changed = Object.fromEntries([...kept, ...Object.entries(set)].sort(([a], [b]) => (a < b ? -1 : 1)));
    await this.node.ask<Seq>((asked, then, at) => asked.publish(tagsRole, pack(changed), then, at));
    return await this.tags(member.directory.nameOf(member.number));
  }

  private async brake(): Promise<LocalBrake> {
    const { directory, client } = this.node.member;
    const { leader } = client.pane;
    if (leader === 0) throw new HivemindError('no-leader', 'The control pane has no leader at the moment; try again.');
    const { brake } = await this.paneDesk.statusOf(leader);
    if (brake === undefined) throw new HivemindError('no-leader', 'The leader changed this moment; try again.');
    return {
      on: brake.on,
      ...(brake.on ? { since: wallText(brake.since) } : {}),
      accused: brake.accused.map((number) => directory.nameOf(number)),
      ...(brake.releasedUntil > this.node.time.wall ? { releasedUntil: wallText(brake.releasedUntil) } : {}),
    };
  }

  private async changeControl(change: 'promote' | 'demote', name: string): Promise<LocalDecided> {
    const { number } = await this.membersDesk.named(name);
    const present = this.node.member.directory.controlNumbers();
    const isControl = present.includes(number);
    if (isControl === (change === 'promote')) {
      const sentence = isControl ? `${name} is a control node already.` : `${name} is no control node.`;
      throw new HivemindError('refused', `${sentence} \`hivemind control ls\` lists them.`);
    }
    const others = present.filter((each) => each !== number);
    const numbers = change === 'promote' ? [...others, number].sort((a, b) => a - b) : others;
    if (numbers.length === 0) {
      throw new HivemindError('refused', `${name} is the last control node; promote another one first.`);
    }
    const base = this.node.member.directory.charter.length;
    const ask = { kind: 'amend', change: { kind: 'control-set', numbers, base } } as const;
    return { index: await this.node.ask<LogIndex>((member, then, at) => member.ask(ask, then, at)) };
  }

  private async transferLead(name: string): Promise<LocalDecided> {
    const { number } = await this.membersDesk.named(name);
    const ask = { kind: 'transfer', to: number } as const;
    return { index: await this.node.ask<LogIndex>((member, then, at) => member.ask(ask, then, at)) };
  }

  private async advanceEpoch(): Promise<LocalDecided> {
    const ask = { kind: 'amend', change: { kind: 'epoch' } } as const;
    return { index: await this.node.ask<LogIndex>((member, then, at) => member.ask(ask, then, at)) };
  }

  private async releaseBrake(forMs: number): Promise<LocalDecided> {
    const ask = { kind: 'release-brake', forMs } as const;
    return { index: await this.node.ask<LogIndex>((member, then, at) => member.ask(ask, then, at)) };
  }
}

/** Tags are texts by label; whatever else somebody published under that name is left out. */
function tagsOf(config: Config | undefined): Readonly<Record<string, string>> {
  const value = config === undefined ? undefined : unpack(config.value);
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(Object.entries(value).filter(([, each]) => typeof each === 'string'));
}

function swimDrops(drops: object): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(drops).map(([name, count]) => [`gossip-${name}`, Number(count)]));
}
