/** User events: how soon is one at the last agent, and does each arrive everywhere? */

import type { Cluster } from './cluster.ts';
import type { GossipSample } from './gossip-catalog.ts';

const singles = 20;
const burst = 50;
/** Whatever did not arrive within this counts as missing. */
const patienceMs = 20_000;
const eventName = 'bench';

export async function measureEvents(cluster: Cluster): Promise<readonly GossipSample[]> {
  const samples: GossipSample[] = [];
  let singlesMissing = 0;
  for (let index = 0; index < singles; index++) {
    const { lastMs, missing } = await send(cluster, senderOf(cluster, index), [`single-${index}`]);
    if (missing === 0) samples.push({ figure: 'event-last', value: lastMs });
    singlesMissing += missing;
  }
  samples.push({ figure: 'event-missing', value: singlesMissing });
  const payloads = Array.from({ length: burst }, (_, index) => `burst-${index}`);
  const { lastMs, missing } = await send(cluster, senderOf(cluster, singles), payloads);
  if (missing === 0) samples.push({ figure: 'burst-last', value: lastMs });
  return [...samples, { figure: 'burst-missing', value: missing }];
}

/** Each agent in turn. */
function senderOf(cluster: Cluster, index: number): string {
  return cluster.names[index % cluster.names.length] as string;
}

interface Spreading {
  /** From the first request to the last receipt. */
  readonly lastMs: number;
  /** Receipts at all agents but the sender that did not come. */
  readonly missing: number;
}

async function send(cluster: Cluster, sender: string, payloads: readonly string[]): Promise<Spreading> {
  const expected = payloads.length * (cluster.names.length - 1);
  const receipts = new Set<string>();
  const sought = new Set(payloads);
  let lastAtMs = 0;
  const stop = cluster.onSighting(({ atMs, observer, event }) => {
    if (event.kind !== 'message' || observer === sender || !sought.has(event.payload)) return;
    receipts.add(`${observer} ${event.payload}`);
    lastAtMs = atMs;
  });
  const startedAt = performance.now();
  try {
    for (const payload of payloads) await cluster.send(sender, eventName, payload);
    await cluster.until(() => receipts.size === expected, patienceMs);
  } finally {
    stop();
  }
  return { lastMs: lastAtMs - startedAt, missing: expected - receipts.size };
}
