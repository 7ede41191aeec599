/**
 * A cluster of failure detectors on virtual time: datagrams with delay and loss, streams that a kernel answers for, a
 * clock for each node, stalls and deaths, and a pane that is one jury at node 1. The same seed gives the same run.
 */
import { fromUtf8, utf8 } from '../../src/bytes.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { type Random, seededRandom } from '../../src/seam/random.ts';
import type { DialOutcome, Hint, SwimEffect, SwimEvent } from '../../src/swim/effect.ts';
import { Jury, type Verdict } from '../../src/swim/jury.ts';
import type { SwimMessage } from '../../src/swim/message.ts';
import { Places, Rings, viewMax } from '../../src/swim/rings.ts';
import { swimDefaults } from '../../src/swim/settings.ts';
import { membersOf, sliceOf } from '../../src/swim/slice.ts';
import { Swim } from '../../src/swim/swim.ts';

export interface VirtualNode {
  readonly number: NodeNumber;
  readonly swim: Swim;
  /** This node's clock minus the cluster's. */
  readonly clockOffsetMs: number;
  /** `killed`: its machine lives, and its kernel refuses connections. `vanished`: silence. */
  fate: 'runs' | 'killed' | 'vanished';
  stalledUntilMs: number;
  /** With whom it keeps standing streams. */
  streams: readonly NodeNumber[];
  /** Which of its planned ticks is the current one; older ones are ignored. */
  plan: number;
}

export interface Seen {
  readonly atMs: number;
  readonly node: NodeNumber;
  readonly effect: SwimEffect;
}

export interface Conviction extends Verdict {
  readonly atMs: number;
}

/** A hint as it travels here: nobody lies, so it is not signed. */
interface HintRumour {
  readonly hintBy: NodeNumber;
  readonly atMs: number;
  readonly hint: Hint;
}

interface Happening {
  readonly atMs: number;
  readonly order: number;
  readonly node: NodeNumber;
  readonly happen: () => void;
}

const delayMinMs = 1;
const delaySpreadMs = 2;
/** When a lost packet of a connection request, and of an open stream, is sent again. */
const connectAtMs = [0, 1_000];
const resendAtMs = [0, 200, 600, 1_400];
const dialTimeoutMs = 1_500;
const cluster = utf8('virtual');
const controlNodes: readonly NodeNumber[] = [1, 2, 3];

export class VirtualCluster {
  readonly nodes: Map<NodeNumber, VirtualNode> = new Map();
  readonly seen: Seen[] = [];
  readonly convictions: Conviction[] = [];
  readonly rings: Rings = new Rings(new Places(cluster));
  readonly jury: Jury = new Jury({
    observersOf: (subject) => this.rings.observersOf(subject),
    groups: () => [{ name: 'all', members: [...this.nodes.keys()] }],
  });
  brakeReleased = false;
  datagrams = 0;
  dials = 0;
  nowMs = 0;
  /** Which datagrams are lost; by default each with the probability given. */
  isLost: (from: NodeNumber, to: NodeNumber) => boolean;
  /** A firewall that lets only streams through. */
  datagramsPass = true;
  /** Whether the control nodes publish verdicts. */
  paneWorks = true;
  private readonly down = new Set<NodeNumber>();
  /** When the last hint was made that a node heard from one observer about one subject. */
  private readonly hintedAtMs = new Map<string, number>();
  private readonly random: Random;
  private readonly happenings = new Heap();
  private orders = 0;

  constructor(size: number, seed: number, loss = 0) {
    this.random = seededRandom(seed);
    this.isLost = () => this.random.next() < loss;
    const numbers = Array.from({ length: size }, (_, index) => index + 1);
    for (const number of numbers) this.rings.add(number);
    for (const number of numbers) {
      const clockOffsetMs = this.random.below(1_000_000);
      const random = seededRandom(seed * 1_000 + number);
      const options = { self: number, settings: swimDefaults, random, cluster, now: clockOffsetMs };
      const swim = new Swim({ ...options, places: this.rings.places });
      const isSliced = size > viewMax && !controlNodes.includes(number);
      const slice = isSliced ? sliceOf(this.rings, number, { control: controlNodes, required: [] }) : undefined;
      for (const other of slice === undefined ? numbers : membersOf(slice)) {
        swim.setMember(other, 0, 'alive', clockOffsetMs);
      }
      swim.setSlice(slice);
      swim.setClusterSize(size);
      swim.setControlNodes(controlNodes);
      this.nodes.set(number, { number, swim, clockOffsetMs, fate: 'runs', stalledUntilMs: 0, streams: [], plan: 0 });
    }
    for (const node of this.nodes.values()) this.planTick(node);
  }

  node(number: NodeNumber): VirtualNode {
    const node = this.nodes.get(number);
    if (node === undefined) throw new Error(`there is no node ${number}`);
    return node;
  }

  /** Calls into a node from outside, as its composition does. */
  call(number: NodeNumber, act: (swim: Swim, now: number) => readonly SwimEffect[]): void {
    const node = this.node(number);
    this.perform(node, act(node.swim, this.nowMs + node.clockOffsetMs));
  }

  /** What the pane decides is known to all control nodes. */
  publish(number: NodeNumber, incarnation: number, status: 'alive' | 'down'): void {
    if (status === 'down') this.down.add(number);
    else this.down.delete(number);
    for (const control of controlNodes) {
      if (this.node(control).fate !== 'runs') continue;
      this.call(control, (swim, now) => swim.publish({ number, incarnation, status }, now));
    }
  }

  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    for (;;) {
      const next = this.happenings.peek();
      if (next === undefined || next.atMs > endMs) break;
      this.happenings.pop();
      this.nowMs = next.atMs;
      const node = this.node(next.node);
      if (node.fate !== 'runs') continue;
      if (node.stalledUntilMs > next.atMs) this.at(node.stalledUntilMs, next.node, next.happen);
      else next.happen();
    }
    this.nowMs = endMs;
  }

  /** Its process ends; the kernel of its machine closes its streams. */
  kill(number: NodeNumber): void {
    const node = this.node(number);
    node.fate = 'killed';
    for (const observer of node.streams) {
      this.at(this.nowMs + delayMinMs, observer, () => {
        this.call(observer, (swim, now) => swim.onStreamClosed(number, now));
      });
    }
  }

  /** Its machine is gone. */
  vanish(number: NodeNumber): void {
    this.node(number).fate = 'vanished';
  }

  /** Its process does not run for so long; what arrives meanwhile waits. */
  stall(number: NodeNumber, forMs: number): void {
    this.node(number).stalledUntilMs = this.nowMs + forMs;
  }

  events<K extends SwimEvent['kind']>(
    kind: K,
  ): readonly (Extract<SwimEvent, { kind: K }> & { node: NodeNumber; atMs: number })[] {
    return this.seen.flatMap(({ effect, node, atMs }) =>
      effect.kind === 'event' && effect.event.kind === kind
        ? [{ ...(effect.event as Extract<SwimEvent, { kind: K }>), node, atMs }]
        : [],
    );
  }

  effects<K extends SwimEffect['kind']>(
    kind: K,
  ): readonly (Extract<SwimEffect, { kind: K }> & { node: NodeNumber; atMs: number })[] {
    return this.seen.flatMap(({ effect, node, atMs }) =>
      effect.kind === kind ? [{ ...(effect as Extract<SwimEffect, { kind: K }>), node, atMs }] : [],
    );
  }

  private perform(node: VirtualNode, effects: readonly SwimEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') this.deliver(node, effect.to, effect.messages);
      else if (effect.kind === 'dial') this.dial(node, effect.to, effect.depth);
      else if (effect.kind === 'hold-streams') node.streams = effect.to;
      else this.seen.push({ atMs: this.nowMs, node: node.number, effect });
      if (effect.kind === 'rumour') this.hearRumour(node, effect.bytes);
      if (effect.kind === 'hint') this.spreadHint(node, effect);
      if (effect.kind === 'testimony' && node.number === 1) this.hear(effect);
    }
    this.planTick(node);
  }

  private spreadHint({ number, swim, clockOffsetMs }: VirtualNode, hint: Hint): void {
    const rumour: HintRumour = { hintBy: number, atMs: this.nowMs, hint };
    swim.spread(utf8(JSON.stringify(rumour)), this.nowMs + clockOffsetMs);
  }

  private hearRumour(node: VirtualNode, bytes: Uint8Array): void {
    const now = this.nowMs + node.clockOffsetMs;
    const text = fromUtf8(bytes) ?? '';
    if (text.startsWith('{"hintBy"')) {
      const { hintBy, atMs, hint } = JSON.parse(text) as HintRumour;
      const pair = `${node.number} ${hintBy} ${hint.number}`;
      if (atMs <= (this.hintedAtMs.get(pair) ?? -1)) return;
      this.hintedAtMs.set(pair, atMs);
      this.perform(node, node.swim.onHint(hintBy, hint, now));
    }
    node.swim.passOn(bytes, now);
  }

  private deliver(from: VirtualNode, to: NodeNumber, messages: readonly SwimMessage[]): void {
    this.datagrams++;
    if (!this.datagramsPass || this.isLost(from.number, to)) return;
    this.at(this.nowMs + delayMinMs + this.random.next() * delaySpreadMs, to, () => {
      for (const message of messages) this.call(to, (swim, now) => swim.receive(from.number, message, now));
    });
  }

  private dial(from: VirtualNode, to: NodeNumber, depth: 'knock' | 'ask'): void {
    this.dials++;
    const [outcome, tookMs] = this.outcomeOf(from.number, this.node(to), depth);
    this.at(this.nowMs + tookMs, from.number, () => {
      this.call(from.number, (swim, now) => swim.onDialled(to, outcome, now));
    });
  }

  /** A connection takes a round trip and the kernel's answer, a question two more and a process that runs. */
  private outcomeOf(from: NodeNumber, to: VirtualNode, depth: 'knock' | 'ask'): [DialOutcome, number] {
    const connectedMs = to.fate === 'vanished' ? Infinity : this.roundTripMs(from, to.number, connectAtMs);
    if (connectedMs > dialTimeoutMs) return ['silent', dialTimeoutMs];
    if (to.fate === 'killed') return ['refused', connectedMs];
    if (depth === 'knock') return ['accepted', connectedMs];
    const sentMs = connectedMs + this.roundTripMs(from, to.number, resendAtMs);
    const readMs = Math.max(sentMs, to.stalledUntilMs - this.nowMs);
    const answeredMs = readMs + this.roundTripMs(from, to.number, resendAtMs);
    return answeredMs > dialTimeoutMs ? ['silent', dialTimeoutMs] : ['answered', answeredMs];
  }

  private roundTripMs(from: NodeNumber, to: NodeNumber, attemptsAtMs: readonly number[]): number {
    const arrived = attemptsAtMs.find(() => !this.isLost(from, to) && !this.isLost(to, from));
    return (arrived ?? Infinity) + 2 * (delayMinMs + this.random.next() * delaySpreadMs);
  }

  private planTick(node: VirtualNode): void {
    const plan = ++node.plan;
    const atMs = Math.max(this.nowMs, node.swim.nextTickAt() - node.clockOffsetMs);
    this.at(atMs, node.number, () => {
      if (node.plan === plan) this.call(node.number, (swim, now) => swim.tick(now));
    });
  }

  private hear({ from, message }: Extract<SwimEffect, { kind: 'testimony' }>): void {
    if (message.kind === 'report') this.jury.report(from, message, this.nowMs);
    else this.jury.accuse(from, message.subject, this.nowMs);
    this.sit();
  }

  private sit(): void {
    const dueAtMs = this.jury.nextVerdictAt();
    if (dueAtMs > this.nowMs) {
      if (dueAtMs < Number.POSITIVE_INFINITY) this.at(dueAtMs, 1, () => this.sit());
      return;
    }
    const batch = this.jury.verdicts(this.nowMs, {
      live: new Set([...this.nodes.keys()].filter((number) => !this.down.has(number))),
      incarnationOf: (number) => this.node(1).swim.publishedOf(number)?.incarnation ?? 0,
      brakeReleased: this.brakeReleased,
    });
    for (const verdict of batch) {
      this.convictions.push({ ...verdict, atMs: this.nowMs });
      if (this.paneWorks) this.publish(verdict.number, verdict.incarnation, 'down');
    }
    if (batch.length === 0) this.sit();
  }

  private at(atMs: number, node: NodeNumber, happen: () => void): void {
    this.happenings.push({ atMs, order: this.orders++, node, happen });
  }
}

/** A binary heap by time, then by order of planning. */
class Heap {
  private readonly items: Happening[] = [];

  peek(): Happening | undefined {
    return this.items[0];
  }

  push(item: Happening): void {
    let at = this.items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(item, this.items[parent] as Happening)) break;
      this.items[at] = this.items[parent] as Happening;
      at = parent;
    }
    this.items[at] = item;
  }

  pop(): void {
    const last = this.items.pop();
    if (last === undefined || this.items.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.items.length) break;
      if (child + 1 < this.items.length && isBefore(this.items[child + 1] as Happening, this.items[child] as Happening))
        child++;
      if (!isBefore(this.items[child] as Happening, last)) break;
      this.items[at] = this.items[child] as Happening;
      at = child;
    }
    this.items[at] = last;
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.atMs !== b.atMs ? a.atMs < b.atMs : a.order < b.order;
}
