/**
 * A membership product as the bench sees it. Everything that is measured is measured through this interface, so that
 * all products are started, watched, broken and counted by the same code.
 */

export const productNames = ['hivemind', 'serf'] as const;
export type ProductName = (typeof productNames)[number];

/** The agents that are up and agree before a mass join: hivemind's control nodes, and as many of serf's. */
export const foundersCount = 3;

/** One agent: its name in the cluster, and what is its own on this machine. */
export interface AgentPlace {
  readonly name: string;
  /** A loopback address that no other agent has. */
  readonly host: string;
  /** The group of its process, by which a firewall tells whose connection to another agent's address one is. */
  readonly gid: number;
}

/** What one agent says about another, or passes on. */
export type AgentEvent =
  | { readonly kind: 'up'; readonly node: string }
  | { readonly kind: 'down'; readonly node: string }
  | { readonly kind: 'message'; readonly payload: string };

/** How an agent's process is started. */
export interface Launch {
  readonly program: string;
  readonly words: readonly string[];
  /** Whether it takes the end of a channel to its parent as its own. */
  readonly endsWithParent: boolean;
}

/** A standing connection to one agent, beside the network that it gossips over. */
export interface AgentLink {
  /** Whether this agent considers its cluster able to admit others. */
  isHealthy(): Promise<boolean>;
  /** Names of those that it does not hold for down, itself included. */
  listUp(): Promise<readonly string[]>;
  /** Has it send a user event to all. */
  send(event: string, payload: string): Promise<void>;
  close(): void;
}

export interface Product {
  readonly name: ProductName;
  /** The founders come first. */
  readonly places: readonly AgentPlace[];
  /** UDP and TCP, the same for all. */
  readonly port: number;
  /** Makes what the agents need on disk. */
  prepare(): Promise<void>;
  /** @param isFirst false for an agent that was a member and starts again */
  launch(place: AgentPlace, isFirst: boolean): Launch;
  /**
   * Connects to the agent and follows what it says from then on.
   *
   * @throws while it does not answer
   */
  connect(place: AgentPlace, onEvent: (event: AgentEvent) => void): Promise<AgentLink>;
}

/** `n1` … `nN` at `NETWORK.1` … `NETWORK.N`. */
export function agentPlaces(network: string, firstGid: number, count: number): readonly AgentPlace[] {
  return Array.from({ length: count }, (_, position) => ({
    name: `n${position + 1}`,
    host: `${network}.${position + 1}`,
    gid: firstGid + position,
  }));
}
