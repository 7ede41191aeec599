import type { NodeNumber } from '../../identity.ts';
import type { Random } from '../../seam/random.ts';

/** The network between the machines: one delay and one loss for all links, and what is wrong at single ends. */
export interface LinkQuality {
  /** Milliseconds on the way: the mean, and how far it varies to both sides. */
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Chance that a packet is lost, 0 … 1. */
  readonly loss: number;
}

/** The cells of the published comparisons: 2 ± 1 ms, 1 %. */
export const linkDefaults: LinkQuality = { delayMs: 2, jitterMs: 1, loss: 0.01 };

/** A connection attempt is repeated after so long (RFC 6298 §2), then after three times that. */
const synRetryMs = 1_000;
const synRetryFactor = 3;
/** Any other segment after so long (Linux's least), doubling. */
const segmentRetryMs = 200;
const segmentRetryFactor = 2;
/** A segment that was lost so often belongs to a connection that is dead. */
const segmentTriesMax = 15;

export class Links {
  private readonly quality: LinkQuality;
  private readonly random: Random;
  private readonly ingressLoss = new Map<NodeNumber, number>();
  private readonly egressLoss = new Map<NodeNumber, number>();
  private readonly sideOf = new Map<NodeNumber, number>();
  private readonly cuts = new Set<string>();

  constructor(quality: LinkQuality, random: Random) {
    this.quality = quality;
    this.random = random;
  }

  /** The share of what arrives at a node that is lost besides; 0 ends it. */
  setIngressLoss(number: NodeNumber, loss: number): void {
    setOrDelete(this.ingressLoss, number, loss);
  }

  setEgressLoss(number: NodeNumber, loss: number): void {
    setOrDelete(this.egressLoss, number, loss);
  }

  /** Nothing passes between these and all others, either way. */
  partition(numbers: readonly NodeNumber[]): void {
    for (const number of numbers) this.sideOf.set(number, 1);
  }

  healPartition(): void {
    this.sideOf.clear();
  }

  /** Nothing passes from `from` to `to`; the way back stays open. */
  cutOneWay(from: NodeNumber, to: NodeNumber): void {
    this.cuts.add(`${from}>${to}`);
  }

  isCut(from: NodeNumber, to: NodeNumber): boolean {
    if (this.sideOf.size > 0 && (this.sideOf.get(from) ?? 0) !== (this.sideOf.get(to) ?? 0)) return true;
    return this.cuts.size > 0 && this.cuts.has(`${from}>${to}`);
  }

  lossBetween(from: NodeNumber, to: NodeNumber): number {
    if (this.isCut(from, to)) return 1;
    if (this.ingressLoss.size + this.egressLoss.size === 0) return this.quality.loss;
    const [out, into] = [this.egressLoss.get(from) ?? 0, this.ingressLoss.get(to) ?? 0];
    return 1 - (1 - this.quality.loss) * (1 - out) * (1 - into);
  }

  /** Milliseconds after which one datagram arrives; infinite when it never does. */
  datagramMs(from: NodeNumber, to: NodeNumber): number {
    return this.random.next() < this.lossBetween(from, to) ? Number.POSITIVE_INFINITY : this.delayMs();
  }

  /** Milliseconds after which a SYN arrives whose answer arrives too, as the dialler repeats it. */
  synMs(from: NodeNumber, to: NodeNumber): number {
    return this.repeatedMs([this.lossBetween(from, to), this.lossBetween(to, from)], synRetryMs, synRetryFactor);
  }

  /** Milliseconds after which a segment of a standing connection arrives, as the kernel repeats it. */
  segmentMs(from: NodeNumber, to: NodeNumber): number {
    return this.repeatedMs([this.lossBetween(from, to)], segmentRetryMs, segmentRetryFactor);
  }

  delayMs(): number {
    const { delayMs, jitterMs } = this.quality;
    return delayMs + (this.random.next() * 2 - 1) * jitterMs;
  }

  private repeatedMs(losses: readonly number[], retryMs: number, factor: number): number {
    let [waitedMs, pauseMs] = [0, retryMs];
    for (let tries = 0; tries < segmentTriesMax; tries++) {
      if (losses.every((loss) => this.random.next() >= loss)) return waitedMs + this.delayMs();
      waitedMs += pauseMs;
      pauseMs *= factor;
    }
    return Number.POSITIVE_INFINITY;
  }
}

function setOrDelete(map: Map<NodeNumber, number>, number: NodeNumber, loss: number): void {
  if (loss > 0) map.set(number, loss);
  else map.delete(number);
}
