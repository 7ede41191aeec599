/** All members start at once, each joining by itself: when does everybody know everybody? */

import type { Cluster } from './cluster.ts';
import type { GossipSample } from './gossip-catalog.ts';

/** An agent that missed something waits for its next exchange of lists, which may take a minute or more. */
const patienceMs = 180_000;

export async function measureJoin(cluster: Cluster): Promise<readonly GossipSample[]> {
  await cluster.found();
  let falseDowns = 0;
  /** When each agent listed all for the first time. */
  const completeAtMs = new Map<string, number>();
  const note = (): void => {
    for (const name of cluster.names) {
      if (!completeAtMs.has(name) && cluster.seesAll(name)) completeAtMs.set(name, performance.now());
    }
  };
  const stop = cluster.onSighting(({ event }) => {
    if (event.kind === 'down') falseDowns++;
  });
  const startedAt = performance.now();
  await cluster.startMembers();
  const listeningAt = performance.now();
  await cluster.untilListed(() => {
    note();
    return completeAtMs.size === cluster.names.length;
  }, patienceMs);
  await cluster.relist();
  stop();
  // Whoever was complete before the last listener was seen by a look of the bench was so at once.
  const times = [...completeAtMs.values()].map((atMs) => Math.max(0, atMs - listeningAt)).sort((a, b) => a - b);
  const half = times[Math.ceil(cluster.names.length / 2) - 1];
  const last = times[cluster.names.length - 1];
  return [
    { figure: 'join-listening', value: listeningAt - startedAt },
    ...(half === undefined ? [] : [{ figure: 'join-half', value: half } as const]),
    ...(last === undefined ? [] : [{ figure: 'join-last', value: last } as const]),
    { figure: 'join-missing', value: cluster.unlisted },
    { figure: 'join-false-downs', value: falseDowns },
  ];
}
