/** The figures that the bench of the control pane gives. */
import type { Catalog, FigureDefinition, Sample } from '../figure.ts';
import type { Report } from '../report.ts';

export const measurementNames = ['single', 'crowd', 'failover', 'busy', 'restart'] as const;
export type MeasurementName = (typeof measurementNames)[number];

/** Closed loops of `crowd`. */
export const crowdClients = 64;

type LoadFigure = `${'single' | 'crowd'}-${'rate' | 'p50' | 'p99' | 'max' | 'nodes-cpu' | 'clients-cpu'}`;

export type FigureName =
  | LoadFigure
  | 'failover'
  | `busy-${'elections' | 'rate' | 'p99' | 'max'}`
  | `restart-${'commits' | 'follower' | 'all'}`;

export type ControlSample = Sample<FigureName>;
export type ControlReport = Report<MeasurementName, FigureName, 'etcd'>;

const figures: Readonly<Record<FigureName, FigureDefinition<MeasurementName>>> = {
  ...loadFigures('single'),
  ...loadFigures('crowd'),
  failover: { measurement: 'failover', about: 'to the next commit of a survivor', unit: 'ms' },
  'busy-elections': { measurement: 'busy', about: 'elections', unit: 'count' },
  'busy-rate': { measurement: 'busy', about: 'commits', unit: 'per-second' },
  'busy-p99': { measurement: 'busy', about: '99 of 100 within', unit: 'ms' },
  'busy-max': { measurement: 'busy', about: 'the slowest', unit: 'ms' },
  'restart-commits': { measurement: 'restart', about: 'commits before it, at least', unit: 'count' },
  'restart-follower': { measurement: 'restart', about: 'one follower, to a commit through it', unit: 'ms' },
  'restart-all': { measurement: 'restart', about: 'all three, to a commit through each', unit: 'ms' },
};

function loadFigures<M extends 'single' | 'crowd'>(measurement: M): Record<LoadFigure, FigureDefinition<M>> {
  const define = (name: string, about: string, unit: FigureDefinition<M>['unit']): object => ({
    [`${measurement}-${name}`]: { measurement, about, unit },
  });
  const defined = {
    ...define('rate', 'commits', 'per-second'),
    ...define('p50', 'half of them within', 'ms'),
    ...define('p99', '99 of 100 within', 'ms'),
    ...define('max', 'the slowest', 'ms'),
    ...define('nodes-cpu', 'CPU of all nodes for one commit', 'us'),
    ...define('clients-cpu', 'CPU of the clients for one commit', 'us'),
  };
  return defined as Record<LoadFigure, FigureDefinition<M>>;
}

export const controlCatalog: Catalog<MeasurementName, FigureName, 'etcd'> = {
  peer: 'etcd',
  places: 'control nodes',
  titles: {
    single: '1 client',
    crowd: `${crowdClients} clients`,
    failover: 'SIGKILL of the leader',
    busy: 'all processors busy',
    restart: 'restart',
  },
  figures,
};
