/** A whole cluster on virtual time: nodes, network, disks, faults, and the invariants after every step. */
import { equalBytes } from '../bytes.ts';
import type { Genesis } from '../certificate/genesis.ts';
import { genesisHash } from '../certificate/genesis.ts';
import type { RoleDeclaration } from '../certificate/join-request.ts';
import { type JoinToken, parseToken, tokenText } from '../certificate/token.ts';
import type { ControlState } from '../control/control-state.ts';
import { type SigningKey, seedBytes, sha256, signingKeyFrom } from '../crypto.ts';
import { type Endpoint, endpointText, type LogIndex, type MonotonicMs } from '../identity.ts';
import type { MemberEffect } from '../member/effect.ts';
import type { Member } from '../member/member.ts';
import type { Outcome } from '../member/outbox.ts';
import { snapshotEveryEntries } from '../member/pane/compaction.ts';
import { pack } from '../packed.ts';
import type { Instant } from '../seam/instant.ts';
import { type Random, seededRandom } from '../seam/random.ts';
import type { PaneAsk } from '../wire/peer-message.ts';
import { Invariants } from './invariants.ts';
import { simulationBeganAt } from './sim-clock.ts';
import { SimNetwork } from './sim-network.ts';
import { SimNode } from './sim-node.ts';
import { Timeline } from './timeline.ts';

export interface SimClusterOptions {
  readonly seed: number;
  readonly controlNodes: number;
  /** Nodes beside the control nodes, half of them hosts and half dns; more are added by `add`. */
  readonly members: number;
  /** See `InvariantsOptions`. */
  readonly thorough?: boolean;
  /** Entries between two snapshots of the event log; as in production by default. */
  readonly snapshotEveryEntries?: number;
  /** Control nodes that are down for so long are replaced; 0, the default: never. */
  readonly replaceControlAfterMs?: number;
  /** Sees what each step of each node did, after the invariants. */
  readonly onStep?: (node: SimNode, effects: readonly MemberEffect[]) => void;
}

/** A node that is added to a cluster. */
export interface NewNode {
  readonly name: string;
  readonly roles: readonly RoleDeclaration[];
  /** The genesis's by default. */
  readonly token?: JoinToken;
  /** An own one by default; the address of another node goes over to this one, as when a port is used again. */
  readonly endpoint?: Endpoint;
}

const tokenLifeMs = 86_400_000;

/** What the simulated members perform: half of them publish, half consume. */
export const simRoles: readonly RoleDeclaration[] = [
  { name: 'host', requires: [], bootstrapFrom: [], consumes: [] },
  { name: 'dns', requires: [], bootstrapFrom: ['dns', 'host'], consumes: ['host'] },
];

export class SimCluster {
  readonly timeline: Timeline = new Timeline();
  readonly random: Random;
  readonly network: SimNetwork;
  readonly control: readonly SimNode[];
  readonly invariants: Invariants;
  readonly genesis: Genesis;
  /** The genesis's token, which admits anybody. */
  readonly token: JoinToken;
  /** Signs recoveries. */
  readonly recoveryKey: SigningKey;
  private readonly onStep: (node: SimNode, effects: readonly MemberEffect[]) => void;
  private readonly everyNode: SimNode[] = [];
  private readonly byEndpoint = new Map<string, SimNode>();
  private readonly snapshotEvery: number;
  private readonly replaceControlAfterMs: number;

  constructor(options: SimClusterOptions) {
    this.random = seededRandom(options.seed);
    this.snapshotEvery = options.snapshotEveryEntries ?? snapshotEveryEntries;
    this.replaceControlAfterMs = options.replaceControlAfterMs ?? 0;
    this.network = new SimNetwork(this.timeline, this.random);
    this.control = Array.from({ length: options.controlNodes }, (_, position) =>
      this.create({ name: `c${position + 1}`, roles: [] }),
    );
    const seed = this.random.bytes(seedBytes);
    this.recoveryKey = signingKeyFrom(sha256(seed));
    this.genesis = this.found(seed);
    this.token = this.tokenFrom(seed);
    for (let position = 0; position < options.members; position++) {
      this.add({ name: `m${position + 1}`, roles: [simRoles[position % simRoles.length] as RoleDeclaration] });
    }
    const { thorough = false, onStep = () => {} } = options;
    this.onStep = onStep;
    this.invariants = new Invariants({ controlNodes: this.control, nodes: () => this.everyNode, thorough });
  }

  get nodes(): readonly SimNode[] {
    return this.everyNode;
  }

  get endpoints(): readonly Endpoint[] {
    return this.nodes.map((node) => node.endpoint);
  }

  /** Starts these nodes, by default all; whoever is to join asks a control node. */
  start(nodes: readonly SimNode[] = this.nodes): void {
    for (const node of nodes) node.start(this.control.map((each) => each.endpoint));
  }

  /** Lets everything happen that is due within the next `durationMs`. */
  run(durationMs: MonotonicMs): void {
    const until = this.timeline.now + durationMs;
    while (this.timeline.nextAt <= until) this.timeline.step();
    this.timeline.now = until;
  }

  /** Runs until `holds`, looking every 100 ms; false when it does not within `limitMs`. */
  runUntil(holds: () => boolean, limitMs: MonotonicMs): boolean {
    for (let passed = 0; passed < limitMs; passed += 100) {
      if (holds()) return true;
      this.run(100);
    }
    return holds();
  }

  /** Publishes on a node; the seq counts as promised once the member says so. */
  publish(node: SimNode, role: string, value: unknown): void {
    node.act((member, at) =>
      member.publish(
        role,
        pack(value),
        (outcome) => {
          if (outcome.ok) this.invariants.onAcknowledged(node, role, outcome.value);
        },
        at,
      ),
    );
  }

  /** Asks the pane through `node`; the index that it tells counts as promised. */
  ask(node: SimNode, ask: PaneAsk, then: (outcome: Outcome<LogIndex>) => void = () => {}): void {
    const { invariants } = this;
    invariants.wishes.onAsked(ask);
    node.act((member, at) =>
      member.ask(
        ask,
        (outcome) => {
          if (outcome.ok) invariants.onDecided(outcome.value, ask);
          invariants.wishes.onAnswered(node, ask, outcome);
          then(outcome);
        },
        at,
      ),
    );
  }

  /** Reads consistently through `node`: the index, and on the node's own word what is read at it. */
  readConsistently(node: SimNode, then: (outcome: Outcome<LogIndex>) => void = () => {}): void {
    const floor = this.invariants.committedIndex;
    const { invariants } = this;
    const removed = [...(this.newestState?.removed.keys() ?? [])];
    const admitted = [...(this.newestState?.members.keys() ?? [])];
    node.act((member, at) => {
      const onSynced = (outcome: Outcome<LogIndex>, later: Instant): void => {
        then(outcome);
        if (!outcome.ok) return;
        invariants.onRead(node, outcome.value, floor);
        const still = admitted.filter((number) => this.newestState?.members.has(number));
        invariants.onViewRead(node, { removed, admitted: still });
        const wish = { from: Math.max(1, floor), most: 1, atLeast: outcome.value };
        member.reads.log(wish, (page) => page.ok && invariants.onRead(node, page.value.commitIndex, floor), later);
      };
      member.reads.sync(onSynced, at);
    });
  }

  /** Of whoever has applied most. */
  private get newestState(): ControlState | undefined {
    const states = this.everyNode.flatMap(({ member }) => member?.pane?.state ?? []);
    return states.sort((a, b) => b.appliedIndex - a.appliedIndex)[0];
  }

  /** The leader of the latest term, if one leads. */
  get leader(): SimNode | undefined {
    const term = (node: SimNode): number => node.member?.pane?.engine.raft.term ?? 0;
    return this.everyNode
      .filter((node) => node.member?.pane?.leads === true)
      .reduce<SimNode | undefined>((best, node) => (best && term(best) >= term(node) ? best : node), undefined);
  }

  /**
   * Whether it has come together: all who belong run, see each other and nobody else, hold equal configs, and
   * say that the pane is healthy; all removals are certified.
   */
  hasConverged(): boolean {
    const state = this.leader?.member?.pane?.state;
    if (state === undefined || [...state.removed.values()].some(({ certificate }) => certificate === undefined)) {
      return false;
    }
    const belonging = this.everyNode.filter((node) => !node.hasLeft && !state.removed.has(node.number));
    const members = belonging.map((node) => node.member);
    return state.members.size === members.length && members.every((member) => this.isWhole(member, members));
  }

  private isWhole(member: Member | undefined, all: readonly (Member | undefined)[]): boolean {
    if (member === undefined || member.client.pane.state !== 'healthy') return false;
    const { membership } = member;
    if (membership.size !== all.length || membership.swim.members().some((each) => each.status !== 'alive'))
      return false;
    const should = this.leader?.member?.pane?.views.hashFor(member.number);
    if (should === undefined || !equalBytes(membership.viewHash(), should)) return false;
    return !member.roles.some((role) => role.consumes.includes('host')) || this.holdsAllConfigs(member, all);
  }

  private holdsAllConfigs({ exchange }: Member, all: readonly (Member | undefined)[]): boolean {
    return all.every((owner) => {
      const own = owner?.exchange.configs.get('host', owner.number);
      return own === undefined || exchange.configs.get('host', own.owner)?.seq === own.seq;
    });
  }

  /** The token with the key of this seed; the pane admits it only once it was told of its public half. */
  tokenFrom(seed: Uint8Array): JoinToken {
    return parseToken(tokenText(seed, this.genesis.cluster, genesisHash(this.genesis)));
  }

  /** One more node that is to join; it does so when it is started. */
  add(added: NewNode): SimNode {
    const node = this.create(added);
    node.belong({ token: added.token ?? this.token });
    return node;
  }

  private create({ name, roles, endpoint = this.nextEndpoint() }: NewNode): SimNode {
    const node = new SimNode(
      {
        timeline: this.timeline,
        network: this.network,
        random: this.random,
        snapshotEveryEntries: this.snapshotEvery,
        replaceControlAfterMs: this.replaceControlAfterMs,
        at: (wanted) => this.byEndpoint.get(endpointText(wanted)),
        observe: (observed, effects) => {
          this.invariants.check(observed, effects);
          this.onStep(observed, effects);
        },
      },
      { name, endpoint, roles },
    );
    this.byEndpoint.set(endpointText(endpoint), node);
    this.everyNode.push(node);
    return node;
  }

  private nextEndpoint(): Endpoint {
    const position = this.everyNode.length;
    return { host: `10.0.${Math.floor(position / 250)}.${(position % 250) + 1}`, port: 7100 };
  }

  private found(tokenSeed: Uint8Array): Genesis {
    const genesis: Genesis = {
      cluster: this.random.bytes(16),
      createdAt: simulationBeganAt,
      control: this.control.map((node, position) => ({
        number: position + 1,
        name: node.name,
        signingKey: node.signingKey.publicKey,
        exchangeKey: node.exchangeKey.publicKey,
        endpoints: [node.endpoint],
      })),
      firstToken: { publicKey: signingKeyFrom(tokenSeed).publicKey, notAfter: simulationBeganAt + tokenLifeMs },
      recoveryKey: this.recoveryKey.publicKey,
    };
    this.control.forEach((node, position) => {
      node.belong({ genesis, number: position + 1 });
    });
    return genesis;
  }
}
