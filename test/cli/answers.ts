/** What an agent of a small cluster answers. */
import type {
  LocalBrake,
  LocalConfigs,
  LocalEvent,
  LocalLogEntry,
  LocalMember,
  LocalMembers,
  LocalNode,
  LocalPane,
  LocalStatus,
  LocalTags,
} from '../../src/node/local-api.ts';
import { standingsOf } from '../../src/node/operations.ts';

export const since = '2026-10-01T10:00:00.000Z';
export const later = '2026-10-01T10:05:00.000Z';

function member(number: number, name: string, status: LocalMember['status'], ...roles: string[]): LocalMember {
  const addresses = [`10.0.0.${number}:7100`];
  return { number, name, roles, status, incarnation: 0, hint: false, since, addresses, self: name === 'atlas' };
}

export const members: LocalMembers = {
  observer: 'atlas',
  source: 'view',
  size: 5,
  pane: 'healthy',
  members: [
    member(1, 'control-1', 'alive', 'control'),
    member(4, 'atlas', 'alive', 'host', 'dns'),
    { ...member(12, 'boreas', 'suspect', 'host'), incarnation: 3, addresses: ['10.0.0.12:7100', '[fd00::12]:7100'] },
    member(13, 'chronos', 'down', 'host'),
    { ...member(14, 'daphne', 'down'), hint: true, addresses: [] },
  ],
};

export const node: LocalNode = {
  ...member(4, 'atlas', 'alive', 'host', 'dns'),
  declarations: [
    { name: 'host', requires: [], bootstrapFrom: [], consumes: [] },
    { name: 'dns', requires: ['host'], bootstrapFrom: ['dns', 'host'], consumes: ['host'] },
  ],
  key: 'ab'.repeat(32),
};

export const status: LocalStatus = {
  version: '0.1.0',
  name: 'atlas',
  number: 4,
  cluster: '2c1f',
  epoch: 1,
  roles: [
    { name: 'host', state: 'running', since, restarts: 0, facts: { services: 2, healthy: 1 } },
    { name: 'dns', state: 'waiting', since: later, restarts: 12, reason: 'no living member performs host' },
  ],
  addresses: ['10.0.0.4:7100', '[fd00::4]:7100'],
  boot: '77aa',
  startedAt: since,
  pane: {
    state: 'healthy',
    since: later,
    leader: 'control-2',
    logIndex: 17,
    heardAt: later,
    controlNodes: ['control-1', 'control-2', 'control-3'],
    contacts: [
      { name: 'control-1', contact: 'untried' },
      { name: 'control-2', contact: 'answers', since, triedAt: later, voting: 'votes', silent: [] },
      { name: 'control-3', contact: 'untried' },
    ],
  },
  operations: standingsOf('healthy'),
  view: {
    size: 5,
    alive: 2,
    suspect: 1,
    down: 2,
    cluster: 5,
    complete: true,
    subjects: 4,
    observers: 4,
    coObservers: 1,
    reserve: 0,
    control: 1,
    peers: 0,
  },
  leaving: false,
  load: { cores: 4, load15: 0.4242, memoryFreeBytes: 3 * 2 ** 30, memoryTotalBytes: 8 * 2 ** 30 },
  drops: { replayed: 3, malformed: 0 },
  counters: { requestsAnswered: 12, refused: 0 },
};

export const tags: LocalTags = { node: 'atlas', seq: 3, tags: { note: 'a=b, c', rack: 'b2' } };

export const brake: LocalBrake = { on: true, since, accused: Array.from({ length: 12 }, (_, at) => `host-${at + 1}`) };

export const pane: LocalPane = {
  nodes: [
    { name: 'control-1', votes: true, role: 'follower', term: 3, commitIndex: 17, lastIndex: 17, voting: 'disk-full' },
    {
      name: 'control-2',
      votes: true,
      role: 'leader',
      term: 3,
      commitIndex: 17,
      lastIndex: 18,
      voting: 'votes',
      silent: [{ name: 'control-3', since }],
    },
    { name: 'control-3', votes: true, error: 'No answer within 2 s.' },
    {
      name: 'atlas',
      votes: false,
      role: 'follower',
      term: 3,
      commitIndex: 17,
      lastIndex: 17,
      voting: 'votes',
      silent: [],
    },
  ],
  replacement: { node: 'control-3', since, dueAt: later, by: 'atlas', obstacle: 'none' },
};

const git = {
  name: 'git',
  addresses: ['10.0.0.21', 'fd00::21'],
  port: 3000,
  protocol: 'tcp',
  weight: 100,
  tags: ['web'],
  domains: ['git.lab.test'],
  healthy: true,
};

export const configs: LocalConfigs = {
  configs: [
    { owner: 'chronos', ownerStatus: 'down', role: 'host', seq: 9, value: { services: [{ ...git, weight: 0 }] } },
    {
      owner: 'atlas',
      ownerStatus: 'alive',
      role: 'host',
      seq: 2,
      value: {
        services: [
          { ...git, name: 'ntp', addresses: ['10.0.0.21'], port: 123, protocol: 'udp', domains: [], healthy: false },
          git,
          { name: 'not a service' },
        ],
      },
    },
  ],
};

const at = since;
export const entries: readonly LocalLogEntry[] = [
  { index: 1, term: 3, kind: 'leader-elected', detail: {} },
  {
    index: 2,
    term: 3,
    at,
    kind: 'create-token',
    detail: { key: 'k3yk3yk3yk3y', roles: ['host', 'dns'], usesMax: 1, notAfter: later },
  },
  { index: 3, term: 3, at, kind: 'begin-admission', detail: { name: 'atlas', roles: ['host', 'dns'] } },
  {
    index: 4,
    term: 3,
    at,
    kind: 'complete-admission',
    detail: { number: 4, name: 'atlas', signedBy: ['control-1', 'control-2'] },
  },
  { index: 5, term: 3, at, kind: 'convict', detail: { nodes: ['chronos', 'daphne'] } },
  { index: 6, term: 3, at, kind: 'return', detail: { number: 14, name: 'daphne', incarnation: 1 } },
  { index: 7, term: 3, at, kind: 'begin-removal', detail: { number: 14, name: 'daphne', reason: 'reaped' } },
  { index: 8, term: 3, at, kind: 'release-brake', detail: { until: later } },
  { index: 9, term: 3, at, kind: 'of-a-later-version', detail: { color: 'blue', tags: [1, 2], none: [] } },
];

export const events: readonly LocalEvent[] = [
  { at, kind: 'joined', node: 'boreas', detail: { number: 12, name: 'boreas', roles: ['host'] } },
  { at: later, kind: 'pane', detail: { state: 'no-quorum', since: later } },
  { at, kind: 'user-event', node: 'web-1', detail: { number: 15, event: 'deploy', payload: 'v42' } },
  { at, kind: 'user-event', node: 'web-1', detail: { number: 15, event: 'tick', payload: '' } },
  { at, kind: 'view', detail: { members: 62, size: 4_000 } },
  { at, kind: 'view', detail: { members: 5, size: 5 } },
  { at, kind: 'datagrams-open', node: 'boreas', detail: { number: 12 } },
  { at, kind: 'brake', detail: { on: false, accused: [] } },
];

export const alarms: readonly LocalEvent[] = [
  { at, kind: 'brake', detail: { on: true, accused: ['atlas', 'boreas'] } },
  {
    at,
    kind: 'datagrams-blocked',
    node: 'boreas',
    detail: { number: 12, endpoints: ['10.0.0.12:7100', '[fd00::12]:7100'], isOwn: false },
  },
  {
    at,
    kind: 'datagrams-blocked',
    node: 'atlas',
    detail: { number: 4, endpoints: ['10.0.0.4:7100'], isOwn: true },
  },
];
