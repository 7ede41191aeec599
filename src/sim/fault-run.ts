/** Draws faults and wishes, one after the other, and carries them out on a cluster. */
import { publicKeyBytes } from '../crypto.ts';
import type { MonotonicMs } from '../identity.ts';
import type { MemberEffect, MemberEvent } from '../member/effect.ts';
import type { HardState } from '../seam/log-store.ts';
import { type Random, shuffled } from '../seam/random.ts';
import { DiskFaults, diskActions } from './disk-faults.ts';
import { MachineFaults, machineActions } from './machine-faults.ts';
import { simulationBeganAt } from './sim-clock.ts';
import { SimCluster, type SimClusterOptions } from './sim-cluster.ts';
import type { Death } from './sim-disk.ts';
import { sectorBytes } from './sim-file.ts';
import { calmLink } from './sim-network.ts';
import { fsyncMsUsual, type SimNode } from './sim-node.ts';
import { operatorActions, SimOperator } from './sim-operator.ts';
import { Trace } from './trace.ts';

/** Between two things that happen. */
export const pauseMsMax = 1_500;
/** The worst of a slow disk. */
export const fsyncMsSlow = 200;
/** Nodes that leave and that are removed, in one run: some must be left. */
const departuresMax = 2;
const publicationsMax = 3;
/** How many of the votes cost their voter its process, and for how long. */
const bounceChance = 0.3;
const bounceMsMax = 30;
/**
 * How many of the writes of the event log lose their power, of those as well that take more than one sector of the
 * disk, whose record is then torn; and how long after they began: most take longer.
 */
const powerCutChance = 0.02;
const powerCutChanceLong = 0.2;
const powerCutMs = 1;

/** So long after an election every control node is read from. */
const electionReadsMs = [0, 150] as const;

const actions = [
  'crash',
  'restart',
  'restartAll',
  'partition',
  'cutOneWay',
  'heal',
  'slowDisk',
  'publish',
  'createToken',
  'readLog',
  'readConsistently',
  'depart',
  ...diskActions,
  ...machineActions,
  ...operatorActions,
] as const;
type Action = (typeof actions)[number];

/** How often each happens, compared to the others. */
const weights: Readonly<Record<Action, number>> = {
  crash: 6,
  restart: 8,
  restartAll: 1,
  partition: 3,
  cutOneWay: 3,
  heal: 6,
  slowDisk: 3,
  publish: 8,
  createToken: 3,
  readLog: 2,
  readConsistently: 6,
  depart: 2,
  rot: 3,
  failSync: 2,
  hang: 2,
  fill: 2,
  loseLog: 1,
  pause: 4,
  jumpClock: 2,
  driftClock: 2,
  joinControl: 6,
  changeSet: 8,
  transfer: 3,
  advanceEpoch: 1,
  note: 6,
};

/** Some runs go without one kind of fault or the other: many at once hide what each alone would bring. */
const kinds: readonly (readonly Action[])[] = [diskActions, machineActions, operatorActions];
const kindChance = 0.7;

export class FaultRun {
  crashes = 0;
  /** In the middle of a write; not among the crashes. */
  powerCuts = 0;
  partitions = 0;
  departures = 0;
  readonly cluster: SimCluster;
  readonly disks: DiskFaults;
  readonly operator: SimOperator;
  readonly trace: Trace = new Trace();
  private readonly machines: MachineFaults;
  private readonly random: Random;
  private readonly lots: readonly Action[];
  private readonly cutsPower: boolean;
  private published = 0;
  private isOver = false;

  constructor(options: Omit<SimClusterOptions, 'onStep'>) {
    this.cluster = new SimCluster({ ...options, onStep: (node, effects) => this.onStep(node, effects) });
    this.random = this.cluster.random;
    this.operator = new SimOperator(this.cluster);
    this.disks = new DiskFaults(this.cluster, () => this.operator.minority);
    this.machines = new MachineFaults(this.cluster);
    this.lots = this.drawLots();
    this.cutsPower = this.random.next() < kindChance;
  }

  private drawLots(): readonly Action[] {
    const absent = new Set(kinds.filter(() => this.random.next() >= kindChance).flat());
    const present = actions.filter((action) => !absent.has(action));
    return present.flatMap((action) => Array.from({ length: weights[action] }, () => action));
  }

  /** Waits a moment, then does one thing. */
  next(): void {
    this.cluster.run(50 + this.random.below(pauseMsMax));
    this.perform(this.lots[this.random.below(this.lots.length)] as Action);
  }

  /** Ends all faults. */
  healAll(): void {
    this.isOver = true;
    this.heal();
    this.disks.heal();
    this.machines.heal();
    this.cluster.network.faults = calmLink;
  }

  /** Starts whoever stopped or has not joined yet, and replaces who cannot be started any more. */
  tend(): void {
    for (const node of this.cluster.nodes) this.start(node);
    this.operator.tend();
  }

  private perform(action: Action): void {
    if (isOneOf(diskActions, action)) this.disks.act(action);
    else if (isOneOf(machineActions, action)) this.machines.act(action);
    else if (isOneOf(operatorActions, action)) this.operator.act(action);
    else this[action]();
  }

  private onStep(node: SimNode, effects: readonly MemberEffect[]): void {
    this.trace.onStep(node, effects);
    this.bounceVoters(node, effects);
    this.cutPowerInWrites(node, effects);
    const isElected = effects.some((each) => each.kind === 'event' && isOwnElection(node, each.event));
    if (isElected && !this.isOver) this.readAtElection();
  }

  /** A leader knows least in its first moments, and the one before it may not know of it yet. */
  private readAtElection(): void {
    const { timeline, control } = this.cluster;
    for (const delayMs of electionReadsMs) {
      timeline.schedule(timeline.now + delayMs, () => {
        for (const node of control) this.cluster.readConsistently(node);
      });
    }
  }

  /** Kills some voters around the moment at which they vote, to see whether they know it afterwards. */
  private bounceVoters(node: SimNode, effects: readonly MemberEffect[]): void {
    const votes = effects.some((effect) => effect.kind === 'write' && isVote(node, effect.write.hardState));
    if (this.isOver || !votes || this.random.next() >= bounceChance) return;
    this.bounce(node, this.random.below(bounceMsMax));
  }

  /** Crashes at any time hardly ever meet a write: so some come while one is under way, and leave parts of a record. */
  private cutPowerInWrites(node: SimNode, effects: readonly MemberEffect[]): void {
    const written = effects.find((effect) => effect.kind === 'write')?.write;
    if (this.isOver || !this.cutsPower || written === undefined) return;
    const payloadBytes = written.entries.reduce((sum, { payload }) => sum + payload.length, 0);
    if (this.random.next() >= (payloadBytes > sectorBytes ? powerCutChanceLong : powerCutChance)) return;
    this.powerCuts++;
    this.bounce(node, powerCutMs, 'power');
  }

  /** The process dies in so many ms, unless it did before, and another one starts a moment later. */
  private bounce(node: SimNode, afterMs: MonotonicMs, death?: Death): void {
    const { timeline } = this.cluster;
    const { generation } = node;
    timeline.schedule(timeline.now + afterMs, () => {
      if (node.generation === generation) node.crash(death);
    });
    timeline.schedule(timeline.now + bounceMsMax, () => this.start(node));
  }

  private crash(): void {
    const node = this.pick((each) => each.running);
    if (node === undefined) return;
    this.crashes++;
    node.crash();
  }

  private restart(): void {
    const node = this.pick((each) => !each.running && !each.hasLeft);
    if (node !== undefined) this.start(node);
  }

  /** The power fails everywhere, and is back. */
  private restartAll(): void {
    const running = this.cluster.nodes.filter((node) => node.running);
    for (const node of running) node.crash('power');
    this.cluster.run(this.random.below(pauseMsMax));
    for (const node of running) this.start(node);
  }

  private start(node: SimNode): void {
    node.start(this.cluster.endpoints.filter((endpoint) => endpoint !== node.endpoint));
    // It says so itself, and stays away until it is replaced.
    if (node.isLost && node.failure?.code === 'data-corrupt') node.hasLeft = true;
  }

  private partition(): void {
    const mixed = shuffled(this.cluster.nodes, this.random).map((node) => node.name);
    const cut = 1 + this.random.below(mixed.length - 1);
    this.cluster.network.partition(mixed.slice(0, cut), mixed.slice(cut));
    this.partitions++;
  }

  private cutOneWay(): void {
    const [from, to] = shuffled(this.cluster.nodes, this.random);
    if (from !== undefined && to !== undefined) this.cluster.network.cutOneWay(from.name, to.name);
  }

  private heal(): void {
    this.cluster.network.heal();
    for (const node of this.cluster.nodes) node.fsyncMsMax = fsyncMsUsual;
  }

  private slowDisk(): void {
    const node = this.pick((each) => each.running);
    if (node !== undefined) node.fsyncMsMax = fsyncMsSlow;
  }

  /** Some values, one before the other can be durable on a slow disk. */
  private publish(): void {
    const node = this.pick((each) => each.member?.roles.some((role) => role.name === 'host') === true);
    if (node === undefined) return;
    for (let left = 1 + this.random.below(publicationsMax); left > 0; left--) {
      this.cluster.publish(node, 'host', { version: this.published++ });
      this.cluster.run(this.random.below(fsyncMsSlow));
    }
  }

  private createToken(): void {
    const node = this.pick((each) => each.member !== undefined);
    if (node === undefined) return;
    const publicKey = this.random.bytes(publicKeyBytes);
    const notAfter = simulationBeganAt + 3_600_000;
    this.cluster.ask(node, { kind: 'create-token', publicKey, roles: [], notAfter, usesMax: 1 }, () => {});
  }

  private readLog(): void {
    const node = this.pick((each) => each.member !== undefined);
    node?.act((member, at) => member.reads.log({ from: 1, most: 1_000, atLeast: 0 }, () => {}, at));
  }

  private readConsistently(): void {
    const node = this.pick((each) => each.member !== undefined);
    if (node !== undefined) this.cluster.readConsistently(node);
  }

  /** A member leaves, or another one removes it. */
  private depart(): void {
    const leaver = this.pick((each) => each.member !== undefined && !each.keepsLog());
    if (leaver === undefined || this.departures >= departuresMax) return;
    this.departures++;
    if (this.random.next() < 0.5) {
      leaver.act((member, at) => member.leave(() => {}, at));
      return;
    }
    const other = this.pick((each) => each.member !== undefined && each !== leaver);
    if (other !== undefined) this.cluster.ask(other, { kind: 'remove', number: leaver.number });
  }

  private pick(suits: (node: SimNode) => boolean): SimNode | undefined {
    return shuffled(this.cluster.nodes.filter(suits), this.random)[0];
  }
}

function isOneOf<T extends Action>(some: readonly T[], action: Action): action is T {
  return some.some((each) => each === action);
}

function isOwnElection(node: SimNode, event: MemberEvent): boolean {
  return event.kind === 'leader' && event.number === node.number;
}

function isVote(node: SimNode, hardState: HardState | undefined): boolean {
  return hardState !== undefined && hardState.votedFor !== 0 && hardState.votedFor !== node.number;
}
