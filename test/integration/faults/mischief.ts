/** Does faults to a cluster, one after another and two at a time, and undoes each of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { unreachable } from '../../../src/assert.ts';
import { majorityOf } from '../../../src/certificate/certificate.ts';
import type { LocalRequest } from '../../../src/node/local-api.ts';
import { type Random, seededRandom, shuffled } from '../../../src/seam/random.ts';
import type { Network, Undo } from '../netns-network.ts';
import { drawFault, drawFaultOf, type Fault, faultKinds, faultText, type Target } from './fault.ts';
import type { FaultCluster } from './fault-cluster.ts';
import { Holds } from './holds.ts';
import { Lines } from './lines.ts';
import type { SmallDisk } from './small-disk.ts';

/** So many faults go on at a time. */
const lanes = 2;
const pauseMsMin = 500;
const pauseMsMax = 6_000;
const statusMs = 1_000;
const askMs = 10_000;
const promoteMs = 30_000;
const promotePauseMs = 500;
/** So often a kind is tried that the lanes have not done, before the run goes without it. */
const makeUpTriesMax = 5;

type FaultOf<K extends Fault['kind']> = Extract<Fault, { readonly kind: K }>;

/** What faults are done to. */
export type Victim = Pick<
  FaultCluster,
  'control' | 'residents' | 'spares' | 'running' | 'hasClocks' | 'socketOf' | 'kill' | 'start' | 'signal' | 'setClock'
> & {
  readonly network: Pick<Network, 'lose' | 'silence'>;
  readonly disk: (name: string) => Pick<SmallDisk, 'fill' | 'free'>;
};

export class Mischief {
  /** How often each kind was done to its end; what the cluster refused was not done. */
  readonly counts: Map<Fault['kind'], number> = new Map();
  private readonly cluster: Victim;
  private readonly onFault: (text: string) => void;
  private readonly lines: Lines;
  /** Nodes to whom something is being done already. */
  private readonly touched = new Holds();
  private isOver = false;

  constructor(cluster: Victim, onFault: (text: string) => void) {
    this.cluster = cluster;
    this.onFault = onFault;
    this.lines = new Lines((name) => cluster.socketOf(name));
  }

  /** Those that this machine can do. */
  get kinds(): readonly Fault['kind'][] {
    return faultKinds.filter((kind) => kind !== 'clock' || this.cluster.hasClocks);
  }

  /** Resolves when `end` was called and all faults are undone; with `isEach` none of the kinds is left out. */
  async run(seed: number, isEach: boolean): Promise<void> {
    await Promise.all(Array.from({ length: lanes }, (_, lane) => this.runLane(seededRandom(seed * lanes + lane))));
    if (isEach) await this.makeUp(seededRandom(seed * lanes + lanes));
    await this.promoteAll();
    this.lines.close();
  }

  end(): void {
    this.isOver = true;
  }

  private async runLane(random: Random): Promise<void> {
    while (!this.isOver) {
      await sleep(pauseMsMin + random.below(pauseMsMax - pauseMsMin));
      await this.carryOut(drawFault(random));
    }
  }

  /** Chance, or a cluster that refused, left some kinds out. */
  private async makeUp(random: Random): Promise<void> {
    for (const kind of this.kinds) {
      for (let tries = 0; !this.counts.has(kind) && tries < makeUpTriesMax; tries++) {
        await sleep(pauseMsMin);
        await this.carryOut(drawFaultOf(kind, random));
      }
    }
  }

  /** Does one fault and undoes it; does nothing when everybody whom it may hit is hit already. */
  async carryOut(fault: Fault): Promise<void> {
    const whom = await this.targetsOf(fault);
    // What hits one node alone waits for none: the other lane may have hit it while this one looked.
    if (whom === undefined || ('whom' in fault && whom.some((name) => this.touched.has(name)))) return;
    const text = faultText(fault, whom);
    this.onFault(text);
    this.touched.take(whom);
    try {
      if (await this.inflict(fault, whom)) this.counts.set(fault.kind, (this.counts.get(fault.kind) ?? 0) + 1);
      else this.onFault(`refused: ${text}`);
    } finally {
      this.touched.release(whom);
    }
  }

  /** Whether it was done. */
  private async inflict(fault: Fault, whom: readonly string[]): Promise<boolean> {
    switch (fault.kind) {
      case 'kill':
        await Promise.all(whom.map((name) => this.cluster.kill(name)));
        await sleep(fault.lastsMs);
        for (const name of whom) this.cluster.start(name);
        return true;
      case 'stop':
        for (const name of whom) this.cluster.signal(name, 'SIGSTOP');
        await sleep(fault.lastsMs);
        for (const name of whom) this.cluster.signal(name, 'SIGCONT');
        return true;
      case 'cut':
      case 'loss':
        await during(fault.lastsMs, this.disturb(fault, whom));
        return true;
      case 'full disk':
        for (const name of whom) this.cluster.disk(name).fill();
        await sleep(fault.lastsMs);
        for (const name of whom) this.cluster.disk(name).free();
        return true;
      case 'clock':
        if (!this.cluster.hasClocks) return false;
        for (const name of whom) this.cluster.setClock(name, fault.seconds);
        await sleep(fault.lastsMs);
        for (const name of whom) this.cluster.setClock(name, 0);
        return true;
      case 'transfer':
        return (await this.refusalOf(whom, (name) => ({ kind: 'transfer-lead', name }))) === undefined;
      case 'demote':
        return await this.demote(whom, fault.lastsMs);
      case 'epoch':
        return (
          (await this.refusalOf(this.cluster.control.slice(0, 1), () => ({ kind: 'advance-epoch' }))) === undefined
        );
      default:
        return unreachable(fault);
    }
  }

  /** Refused or without an answer it may have been decided: so it is undone in any case. */
  private async demote(whom: readonly string[], lastsMs: number): Promise<boolean> {
    const refusal = await this.refusalOf(whom, (name) => ({ kind: 'change-control', change: 'demote', name }));
    await sleep(lastsMs);
    for (const name of whom) await this.promote(name);
    return refusal === undefined;
  }

  private disturb(fault: FaultOf<'cut' | 'loss'>, [name = '', ...more]: readonly string[]): readonly Undo[] {
    const { network, residents, spares } = this.cluster;
    if (fault.kind === 'loss') return [network.lose(fault.percent)];
    const others = [...residents, ...spares].filter((each) => each !== name);
    switch (fault.how) {
      case 'leader alone':
        return [network.silence([name], others), network.silence(others, [name])];
      case 'deaf':
        return [network.silence(others, [name])];
      case 'mute':
        return [network.silence([name], others)];
      case 'one pair':
        return [network.silence([name], more), network.silence(more, [name])];
      case 'halves': {
        const side = [name, ...more];
        const rest = others.filter((each) => !more.includes(each));
        return [network.silence(side, rest), network.silence(rest, side)];
      }
      default:
        return unreachable(fault.how);
    }
  }

  // — whom it hits —

  /** Nothing when everybody who may be hit is hit already. */
  private async targetsOf(fault: Fault): Promise<readonly string[] | undefined> {
    const random = seededRandom(fault.pick);
    const { control, residents } = this.cluster;
    switch (fault.kind) {
      case 'kill':
      case 'stop':
      case 'full disk':
      case 'clock':
      case 'demote':
        return someOf(await this.candidates(fault.whom, random));
      case 'transfer':
        return shuffled(control, random).slice(0, 1);
      case 'cut':
        if (fault.how === 'leader alone') return [(await this.leader()) ?? (shuffled(control, random)[0] as string)];
        if (fault.how === 'one pair') return shuffled(control, random).slice(0, 2);
        if (fault.how === 'halves') return shuffled(residents, random).slice(0, Math.ceil(residents.length / 2));
        return shuffled(residents, random).slice(0, 1);
      case 'loss':
      case 'epoch':
        return [];
      default:
        return unreachable(fault);
    }
  }

  private async candidates(whom: Target, random: Random): Promise<readonly string[]> {
    const free = (names: readonly string[]): readonly string[] =>
      shuffled(names, random).filter((name) => !this.touched.has(name));
    const { control, residents } = this.cluster;
    switch (whom) {
      case 'leader': {
        const leader = await this.leader();
        return leader === undefined ? free(control).slice(0, 1) : free([leader]);
      }
      case 'control':
        return free(control).slice(0, 1);
      case 'majority':
        return free(control).slice(0, majorityOf(control.length));
      case 'all':
        return free(residents);
      case 'any':
        return free(residents).slice(0, 1);
      default:
        return unreachable(whom);
    }
  }

  private async leader(): Promise<string | undefined> {
    const { control, running } = this.cluster;
    for (const name of running.filter((each) => control.includes(each) && !this.touched.has(each))) {
      const status = await this.lines.ask(name, { kind: 'status' }, statusMs).catch(() => undefined);
      const leader = status?.pane.state === 'healthy' ? status.pane.leader : undefined;
      if (leader !== undefined && control.includes(leader)) return leader;
    }
    return undefined;
  }

  // — what an operator asks for —

  /** Whether it is granted is for the cluster to say: nothing, or why not. */
  private async refusalOf(whom: readonly string[], make: (name: string) => LocalRequest): Promise<string | undefined> {
    const [name] = whom;
    const through = this.cluster.running.find((each) => !this.touched.has(each));
    if (name === undefined || through === undefined) return 'nobody is there to be asked';
    return await this.lines.ask(through, make(name), askMs).then(
      () => undefined,
      (thrown: Error) => thrown.message,
    );
  }

  private async promote(name: string): Promise<void> {
    const until = performance.now() + promoteMs;
    let refusal: string | undefined;
    while (!(await this.isControl(name))) {
      if (performance.now() >= until)
        return this.onFault(`not promoted: ${name}; ${refusal ?? 'it has not come to be'}`);
      refusal = await this.refusalOf([name], () => ({ kind: 'change-control', change: 'promote', name }));
      await sleep(promotePauseMs);
    }
  }

  /** By the word of all who answer and know the pane to be healthy. */
  private async isControl(name: string): Promise<boolean> {
    const views = await Promise.all(
      this.cluster.running.map((each) => this.lines.ask(each, { kind: 'status' }, statusMs).catch(() => undefined)),
    );
    const healthy = views.filter((view) => view?.pane.state === 'healthy');
    return healthy.length > 0 && healthy.every((view) => view?.pane.controlNodes.includes(name));
  }

  private async promoteAll(): Promise<void> {
    for (const name of this.cluster.control) await this.promote(name);
  }
}

function someOf(names: readonly string[]): readonly string[] | undefined {
  return names.length === 0 ? undefined : names;
}

async function during(lastsMs: number, undos: readonly Undo[]): Promise<void> {
  await sleep(lastsMs);
  for (const undo of undos) undo();
}
