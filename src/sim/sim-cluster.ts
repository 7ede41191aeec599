/** A whole cluster on virtual time: nodes, network, disks, faults, and the invariants after every step. */
import type { Genesis } from '../certificate/genesis.ts';
import { genesisHash } from '../certificate/genesis.ts';
import type { RoleDeclaration } from '../certificate/join-request.ts';
import { parseToken, tokenText } from '../certificate/token.ts';
import { seedBytes, signingKeyFrom } from '../crypto.ts';
import { type Endpoint, endpointText, type MonotonicMs } from '../identity.ts';
import type { MemberEffect } from '../member/effect.ts';
import { pack } from '../packed.ts';
import { type Random, seededRandom } from '../seam/random.ts';
import { Invariants } from './invariants.ts';
import { SimNetwork } from './sim-network.ts';
import { SimNode, simulationBeganAt } from './sim-node.ts';
import { Timeline } from './timeline.ts';

export interface SimClusterOptions {
  readonly seed: number;
  readonly controlNodes: number;
  readonly members: number;
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
  readonly nodes: readonly SimNode[];
  readonly control: readonly SimNode[];
  readonly invariants: Invariants;
  private readonly byEndpoint = new Map<string, SimNode>();

  constructor(options: SimClusterOptions) {
    this.random = seededRandom(options.seed);
    this.network = new SimNetwork(this.timeline, this.random);
    const names = [
      ...Array.from({ length: options.controlNodes }, (_, position) => `c${position + 1}`),
      ...Array.from({ length: options.members }, (_, position) => `m${position + 1}`),
    ];
    this.nodes = names.map((name, position) => this.addNode(name, position, options.controlNodes));
    this.control = this.nodes.slice(0, options.controlNodes);
    this.found();
    this.invariants = new Invariants(this.control);
  }

  get endpoints(): readonly Endpoint[] {
    return this.nodes.map((node) => node.endpoint);
  }

  start(): void {
    for (const node of this.nodes) node.start(this.control.map((each) => each.endpoint));
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

  /** Whether all running nodes agree on who is there and hold equal configs, and say that the pane is healthy. */
  hasConverged(): boolean {
    const members = this.nodes.flatMap((node) => (node.running ? [node.member] : []));
    const [first] = members;
    if (first === undefined) return false;
    return members.every((member) => {
      if (member === undefined || member.client.pane.state !== 'healthy') return false;
      const statuses = member.membership.swim.members();
      if (statuses.length !== this.nodes.length || statuses.some((each) => each.status !== 'alive')) return false;
      if (Buffer.compare(member.membership.hash(), first.membership.hash()) !== 0) return false;
      return !member.roles.some((role) => role.consumes.includes('host')) || this.holdsAllConfigs(member.number);
    });
  }

  private holdsAllConfigs(number: number): boolean {
    const consumer = this.nodes.find((node) => node.number === number)?.member;
    return this.nodes.every((node) => {
      const own = node.member?.exchange.configs.get('host', node.number);
      return own === undefined || consumer?.exchange.configs.get('host', node.number)?.seq === own.seq;
    });
  }

  private addNode(name: string, position: number, controlNodes: number): SimNode {
    const endpoint = { host: `10.0.${Math.floor(position / 250)}.${(position % 250) + 1}`, port: 7100 };
    const role = simRoles[position % simRoles.length] as RoleDeclaration;
    const roles = position < controlNodes ? [] : [role];
    const node = new SimNode(
      {
        timeline: this.timeline,
        network: this.network,
        random: this.random,
        at: (wanted) => this.byEndpoint.get(endpointText(wanted)),
        observe: (observed, effects) => this.observe(observed, effects),
      },
      { name, endpoint, roles },
    );
    this.byEndpoint.set(endpointText(endpoint), node);
    return node;
  }

  private found(): void {
    const seed = this.random.bytes(seedBytes);
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
      firstToken: { publicKey: signingKeyFrom(seed).publicKey, notAfter: simulationBeganAt + tokenLifeMs },
    };
    const token = parseToken(tokenText(seed, genesis.cluster, genesisHash(genesis)));
    this.nodes.forEach((node, position) => {
      node.belong(position < this.control.length ? { genesis, number: position + 1 } : { token });
    });
  }

  private observe(node: SimNode, effects: readonly MemberEffect[]): void {
    this.invariants.check(node, effects);
  }
}
