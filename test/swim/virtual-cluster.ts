/**
 * A cluster of failure detectors on virtual time: datagrams with delay and loss, a clock for each node, stalls and
 * deaths, and a pane that is one jury at node 1. The same seed gives the same run.
 */
import { utf8 } from '../../src/bytes.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { type Random, seededRandom } from '../../src/seam/random.ts';
import type { SwimEffect, SwimEvent } from '../../src/swim/effect.ts';
import { Jury, type Verdict } from '../../src/swim/jury.ts';
import type { SwimMessage } from '../../src/swim/message.ts';
import { swimDefaults } from '../../src/swim/settings.ts';
import { Swim } from '../../src/swim/swim.ts';

export interface VirtualNode {
  readonly number: NodeNumber;
  readonly swim: Swim;
  /** This node's clock minus the cluster's. */
  readonly clockOffsetMs: number;
  dead: boolean;
  stalledUntilMs: number;
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

interface Happening {
  readonly atMs: number;
  readonly order: number;
  readonly node: NodeNumber;
  readonly happen: () => void;
}

const delayMinMs = 1;
const delaySpreadMs = 2;

export class VirtualCluster {
  readonly nodes: Map<NodeNumber, VirtualNode> = new Map();
  readonly seen: Seen[] = [];
  readonly convictions: Conviction[] = [];
  readonly jury: Jury = new Jury(() => [...this.nodes.keys()]);
  datagrams = 0;
  nowMs = 0;
  /** Which datagrams are lost; by default each with the probability given. */
  isLost: (from: NodeNumber, to: NodeNumber) => boolean;
  /** Whether the control nodes publish verdicts. */
  paneWorks = true;
  private readonly random: Random;
  private readonly happenings = new Heap();
  private orders = 0;

  constructor(size: number, seed: number, loss = 0) {
    this.random = seededRandom(seed);
    this.isLost = () => this.random.next() < loss;
    const numbers = Array.from({ length: size }, (_, index) => index + 1);
    const controlNodes = numbers.slice(0, 3);
    for (const number of numbers) {
      const clockOffsetMs = this.random.below(1_000_000);
      const random = seededRandom(seed * 1_000 + number);
      const cluster = utf8('virtual');
      const swim = new Swim({ self: number, settings: swimDefaults, random, cluster, now: clockOffsetMs });
      for (const other of numbers) swim.setMember(other, 0, 'alive', clockOffsetMs);
      swim.setControlNodes(controlNodes);
      this.nodes.set(number, { number, swim, clockOffsetMs, dead: false, stalledUntilMs: 0, plan: 0 });
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

  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    for (;;) {
      const next = this.happenings.peek();
      if (next === undefined || next.atMs > endMs) break;
      this.happenings.pop();
      this.nowMs = next.atMs;
      const node = this.node(next.node);
      if (node.dead) continue;
      if (node.stalledUntilMs > next.atMs) this.at(node.stalledUntilMs, next.node, next.happen);
      else next.happen();
    }
    this.nowMs = endMs;
  }

  kill(number: NodeNumber): void {
    this.node(number).dead = true;
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
      else this.seen.push({ atMs: this.nowMs, node: node.number, effect });
      if (effect.kind === 'rumour') node.swim.passOn(effect.bytes, this.nowMs);
      if (effect.kind === 'testimony' && node.number === 1) this.hear(effect);
    }
    this.planTick(node);
  }

  private deliver(from: VirtualNode, to: NodeNumber, messages: readonly SwimMessage[]): void {
    this.datagrams++;
    if (this.isLost(from.number, to)) return;
    this.at(this.nowMs + delayMinMs + this.random.next() * delaySpreadMs, to, () => {
      for (const message of messages) this.call(to, (swim, now) => swim.receive(from.number, message, now));
    });
  }

  private planTick(node: VirtualNode): void {
    const plan = ++node.plan;
    const atMs = Math.max(this.nowMs, node.swim.nextTickAt() - node.clockOffsetMs);
    this.at(atMs, node.number, () => {
      if (node.plan === plan) this.call(node.number, (swim, now) => swim.tick(now));
    });
  }

  private hear({ from, message }: Extract<SwimEffect, { kind: 'testimony' }>): void {
    if (message.kind === 'report') this.jury.report(from, message.subject, message.incarnation, this.nowMs);
    else this.jury.accuse(from, message.subject, this.nowMs);
    this.sit();
  }

  private sit(): void {
    const dueAtMs = this.jury.nextVerdictAt();
    if (dueAtMs > this.nowMs) {
      if (dueAtMs < Number.POSITIVE_INFINITY) this.at(dueAtMs, 1, () => this.sit());
      return;
    }
    const { swim } = this.node(1);
    const published = [...this.nodes.keys()].filter((number) => swim.publishedOf(number)?.status === 'alive');
    const batch = this.jury.verdicts(this.nowMs, published, (number) => swim.publishedOf(number)?.incarnation);
    for (const verdict of batch) {
      this.convictions.push({ ...verdict, atMs: this.nowMs });
      if (this.paneWorks) this.call(1, (leader, now) => leader.publish({ ...verdict, status: 'down' }, now));
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
