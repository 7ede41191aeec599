/** What memberlist's documentation calls the LAN settings, and which of Lifeguard's components an arm has. */

/**
 * Lifeguard's components, each by itself (Dadgar 2018, §IV). With none of them an arm is the paper's "SWIM": Das 2002
 * with suspicion, a window of fixed length and memberlist's gossip, stream probes and table exchanges.
 */
export interface LifeguardComponents {
  /** Missed answers stretch the prober's own interval and timeout, and helpers answer with nacks (§IV-A). */
  readonly localHealthProbe: boolean;
  /** A suspicion begins with a long window, which further accusers shorten (§IV-B). */
  readonly localHealthSuspicion: boolean;
  /** A suspect hears of the suspicion first, by the next ping that it gets (§IV-C). */
  readonly buddy: boolean;
}

/** SWIM's protocol period T′ and the part of it that the direct ping may take. */
export const probePeriodMs = 1_000;
export const probeTimeoutMs = 500;
/** Members asked to ping a silent one: SWIM's k. */
export const indirectProbes = 3;
/** A helper says that it heard nothing either after this part of the probe timeout (Lifeguard, §IV-A). */
export const nackAfterMs: number = probeTimeoutMs * 0.8;
/** The most pings on behalf of others that a node has under way; further ones are not helped. */
export const relaysMax = 1_024;

/** Local health counts from 0, healthy, to this; interval and timeout take score + 1 times as long. */
export const healthScoreMax = 8;

/** The shortest suspicion window is this many probe periods, times log10 of the members (at least 1). */
const suspicionMultiplier = 4;
/** Lifeguard's longest window is this many shortest ones. */
const suspicionMaxFactor = 6;
/** Further accusers by which the longest window has become the shortest: Lifeguard's K. */
export const confirmationsWanted = 3;

/** Besides what rides on probes, news goes out to a few members in rounds. */
export const gossipPeriodMs = 200;
export const gossipFanout = 3;
/** A dead member is still told for so long, that it may refute; then it is forgotten. */
export const gossipToTheDeadMs = 30_000;
const retransmitMultiplier = 4;

/** The largest UDP payload. */
export const packetBytesMax = 1_400;

const pushPullPeriodMs = 30_000;
/** Up to so many members the period of table exchanges is the above; each doubling adds it once more. */
const pushPullScaleFrom = 32;
/** Exchanges that a node serves at the same time; the next one fails. */
export const exchangesWaitingMax = 128;
/** A joiner whom no seed answered asks them again after this, as Consul's agents do (`retry_interval`). */
export const rejoinAfterMs = 30_000;

/** The shortest and the longest time that a suspect has to refute, in a cluster of so many. */
export function suspicionWindow(members: number): { readonly leastMs: number; readonly mostMs: number } {
  const leastMs = suspicionMultiplier * Math.max(1, Math.log10(members)) * probePeriodMs;
  return { leastMs, mostMs: leastMs * suspicionMaxFactor };
}

/** How often each member passes on a piece of news: SWIM's λ·log n. */
export function retransmitLimit(members: number): number {
  return retransmitMultiplier * Math.ceil(Math.log10(members + 1));
}

/** Milliseconds between the table exchanges that one member begins: 30 s, at 1,000 members 180 s. */
export function pushPullEveryMs(members: number): number {
  if (members <= pushPullScaleFrom) return pushPullPeriodMs;
  return pushPullPeriodMs * (Math.ceil(Math.log2(members) - Math.log2(pushPullScaleFrom)) + 1);
}
