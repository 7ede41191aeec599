/** The figures that the bench of the gossip gives. */
import type { Catalog, FigureDefinition, Sample, Unit } from './figure.ts';
import type { Report } from './report.ts';

export const measurementNames = ['join', 'events', 'crash', 'stall', 'stop', 'cut', 'rest'] as const;
export type MeasurementName = (typeof measurementNames)[number];

const titles: Readonly<Record<MeasurementName, string>> = {
  join: 'mass join',
  events: 'events',
  crash: 'SIGKILL',
  stall: 'SIGSTOP for 3 s',
  stop: 'SIGSTOP for 30 s',
  cut: 'all packets dropped',
  rest: 'at rest',
};

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

export type GossipSample = Sample<FigureName>;

type FailureFigure<M extends MeasurementName> =
  | `${M}-first`
  | `${M}-all`
  | `${M}-uninformed`
  | `${M}-false-downs`
  | `${M}-back`
  | `${M}-back-missing`;

const figures: Readonly<Record<FigureName, FigureDefinition<MeasurementName>>> = {
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
): Record<FailureFigure<M>, FigureDefinition<M>> {
  const figure = (about: string, unit: Unit): FigureDefinition<M> => ({ measurement, about, unit });
  const defined: Record<string, FigureDefinition<M>> = {
    [`${measurement}-first`]: figure('the first survivor lists it down', 'ms'),
    [`${measurement}-all`]: figure('all survivors list it down', 'ms'),
    [`${measurement}-uninformed`]: figure('survivors that never did', 'count'),
    [`${measurement}-false-downs`]: figure('false downs of others', 'count'),
    [`${measurement}-back`]: figure(back, 'ms'),
    [`${measurement}-back-missing`]: figure('not listed at the end', 'count'),
  };
  return defined as Record<FailureFigure<M>, FigureDefinition<M>>;
}

export const gossipCatalog: Catalog<MeasurementName, FigureName, 'serf'> = {
  peer: 'serf',
  places: 'agents',
  titles,
  figures,
};

/** How it is measured, a sentence each. */
export const gossipMethod: readonly string[] = [
  'One product runs at a time, each agent a process with a loopback address of its own.',
  'Times end when the bench hears of it: from the event stream of hivemind, from the log and the events of serf.',
  'Traffic is content: what nftables counts as received, less 28 bytes a datagram and 52 bytes a TCP packet.',
];

export type GossipReport = Report<MeasurementName, FigureName, 'serf'>;
