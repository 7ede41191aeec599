import type { Incarnation, MonotonicMs, NodeNumber } from '../identity.ts';
import { lagToleranceMs } from './doubt.ts';
import type { SwimSettings } from './settings.ts';

/** Probes that measure one link, … */
export const sampleSize = 10;
/** … so many milliseconds apart. */
export const samplePeriodMs = 500;
/** So many of them unanswered are reported, and four times one's own usual loss more. */
export const lossThreshold = 7;
const usualLossWeight = 4;
/** The usual loss is that of about so many own probes. */
export const usualLossProbes = 32;

interface Sample {
  readonly incarnation: Incarnation;
  /** The nonces of probes that are still unanswered. */
  readonly open: Set<number>;
  sent: number;
  dueAtMs: MonotonicMs;
}

export interface Lossy {
  readonly subject: NodeNumber;
  readonly incarnation: Incarnation;
}

/**
 * Finds links that lose most packets: such a member answers some question for ever, and would never be silent for
 * long enough. A missed probe starts a sample. An answer counts until the sample ends, because one that is merely
 * slow did not get lost. When none at all was answered that is a silence, which has a rule, and a patience, of its own.
 */
export class LossWatch {
  private readonly ping: (subject: NodeNumber) => number;
  private readonly settings: SwimSettings;
  private readonly samples = new Map<NodeNumber, Sample>();
  private usualLoss = 0;
  private probes = 0;

  /** @param ping asks a subject, and gives the nonce */
  constructor(ping: (subject: NodeNumber) => number, settings: SwimSettings) {
    this.ping = ping;
    this.settings = settings;
  }

  /** How an own probe, of anybody, ended: a node whose own link is bad must not blame the others. */
  onProbed(wasAnswered: boolean): void {
    this.probes = Math.min(this.probes + 1, usualLossProbes);
    this.usualLoss += ((wasAnswered ? 0 : 1) - this.usualLoss) / this.probes;
  }

  /** Starts a sample with a ping at once; false when one is under way. */
  begin(subject: NodeNumber, incarnation: Incarnation, now: MonotonicMs): boolean {
    if (this.samples.has(subject)) return false;
    const open = new Set([this.ping(subject)]);
    this.samples.set(subject, { incarnation, open, sent: 1, dueAtMs: now + samplePeriodMs });
    return true;
  }

  onAck(from: NodeNumber, nonce: number): void {
    this.samples.get(from)?.open.delete(nonce);
  }

  /** Ends a sample with nothing found: the subject answered by a stream, or this node watches it no longer. */
  cancel(subject: NodeNumber): void {
    this.samples.delete(subject);
  }

  nextTickAt(): MonotonicMs {
    let next = Number.POSITIVE_INFINITY;
    for (const { dueAtMs } of this.samples.values()) next = Math.min(next, dueAtMs);
    return next;
  }

  /** @returns whose link was found bad */
  tick(now: MonotonicMs, stretch: number): readonly Lossy[] {
    const lossy: Lossy[] = [];
    for (const [subject, sample] of this.samples) {
      if (now < sample.dueAtMs) continue;
      const { incarnation, open } = sample;
      // Answers may wait in the receive buffer of a process that did not run.
      const wasLate = now - sample.dueAtMs > lagToleranceMs;
      if (!wasLate && sample.sent < sampleSize) {
        this.probe(subject, sample, stretch, now);
        continue;
      }
      this.samples.delete(subject);
      const isSilent = open.size === sampleSize;
      if (!wasLate && !isSilent && open.size >= this.threshold) lossy.push({ subject, incarnation });
    }
    return lossy;
  }

  /** Rounded, because the one miss that starts a sample is no usual loss yet. */
  private get threshold(): number {
    return Math.round(lossThreshold + usualLossWeight * this.usualLoss);
  }

  private probe(subject: NodeNumber, sample: Sample, stretch: number, now: MonotonicMs): void {
    sample.open.add(this.ping(subject));
    sample.sent++;
    const isLast = sample.sent === sampleSize;
    sample.dueAtMs = now + (isLast ? this.settings.probeTimeoutMs * stretch : samplePeriodMs);
  }
}
