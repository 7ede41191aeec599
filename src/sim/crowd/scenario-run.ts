/** Plays a scenario with one arm and one seed. */
import type { Arm, ArmName } from './arm.ts';
import { Crowd } from './crowd.ts';
import type { RunFigures } from './figures.ts';
import { controlNodes, HivemindArm } from './hivemind-arm.ts';
import { lifeguardArm, swimArm } from './memberlist-arm.ts';
import { linksOf, type ScenarioName, type ScenarioOptions, scenarios } from './scenario.ts';
import { Stage } from './stage.ts';

export const armNames: readonly ArmName[] = ['swim', 'lifeguard', 'hivemind'];
/** Full lists at every node: beyond, the baselines take more memory and time than a comparison is worth. */
export const baselineNodesMax = 2_000;

/** Traffic counts from here on, when everybody has begun. */
const warmUpMs = 5_000;
const stepMs = 1_000;

export interface RunOptions extends ScenarioOptions {
  readonly scenario: ScenarioName;
  readonly arm: ArmName;
  readonly seed: number;
  /** See `SwimSettings`; for the hivemind arm alone. */
  readonly stallToleranceMs?: number;
}

/** @param onProgress is told once for each simulated second how much of the run is done, 0 … 1 */
export function runScenario(options: RunOptions, onProgress: (done: number) => void = () => {}): RunFigures {
  const startedAt = performance.now();
  const scenario = scenarios[options.scenario];
  const arm = makeArm(options);
  const links = linksOf(scenario, options);
  const crowd = new Crowd({ arm, nodes: scenario.founders ?? options.nodes, seed: options.seed, links });
  const stage = new Stage(crowd, arm);
  scenario.plan(stage, options);
  crowd.runUntil(Math.min(warmUpMs, stage.endMs));
  const before = { ...crowd.traffic };
  while (crowd.now < stage.endMs) {
    crowd.runUntil(Math.min(crowd.now + stepMs, stage.endMs));
    onProgress(crowd.now / stage.endMs);
  }
  const measuredSeconds = (crowd.now - warmUpMs) / 1_000;
  return {
    ...figuresOf(crowd),
    simulatedMs: crowd.now,
    wallMs: performance.now() - startedAt,
    datagramBytes: crowd.traffic.datagramBytes - before.datagramBytes,
    streamBytes: crowd.traffic.streamBytes - before.streamBytes,
    nodeSeconds: measuredSeconds * crowd.numbers.length,
    reachedAfterMs: stage.reachedAfterMs,
  };
}

type Seen = Omit<
  RunFigures,
  'simulatedMs' | 'wallMs' | 'datagramBytes' | 'streamBytes' | 'nodeSeconds' | 'reachedAfterMs'
>;

function figuresOf(crowd: Crowd): Seen {
  const { truth } = crowd;
  const { faultCases, returnsOf } = truth;
  return {
    detectionsMs: faultCases.flatMap(({ detectedAfterMs }) => detectedAfterMs ?? []),
    disseminationsMs: faultCases.flatMap(({ knownAfterMs }) => knownAfterMs ?? []),
    missed: faultCases.filter(({ detectedAfterMs }) => detectedAfterMs === undefined).length,
    falseDowns: truth.falseDowns,
    falseDownsAnywhere: truth.falseDownsAnywhere,
    falseConvictions: truth.falseConvictions,
    convictionEntries: truth.convictionEntries,
    convictions: truth.convictions,
    returns: [...returnsOf.values()].reduce((sum, count) => sum + count, 0),
    returnsPerNodeMax: Math.max(0, ...returnsOf.values()),
    suspicions: truth.suspicions,
    viewSizeMax: viewSizeMaxOf(crowd),
    socketDrops: crowd.socketDrops,
  };
}

/** The largest view; control nodes know everybody. */
function viewSizeMaxOf(crowd: Crowd): number {
  let most = 0;
  for (const number of crowd.numbers) if (number > controlNodes) most = Math.max(most, crowd.viewSizeOf(number));
  return most;
}

function makeArm({ arm, stallToleranceMs }: RunOptions): Arm {
  if (arm === 'swim') return swimArm();
  if (arm === 'lifeguard') return lifeguardArm();
  return new HivemindArm(stallToleranceMs === undefined ? {} : { stallToleranceMs });
}
