/** The figures that the bench gives: what each one is, and what several samples of it come to. */

export const measurementNames = ['join', 'events', 'crash', 'stall', 'stop', 'cut', 'rest'] as const;
export type MeasurementName = (typeof measurementNames)[number];

/** How each measurement is called beside its figures. */
export const measurementTitles: Readonly<Record<MeasurementName, string>> = {
  join: 'mass join',
  events: 'events',
  crash: 'SIGKILL',
  stall: 'SIGSTOP for 3 s',
  stop: 'SIGSTOP for 30 s',
  cut: 'all packets dropped',
  rest: 'at rest',
};

export type Unit = 'ms' | 'count' | 'per-second' | 'bytes-per-second' | 'percent' | 'kib';

export type FigureName =
  | 'join-listening'
  | 'join-half'
  | 'join-last'
  | 'join-missing'
  | 'join-false-downs'
  | 'event-last'
  | 'event-missing'
  | 'burst-last'
  | 'burst-missing'
  | `${'crash' | 'cut' | 'stop'}-${'first' | 'all' | 'uninformed' | 'false-downs' | 'back' | 'back-missing'}`
  | 'stall-convictions'
  | 'stall-false-downs'
  | 'rest-datagrams'
  | 'rest-datagram-bytes'
  | 'rest-segments'
  | 'rest-segment-bytes'
  | 'rest-cpu'
  | 'rest-memory';

export interface FigureDefinition {
  readonly measurement: MeasurementName;
  readonly about: string;
  readonly unit: Unit;
}

export interface Sample {
  readonly figure: FigureName;
  readonly value: number;
}

/** Of all samples of one figure. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly samples: number;
}

type FailureFigure<M extends MeasurementName> =
  | `${M}-first`
  | `${M}-all`
  | `${M}-uninformed`
  | `${M}-false-downs`
  | `${M}-back`
  | `${M}-back-missing`;

/** In the order in which they are shown. */
export const figures: Readonly<Record<FigureName, FigureDefinition>> = {
  'join-listening': { measurement: 'join', about: 'last listener, after the first start', unit: 'ms' },
  'join-half': { measurement: 'join', about: 'half list all, after the last listener', unit: 'ms' },
  'join-last': { measurement: 'join', about: 'the last one lists all', unit: 'ms' },
  'join-missing': { measurement: 'join', about: 'not listed', unit: 'count' },
  'join-false-downs': { measurement: 'join', about: 'false downs', unit: 'count' },
  'event-last': { measurement: 'events', about: 'one event at the last agent', unit: 'ms' },
  'event-missing': { measurement: 'events', about: 'receipts missing of 20 such', unit: 'count' },
  'burst-last': { measurement: 'events', about: '50 in a row, the last receipt', unit: 'ms' },
  'burst-missing': { measurement: 'events', about: 'receipts missing of the 50', unit: 'count' },
  ...failureFigures('crash', 'it and all list all again, after its restart'),
  'stall-convictions': { measurement: 'stall', about: 'survivors that listed it down', unit: 'count' },
  'stall-false-downs': { measurement: 'stall', about: 'false downs of others', unit: 'count' },
  ...failureFigures('stop', 'it and all list all again, after SIGCONT'),
  ...failureFigures('cut', 'it and all list all again, after mending'),
  'rest-datagrams': { measurement: 'rest', about: 'datagrams sent by one agent', unit: 'per-second' },
  'rest-datagram-bytes': { measurement: 'rest', about: 'bytes in them', unit: 'bytes-per-second' },
  'rest-segments': { measurement: 'rest', about: 'TCP packets sent by one agent', unit: 'per-second' },
  'rest-segment-bytes': { measurement: 'rest', about: 'bytes in them', unit: 'bytes-per-second' },
  'rest-cpu': { measurement: 'rest', about: 'CPU of one agent', unit: 'percent' },
  'rest-memory': { measurement: 'rest', about: 'resident memory of one agent', unit: 'kib' },
};

function failureFigures<M extends 'crash' | 'cut' | 'stop'>(
  measurement: M,
  back: string,
): Record<FailureFigure<M>, FigureDefinition> {
  const figure = (about: string, unit: Unit): FigureDefinition => ({ measurement, about, unit });
  const defined: Record<string, FigureDefinition> = {
    [`${measurement}-first`]: figure('the first survivor lists it down', 'ms'),
    [`${measurement}-all`]: figure('all survivors list it down', 'ms'),
    [`${measurement}-uninformed`]: figure('survivors that never did', 'count'),
    [`${measurement}-false-downs`]: figure('false downs of others', 'count'),
    [`${measurement}-back`]: figure(back, 'ms'),
    [`${measurement}-back-missing`]: figure('not listed at the end', 'count'),
  };
  return defined as Record<FailureFigure<M>, FigureDefinition>;
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
      return value < 1_000 ? `${Math.round(value)} ms` : `${short(value / 1_000)} s`;
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
