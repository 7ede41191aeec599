/** A node of the hivemind arm: the production failure detector, with models of what surrounds it in production. */
import { unreachable } from '../../assert.ts';
import type { KeepAlive, KeepAliveAnswer } from '../../control/keep-alive.ts';
import type { LogIndex, MonotonicMs, NodeNumber } from '../../identity.ts';
import { type Random, seededRandom } from '../../seam/random.ts';
import type { DialOutcome, SwimEffect, SwimEvent } from '../../swim/effect.ts';
import type { SwimMessage, Update } from '../../swim/message.ts';
import { type Places, viewMax } from '../../swim/rings.ts';
import type { SwimSettings } from '../../swim/settings.ts';
import type { Slice } from '../../swim/slice.ts';
import { Swim } from '../../swim/swim.ts';
import { decodeRumour, encodeRumour } from '../../wire/rumour.ts';
import type { ArmNode, DialEnd, PaneWorld } from './arm.ts';
import { HintCourier, somewhen } from './hint-courier.ts';
import { type HivemindPacket, handshakeBytes } from './hivemind-packet.ts';
import { PaneContact, type PaneDial } from './pane-contact.ts';
import type { PaneModel } from './pane-model.ts';
import { PaneSeat } from './pane-seat.ts';
import { datagramBytes, type SizedMessage } from './wire-sizes.ts';

/** What all nodes of the arm have in common. */
export interface HivemindParts {
  readonly world: PaneWorld;
  readonly pane: PaneModel;
  readonly places: Places;
  readonly settings: SwimSettings;
  readonly cluster: Uint8Array;
}

/** What a member knows when it starts: from its digest, or from its disk. */
export interface Knowledge {
  readonly logIndex: LogIndex;
  readonly members: readonly Update[];
  readonly slice: Slice | undefined;
}

type DialToken = PaneDial | { readonly kind: 'probe'; readonly depth: 'knock' | 'ask' };

export class HivemindNode implements ArmNode {
  readonly swim: Swim;
  readonly seat: PaneSeat | undefined;
  private readonly number: NodeNumber;
  private readonly process: number;
  private readonly parts: HivemindParts;
  private readonly contact: PaneContact;
  private readonly hints: HintCourier;
  /** The last process that each member was seen to have; the first ones are left out. */
  private readonly processes = new Map<NodeNumber, number>();

  /** @param process tells the processes of one member apart; 0 is the first */
  constructor(number: NodeNumber, process: number, parts: HivemindParts, now: MonotonicMs) {
    const { world, pane, places, settings, cluster } = parts;
    const random = seededRandom(Math.floor(world.random.next() * Number.MAX_SAFE_INTEGER));
    this.number = number;
    this.process = process;
    this.parts = parts;
    this.swim = new Swim({ self: number, settings, random, cluster, now, places });
    this.contact = this.newContact(random, now);
    this.hints = new HintCourier(number);
    if (pane.state.control.includes(number)) this.seat = this.takeSeat(now);
  }

  get viewSize(): number {
    return this.swim.members().length;
  }

  keeps(subject: NodeNumber): boolean {
    return this.swim.publishedOf(subject) !== undefined;
  }

  isComplete(members: number): boolean {
    const { state } = this.parts.pane;
    if (!this.contact.isMember || state.size < members) return false;
    if (members <= viewMax) return this.viewSize === members;
    const should = state.rings.subjectsOf(this.number);
    const subjects = this.swim.slice.subjects.map(({ number }) => number);
    return should.length === subjects.length && should.every((each) => subjects.includes(each) && this.keeps(each));
  }

  /** Begins as a member that knows this. */
  begin({ logIndex, members, slice }: Knowledge, now: MonotonicMs): void {
    const { swim } = this;
    const { state } = this.parts.pane;
    this.contact.onBegun(logIndex);
    swim.setControlNodes(state.control);
    swim.setClusterSize(state.size);
    for (const update of members) this.know(update, now);
    this.perform(swim.setSlice(slice), now);
  }

  /** Begins as a stranger: the pane is asked for admission. */
  askToJoin(now: MonotonicMs): void {
    this.contact.askFor('join', now);
  }

  /** What its disk keeps for the next process. */
  get knowledge(): Knowledge {
    const members = this.swim.members().flatMap(({ number }) => {
      const standing = this.swim.publishedOf(number);
      return standing === undefined ? [] : [{ number, incarnation: standing.incarnation, status: standing.status }];
    });
    const slice = this.parts.pane.state.size > viewMax ? this.swim.slice : undefined;
    return { logIndex: this.contact.logIndex, members, slice };
  }

  receive(from: NodeNumber, given: unknown, now: MonotonicMs): void {
    const packet = given as HivemindPacket;
    switch (packet.kind) {
      case 'datagram':
        this.meet(from, packet.process, now);
        for (const message of packet.messages) this.onMessage(from, packet.process, message, now);
        break;
      case 'entry':
        this.seat?.onEntry(packet.admitted, packet.updates, now);
        break;
      case 'join-ask':
        this.seat?.onJoinAsk(from, now);
        break;
      case 'digest':
        if (!this.contact.isMember) this.begin(packet, now);
        break;
      case 'return-ask':
        this.meet(from, packet.process, now);
        this.seat?.onReturnAsk(from, packet.process, now);
        break;
      case 'returned':
        this.perform(this.swim.correct(packet.update, now), now);
        break;
      default:
        unreachable(packet);
    }
  }

  onStreamBroken(from: NodeNumber, now: MonotonicMs): void {
    this.perform(this.swim.onStreamClosed(from, now), now);
  }

  onDialled(to: NodeNumber, given: unknown, end: DialEnd, now: MonotonicMs): void {
    const token = given as DialToken;
    if (token.kind === 'probe') this.perform(this.swim.onDialled(to, outcomeOf(token.depth, end), now), now);
    else this.contact.onDialled(to, token, end === 'accepted', now);
  }

  nextTickAt(): MonotonicMs {
    const seatAt = this.seat?.nextTickAt() ?? Number.POSITIVE_INFINITY;
    return Math.min(this.swim.nextTickAt(), this.contact.nextTickAt(), seatAt);
  }

  tick(now: MonotonicMs): void {
    if (now >= this.swim.nextTickAt()) this.perform(this.swim.tick(now), now);
    if (now >= this.contact.nextTickAt()) this.contact.tick(now);
    if (this.seat !== undefined && now >= this.seat.nextTickAt()) this.seat.tick(now);
  }

  private newContact(random: Random, now: MonotonicMs): PaneContact {
    const { world, pane } = this.parts;
    const hands = {
      perform: (effects: readonly SwimEffect[], at: MonotonicMs) => this.perform(effects, at),
      sendDatagram: (to: NodeNumber, messages: readonly SizedMessage[]) => this.sendDatagram(to, messages),
      post: (to: NodeNumber, packet: HivemindPacket, bytes: number) => world.post(this.number, to, packet, bytes),
      dial: (to: NodeNumber, about: PaneDial, bytes: number) => world.dial(this.number, to, about, bytes),
      reconsider: (number: NodeNumber, at: MonotonicMs) => this.reconsider(number, at),
    };
    const { number, process, swim } = this;
    return new PaneContact({ number, process, swim, pane, random, hands }, now);
  }

  // — the control node that this may be —

  private takeSeat(now: MonotonicMs): PaneSeat {
    const { pane, world } = this.parts;
    const hands = {
      publish: (update: Update, at: MonotonicMs) => this.perform(this.swim.publish(update, at), at),
      admit: (numbers: readonly NodeNumber[], at: MonotonicMs) => this.onAdmitted(numbers, at),
      callDown: (number: NodeNumber, at: MonotonicMs) => this.perform(this.swim.callDown(number), at),
      setQuorum: (healthy: boolean, at: MonotonicMs) => this.onOwnQuorum(healthy, at),
      jurorsOf: (subject: NodeNumber) => this.swim.jurorsOf(subject),
    };
    this.swim.heedPaneAlone();
    return new PaneSeat(this.number, pane, world, hands, now);
  }

  private onAdmitted(numbers: readonly NodeNumber[], now: MonotonicMs): void {
    const { state } = this.parts.pane;
    this.swim.setClusterSize(state.size);
    for (const number of numbers) {
      const update: Update = { number, incarnation: 0, status: 'alive' };
      this.know(update, now);
      this.perform(this.swim.publish(update, now), now);
    }
  }

  private onOwnQuorum(healthy: boolean, now: MonotonicMs): void {
    this.contact.setQuorum(healthy, now);
    const at = somewhen + Math.floor(this.parts.world.now());
    this.swim.spread(encodeRumour({ kind: 'pane-changed', by: this.number, at }), now);
  }

  // — datagrams —

  private onMessage(
    from: NodeNumber,
    process: number,
    message: SwimMessage | KeepAlive | KeepAliveAnswer,
    now: MonotonicMs,
  ): void {
    if (message.kind === 'keep-alive') {
      if (this.seat !== undefined) this.sendDatagram(from, [this.seat.answer(from, process, message)]);
    } else if (message.kind === 'keep-alive-answer') {
      this.contact.onAnswer(from, message, now);
    } else {
      this.perform(this.swim.receive(from, message, now), now);
    }
  }

  /** A new boot id means that the old process is gone. */
  private meet(from: NodeNumber, process: number, now: MonotonicMs): void {
    if (process === 0 || this.processes.get(from) === process) return;
    this.processes.set(from, process);
    this.perform(this.swim.onRestarted(from, now), now);
  }

  private sendDatagram(to: NodeNumber, messages: readonly SizedMessage[]): void {
    const packet: HivemindPacket = { kind: 'datagram', process: this.process, messages };
    this.parts.world.send(this.number, to, packet, datagramBytes(messages));
  }

  // — effects —

  private perform(effects: readonly SwimEffect[], now: MonotonicMs): void {
    for (const effect of effects) this.onEffect(effect, now);
  }

  private onEffect(effect: SwimEffect, now: MonotonicMs): void {
    const { world } = this.parts;
    switch (effect.kind) {
      case 'send':
        this.sendDatagram(effect.to, effect.messages);
        break;
      case 'dial':
        this.probeByStream(effect.to, effect.depth);
        break;
      case 'hold-streams':
        world.hold(this.number, effect.to);
        break;
      case 'testimony':
        this.seat?.hear(effect.from, effect.message, now);
        break;
      case 'update':
        this.onNews(effect.update.number, effect.from);
        break;
      case 'rumour':
        this.onRumour(effect.bytes, now);
        break;
      case 'hint':
        this.swim.spread(this.hints.tell(effect, this.parts.world.now()), now);
        break;
      case 'convicted-me':
        this.contact.askFor('return', now);
        break;
      case 'event':
        this.onEvent(effect.event, now);
        break;
      default:
        unreachable(effect);
    }
  }

  private probeByStream(to: NodeNumber, depth: 'knock' | 'ask'): void {
    const token: DialToken = { kind: 'probe', depth };
    this.parts.world.dial(this.number, to, token, depth === 'ask' ? handshakeBytes : 0);
  }

  private onEvent(event: SwimEvent, now: MonotonicMs): void {
    const { world } = this.parts;
    switch (event.kind) {
      case 'suspected':
        world.believe(this.number, event.number, 'suspect', now);
        break;
      case 'refuted':
      case 'back':
        world.believe(this.number, event.number, 'alive', now);
        break;
      case 'down':
        world.believe(this.number, event.number, 'down', now);
        break;
      case 'hinted-down':
        world.believe(this.number, event.number, 'down', now);
        this.contact.onHinted(event.number);
        break;
      case 'answers-again':
        this.seat?.onAnswersAgain(event.number);
        break;
      case 'probe-missed':
      case 'lossy':
      case 'accused-me':
      case 'datagrams-blocked':
      case 'datagrams-open':
      case 'implausible':
        break;
      default:
        unreachable(event);
    }
  }

  private reconsider(number: NodeNumber, now: MonotonicMs): void {
    const status = this.swim.statusOf(number)?.status;
    if (status !== undefined) this.parts.world.believe(this.number, number, status, now);
  }

  private onNews(number: NodeNumber, from: NodeNumber): void {
    if (this.keeps(number) || this.seat !== undefined || !this.swim.wants(number)) return;
    this.contact.want(number, from);
  }

  private onRumour(bytes: Uint8Array, now: MonotonicMs): void {
    const rumour = decodeRumour(bytes);
    if (rumour?.kind === 'pane-changed' && this.contact.heardOfChange(rumour.by, rumour.at, now)) {
      this.swim.passOn(bytes, now);
    } else if (rumour?.kind === 'hint' && !this.contact.hasQuorum && this.hints.isNews(rumour)) {
      this.swim.passOn(bytes, now);
      this.perform(this.swim.onHint(rumour.by, rumour, now), now);
    }
  }

  private know({ number, incarnation, status }: Update, now: MonotonicMs): void {
    this.perform(this.swim.setMember(number, incarnation, status, now), now);
  }
}

function outcomeOf(depth: 'knock' | 'ask', end: DialEnd): DialOutcome {
  return end === 'accepted' && depth === 'ask' ? 'answered' : end;
}
