/**
 * Thousands of nodes of one protocol on virtual time: links that lose and delay, machines with clocks of their own,
 * and processes that die, stall, or read late. The same seed gives the same run.
 *
 * ```ts
 * const crowd = new Crowd({ arm, nodes: 1_000, seed: 7 });
 * crowd.at(5_000, () => crowd.vanish([17]));
 * crowd.runUntil(30_000);
 * ```
 */
import { assert } from '../../assert.ts';
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import { type Random, seededRandom } from '../../seam/random.ts';
import type { Arm, ArmNode, PaneWorld } from './arm.ts';
import { Dialling } from './dialling.ts';
import { EventQueue, type PlannedEvent } from './event-queue.ts';
import { GroundTruth } from './ground-truth.ts';
import { type LinkQuality, Links, linkDefaults } from './links.ts';
import { type Arrival, chargedBytesPerDatagram, Machine, socketBytesMax } from './machine.ts';

export interface CrowdOptions {
  readonly arm: Arm;
  /** Members 1 … nodes, there from the beginning. */
  readonly nodes: number;
  readonly seed: number;
  readonly links?: Partial<LinkQuality>;
}

/** What all nodes together sent: payload, without the headers of UDP, TCP and IP. */
export interface Traffic {
  datagrams: number;
  datagramBytes: number;
  streamBytes: number;
}

/** A slow reader gets to a packet so late. */
export const readDelayMinMs = 500;
export const readDelayMaxMs = 2_500;
/** A timer may be early by so much: clocks that run at different rates do not round alike. */
const roundingMs = 1e-6;

const tick = 0;
const packet = 1;
const action = 2;

export class Crowd {
  readonly links: Links;
  readonly truth: GroundTruth;
  readonly traffic: Traffic = { datagrams: 0, datagramBytes: 0, streamBytes: 0 };
  /** Packets that a full socket lost. */
  socketDrops = 0;
  /** For what scenarios draw. */
  readonly random: Random;
  private readonly arm: Arm;
  private readonly queue = new EventQueue();
  private readonly machines: (Machine | undefined)[] = [undefined];
  private readonly dialling: Dialling;
  private nowMs: MonotonicMs = 0;

  constructor({ arm, nodes, seed, links }: CrowdOptions) {
    this.arm = arm;
    this.random = seededRandom(seed);
    this.links = new Links({ ...linkDefaults, ...links }, seededRandom(seed + 0x1_0000_0000));
    this.truth = new GroundTruth((from, to) => !this.links.isCut(from, to));
    this.dialling = new Dialling({
      links: this.links,
      later: (afterMs, happen) => this.at(this.nowMs + afterMs, happen),
      machine: (number) => this.machines[number],
      arrive: (machine, arrival) => this.arrive(machine, arrival),
      expire: (machine, arrival) => this.expire(machine, arrival),
      onBytes: (bytes) => {
        this.traffic.streamBytes += bytes;
      },
    });
    this.found(nodes, this.worldOf(seededRandom(seed + 0x2_0000_0000)));
  }

  get now(): MonotonicMs {
    return this.nowMs;
  }

  /** All numbers that were given out, ascending. */
  get numbers(): readonly NodeNumber[] {
    return this.machines.flatMap((machine) => (machine === undefined ? [] : [machine.number]));
  }

  /** Lets something happen at this time; never when that is infinite. */
  at(atMs: MonotonicMs, happen: () => void): void {
    if (atMs < Number.POSITIVE_INFINITY) this.queue.push(Math.max(atMs, this.nowMs), action, 0, 0, happen);
  }

  runUntil(endMs: MonotonicMs): void {
    while (this.queue.nextAtMs <= endMs) this.perform(this.queue.pop() as PlannedEvent);
    this.nowMs = endMs;
  }

  /** Whether each node that runs keeps all that it should. */
  isComplete(): boolean {
    const members = this.machines.length - 1;
    return this.machines.every((machine) => {
      const node = machine?.node;
      return node === undefined || (node.isComplete?.(members) ?? node.viewSize >= members - 1);
    });
  }

  isRunning(number: NodeNumber): boolean {
    return this.machines[number]?.runs === true;
  }

  viewSizeOf(number: NodeNumber): number {
    return this.machines[number]?.node?.viewSize ?? 0;
  }

  keeps(observer: NodeNumber, subject: NodeNumber): boolean {
    const node = this.machines[observer]?.node;
    return node !== undefined && (node.keeps?.(subject) ?? true);
  }

  // — faults —

  /** The processes die; their machines live on and say so. */
  kill(numbers: readonly NodeNumber[]): void {
    for (const number of numbers) {
      const machine = this.running(number);
      const holds = machine.holds;
      machine.end();
      machine.isKilled = true;
      for (const to of holds) this.breakStream(number, to);
    }
  }

  /** The machines are gone. */
  vanish(numbers: readonly NodeNumber[]): void {
    for (const number of numbers) {
      const machine = this.running(number);
      machine.end();
      machine.isGone = true;
    }
  }

  /** A new process on each of these machines, which finds its way back by itself. */
  restart(numbers: readonly NodeNumber[], seeds: readonly NodeNumber[]): void {
    for (const number of numbers) {
      const machine = this.machines[number];
      assert(machine !== undefined && !machine.runs, 'only what does not run can be started again');
      machine.isKilled = false;
      machine.isGone = false;
      this.start(machine, seeds);
    }
  }

  /** One more member, with the next number. */
  join(seeds: readonly NodeNumber[]): NodeNumber {
    const number = this.machines.length;
    const machine = this.newMachine(number);
    this.start(machine, seeds);
    return number;
  }

  /** The process does not run for so long. */
  block(number: NodeNumber, forMs: number): void {
    const machine = this.running(number);
    machine.blockedUntilMs = this.nowMs + forMs;
    const { process } = machine;
    this.at(machine.blockedUntilMs, () => {
      if (machine.process === process && !machine.isBlocked(this.nowMs)) this.wake(machine);
    });
  }

  /** From now on these read each packet late, in order. */
  slowDown(numbers: readonly NodeNumber[]): void {
    for (const number of numbers) this.running(number).readsLate = true;
  }

  // — what nodes do —

  private worldOf(random: Random): PaneWorld {
    return {
      random,
      now: () => this.nowMs,
      send: (from, to, load, bytes) => this.send(from, to, load, bytes),
      dial: (from, to, token, bytes) => this.dialling.dial(from, to, token, bytes),
      believe: (observer, subject, status) => this.truth.believe(observer, subject, status, this.nowMs),
      hold: (from, to) => {
        const machine = this.machines[from];
        if (machine !== undefined) machine.holds = to;
      },
      post: (from, to, load, bytes) => this.post(from, to, load, bytes),
      reaches: (from, to) =>
        this.isUp(from) && this.isUp(to) && !this.links.isCut(from, to) && !this.links.isCut(to, from),
      convicted: (numbers) => this.truth.onConvicted(numbers),
      returned: (number) => this.truth.onReturned(number),
    };
  }

  private send(from: NodeNumber, to: NodeNumber, load: unknown, bytes: number): void {
    this.traffic.datagrams++;
    this.traffic.datagramBytes += bytes;
    const afterMs = this.links.datagramMs(from, to);
    if (afterMs < Number.POSITIVE_INFINITY) this.queue.push(this.nowMs + afterMs, packet, to, from, load);
  }

  private post(from: NodeNumber, to: NodeNumber, load: unknown, bytes: number): void {
    this.traffic.streamBytes += bytes;
    const afterMs = this.links.segmentMs(from, to);
    if (afterMs < Number.POSITIVE_INFINITY) this.queue.push(this.nowMs + afterMs, packet, to, from, load);
  }

  private breakStream(from: NodeNumber, to: NodeNumber): void {
    this.at(this.nowMs + this.links.segmentMs(from, to), () => {
      const machine = this.machines[to];
      if (machine !== undefined) this.arrive(machine, (node, now) => node.onStreamBroken(from, now));
    });
  }

  private isUp(number: NodeNumber): boolean {
    const machine = this.machines[number];
    return machine?.runs === true && !machine.isBlocked(this.nowMs);
  }

  // — what happens —

  private perform({ atMs, kind, first, second, load }: PlannedEvent): void {
    this.nowMs = atMs;
    if (kind === packet) this.onPacket(this.machines[first], second, load);
    else if (kind === tick) this.onTick(this.machines[first] as Machine, second);
    else (load as () => void)();
  }

  private onTick(machine: Machine, plan: number): void {
    if (machine.plan !== plan || machine.isBlocked(this.nowMs)) return;
    machine.plannedAtMs = Number.POSITIVE_INFINITY;
    this.tickIfDue(machine);
    this.planTick(machine);
  }

  private onPacket(machine: Machine | undefined, from: NodeNumber, load: unknown): void {
    if (machine === undefined || !machine.runs) return;
    if (machine.readsLate || machine.isBlocked(this.nowMs)) {
      this.arrive(machine, (node, now) => node.receive(from, load, now));
      return;
    }
    machine.node?.receive(from, load, machine.clockAt(this.nowMs));
    this.planTick(machine);
  }

  /** Something for the process that runs there now; a later one does not get it. */
  private arrive(machine: Machine, arrival: Arrival): void {
    if (!machine.runs) return;
    if (machine.isBlocked(this.nowMs)) {
      if (!machine.queue(arrival)) this.socketDrops++;
    } else if (machine.readsLate) {
      this.readLate(machine, arrival);
    } else {
      this.run(machine, arrival);
    }
  }

  private readLate(machine: Machine, arrival: Arrival): void {
    if ((machine.readsWaiting + 1) * chargedBytesPerDatagram > socketBytesMax) {
      this.socketDrops++;
      return;
    }
    const lateMs = readDelayMinMs + this.random.next() * (readDelayMaxMs - readDelayMinMs);
    machine.lastReadAtMs = Math.max(machine.lastReadAtMs, this.nowMs + lateMs);
    machine.readsWaiting++;
    const { process } = machine;
    this.at(machine.lastReadAtMs, () => {
      if (machine.process !== process) return;
      machine.readsWaiting--;
      this.run(machine, arrival);
    });
  }

  private expire(machine: Machine, arrival: Arrival): void {
    if (!machine.runs) return;
    if (machine.isBlocked(this.nowMs)) machine.queueTimer(arrival);
    else this.run(machine, arrival);
  }

  private run(machine: Machine, arrival: Arrival): void {
    if (machine.node === undefined) return;
    arrival(machine.node, machine.clockAt(this.nowMs));
    this.planTick(machine);
  }

  /** As an event loop does after a stall: the timers that are due, then the sockets, with timers in between. */
  private wake(machine: Machine): void {
    for (const timer of machine.takeTimers()) this.run(machine, timer);
    for (;;) {
      this.tickIfDue(machine);
      const turn = machine.takeTurn();
      if (turn.length === 0) break;
      for (const arrival of turn) this.run(machine, arrival);
    }
    this.planTick(machine);
  }

  private tickIfDue(machine: Machine): void {
    const { node } = machine;
    if (node === undefined) return;
    const [clock, dueAt] = [machine.clockAt(this.nowMs), node.nextTickAt()];
    if (dueAt <= clock + roundingMs) node.tick(Math.max(clock, Math.min(dueAt, clock + roundingMs)));
  }

  /** One plan for each machine is enough: when it comes too early, because less is due by then, the next is made. */
  private planTick(machine: Machine): void {
    const { node } = machine;
    if (node === undefined) return;
    const atMs = Math.max(this.nowMs, machine.timeOf(node.nextTickAt()));
    if (atMs >= machine.plannedAtMs) return;
    machine.plannedAtMs = atMs;
    this.queue.push(atMs, tick, machine.number, ++machine.plan, undefined);
  }

  // — where machines come from —

  private found(count: number, world: PaneWorld): void {
    for (let number = 1; number <= count; number++) this.newMachine(number);
    const clockOf = (number: NodeNumber): MonotonicMs => (this.machines[number] as Machine).clockAt(0);
    this.arm.found(count, world, clockOf).forEach((node, index) => {
      this.begin(this.machines[index + 1] as Machine, node);
    });
  }

  private newMachine(number: NodeNumber): Machine {
    const share = { offset: this.random.next(), drift: this.random.next() };
    const machine = new Machine(number, share);
    this.machines[number] = machine;
    return machine;
  }

  private start(machine: Machine, seeds: readonly NodeNumber[]): void {
    this.begin(machine, this.arm.join(machine.number, seeds, machine.clockAt(this.nowMs)));
  }

  private begin(machine: Machine, node: ArmNode): void {
    machine.process++;
    machine.node = node;
    this.planTick(machine);
  }

  private running(number: NodeNumber): Machine {
    const machine = this.machines[number];
    assert(machine?.runs, 'a fault happens to a node that runs');
    return machine;
  }
}
