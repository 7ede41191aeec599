/** What an idle agent costs: what it sends, its processor time and its memory. */

import type { Cluster } from './cluster.ts';
import type { Traffic } from './firewall.ts';
import type { GossipSample } from './gossip-catalog.ts';
import { usageOf } from './proc.ts';

/** What was said about the last change has been repeated often enough by then. */
const settlingMs = 5_000;
const restMs = 30_000;
const second = 1_000;

export async function measureRest(cluster: Cluster): Promise<readonly GossipSample[]> {
  await cluster.pause(settlingMs);
  const before = await look(cluster);
  await cluster.pause(restMs);
  const after = await look(cluster);
  const elapsedMs = after.atMs - before.atMs;
  const agents = cluster.names.length;
  const perSecond = (from: number, to: number): number => ((to - from) * second) / elapsedMs / agents;
  return [
    ...trafficSamples(before.traffic, after.traffic, perSecond),
    { figure: 'rest-cpu', value: ((after.cpuMs - before.cpuMs) * 100) / elapsedMs / agents },
    { figure: 'rest-memory', value: after.residentKiB / agents },
  ];
}

function trafficSamples(
  before: Traffic | undefined,
  after: Traffic | undefined,
  perSecond: (from: number, to: number) => number,
): readonly GossipSample[] {
  if (before === undefined || after === undefined) return [];
  return [
    { figure: 'rest-datagrams', value: perSecond(before.datagrams, after.datagrams) },
    { figure: 'rest-datagram-bytes', value: perSecond(before.datagramBytes, after.datagramBytes) },
    { figure: 'rest-segments', value: perSecond(before.segments, after.segments) },
    { figure: 'rest-segment-bytes', value: perSecond(before.segmentBytes, after.segmentBytes) },
  ];
}

/** The sums over all agents so far; no traffic where nobody counts it. */
async function look(cluster: Cluster): Promise<{
  readonly atMs: number;
  readonly traffic: Traffic | undefined;
  readonly cpuMs: number;
  readonly residentKiB: number;
}> {
  const traffic = await cluster.firewall?.traffic();
  const usages = await Promise.all(cluster.pids.map(usageOf));
  return {
    atMs: performance.now(),
    traffic,
    cpuMs: usages.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    residentKiB: usages.reduce((sum, { residentKiB }) => sum + residentKiB, 0),
  };
}
