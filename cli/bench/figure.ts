/** What the figures of a bench are made of: a unit, samples, and what several samples come to. */

export type Unit = 'ms' | 'us' | 'count' | 'per-second' | 'bytes-per-second' | 'percent' | 'kib';

export interface FigureDefinition<MeasurementName extends string> {
  readonly measurement: MeasurementName;
  readonly about: string;
  readonly unit: Unit;
}

export interface Sample<FigureName extends string> {
  readonly figure: FigureName;
  readonly value: number;
}

/** All that one bench measures, and how it tells of it. */
export interface Catalog<MeasurementName extends string, FigureName extends string, Peer extends string> {
  /** The product that is measured beside hivemind. */
  readonly peer: Peer;
  /** What it calls one process of a cluster, in the plural. */
  readonly places: string;
  /** How each measurement is called beside its figures. */
  readonly titles: Readonly<Record<MeasurementName, string>>;
  /** In the order in which they are shown. */
  readonly figures: Readonly<Record<FigureName, FigureDefinition<MeasurementName>>>;
}

/** Of all samples of one figure. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly samples: number;
}

/** Nothing of no samples. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) return undefined;
  return { min, median: medianOf(sorted), max, samples: sorted.length };
}

/** Of ascending values, at least one; the mean of the two in the middle. */
function medianOf(sorted: readonly number[]): number {
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

/** `812 ms`, `1.24 s`, `14.7 MiB`: three digits that mean something. */
export function figureText(value: number, unit: Unit): string {
  switch (unit) {
    case 'ms':
      return value < 1_000 ? `${short(value)} ms` : `${short(value / 1_000)} s`;
    case 'us':
      return `${short(value)} µs`;
    case 'count':
      return String(Math.round(value * 10) / 10);
    case 'per-second':
      return `${short(value)}/s`;
    case 'bytes-per-second':
      return `${short(value)} B/s`;
    case 'percent':
      return `${short(value)} %`;
    case 'kib':
      return `${short(value / 1_024)} MiB`;
  }
}

function short(value: number): string {
  return value < 100 ? String(Number(value.toPrecision(3))) : String(Math.round(value));
}
