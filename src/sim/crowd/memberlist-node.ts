import { unreachable } from '../../assert.ts';
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import { seededRandom } from '../../seam/random.ts';
import type { ArmNode, ArmWorld, DialEnd } from './arm.ts';
import { MemberlistMembership } from './memberlist-membership.ts';
import {
  type MemberlistMessage,
  type MemberlistPacket,
  packetBytes,
  roomBeside,
  streamProbeBytes,
  tableBytes,
} from './memberlist-message.ts';
import { MemberlistNews } from './memberlist-news.ts';
import { MemberlistProber } from './memberlist-prober.ts';
import { firstIncarnation, MemberlistRoster, type MemberTable } from './memberlist-roster.ts';
import {
  exchangesWaitingMax,
  gossipFanout,
  gossipPeriodMs,
  type LifeguardComponents,
  probePeriodMs,
  pushPullEveryMs,
  rejoinAfterMs,
  retransmitLimit,
} from './memberlist-settings.ts';

/** What a stream was opened for. */
type Purpose = { readonly kind: 'probe'; readonly seq: number } | { readonly kind: 'exchange' };

export interface MemberlistNodeParts {
  readonly number: NodeNumber;
  readonly world: ArmWorld;
  readonly lifeguard: LifeguardComponents;
  /** Members known from the start: 1 … so many. */
  readonly known: number;
  /** Whom it joins through; none when it was there from the start. */
  readonly seeds: readonly NodeNumber[];
  /** The process that runs under a number: the other end of an exchange. */
  readonly peer: (number: NodeNumber) => MemberlistNode | undefined;
}

/** One member of memberlist: probes, gossip and table exchanges on one clock. */
export class MemberlistNode implements ArmNode {
  private readonly parts: MemberlistNodeParts;
  private readonly roster: MemberlistRoster;
  private readonly news = new MemberlistNews();
  private readonly membership: MemberlistMembership;
  private readonly prober: MemberlistProber;
  private gossipAt: MonotonicMs;
  private exchangeAt: MonotonicMs;
  private joinAt: MonotonicMs;
  /** Lists that came by stream and are read at the next tick. */
  private arrived: MemberTable[] = [];

  constructor(parts: MemberlistNodeParts, now: MonotonicMs) {
    const { number, known, seeds, world } = parts;
    const random = seededRandom(world.random.below(0x1_0000_0000));
    this.parts = parts;
    this.roster = new MemberlistRoster(number, known, random);
    for (let other = 1; other <= known; other++) {
      if (other !== number) this.roster.set(other, 'alive', firstIncarnation, now);
    }
    this.membership = this.ownMembership();
    this.prober = this.ownProber(now + random.next() * probePeriodMs);
    this.gossipAt = now + random.next() * gossipPeriodMs;
    this.exchangeAt = now + random.next() * pushPullEveryMs(this.roster.size);
    this.joinAt = seeds.length > 0 ? now : Number.POSITIVE_INFINITY;
    if (seeds.length > 0) this.membership.announce();
  }

  get viewSize(): number {
    return this.roster.size;
  }

  nextTickAt(): MonotonicMs {
    const { gossipAt, exchangeAt, joinAt } = this;
    return Math.min(gossipAt, exchangeAt, joinAt, this.prober.nextTickAt, this.membership.nextTickAt);
  }

  tick(now: MonotonicMs): void {
    for (const table of this.arrived.splice(0)) this.membership.merge(table, now);
    this.membership.tick(now);
    this.prober.tick(now);
    if (now >= this.joinAt) this.askSeeds(now);
    if (now >= this.gossipAt) this.gossip(now);
    if (now >= this.exchangeAt) this.beginExchange(now);
  }

  receive(from: NodeNumber, packet: unknown, now: MonotonicMs): void {
    for (const message of packet as MemberlistPacket) this.onMessage(from, message, now);
  }

  onDialled(to: NodeNumber, token: unknown, end: DialEnd, now: MonotonicMs): void {
    if (end !== 'accepted') return;
    const purpose = token as Purpose;
    if (purpose.kind === 'probe') this.prober.onStreamAnswer(purpose.seq);
    else this.onExchanged(to, now);
  }

  /** memberlist keeps no streams. */
  onStreamBroken(): void {}

  private onMessage(from: NodeNumber, message: MemberlistMessage, now: MonotonicMs): void {
    switch (message.kind) {
      case 'ping':
        this.prober.onPing(from, message.seq);
        break;
      case 'ping-request':
        this.prober.onPingRequest(from, message, now);
        break;
      case 'ack':
        this.prober.onAck(message.seq);
        break;
      case 'nack':
        this.prober.onNack(message.seq);
        break;
      case 'alive':
      case 'suspect':
      case 'dead':
        this.membership.onRumour(message, now);
        break;
      default:
        unreachable(message);
    }
  }

  private ownMembership(): MemberlistMembership {
    const { number: self, lifeguard, world } = this.parts;
    return new MemberlistMembership({
      self,
      roster: this.roster,
      news: this.news,
      shrinkingSuspicion: lifeguard.localHealthSuspicion,
      believe: (subject, status, now) => world.believe(self, subject, status, now),
      onRefuted: () => this.prober.onRefuted(),
    });
  }

  private ownProber(firstProbeAt: MonotonicMs): MemberlistProber {
    const { number: self, lifeguard } = this.parts;
    const parts = {
      self,
      roster: this.roster,
      lifeguard,
      send: (to: NodeNumber, ...messages: readonly MemberlistMessage[]) => this.send(to, messages),
      dial: (to: NodeNumber, seq: number) => this.dial(to, { kind: 'probe', seq }, streamProbeBytes),
      suspect: (subject: NodeNumber, now: MonotonicMs) => this.membership.suspect(subject, now),
    };
    return new MemberlistProber(parts, firstProbeAt);
  }

  /** Whatever is sent takes along as much news as there is room for. */
  private send(to: NodeNumber, messages: readonly MemberlistMessage[]): void {
    const { number, world } = this.parts;
    const packet = [...messages, ...this.news.take(roomBeside(messages), retransmitLimit(this.roster.size))];
    if (packet.length > 0) world.send(number, to, packet, packetBytes(packet));
  }

  private dial(to: NodeNumber, purpose: Purpose, bytes: number): void {
    this.parts.world.dial(this.parts.number, to, purpose, bytes);
  }

  private gossip(now: MonotonicMs): void {
    while (this.gossipAt <= now) this.gossipAt += gossipPeriodMs;
    if (this.news.size === 0) return;
    for (const other of this.roster.draw(gossipFanout, (number) => this.roster.isWorthTelling(number, now))) {
      this.send(other, []);
    }
  }

  private beginExchange(now: MonotonicMs): void {
    this.exchangeAt = now + pushPullEveryMs(this.roster.size);
    const [other] = this.roster.draw(1, (number) => this.roster.standingOf(number) === 'alive');
    if (other !== undefined) this.exchangeWith(other);
  }

  private askSeeds(now: MonotonicMs): void {
    this.joinAt = now + rejoinAfterMs;
    for (const seed of this.parts.seeds) this.exchangeWith(seed);
  }

  private exchangeWith(other: NodeNumber): void {
    const theirs = this.parts.peer(other)?.viewSize ?? 0;
    this.dial(other, { kind: 'exchange' }, tableBytes(this.viewSize) + tableBytes(theirs));
  }

  /** Both lists have crossed: the other's is merged here, and this one's there as soon as that process runs. */
  private onExchanged(other: NodeNumber, now: MonotonicMs): void {
    const peer = this.parts.peer(other);
    if (peer === undefined || !peer.accept(this.roster.table())) return;
    this.joinAt = Number.POSITIVE_INFINITY;
    this.membership.merge(peer.roster.table(), now);
  }

  private accept(table: MemberTable): boolean {
    if (this.arrived.length >= exchangesWaitingMax) return false;
    this.arrived.push(table);
    return true;
  }
}
