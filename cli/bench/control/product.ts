/**
 * A replicated log as the bench sees it. Everything that is measured is measured through this interface, so that all
 * products are started, loaded, killed and counted by the same code.
 */
import type { AgentPlace, Launch } from '../product.ts';

export const controlProductNames = ['hivemind', 'etcd'] as const;
export type ControlProductName = (typeof controlProductNames)[number];

/** What one node says of its cluster's elections. */
export interface Standing {
  readonly leads: boolean;
  /** Each election raises it. */
  readonly term: number;
}

export interface ControlProduct {
  readonly name: ControlProductName;
  /** Three of them. */
  readonly places: readonly AgentPlace[];
  /** All that it listens on must be free before. */
  readonly ports: readonly number[];
  /** Makes what the nodes need on disk. */
  prepare(): Promise<void>;
  launch(place: AgentPlace): Launch;
  /** What a writer of this product opens, in whatever process it runs. */
  doorOf(place: AgentPlace): string;
  /** @throws while the node does not answer */
  standing(place: AgentPlace): Promise<Standing>;
}
