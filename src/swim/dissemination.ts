import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { Random } from '../seam/random.ts';
import type { Gossip, Update } from './message.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { Outbox } from './outbox.ts';
import type { Roster } from './roster.ts';
import { Rumours, rumourBytesMax } from './rumours.ts';
import type { SwimSettings } from './settings.ts';

export interface DisseminationSeams {
  readonly self: NodeNumber;
  readonly settings: SwimSettings;
  readonly random: Random;
  readonly roster: Roster;
  readonly neighbourhood: Neighbourhood;
  readonly outbox: Outbox;
}

/**
 * SWIM's dissemination component (Das 2002 §4.1): news rides on probes; fresh news is also sent to a few at once,
 * and again each gossip period until it was told often enough.
 */
export class Dissemination {
  /** Members of the whole cluster, when that is more than the view. */
  clusterSize: number | undefined;
  /** Rumours refused because they were longer than `rumourBytesMax`. */
  oversize = 0;
  private readonly seams: DisseminationSeams;
  private readonly rumours = new Rumours();
  private roundAtMs: MonotonicMs = Number.POSITIVE_INFINITY;
  private targets: readonly NodeNumber[] = [];
  private targetsVersion = -1;

  constructor(seams: DisseminationSeams) {
    this.seams = seams;
  }

  get dropped(): number {
    return this.rumours.dropped;
  }

  nextTickAt(): MonotonicMs {
    return this.roundAtMs;
  }

  /** Passes an update on, unless it is the last that was passed on about this member. */
  tell(update: Update): void {
    this.rumours.addUpdate(update, this.sendsMax());
  }

  /** The same for what began here; it leaves with the next tick, so that many decisions share a datagram. */
  publish(update: Update, now: MonotonicMs): void {
    if (this.rumours.addUpdate(update, this.sendsMax())) this.roundAtMs = now;
  }

  withdraw(number: NodeNumber): void {
    this.rumours.dropUpdate(number);
  }

  /** Whether the rumour is new here and not too long. */
  hear(bytes: Uint8Array): boolean {
    if (bytes.length > rumourBytesMax) {
      this.oversize++;
      return false;
    }
    return this.rumours.hear(bytes);
  }

  passOn(rumour: Uint8Array, now: MonotonicMs): void {
    this.rumours.addRumour(rumour, this.sendsMax(), now);
    this.roundAtMs = now;
  }

  /** Tells a member again what it may have missed while it was silent. */
  repeatFor(number: NodeNumber, now: MonotonicMs): void {
    for (const gossip of this.rumours.composeRecent(now)) this.seams.outbox.post(number, gossip);
  }

  /** What is fresh goes to some at once, and is repaired by the rounds that follow. */
  forwardFresh(now: MonotonicMs, heardFrom?: NodeNumber): void {
    if (!this.rumours.hasFresh) return;
    for (const to of this.someTargets(heardFrom)) {
      const gossip = this.rumours.compose(true);
      if (gossip !== undefined) this.seams.outbox.post(to, gossip);
    }
    this.rumours.settle();
    this.roundAtMs = now + this.seams.settings.gossipPeriodMs;
  }

  tick(now: MonotonicMs): void {
    this.forwardFresh(now);
    if (now < this.roundAtMs) return;
    this.roundAtMs = Number.POSITIVE_INFINITY;
    if (this.rumours.isEmpty) return;
    for (const to of this.someTargets()) this.seams.outbox.visit(to);
    this.roundAtMs = now + this.seams.settings.gossipPeriodMs;
  }

  /** What rides along to a living member; the dead must not use up the sends. */
  riderFor(to: NodeNumber): Gossip | undefined {
    return this.seams.roster.get(to)?.status === 'alive' ? this.rumours.compose(false) : undefined;
  }

  private sendsMax(): number {
    const { settings, neighbourhood } = this.seams;
    const size = this.clusterSize ?? neighbourhood.size;
    return settings.retransmitFactor * Math.ceil(Math.log2(size + 1));
  }

  private someTargets(apart?: NodeNumber): readonly NodeNumber[] {
    const { random, settings } = this.seams;
    const all = this.allTargets();
    const left = all.length - (apart !== undefined && all.includes(apart) ? 1 : 0);
    const chosen: NodeNumber[] = [];
    while (chosen.length < Math.min(settings.gossipFanout, left)) {
      const pick = all[random.below(all.length)] as NodeNumber;
      if (pick !== apart && !chosen.includes(pick)) chosen.push(pick);
    }
    return chosen;
  }

  /** In a large cluster only ring neighbours: both ends know each other, and no control node is everybody's target. */
  private allTargets(): readonly NodeNumber[] {
    const { roster, neighbourhood, self } = this.seams;
    const version = roster.version + neighbourhood.version;
    if (version === this.targetsVersion) return this.targets;
    const edges = (): Iterable<NodeNumber> => new Set([...neighbourhood.subjects.keys(), ...neighbourhood.observers]);
    const candidates = neighbourhood.isLarge ? edges() : roster.numbers();
    this.targets = [...candidates].filter((number) => number !== self && roster.get(number)?.status === 'alive');
    this.targetsVersion = version;
    return this.targets;
  }
}
