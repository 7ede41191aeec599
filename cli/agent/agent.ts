/**
 * The agent: composes one node from its seams. Sockets, files, clock and roles come together here and nowhere
 * else; what is decided is decided below.
 */
import { parseToken } from '../../src/certificate/token.ts';
import { exchangeKeyFrom, seedBytes } from '../../src/crypto.ts';
import { HivemindError } from '../../src/error.ts';
import { type Endpoint, endpointText, type NodeNumber, wallText } from '../../src/identity.ts';
import { answerAsJoiner, type Joined } from '../../src/member/joining.ts';
import { encodeMemory } from '../../src/member/memory.ts';
import { snapshotEveryEntries } from '../../src/member/pane/compaction.ts';
import { type LocalListener, listenLocal } from '../../src/net/local-socket.ts';
import { type ClosedPeer, listenStreams, type TlsStreams } from '../../src/net/streams.ts';
import { bindDatagrams, type UdpDatagrams } from '../../src/net/udp.ts';
import { EventRing } from '../../src/node/event-ring.ts';
import { readLocalRequest } from '../../src/node/local-request.ts';
import { LocalService } from '../../src/node/local-service.ts';
import { Node } from '../../src/node/node.ts';
import { RoleBridge } from '../../src/node/role-bridge.ts';
import { pack, unpack } from '../../src/packed.ts';
import { declarationOf } from '../../src/role/declaration.ts';
import { type ConfiguredRole, Supervisor } from '../../src/role/supervisor.ts';
import type { FolderLock } from '../../src/seam/file-system.ts';
import type { LogStore, LogTrouble, StoredLog } from '../../src/seam/log-store.ts';
import type { Logger } from '../../src/seam/logger.ts';
import type { NodeSettings } from '../../src/settings/settings.ts';
import { makeFolder } from '../../src/store/folder.ts';
import { lockFolder } from '../../src/store/folder-lock.ts';
import { openWriteAheadLog } from '../../src/store/write-ahead-log.ts';
import { type SwimSettings, swimProfiles } from '../../src/swim/settings.ts';
import { systemClock } from '../../src/system/clock.ts';
import { machineLoad } from '../../src/system/load.ts';
import { takePrecedence } from '../../src/system/precedence.ts';
import { systemRandom } from '../../src/system/random.ts';
import { runtimeFolder, socketPath } from '../../src/system/runtime-folder.ts';
import { packageVersion } from '../version.ts';
import { advertisedEndpoints, resolveLocal } from './advertise.ts';
import { EndSignal } from './end-signal.ts';
import { checkCluster, checkRoles, type Identity, keepsLog, rememberedIdentity } from './identity.ts';
import { joinCluster } from './join-cluster.ts';
import { NodeFolder, type NodeKeys, readTokenFile } from './node-folder.ts';
import { heedNews } from './node-news.ts';
import { OpenedThings } from './opened-things.ts';
import { configureRoles } from './role-catalog.ts';

/** What the agent did so far, for its operator. */
export type AgentStage =
  | { readonly stage: 'listening'; readonly address: string }
  | { readonly stage: 'asking'; readonly address: string }
  | { readonly stage: 'waiting'; readonly reason: string; readonly nextInMs: number }
  | { readonly stage: 'admitted'; readonly number: NodeNumber; readonly name: string }
  | { readonly stage: 'digest'; readonly members: number; readonly logIndex: number }
  | { readonly stage: 'gossiped'; readonly inTouch: number; readonly members: number }
  | { readonly stage: 'ready'; readonly socket: string };

export interface AgentOptions {
  readonly settings: NodeSettings;
  /** For messages about mistakes in it. */
  readonly settingsPath: string;
  /** Where the unix socket goes; the user's runtime folder when absent. */
  readonly socketFolder?: string;
  /** Whether to go on asking to join while the reason may pass. */
  readonly patient: boolean;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly onStage: (stage: AgentStage) => void;
}

export interface Agent {
  readonly node: Node;
  /** Resolves when it was told to end (`hivemind stop`, a leave, a removal), rejects when it cannot go on. */
  readonly ended: Promise<string>;
  /** Stops roles, sockets and disk, in that order. */
  stop(): Promise<void>;
}

/** @throws HivemindError for whatever its operator can mend */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const folder = new NodeFolder(options.settings.data);
  const opened = new OpenedThings();
  try {
    opened.add(async (lock: FolderLock) => lock.release(), lockFolder(folder.path));
    return await new AgentStart(options, folder, opened).run();
  } catch (thrown) {
    await opened.close();
    throw thrown;
  }
}

class AgentStart {
  private readonly options: AgentOptions;
  private readonly folder: NodeFolder;
  private readonly opened: OpenedThings;
  private readonly bootSeed = systemRandom.bytes(seedBytes);
  private node: Node | undefined;

  constructor(options: AgentOptions, folder: NodeFolder, opened: OpenedThings) {
    this.options = options;
    this.folder = folder;
    this.opened = opened;
  }

  async run(): Promise<Agent> {
    const { settings, settingsPath, log } = this.options;
    const socketAt = this.socketPath();
    const roles = await configureRoles(settings.roles.values(), settingsPath);
    const keys = await this.folder.keys();
    const remembered = await rememberedIdentity(this.folder, log);
    if (remembered !== undefined) await this.checkRemembered(remembered, roles);
    const bind = await resolveLocal(settings.bind);
    const endpoints = await advertisedEndpoints(bind, settings.advertise);
    const cluster = remembered?.genesis.cluster ?? parseToken(await this.token()).cluster;
    const { datagrams, streams } = await this.listen(bind, keys, cluster);
    const identity = remembered ?? (await this.join(keys, roles, endpoints, streams));
    const { logStore, storedLog } = await this.openLog(identity);
    if (storedLog !== undefined) takePrecedence();
    const events = new EventRing();
    const end = new EndSignal();
    const node = this.makeNode({ identity, keys, roles, endpoints, logStore, storedLog, end });
    this.node = node;
    heedNews({ node, events, streams, end, log, forget: () => this.folder.forget() });
    this.opened.add(async (running: Node) => running.stop(), node);
    node.start(datagrams, streams);
    const supervisor = this.startRoles(node, roles, events);
    const socket = await this.openSocket(socketAt, { node, supervisor, events, end, datagrams, streams });
    void this.watchGossip(node);
    this.options.onStage({ stage: 'ready', socket: socket.path });
    log.info('agent ready', { number: identity.number, socket: socket.path });
    return { node, ended: end.promise, stop: () => this.opened.close() };
  }

  // — who this node is —

  private async checkRemembered(identity: Identity, roles: readonly ConfiguredRole[]): Promise<void> {
    const { settings } = this.options;
    checkRoles(
      identity,
      settings.name,
      roles.map(({ definition }) => definition.name),
    );
    const hasToken = settings.join?.token !== undefined || settings.join?.tokenFile !== undefined;
    if (hasToken) checkCluster(identity, this.folder, parseToken(await this.token()));
  }

  private async token(): Promise<string> {
    const { join } = this.options.settings;
    const text = join?.token ?? (join?.tokenFile === undefined ? undefined : await readTokenFile(join.tokenFile));
    if (text !== undefined) return text;
    throw new HivemindError(
      'token-invalid',
      `${this.folder.path} belongs to no cluster yet; join one with \`hivemind join ADDRESS --token TOKEN\`.`,
    );
  }

  private async join(
    keys: NodeKeys,
    roles: readonly ConfiguredRole[],
    endpoints: readonly Endpoint[],
    streams: TlsStreams,
  ): Promise<Identity> {
    const { settings, onStage, patient, signal } = this.options;
    const joined: Joined = await joinCluster({
      streams,
      clock: systemClock,
      addresses: settings.join?.addresses ?? [],
      joiner: {
        name: settings.name,
        roles: roles.map(({ definition }) => declarationOf(definition)),
        endpoints,
        signingKey: keys.signing,
        exchangeKey: keys.exchange,
        token: parseToken(await this.token()),
      },
      patient,
      signal,
      onAsking: (address) => onStage({ stage: 'asking', address }),
      onRefused: (_addresses, reason, nextInMs) => onStage({ stage: 'waiting', reason: reason.message, nextInMs }),
    });
    await this.folder.remember(encodeMemory(joined.memory));
    onStage({ stage: 'admitted', number: joined.number, name: settings.name });
    const { members, logIndex } = joined.memory.digest;
    onStage({ stage: 'digest', members: members.length, logIndex });
    return { ...joined, isFounder: false };
  }

  // — seams —

  private async listen(
    bind: Endpoint,
    keys: NodeKeys,
    cluster: Uint8Array,
  ): Promise<{ readonly datagrams: UdpDatagrams; readonly streams: TlsStreams }> {
    const { log, onStage } = this.options;
    const { host, port } = bind;
    const datagrams = this.opened.add((udp) => udp.close(), await bindDatagrams({ host, port, log }));
    const joining = {
      number: 0,
      epoch: 0,
      cluster,
      boot: exchangeKeyFrom(this.bootSeed).publicKey,
      credential: () => new Uint8Array(0),
    };
    const streams = await listenStreams({
      host,
      port,
      tls: keys.tls,
      self: () => this.node?.streamSelf() ?? joining,
      verifyPeer: (claim) => this.node?.verifyPeer(claim) ?? { kind: 'stranger' },
      onRequest: async (from, body) => (await this.node?.onRequest(from, body)) ?? answerAsJoiner(body),
      onPost: (from, body) => this.node?.onPost(from, body),
      onPeerClosed: (closed) => this.onPeerClosed(closed),
      clock: systemClock,
      log,
    });
    this.opened.add((open: TlsStreams) => open.close(), streams);
    onStage({ stage: 'listening', address: endpointText(bind) });
    return { datagrams, streams };
  }

  /** Members keep streams to their observers: the end of one that a member made here may be the member's own. */
  private onPeerClosed({ direction, peer, reason }: ClosedPeer): void {
    if (direction === 'outgoing' || reason !== 'broken') return;
    if (peer.kind === 'member') this.node?.onStreamBroken(peer.number);
  }

  private async openLog(
    identity: Identity,
  ): Promise<{ readonly logStore: LogStore | undefined; readonly storedLog: StoredLog | undefined }> {
    if (!keepsLog(identity)) {
      return { logStore: undefined, storedLog: undefined };
    }
    const onTrouble = (trouble: LogTrouble | undefined): void => this.node?.onLogTrouble(trouble);
    const logStore = this.opened.add((log) => log.close(), openWriteAheadLog(this.folder.logFolder, { onTrouble }));
    const storedLog = await logStore.load();
    for (const repair of storedLog.repairs) this.options.log.warn('event log repaired', { repair });
    if (storedLog.damage !== undefined) this.options.log.error('event log damaged', { damage: storedLog.damage });
    return { logStore, storedLog };
  }

  private makeNode(parts: {
    readonly identity: Identity;
    readonly keys: NodeKeys;
    readonly roles: readonly ConfiguredRole[];
    readonly endpoints: readonly Endpoint[];
    readonly logStore: LogStore | undefined;
    readonly storedLog: StoredLog | undefined;
    readonly end: EndSignal;
  }): Node {
    const { identity, keys, roles, endpoints, logStore, storedLog, end } = parts;
    return new Node(
      {
        ...identity,
        signingKey: keys.signing,
        exchangeKey: keys.exchange,
        bootSeed: this.bootSeed,
        endpoints,
        roles: roles.map(({ definition }) => declarationOf(definition)),
        storedLog,
        random: systemRandom,
        swim: detection(this.options.settings),
        ...this.options.settings.membership,
        snapshotEveryEntries,
      },
      {
        clock: systemClock,
        log: this.options.log,
        logStore,
        remember: (bytes, onFull) => this.folder.remember(bytes, onFull),
        machineLoad,
        onHalt: (reason) => end.reject(reason),
      },
    );
  }

  // — roles and the local socket —

  private startRoles(node: Node, roles: readonly ConfiguredRole[], events: EventRing): Supervisor {
    const { log } = this.options;
    const bridge = new RoleBridge({
      node,
      clock: systemClock,
      random: systemRandom,
      log,
      folderOf: async (role) => this.folder.roleFolder(role),
      onRoleEvent: (role, name, detail) => {
        const at = wallText(systemClock.wallNow());
        events.add({ at, kind: `role-${name}`, detail: { role, ...detail } });
        log.info('role event', { role, event: name, ...detail });
      },
    });
    const supervisor = new Supervisor(bridge, roles);
    node.openRoles(async (role, from, body) => {
      const asker = bridge.memberOf(from);
      if (asker === undefined) throw new HivemindError('not-admitted', 'Only members may ask a role.');
      return pack(await supervisor.onRequest(role, asker, unpack(body)));
    });
    this.opened.add((running: Supervisor) => running.stop(), supervisor);
    supervisor.start();
    return supervisor;
  }

  /** Asked for before anything else: a node that is admitted and then cannot be talked to would be of no use. */
  private socketPath(): string {
    const { settings, socketFolder } = this.options;
    return socketPath(socketFolder ?? runtimeFolder(), `${settings.name}.sock`);
  }

  private async openSocket(
    path: string,
    parts: {
      readonly node: Node;
      readonly supervisor: Supervisor;
      readonly events: EventRing;
      readonly end: EndSignal;
      readonly datagrams: UdpDatagrams;
      readonly streams: TlsStreams;
    },
  ): Promise<LocalListener> {
    const { node, supervisor, events, end, datagrams, streams } = parts;
    const { socketFolder, log } = this.options;
    const service = new LocalService({
      node,
      random: systemRandom,
      clock: systemClock,
      events,
      version: packageVersion(),
      startedAt: systemClock.wallNow(),
      roles: () => supervisor.statuses(),
      counters: () => ({ ...datagrams.counters, ...streams.counters }),
      onStop: () => end.resolve('it was asked to stop'),
    });
    if (socketFolder !== undefined) makeFolder(socketFolder);
    const listener = await listenLocal({
      path,
      onRequest: async (body) => pack(await service.answer(readLocalRequest(body))),
      onSubscribe: async (body, call) => {
        await service.follow(readLocalRequest(body), (item) => call.item(pack(item)), call.signal);
        return pack({});
      },
      log,
    });
    return this.opened.add((open: LocalListener) => open.close(), listener);
  }

  /** The join is gossiped when most of the living members have a session with this node. */
  private async watchGossip(node: Node): Promise<void> {
    const { member } = node;
    const { sessions } = member.line;
    for (let waitedMs = 0; waitedMs < gossipPatienceMs && !this.opened.isClosed; waitedMs += gossipLookMs) {
      const others = member.membership.swim.members().filter((each) => each.number !== member.number);
      const inTouch = others.filter((each) => sessions.established(each.number)).length;
      if (inTouch * 2 > others.length) {
        this.options.onStage({ stage: 'gossiped', inTouch, members: others.length });
        return;
      }
      await new Promise<void>((resolve) => systemClock.after(gossipLookMs, resolve));
    }
  }
}

function detection({ detection: { profile, stallToleranceMs } }: NodeSettings): SwimSettings {
  return { ...swimProfiles[profile], ...(stallToleranceMs === undefined ? {} : { stallToleranceMs }) };
}

const gossipLookMs = 100;
const gossipPatienceMs = 60_000;
