/** Gathers all samples, tells of each measurement as it ends, and compares in the end. */
import { type Cell, nothing, table } from '../table.ts';
import {
  type Catalog,
  type FigureDefinition,
  figureText,
  type Sample,
  type Spread,
  spreadOf,
  type Unit,
} from './figure.ts';

/** One figure of both products, as `--json` shows it. */
export type Comparison<M extends string, F extends string, Peer extends string> = FigureDefinition<M> & {
  readonly figure: F;
  /** hivemind's median divided by the other's: of times, below 1 it takes less. */
  readonly ratio?: number;
} & { readonly [Product in 'hivemind' | Peer]?: Spread };

/** Where, of what and how often it was measured. */
export interface Ground {
  /** Processes in the cluster of each product. */
  readonly nodes: number;
  readonly runs: number;
  readonly machine: { readonly processors: number; readonly node: string };
  /** What ran, by product. */
  readonly versions: Readonly<Record<string, string>>;
  /** How it was measured, a sentence each. */
  readonly method: readonly string[];
}

export interface BenchResult<M extends string, F extends string, Peer extends string> extends Ground {
  /** What could not be measured here, and why. */
  readonly leftOut: readonly string[];
  /** What should have been measured and was not. */
  readonly failures: readonly string[];
  readonly figures: readonly Comparison<M, F, Peer>[];
}

export class Report<M extends string, F extends string, Peer extends string> {
  private readonly catalog: Catalog<M, F, Peer>;
  private readonly ground: Ground;
  private readonly tell: (line: string) => void;
  private readonly samples = new Map<string, Map<F, number[]>>();
  private readonly leftOut: string[] = [];
  private readonly failures: string[] = [];

  constructor(catalog: Catalog<M, F, Peer>, ground: Ground, tell: (line: string) => void) {
    this.catalog = catalog;
    this.ground = ground;
    this.tell = tell;
  }

  get hasFailed(): boolean {
    return this.failures.length > 0;
  }

  add(product: 'hivemind' | Peer, run: number, measurement: M, samples: readonly Sample<F>[]): void {
    const kept = this.samples.get(product) ?? new Map<F, number[]>();
    this.samples.set(product, kept);
    for (const { figure, value } of samples) kept.set(figure, [...(kept.get(figure) ?? []), value]);
    this.tell(`${this.heading(product, run)}  ${this.catalog.titles[measurement]}: ${this.sentenceOf(samples)}`);
  }

  omit(why: string): void {
    this.leftOut.push(why);
    this.tell(`Left out: ${why}`);
  }

  fail(product: 'hivemind' | Peer, run: number, measurement: M, why: string): void {
    const line = `${this.heading(product, run)}  ${this.catalog.titles[measurement]} failed: ${why}`;
    this.failures.push(line);
    this.tell(line);
  }

  result(): BenchResult<M, F, Peer> {
    const names = Object.keys(this.catalog.figures) as F[];
    const figures = names.flatMap((figure) => this.comparisonOf(figure) ?? []);
    return { ...this.ground, leftOut: this.leftOut, failures: this.failures, figures };
  }

  /** Nothing of a figure that no product has. */
  private comparisonOf(figure: F): Comparison<M, F, Peer> | undefined {
    const { figures, peer } = this.catalog;
    const [ours, theirs] = [this.spreadOf('hivemind', figure), this.spreadOf(peer, figure)];
    if (ours === undefined && theirs === undefined) return undefined;
    const isComparable = ours !== undefined && theirs !== undefined && theirs.median > 0;
    const compared = {
      figure,
      ...figures[figure],
      ...(ours && { hivemind: ours }),
      ...(theirs && { [peer]: theirs }),
      ...(isComparable && { ratio: ours.median / theirs.median }),
    };
    return compared as Comparison<M, F, Peer>;
  }

  private spreadOf(product: string, figure: F): Spread | undefined {
    return spreadOf(this.samples.get(product)?.get(figure) ?? []);
  }

  private heading(product: string, run: number): string {
    return `${product.padEnd('hivemind'.length)}  run ${run} of ${this.ground.runs}`;
  }

  /** A figure after the other; of several samples the median and, where they differ, the range. */
  private sentenceOf(samples: readonly Sample<F>[]): string {
    const names = [...new Set(samples.map(({ figure }) => figure))];
    const texts = names.map((name) => {
      const values = samples.filter(({ figure }) => figure === name).map(({ value }) => value);
      const { about, unit } = this.catalog.figures[name];
      const spread = spreadOf(values);
      if (spread === undefined) return about;
      const range = values.length > 1 ? ` (${figureText(spread.min, unit)} – ${figureText(spread.max, unit)})` : '';
      return `${about} ${figureText(spread.median, unit)}${range}`;
    });
    return texts.join('; ');
  }
}

/** A line for each figure: minimum, median and maximum of each product, and how hivemind's compares. */
export function renderResult<M extends string, F extends string, Peer extends string>(
  { peer, places, titles }: Catalog<M, F, Peer>,
  { nodes, runs, versions, method, figures }: BenchResult<M, F, Peer>,
): string {
  const ran = Object.values(versions).join(' and ');
  const rows = figures.map((compared): readonly Cell[] => {
    const { measurement, about, unit, ratio } = compared;
    const spreads: Partial<Record<string, Spread>> = compared;
    return [
      titles[measurement],
      about,
      spreadText(spreads.hivemind, unit),
      spreadText(spreads[peer], unit),
      ratio === undefined ? nothing : `${Number(ratio.toPrecision(2))} × ${peer}`,
    ];
  });
  const headings = ['MEASUREMENT', 'FIGURE', 'HIVEMIND', peer.toUpperCase(), 'RATIO'];
  const heading = `${ran}, ${nodes} ${places} each, runs: ${runs}. Minimum / median / maximum of all samples.`;
  return [heading, ...method, '', table(headings, rows)].join('\n');
}

function spreadText(spread: Spread | undefined, unit: Unit): string {
  if (spread === undefined) return nothing;
  return [spread.min, spread.median, spread.max].map((value) => figureText(value, unit)).join(' / ');
}
