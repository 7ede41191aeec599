import type { ArmFigures, Spread } from '../src/sim/crowd/figures.ts';
import { type ScenarioName, scenarios } from '../src/sim/crowd/scenario.ts';
import { plural } from './count.ts';
import type { Paint } from './paint.ts';
import { type Cell, nothing, table } from './table.ts';

interface Column {
  readonly heading: string;
  readonly cell: (figures: ArmFigures) => Cell;
  /** Shown only where some arm has something to say. */
  readonly isOptional?: true;
}

/** p50 / p99 / max, in seconds. */
const columns: readonly Column[] = [
  { heading: 'ARM', cell: ({ arm }) => arm },
  { heading: 'DETECTED', cell: ({ detectionMs }) => spreadText(detectionMs), isOptional: true },
  { heading: 'KNOWN BY ALL', cell: ({ disseminationMs }) => spreadText(disseminationMs), isOptional: true },
  { heading: 'COMPLETE', cell: ({ reachedMs }) => spreadText(reachedMs), isOptional: true },
  { heading: 'MISSED', cell: ({ missed }) => missed },
  { heading: 'FALSE DOWNS', cell: ({ falseDowns }) => falseDowns },
  { heading: 'CONVICTED', cell: ({ convictions }) => convictions },
  { heading: 'WRONGLY', cell: ({ falseConvictions }) => falseConvictions },
  { heading: 'ENTRIES', cell: ({ convictionEntries }) => convictionEntries },
  { heading: 'RETURNS', cell: ({ returns }) => returns },
  { heading: 'SUSPICIONS', cell: ({ suspicions }) => suspicions },
  { heading: 'B/S PER NODE', cell: ({ bytesPerNodePerSecond }) => bytesPerNodePerSecond },
  { heading: 'VIEW', cell: ({ viewSizeMax }) => viewSizeMax },
];

export function renderFigures(scenario: ScenarioName, arms: readonly ArmFigures[], paint: Paint): string {
  const shown = columns.filter(({ cell, isOptional }) => !isOptional || arms.some((arm) => cell(arm) !== nothing));
  const rows = arms.map((arm) => shown.map(({ cell }) => cell(arm)));
  const headings = shown.map(({ heading }) => heading);
  const [first] = arms;
  const setting = first === undefined ? '' : ` ${plural(first.nodes, 'node')}, ${seedText(first)}.`;
  return [
    `${scenario}: ${scenarios[scenario].summary}.${setting}`,
    '',
    table(headings, rows, paint),
    '',
    `Times in seconds: p50 / p99 / max. ${effortText(arms)}`,
  ].join('\n');
}

function seedText({ firstSeed, seeds }: ArmFigures): string {
  return seeds === 1 ? `seed ${firstSeed}` : `seeds ${firstSeed} to ${firstSeed + seeds - 1}`;
}

function effortText(arms: readonly ArmFigures[]): string {
  const sum = (of: (arm: ArmFigures) => number): number => arms.reduce((total, arm) => total + of(arm), 0);
  return `Simulated ${seconds(
    sum((arm) => arm.simulatedMs),
    0,
  )} s in ${seconds(
    sum((arm) => arm.wallMs),
    1,
  )} s.`;
}

function spreadText({ p50, p99, max }: Spread): Cell {
  if (p50 === null || p99 === null || max === null) return nothing;
  return [p50, p99, max].map((ms) => seconds(ms, 2)).join(' / ');
}

function seconds(ms: number, digits: number): string {
  return (ms / 1_000).toFixed(digits);
}
