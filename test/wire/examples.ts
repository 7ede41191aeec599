/** One full example of every kind of message; a kind that is forgotten does not compile. */
import { utf8 } from '../../src/bytes.ts';
import type { Share } from '../../src/certificate/certificate.ts';
import type { RoleDeclaration } from '../../src/certificate/join-request.ts';
import type { Config } from '../../src/config/config.ts';
import type { Command } from '../../src/control/command.ts';
import type { PaneHealth } from '../../src/control/keep-alive.ts';
import { encodeNumbers } from '../../src/control/number-set.ts';
import { encodeConfiguration } from '../../src/raft/configuration.ts';
import type { RaftMessage } from '../../src/raft/message.ts';
import type { Slice } from '../../src/swim/slice.ts';
import type { DatagramMessage } from '../../src/wire/datagram.ts';
import type { Digest, MemberFacts, PaneAsk, PeerPost, PeerRequest } from '../../src/wire/peer-message.ts';
import type { Rumour } from '../../src/wire/rumour.ts';
import { filled, foundedAt, role } from '../certificate/cluster.ts';

export type Examples<T extends { readonly kind: string }> = {
  readonly [K in T['kind']]: Extract<T, { readonly kind: K }>;
};

const publicKey = filled(32, 7);
const shares: readonly Share[] = [1, 0xffff_ffff].map((signer) => ({ signer, signature: filled(64, 5) }));
const [share] = shares as [Share];
export const health: PaneHealth = {
  state: 'degraded',
  since: foundedAt,
  leader: 3,
  silent: [{ number: 2, since: foundedAt }],
  voting: 'disk-full',
};
const at = foundedAt + 1;

export const commands: Examples<Command> = {
  'raise-feature-level': { kind: 'raise-feature-level', at, level: 2 },
  'create-token': { kind: 'create-token', at, publicKey, roles: ['host', 'dns'], notAfter: at + 1, usesMax: 3 },
  'revoke-token': { kind: 'revoke-token', at, publicKey },
  'begin-admission': { kind: 'begin-admission', at, request: utf8('request') },
  'complete-admission': { kind: 'complete-admission', at, number: 4, shares },
  'withdraw-admission': { kind: 'withdraw-admission', at, number: 4 },
  'begin-removal': { kind: 'begin-removal', at, number: 4, reason: 'reaped' },
  'complete-removal': { kind: 'complete-removal', at, number: 4, shares },
  convict: {
    kind: 'convict',
    at,
    subjects: [
      { number: 4, incarnation: 0 },
      { number: 5, incarnation: 9 },
    ],
  },
  return: { kind: 'return', at, number: 4, incarnation: 1 },
  'release-brake': { kind: 'release-brake', at, until: at + 1 },
  note: { kind: 'note', at, by: 4, session: filled(8, 9), since: 7, sequence: 2, text: utf8('deployed v42') },
  'begin-amendment': { kind: 'begin-amendment', at, change: { kind: 'control-set', numbers: [1, 2, 7], base: 3 } },
  'complete-amendment': { kind: 'complete-amendment', at, shares },
  'withdraw-amendment': { kind: 'withdraw-amendment', at },
};

export const slice: Slice = {
  subjects: [{ number: 9, observers: [3, 70_000] }],
  observers: [2, 3],
  reserve: [8],
  control: [1, 2, 3],
  peers: [300],
};

export const datagramMessages: Examples<DatagramMessage> = {
  ping: { kind: 'ping', nonce: 0xffff_ffff },
  ack: { kind: 'ack', nonce: 1, incarnation: 2 },
  'probe-request': { kind: 'probe-request', subject: 9 },
  accusation: { kind: 'accusation', subject: 9, incarnation: 2, unansweredMs: 1_500, nonce: 77 },
  report: { kind: 'report', subject: 9, incarnation: 2, evidence: 'refused' },
  'stream-closed': { kind: 'stream-closed', subject: 9 },
  raft: {
    kind: 'raft',
    message: { kind: 'append-answer', term: 3, accepted: true, matchIndex: 11, round: 5, lostLog: 0 },
    heard: true,
    wall: 1_767_225_600_000,
  },
  gossip: {
    kind: 'gossip',
    updates: [
      { number: 9, incarnation: 2, status: 'down' },
      { number: 70_000, incarnation: 0, status: 'alive' },
    ],
    rumours: [utf8('rumour'), new Uint8Array(0)],
  },
  'keep-alive': {
    kind: 'keep-alive',
    nonce: 3,
    logIndex: 2 ** 40,
    viewHash: filled(8, 8),
    load: { cores: 16, load15: 0.25, memoryFreeBytes: 2 ** 33, memoryTotalBytes: 2 ** 34 },
  },
  'keep-alive-answer': {
    kind: 'keep-alive-answer',
    nonce: 3,
    charter: 2,
    logIndex: 12,
    health,
    size: 300,
    changes: {
      reaches: 12,
      updates: [{ number: 9, incarnation: 2, status: 'down' }],
      removed: [5],
      admitted: [11],
      slice,
      resync: true,
    },
  },
};

export const rumours: Examples<Rumour> = {
  removal: { kind: 'removal', certificate: utf8('certificate') },
  locator: { kind: 'locator', number: 4, locator: utf8('locator') },
  'pane-changed': { kind: 'pane-changed', by: 2, at },
  hint: { kind: 'hint', number: 4, incarnation: 1, by: 9, at, isDown: true, signature: filled(64, 7) },
  'user-event': { kind: 'user-event', from: 9, id: at, name: 'deploy', payload: utf8('v42') },
};

export const asks: Examples<PaneAsk> = {
  remove: { kind: 'remove', number: 4 },
  return: { kind: 'return', incarnation: 3, uptimeMs: 90_000 },
  'create-token': { kind: 'create-token', publicKey, roles: ['host'], notAfter: at, usesMax: 0 },
  'revoke-token': { kind: 'revoke-token', publicKey },
  'release-brake': { kind: 'release-brake', forMs: 600_000 },
  amend: { kind: 'amend', change: { kind: 'epoch' } },
  transfer: { kind: 'transfer', to: 2 },
  note: { kind: 'note', session: filled(8, 9), since: 7, sequence: 2, text: utf8('deployed v42') },
};

export const requests: Examples<PeerRequest> = {
  join: { kind: 'join', request: utf8('request'), hops: 2 },
  charter: { kind: 'charter', length: 3 },
  'ask-pane': { kind: 'ask-pane', from: 4, ask: asks.remove, hops: 1 },
  digest: { kind: 'digest', atLeast: 0 },
  facts: { kind: 'facts', numbers: [4, 5] },
  log: { kind: 'log', from: 7, most: 100, atLeast: 9 },
  'pane-status': { kind: 'pane-status' },
  'config-sync': {
    kind: 'config-sync',
    role: 'host',
    hash: filled(16, 3),
    held: [{ owner: 4, seq: 2 }],
    ownOnly: true,
  },
  role: { kind: 'role', role: 'dns', body: utf8('body') },
  reach: { kind: 'reach' },
  members: { kind: 'members', from: 257, name: 'atlas', atLeast: 9 },
  'role-members': { kind: 'role-members', role: 'host' },
  config: { kind: 'config', role: 'tags', owner: 4 },
  'read-index': { kind: 'read-index', hops: 1 },
};

export const raftMessages: Examples<RaftMessage> = {
  'pre-vote-request': { kind: 'pre-vote-request', term: 3, lastIndex: 9, lastTerm: 2 },
  'pre-vote-answer': { kind: 'pre-vote-answer', term: 3, granted: true },
  'vote-request': { kind: 'vote-request', term: 3, lastIndex: 9, lastTerm: 2, isTransfer: true },
  'vote-answer': { kind: 'vote-answer', term: 3, granted: false },
  'append-request': {
    kind: 'append-request',
    term: 3,
    previousIndex: 9,
    previousTerm: 2,
    commitIndex: 8,
    round: 5,
    lossSeen: 0xffff_ffff,
    entries: [
      { index: 10, term: 3, kind: 'opening', payload: new Uint8Array(0) },
      { index: 11, term: 3, kind: 'command', payload: utf8('entry') },
    ],
  },
  'append-answer': { kind: 'append-answer', term: 3, accepted: true, matchIndex: 11, round: 5, lostLog: 0 },
  'snapshot-chunk': {
    kind: 'snapshot-chunk',
    term: 3,
    round: 5,
    index: 9,
    lastTerm: 2,
    chain: filled(32, 7),
    configuration: encodeConfiguration({ voters: [1, 2], learners: [3], outgoing: [] }),
    offset: 65_536,
    totalBytes: 70_000,
    bytes: filled(100, 8),
  },
  'snapshot-answer': { kind: 'snapshot-answer', term: 3, round: 5, index: 9, offset: 65_536, done: false, lostLog: 7 },
  'time-out-now': { kind: 'time-out-now', term: 3 },
};

export const config: Config = { owner: 4, role: 'host', seq: 2 ** 40, value: utf8('value'), signature: filled(64, 6) };

export const posts: Examples<PeerPost> = {
  raft: { kind: 'raft', message: raftMessages['append-request'], wall: 1_767_225_600_000 },
  share: { kind: 'share', number: 4, statement: 'remove', share },
  configs: { kind: 'configs', configs: [config] },
  removal: { kind: 'removal', certificate: utf8('certificate') },
};

/** A control node, whom the genesis names, and a member with all its papers. */
export const members: readonly MemberFacts[] = [
  { number: 1, certificate: undefined, locator: undefined, status: 'alive', incarnation: 0 },
  { number: 4, certificate: utf8('certificate'), locator: utf8('locator'), status: 'down', incarnation: 3 },
];

export const declarations: readonly RoleDeclaration[] = [
  role('dns', { requires: ['host'], bootstrapFrom: ['dns', 'host'], consumes: ['host'] }),
];

export const digest: Digest = {
  genesis: utf8('genesis'),
  charter: { amendments: [utf8('amendment'), utf8('another')], members: encodeNumbers([1, 2, 3, 9]) },
  logIndex: 12,
  size: 300,
  slice,
  members,
  removed: encodeNumbers([5, 6]),
  declarations,
};
