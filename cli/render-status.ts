import type { LocalStatus, RoleStatus } from '../src/node/local-api.ts';
import { plural } from './count.ts';
import { detailText } from './detail.ts';
import type { Paint, Tone } from './paint.ts';
import { contactFacts, operationFacts } from './render-degraded.ts';
import { type Cell, facts, listed, table } from './table.ts';

type Fact = readonly [label: string, value: Cell];

export function renderStatus(status: LocalStatus, paint: Paint): string {
  const { pane, view, roles } = status;
  const sheet: readonly Fact[] = [
    ['Node', `${status.name} (number ${status.number}), hivemind ${status.version}`],
    ['Cluster', `${status.cluster}, epoch ${status.epoch}`],
    ['Addresses', listed(status.addresses)],
    ['Started', `${status.startedAt}, boot ${status.boot}`],
    ...paneFacts(status),
    ...(status.leaving ? [leavingFact] : []),
    ['Leader', pane.leader ?? 'not known'],
    ['Control nodes', listed(pane.controlNodes)],
    ['Log index', pane.logIndex],
    ...viewFacts(view),
    ['Load', loadText(status.load)],
    ...counterFacts('Dropped', status.drops),
    ...counterFacts('Counted', status.counters),
  ];
  return `${facts(sheet, paint)}\n\n${renderRoles(roles, paint)}`;
}

const leavingFact: Fact = [
  'Leaving',
  { text: 'asked for; the node runs on until the control pane has decided it', tone: 'doubtful' },
];

/** HM-6: what is lost and what still works, since when and why; the two ways to be degraded are told apart. */
function paneFacts({ pane, operations }: LocalStatus): readonly Fact[] {
  const { state, since, contacts } = pane;
  const rest = [...contactFacts(contacts), ...operationFacts(operations)];
  const heard = pane.heardAt === undefined ? 'none was heard yet' : `last heard ${pane.heardAt}`;
  switch (state) {
    case 'healthy':
      return [['Control pane', { text: `healthy since ${since}`, tone: 'good' }]];
    case 'no-quorum': {
      const text = `DEGRADED since ${since} (no quorum: control nodes answer, but are no majority)`;
      return [['Control pane', { text, tone: 'bad' }], ...rest];
    }
    case 'no-pane': {
      const text = `DEGRADED: no control node reachable since ${since} (${heard})`;
      return [['Control pane', { text, tone: 'bad' }], ...rest];
    }
    case 'unknown': {
      const text = `not known: no control node was heard since ${since}, when this node started`;
      return [['Control pane', { text, tone: 'doubtful' }], ...contactFacts(contacts)];
    }
  }
}

/** HM-15: how much of the cluster this node keeps, and as what; one member may be several of these. */
function viewFacts(view: LocalStatus['view']): readonly Fact[] {
  const { size, cluster, complete, alive, suspect, down } = view;
  const extent = complete ? `complete, ${plural(size, 'member')}` : `${size} of ${plural(cluster, 'member')}`;
  const kept = [
    plural(view.subjects, 'subject'),
    plural(view.observers, 'observer'),
    plural(view.coObservers, 'co-observer'),
    `${view.reserve} in reserve`,
    plural(view.control, 'control node'),
    `${plural(view.peers, 'peer')} of related roles`,
  ];
  return [
    ['View', `${extent}: ${alive} alive, ${suspect} suspect, ${down} down`],
    ['Kept as', kept.join(', ')],
  ];
}

const bytesPerGibibyte = 2 ** 30;

function loadText(load: LocalStatus['load']): string {
  const [free, total] = [load.memoryFreeBytes, load.memoryTotalBytes].map((bytes) => bytes / bytesPerGibibyte);
  const memory = `${free?.toFixed(1)} of ${total?.toFixed(1)} GiB memory free`;
  return `${load.load15.toFixed(2)} over 15 minutes on ${plural(load.cores, 'core')}, ${memory}`;
}

/** Only what happened at all. */
function counterFacts(label: string, counters: Readonly<Record<string, number>>): readonly Fact[] {
  const counted = Object.entries(counters).filter(([, count]) => count !== 0);
  return counted.length > 0 ? [[label, counted.map(([name, count]) => `${count} ${name}`).join(', ')]] : [];
}

const roleTones: Readonly<Record<RoleStatus['state'], Tone>> = {
  waiting: 'doubtful',
  starting: 'doubtful',
  running: 'good',
  failed: 'bad',
  stopped: 'doubtful',
};

export function renderRoles(roles: readonly RoleStatus[], paint: Paint): string {
  if (roles.length === 0) return 'This node performs no role.';
  const rows = roles.map((role) => [
    role.name,
    { text: role.state, tone: roleTones[role.state] },
    role.since,
    role.restarts,
    listed([role.reason, detailText(role.facts ?? {})].filter((text) => text !== undefined && text !== '') as string[]),
  ]);
  return table(['ROLE', 'STATE', 'SINCE', 'RESTARTS', 'DETAIL'], rows, paint);
}
