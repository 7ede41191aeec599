/** Gathers all samples, tells of each measurement as it ends, and compares in the end. */
import { type Cell, nothing, table } from '../table.ts';
import {
  type FigureDefinition,
  type FigureName,
  figures,
  figureText,
  type MeasurementName,
  measurementTitles,
  type Sample,
  type Spread,
  spreadOf,
  type Unit,
} from './figure.ts';
import type { ProductName } from './product.ts';

/** One figure of all products, as `--json` shows it. */
export interface Comparison extends FigureDefinition {
  readonly figure: FigureName;
  readonly hivemind?: Spread;
  readonly serf?: Spread;
  /** hivemind's median divided by serf's: below 1 it takes less. */
  readonly ratio?: number;
}

export interface BenchResult {
  readonly nodes: number;
  readonly runs: number;
  readonly machine: { readonly processors: number; readonly node: string };
  /** What ran, by product. */
  readonly versions: Readonly<Partial<Record<ProductName, string>>>;
  /** What could not be measured here, and why. */
  readonly leftOut: readonly string[];
  /** What should have been measured and was not. */
  readonly failures: readonly string[];
  /** How it was measured, a sentence each. */
  readonly method: readonly string[];
  readonly figures: readonly Comparison[];
}

export type Ground = Omit<BenchResult, 'leftOut' | 'failures' | 'method' | 'figures'>;

const method: readonly string[] = [
  'One product runs at a time, each agent a process with a loopback address of its own.',
  'Times end when the bench hears of it: from the event stream of hivemind, from the log and the events of serf.',
  'Traffic is content: what nftables counts as received, less 28 bytes a datagram and 52 bytes a TCP packet.',
];

export class Report {
  private readonly ground: Ground;
  private readonly tell: (line: string) => void;
  private readonly samples = new Map<ProductName, Map<FigureName, number[]>>();
  private readonly leftOut: string[] = [];
  private readonly failures: string[] = [];

  constructor(ground: Ground, tell: (line: string) => void) {
    this.ground = ground;
    this.tell = tell;
  }

  get hasFailed(): boolean {
    return this.failures.length > 0;
  }

  add(product: ProductName, run: number, measurement: MeasurementName, samples: readonly Sample[]): void {
    const kept = this.samples.get(product) ?? new Map<FigureName, number[]>();
    this.samples.set(product, kept);
    for (const { figure, value } of samples) kept.set(figure, [...(kept.get(figure) ?? []), value]);
    this.tell(`${this.heading(product, run)}  ${measurementTitles[measurement]}: ${sentenceOf(samples)}`);
  }

  omit(why: string): void {
    this.leftOut.push(why);
    this.tell(`Left out: ${why}`);
  }

  fail(product: ProductName, run: number, measurement: MeasurementName, why: string): void {
    const line = `${this.heading(product, run)}  ${measurementTitles[measurement]} failed: ${why}`;
    this.failures.push(line);
    this.tell(line);
  }

  result(): BenchResult {
    const names = Object.keys(figures) as FigureName[];
    const compared = names.map((figure) => this.comparisonOf(figure));
    const seen = compared.filter(({ hivemind, serf }) => hivemind !== undefined || serf !== undefined);
    return { ...this.ground, leftOut: this.leftOut, failures: this.failures, method, figures: seen };
  }

  private comparisonOf(figure: FigureName): Comparison {
    const [hivemind, serf] = [this.spreadOf('hivemind', figure), this.spreadOf('serf', figure)];
    const isComparable = hivemind !== undefined && serf !== undefined && serf.median > 0;
    return {
      figure,
      ...figures[figure],
      ...(hivemind && { hivemind }),
      ...(serf && { serf }),
      ...(isComparable && { ratio: hivemind.median / serf.median }),
    };
  }

  private spreadOf(product: ProductName, figure: FigureName): Spread | undefined {
    return spreadOf(this.samples.get(product)?.get(figure) ?? []);
  }

  private heading(product: ProductName, run: number): string {
    return `${product.padEnd(8)}  run ${run} of ${this.ground.runs}`;
  }
}

/** A figure after the other; of several samples the median and, where they differ, the range. */
function sentenceOf(samples: readonly Sample[]): string {
  const names = [...new Set(samples.map(({ figure }) => figure))];
  const texts = names.map((name) => {
    const values = samples.filter(({ figure }) => figure === name).map(({ value }) => value);
    const { about, unit } = figures[name];
    const spread = spreadOf(values);
    if (spread === undefined) return about;
    const range = values.length > 1 ? ` (${figureText(spread.min, unit)} – ${figureText(spread.max, unit)})` : '';
    return `${about} ${figureText(spread.median, unit)}${range}`;
  });
  return texts.join('; ');
}

/** A line for each figure: minimum, median and maximum of each product, and how hivemind's compares. */
export function renderResult({ nodes, runs, versions, method, figures: compared }: BenchResult): string {
  const ran = Object.values(versions).join(' and ');
  const rows = compared.map(({ measurement, about, unit, hivemind, serf, ratio }): readonly Cell[] => [
    measurementTitles[measurement],
    about,
    spreadText(hivemind, unit),
    spreadText(serf, unit),
    ratio === undefined ? nothing : `${Number(ratio.toPrecision(2))} × serf`,
  ]);
  const headings = ['MEASUREMENT', 'FIGURE', 'HIVEMIND', 'SERF', 'RATIO'];
  const heading = `${ran}, ${nodes} agents each, runs: ${runs}. Minimum / median / maximum of all samples.`;
  return [heading, ...method, '', table(headings, rows)].join('\n');
}

function spreadText(spread: Spread | undefined, unit: Unit): string {
  if (spread === undefined) return nothing;
  return [spread.min, spread.median, spread.max].map((value) => figureText(value, unit)).join(' / ');
}
