/** What can happen to a crowd. Each scenario says what it does, so that its figures can be compared with others'. */
import type { NodeNumber } from '../../identity.ts';
import type { LinkQuality } from './links.ts';
import type { Stage } from './stage.ts';

export const scenarioNames = [
  'rest',
  'join',
  'kill',
  'vanish',
  'crash',
  'mass',
  'slow',
  'blocked',
  'flipflop',
  'ingress',
  'egress',
  'lossy',
  'partition',
  'churn',
] as const;
export type ScenarioName = (typeof scenarioNames)[number];

/** What a user may change about a scenario; each has its own defaults. */
export interface ScenarioOptions {
  readonly nodes: number;
  /** Members that fail at once, or a share of them (`40%`). */
  readonly mass?: { readonly count: number; readonly isPercent: boolean };
  /** Members that are slow, or blocked in turn. */
  readonly slow?: number;
  /** Chance that a packet is lost, on all links. */
  readonly loss?: number;
  /** How long a partition lasts. */
  readonly minutes?: number;
}

export interface Scenario {
  readonly summary: string;
  readonly nodes: number;
  /** Members that are there from the beginning; all by default. */
  readonly founders?: number;
  readonly loss?: number;
  /** Plans all that happens, and says by `endMs` when the run is over. */
  plan(stage: Stage, options: ScenarioOptions): void;
}

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
/** By then all have answered each other, and know each other's ports. */
const startMs = 20 * secondMs;
/** A run goes on for so long after what it waited for. */
const graceMs = 5 * secondMs;
const founders = 3;

/** Single faults follow each other so closely; nobody needs longer to notice one. */
const faultPeriodMs = 15 * secondMs;
const faultsPerRun = 8;
/** Of fewer members fewer die, so that those who are left are a cluster like before. */
const membersPerFault = 8;
/** After the last fault. */
const noticeMs = 30 * secondMs;
const longRunMs = 120 * secondMs;

const massDefault = { count: 10, isPercent: false } as const;
/** Of all members, in scenarios of a few sick ones: a hundredth, but at least so many. */
const sickMin = 10;
const sickShare = 0.01;
const sickLoss = 0.8;

/** A blocked process stands still for so long, then runs for so long: Lifeguard's ranges (Dadgar 2018, §V). */
const blockedMinMs = 128;
const blockedMaxMs = 32_768;
const betweenMinMs = 1;
const betweenMaxMs = 16_384;

const flipMs = 20 * secondMs;
const flipsMs = 130 * secondMs;

const churnPeriodMs = 5 * secondMs;
const churnAwayMs = 10 * secondMs;
/** A process that came back is expected to be taken for alive by everybody after so long. */
const churnSettleMs = 30 * secondMs;

const healingMaxMs = 5 * minuteMs;
const joinMaxMs = 5 * minuteMs;

export const scenarios: Readonly<Record<ScenarioName, Scenario>> = {
  rest: {
    summary: 'nothing happens for 30 s: what it costs to watch',
    nodes: 100,
    plan: (stage) => {
      stage.endMs = 30 * secondMs;
    },
  },
  join: {
    summary: 'N members join 3 others at once',
    nodes: 100,
    founders,
    plan: (stage, { nodes }) => {
      stage.endMs = joinMaxMs;
      stage.crowd.at(graceMs, () => joinAll(stage, nodes));
    },
  },
  kill: {
    summary: 'processes die one by one, each 15 s after the other, on machines that live on',
    nodes: 100,
    plan: (stage, options) => planSingleFaults(stage, options, 'kill'),
  },
  vanish: {
    summary: 'machines vanish one by one, each 15 s after the other',
    nodes: 100,
    plan: (stage, options) => planSingleFaults(stage, options, 'vanish'),
  },
  crash: {
    summary: 'ten processes die at once (--mass) on machines that live on',
    nodes: 100,
    plan: (stage, options) => planMass(stage, options, 'kill'),
  },
  mass: {
    summary: 'ten machines vanish at once (--mass); 5 s after the pane froze an operator releases the brake',
    nodes: 100,
    plan: (stage, options) => planMass(stage, options, 'vanish'),
  },
  slow: {
    summary: 'a tenth (--slow) reads each packet 0.5 to 2.5 s late, on links that lose 5 % (--loss), for 120 s',
    nodes: 200,
    loss: 0.05,
    plan: (stage, { nodes, slow = Math.ceil(nodes / 10) }) => {
      stage.endMs = startMs + longRunMs;
      stage.crowd.at(startMs, () => {
        const sick = stage.draw(slow);
        stage.markFaulty(sick, false);
        stage.crowd.slowDown(sick);
      });
    },
  },
  blocked: {
    summary:
      'a quarter (--slow) stands still for 0.1 to 33 s, runs for up to 16 s, and again, each by itself, for 120 s',
    nodes: 128,
    plan: (stage, { nodes, slow = Math.floor(nodes / 4) }) => {
      stage.endMs = startMs + longRunMs;
      stage.crowd.at(startMs, () => {
        const sick = stage.draw(slow);
        stage.markFaulty(sick, false);
        for (const number of sick) blockInTurn(stage, number);
      });
    },
  },
  flipflop: {
    summary: 'a hundredth, at least ten: hears nothing for 20 s, all for 20 s, and again, for 130 s',
    nodes: 1_000,
    plan: (stage, { nodes }) => {
      stage.endMs = startMs + flipsMs;
      stage.crowd.at(startMs, () => {
        const sick = stage.draw(sickOf(nodes));
        stage.markFaulty(sick, true);
        flip(stage, sick, true);
      });
    },
  },
  ingress: {
    summary: 'a hundredth, at least ten: loses 80 % of what arrives, for 120 s',
    nodes: 1_000,
    plan: (stage, { nodes }) => planSickLinks(stage, nodes, 'setIngressLoss'),
  },
  egress: {
    summary: 'a hundredth, at least ten: loses 80 % of what it sends, for 120 s',
    nodes: 1_000,
    plan: (stage, { nodes }) => planSickLinks(stage, nodes, 'setEgressLoss'),
  },
  lossy: {
    summary: 'all links lose 30 % (--loss) for 120 s',
    nodes: 32,
    loss: 0.3,
    plan: (stage) => {
      stage.endMs = startMs + longRunMs;
    },
  },
  partition: {
    summary: 'half of the members and one control node are cut off for 2 min (--minutes), then it heals',
    nodes: 100,
    plan: (stage, { nodes, minutes = 2 }) => {
      const healMs = startMs + minutes * minuteMs;
      stage.endMs = healMs + healingMaxMs;
      stage.crowd.at(startMs, () => cutOff(stage, [founders, ...stage.draw(Math.floor(nodes / 2))], healMs));
    },
  },
  churn: {
    summary: 'each 5 s a process dies, and a new one is started in its place 10 s later, for 120 s',
    nodes: 100,
    plan: (stage) => {
      stage.endMs = startMs + longRunMs;
      const lastMs = stage.endMs - churnAwayMs;
      for (let atMs = startMs; atMs < lastMs; atMs += churnPeriodMs) stage.crowd.at(atMs, () => comeAndGo(stage));
    },
  },
};

/** How links are in a scenario. */
export function linksOf({ loss }: Scenario, options: ScenarioOptions): Partial<LinkQuality> {
  const chosen = options.loss ?? loss;
  return chosen === undefined ? {} : { loss: chosen };
}

function sickOf(nodes: number): number {
  return Math.max(sickMin, Math.round(nodes * sickShare));
}

function joinAll(stage: Stage, count: number): void {
  const { crowd } = stage;
  const seeds = crowd.numbers.slice(0, founders);
  for (let joiner = 0; joiner < count; joiner++) crowd.join(seeds);
  stage.await(() => crowd.isComplete(), graceMs);
}

function planSingleFaults(stage: Stage, { nodes }: ScenarioOptions, how: 'kill' | 'vanish'): void {
  const faults = Math.max(1, Math.min(faultsPerRun, Math.floor(nodes / membersPerFault)));
  for (let fault = 0; fault < faults; fault++) {
    const atMs = startMs + fault * faultPeriodMs + stage.crowd.random.next() * secondMs;
    stage.crowd.at(atMs, () => stage.fail(stage.draw(1), how));
  }
  stage.endMs = startMs + (faults - 1) * faultPeriodMs + noticeMs;
}

function planMass(stage: Stage, { nodes, mass = massDefault }: ScenarioOptions, how: 'kill' | 'vanish'): void {
  const count = mass.isPercent ? Math.round((nodes * mass.count) / 100) : mass.count;
  stage.endMs = startMs + minuteMs;
  stage.crowd.at(startMs, () => {
    stage.fail(stage.draw(count), how);
    stage.releaseBrake();
  });
}

function blockInTurn(stage: Stage, number: NodeNumber): void {
  const { crowd } = stage;
  // As many short ones as long ones: the paper's steps are powers of two.
  const between = (min: number, max: number): number => min * (max / min) ** crowd.random.next();
  const block = (): void => {
    const forMs = between(blockedMinMs, blockedMaxMs);
    crowd.block(number, forMs);
    crowd.at(crowd.now + forMs + between(betweenMinMs, betweenMaxMs), block);
  };
  crowd.at(crowd.now + crowd.random.next() * betweenMaxMs, block);
}

function planSickLinks(stage: Stage, nodes: number, what: 'setIngressLoss' | 'setEgressLoss'): void {
  stage.endMs = startMs + longRunMs;
  stage.crowd.at(startMs, () => {
    const sick = stage.draw(sickOf(nodes));
    stage.markFaulty(sick, true);
    for (const number of sick) stage.crowd.links[what](number, sickLoss);
  });
}

function flip(stage: Stage, numbers: readonly NodeNumber[], isDeaf: boolean): void {
  const { crowd } = stage;
  for (const number of numbers) crowd.links.setIngressLoss(number, isDeaf ? 1 : 0);
  crowd.at(crowd.now + flipMs, () => flip(stage, numbers, !isDeaf));
}

/** Those who are cut off count as faulty for as long. */
function cutOff(stage: Stage, numbers: readonly NodeNumber[], healMs: number): void {
  const { crowd } = stage;
  crowd.links.partition(numbers);
  stage.markFaulty(numbers, false);
  crowd.at(healMs, () => {
    crowd.links.healPartition();
    crowd.truth.markHealthy(numbers);
    stage.await(() => crowd.truth.wrongPairs === 0, graceMs);
  });
}

function comeAndGo(stage: Stage): void {
  const { crowd } = stage;
  const gone = stage.draw(1);
  stage.fail(gone, 'kill');
  crowd.at(crowd.now + churnAwayMs, () => {
    crowd.restart(gone, crowd.numbers.slice(0, founders));
    crowd.at(crowd.now + churnSettleMs, () => crowd.truth.markHealthy(gone));
  });
}
