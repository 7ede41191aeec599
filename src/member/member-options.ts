/** What a member is made of: its identity, what it remembers, and how it watches. */
import type { Genesis } from '../certificate/genesis.ts';
import type { RoleDeclaration } from '../certificate/join-request.ts';
import { type Locator, signLocator, verifyLocator } from '../certificate/locator.ts';
import type { ExchangeKey, SigningKey } from '../crypto.ts';
import { type Endpoint, endpointText, type NodeNumber, type WallMs } from '../identity.ts';
import type { StoredLog } from '../seam/log-store.ts';
import type { Random } from '../seam/random.ts';
import type { SwimSettings } from '../swim/settings.ts';
import type { MemberMemory } from './memory.ts';

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
  readonly swim: SwimSettings;
  /** On a control node: members that are down for so long are removed; 0: never. */
  readonly reapAfterMs: number;
  /** On a control node: control nodes that are down for so long are replaced by others that wait; 0: never. */
  readonly replaceControlAfterMs: number;
  /** On a control node: entries between two snapshots of its state (see `snapshotEveryEntries`). */
  readonly snapshotEveryEntries: number;
}

/**
 * A new version at each start, by the time of day: so it is later than any that was lost with the memory, or that a
 * restored copy of it has forgotten.
 */
export function nextLocator(options: MemberOptions, wall: WallMs): Locator {
  const { genesis, memory, signingKey, endpoints } = options;
  const last = memory?.locator === undefined ? undefined : verifyLocator(memory.locator, genesis.cluster);
  return signLocator(signingKey, genesis.cluster, Math.max((last?.version ?? 0) + 1, wall), endpoints);
}

/** Whether the others have to be told where this node is: it is elsewhere than its last locator or the genesis says. */
export function hasMoved({ genesis, memory, number, endpoints }: MemberOptions): boolean {
  const last = memory?.locator === undefined ? undefined : verifyLocator(memory.locator, genesis.cluster);
  const known = last?.endpoints ?? genesis.control.find((node) => node.number === number)?.endpoints ?? [];
  return known.map(endpointText).join() !== endpoints.map(endpointText).join();
}
