/** Every message that nodes send comes back as it was, within its bounds, and no bytes do harm. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { u48Max } from '../../src/bytes.ts';
import { encodeGenesis } from '../../src/certificate/genesis.ts';
import { relatedRolesMax } from '../../src/certificate/join-request.ts';
import { signLocator } from '../../src/certificate/locator.ts';
import { type Codec, decode, encode } from '../../src/codec.ts';
import { configsPerRoleMax } from '../../src/config/config.ts';
import { declarationsMax } from '../../src/control/admission-policy.ts';
import { changesMax, silentControlNodesMax, type ViewChanges } from '../../src/control/keep-alive.ts';
import { encodeNumbers } from '../../src/control/number-set.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { pack, unpack } from '../../src/packed.ts';
import type { LogEntry } from '../../src/seam/log-store.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { bodyBytesMax } from '../../src/session/packet.ts';
import type { Slice } from '../../src/swim/slice.ts';
import { decodeCommand, encodeCommand } from '../../src/wire/command.ts';
import { decodeDatagramBody, encodeDatagramBody } from '../../src/wire/datagram.ts';
import {
  admission,
  configPage,
  decided,
  decodePost,
  decodeRequest,
  digest as digestCodec,
  digestMembersMax,
  encodePost,
  encodeRequest,
  facts,
  factsNumbersMax,
  logPage,
  logPageEntriesMax,
  type MemberFacts,
  memberPage,
  paneStatus,
  roleMembers,
  rolePayload,
} from '../../src/wire/peer-message.ts';
import { decodeRumour, encodeRumour } from '../../src/wire/rumour.ts';
import { slicePeersMax } from '../../src/wire/slice.ts';
import { clusterId, Founders, filled, role, signingKey } from '../certificate/cluster.ts';
import {
  asks,
  commands,
  config,
  datagramMessages,
  declarations,
  digest,
  health,
  members,
  posts,
  raftMessages,
  requests,
  rumours,
} from './examples.ts';

/** Both directions of one kind of bytes, whatever they hold. */
interface Format {
  readonly values: readonly unknown[];
  encode(value: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

/** `decode` must take what `encode` takes: the compiler sees to that here, and forgets it for the table below. */
function format<T>(
  values: readonly T[],
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => T | undefined,
): Format {
  return { values, encode: (value) => encode(value as T), decode };
}

function ofCodec<T>(codec: Codec<T>, ...values: readonly T[]): Format {
  return format(
    values,
    (value) => encode(codec, value),
    (bytes) => decode(codec, bytes),
  );
}

const asked = Object.values(asks).map((ask) => ({ kind: 'ask-pane', from: 4, ask, hops: 1 }) as const);
const rafted = Object.values(raftMessages).map((message) => ({ kind: 'raft', message, wall: 5 }) as const);
const entry: LogEntry = { index: 10, term: 3, kind: 'command', payload: filled(9, 1) };
const certificate = filled(300, 2);
const nothing = new Uint8Array(0);
const line = {
  number: 4,
  name: 'm4',
  roles: ['host'],
  status: 'down',
  incarnation: 3,
  since: 9,
  locator: filled(90, 4),
} as const;

const formats: Readonly<Record<string, Format>> = {
  commands: format(Object.values(commands), encodeCommand, decodeCommand),
  datagrams: format([Object.values(datagramMessages), []], encodeDatagramBody, decodeDatagramBody),
  rumours: format(Object.values(rumours), encodeRumour, decodeRumour),
  requests: format([...Object.values(requests), ...asked], encodeRequest, decodeRequest),
  posts: format([...Object.values(posts), ...rafted], encodePost, decodePost),
  digests: ofCodec(digestCodec, digest, {
    ...digest,
    slice: undefined,
    members: [],
    removed: nothing,
    declarations: [],
  }),
  facts: ofCodec(facts, { members, declarations }),
  admissions: ofCodec(admission, { certificate, digest }),
  decisions: ofCodec(decided, { index: 0 }, { index: u48Max }),
  'log pages': ofCodec(logPage, { entries: [entry], commitIndex: 11, first: 3, chain: filled(32, 4) }),
  'pane statuses': ofCodec(
    paneStatus,
    ...(['follower', 'pre-candidate', 'candidate', 'leader'] as const).map((state) => ({
      number: 2,
      role: state,
      term: 4,
      commitIndex: 9,
      lastIndex: 10,
      health,
      brake: state === 'leader' ? { on: true, since: 5, accused: [4, 5], releasedUntil: 0 } : undefined,
      replacement:
        state === 'leader'
          ? { number: 3, since: 7, dueAt: u48Max, successor: 9, obstacle: 'none' as const }
          : undefined,
    })),
  ),
  'member pages': ofCodec(memberPage, { members: [line, { ...line, locator: undefined }], next: 9, size: 300 }),
  'role members': ofCodec(roleMembers, { numbers: [4, 5] }),
  'config pages': ofCodec(configPage, { configs: [config], wanted: [4, 5] }),
  'role payloads': ofCodec(rolePayload, filled(100, 1), new Uint8Array(0)),
};

/** Bytes as Uint8Array, and what is undefined as absent. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(fields.map(([name, each]) => [name, plain(each)]));
}

describe('on the wire', () => {
  for (const [name, { values, encode, decode }] of Object.entries(formats)) {
    test(`${name} of every kind come back as they were`, () => {
      for (const value of values) assert.deepEqual(plain(decode(encode(value))), plain(value));
    });

    test(`${name} with bytes changed, cut or added are nothing or something sound, never an exception`, () => {
      const random = seededRandom(30);
      for (const value of values) {
        const bytes = encode(value);
        for (let round = 0; round < 400; round++) {
          const at = random.below(bytes.length);
          const [before, after] = [bytes.subarray(0, at), bytes.subarray(at + random.below(3))];
          const read = decode(Buffer.concat([before, random.bytes(random.below(3)), after]));
          if (read !== undefined) assert.deepEqual(plain(decode(encode(read))), plain(read));
        }
        for (let length = 0; length < bytes.length; length++)
          assert.equal(decode(bytes.subarray(0, length)), undefined);
      }
    });
  }

  test('a body that is of another format is nothing, or at least never an exception', () => {
    for (const { values, encode } of Object.values(formats)) {
      for (const bytes of values.map(encode)) {
        for (const { decode } of Object.values(formats)) assert.doesNotThrow(() => decode(bytes));
      }
    }
  });

  test('each kind has a number of its own', () => {
    const numberOf = (bytes: Uint8Array, ...path: readonly number[]): unknown =>
      path.reduce((value, at) => (value as readonly unknown[])[at], unpack(bytes));
    const unions: readonly (readonly unknown[])[] = [
      Object.values(commands).map((each) => numberOf(encodeCommand(each), 0)),
      Object.values(datagramMessages).map((each) => numberOf(encodeDatagramBody([each]), 0, 0)),
      Object.values(rumours).map((each) => numberOf(encodeRumour(each), 0)),
      Object.values(requests).map((each) => numberOf(encodeRequest(each), 0)),
      asked.map((each) => numberOf(encodeRequest(each), 2, 0)),
      Object.values(posts).map((each) => numberOf(encodePost(each), 0)),
      rafted.map((each) => numberOf(encodePost(each), 1, 0)),
    ];
    assert.deepEqual(
      unions.map((numbers) => [...new Set(numbers)].length),
      unions.map((numbers) => numbers.length),
    );
    assert(unions.flat().every((each) => Number.isInteger(each)));
  });

  test('the numbers are those of version 1: a log that was written stays readable', () => {
    const numbered = (values: readonly { readonly kind: string }[], encode: (value: never) => Uint8Array): string =>
      values.map((value) => `${(unpack(encode(value as never)) as readonly unknown[])[0]} ${value.kind}`).join(', ');
    assert.equal(
      numbered(Object.values(commands), encodeCommand),
      '1 raise-feature-level, 2 create-token, 3 revoke-token, 4 begin-admission, 5 complete-admission, ' +
        '6 withdraw-admission, 7 begin-removal, 8 complete-removal, 9 convict, 10 return, 11 release-brake, ' +
        '12 note, 13 begin-amendment, 14 complete-amendment, 15 withdraw-amendment',
    );
    const [reaped] = (unpack(encodeCommand(commands['begin-removal'])) as readonly unknown[]).slice(-1);
    assert.equal(reaped, 2);
  });

  test('a kind that this version does not know is nothing', () => {
    for (const number of [0, 13, 65_535, -1, 1.5, '1', null, [1]]) {
      assert.equal(decodeCommand(pack([number, 1, 2])), undefined);
      assert.equal(decodeRequest(pack([number, 'host', 1])), undefined);
      assert.equal(decodePost(pack([number, 1])), undefined);
      assert.equal(decodeRumour(pack([number, 1])), undefined);
      assert.equal(decodeDatagramBody(pack([[number, 1]])), undefined);
    }
  });

  test('fields that a later version adds are passed over', () => {
    assert.deepEqual(decodeDatagramBody(pack([[1, 7, 'later', [1]]])), [{ kind: 'ping', nonce: 7 }]);
    assert.deepEqual(decodeCommand(pack([6, 5, 4, { later: true }])), { kind: 'withdraw-admission', at: 5, number: 4 });
    assert.deepEqual(decodeRequest(pack([6, 'later'])), { kind: 'pane-status' });
  });
});

describe('numbers on the wire', () => {
  test('are no larger than what is signed, hashed or sent elsewhere can hold', () => {
    const huge = u48Max + 1;
    const refused: readonly Uint8Array[] = [
      encodeCommand({ ...commands.return, at: huge }),
      encodeCommand({ ...commands['create-token'], notAfter: huge }),
      encodeCommand({ ...commands['release-brake'], until: huge }),
      encodeRequest({ ...requests['ask-pane'], ask: { ...asks['create-token'], notAfter: huge } }),
      encodeRequest({ ...requests['config-sync'], held: [{ owner: 1, seq: huge }] }),
    ];
    for (const bytes of refused) assert.equal(decodeCommand(bytes) ?? decodeRequest(bytes), undefined);
    assert.equal(decodePost(encodePost({ kind: 'configs', configs: [{ ...config, seq: huge }] })), undefined);
    const [term, index] = [
      { ...entry, term: huge },
      { ...entry, index: huge },
    ];
    for (const each of [term, index])
      assert.equal(
        decode(logPage, encode(logPage, { entries: [each], commitIndex: 1, first: 1, chain: filled(32, 0) })),
        undefined,
      );
    assert.equal(decode(digestCodec, encode(digestCodec, { ...digest, logIndex: huge })), undefined);
    const answer = { ...datagramMessages['keep-alive-answer'], charter: huge };
    assert.equal(decodeDatagramBody(encodeDatagramBody([answer])), undefined);
    for (const number of [2 ** 32, -1, 0.5]) {
      assert.equal(decodeCommand(encodeCommand({ ...commands.return, number })), undefined);
      assert.equal(decodeCommand(encodeCommand({ ...commands.return, incarnation: number })), undefined);
    }
  });
});

const decodes = (bytes: Uint8Array): boolean => (decodePost(bytes) ?? decodeRequest(bytes)) !== undefined;
const range = (count: number): readonly NodeNumber[] => Array.from({ length: count }, (_, each) => each + 1);

describe('limits on the wire', () => {
  test('hold for lists, bytes and names', () => {
    const gossip = (updates: number, spread: number) =>
      encodeDatagramBody([
        {
          kind: 'gossip',
          updates: range(updates).map((number) => ({ number, incarnation: 0, status: 'down' })),
          rumours: range(spread).map(() => new Uint8Array(1)),
        },
      ]);
    assert(
      decodeDatagramBody(gossip(256, 64)) && !decodeDatagramBody(gossip(257, 0)) && !decodeDatagramBody(gossip(0, 65)),
    );
    const pings = (count: number): Uint8Array =>
      encodeDatagramBody(range(count).map((nonce) => ({ kind: 'ping', nonce })));
    assert(decodeDatagramBody(pings(64)) && !decodeDatagramBody(pings(65)));
    const joining = (bytes: number): Uint8Array =>
      encodeRequest({ kind: 'join', request: new Uint8Array(bytes), hops: 0 });
    assert(decodes(joining(16_384)) && !decodes(joining(16_385)));
    const asking = (numbers: number): Uint8Array => encodeRequest({ kind: 'facts', numbers: range(numbers) });
    assert(decodes(asking(factsNumbersMax)) && !decodes(asking(factsNumbersMax + 1)));
    const reading = (most: number): Uint8Array => encodeRequest({ kind: 'log', from: 1, most, atLeast: 0 });
    assert(decodes(reading(logPageEntriesMax)) && !decodes(reading(logPageEntriesMax + 1)));
    for (const name of ['', 'Host', 'a.b', 'x'.repeat(64)]) {
      assert(!decodes(encodeRequest({ kind: 'role', role: name, body: new Uint8Array(0) })), name);
    }
    for (const length of [31, 33]) {
      assert.equal(
        decodeCommand(encodeCommand({ ...commands['revoke-token'], publicKey: new Uint8Array(length) })),
        undefined,
      );
    }
    const ten = range(10).map((signer) => ({ signer, signature: filled(64, 1) }));
    assert.equal(decodeCommand(encodeCommand({ ...commands['complete-removal'], shares: ten })), undefined);
    assert(decodeCommand(encodeCommand({ ...commands['complete-removal'], shares: ten.slice(1) })));
  });

  test('leave room for the largest certificate and locator, wherever they travel', () => {
    const founders = new Founders(9);
    const longest = founders.admission({
      name: 'x'.repeat(63),
      roles: range(5).map((each) => `${each}`.padEnd(63, 'x')),
    });
    const host = 'fd00:1111:2222:3333:4444:5555:6666:7777';
    const locator = signLocator(signingKey(9), clusterId, u48Max, new Array(4).fill({ host, port: 65_535 })).bytes;
    const admitted = founders.certificate(longest).bytes;
    const removed = founders.certificate(founders.removal({ number: 0xffff_ffff })).bytes;
    const papers: MemberFacts = { number: 4, certificate: admitted, locator, status: 'alive', incarnation: 0 };
    assert(decode(facts, encode(facts, { members: [papers], declarations: [] })));
    assert(decode(admission, encode(admission, { certificate: admitted, digest })));
    for (const rumour of [
      { kind: 'removal', certificate: removed } as const,
      { kind: 'locator', number: 4, locator } as const,
    ]) {
      const spread = encodeRumour(rumour);
      assert(decodeRumour(spread));
      assert(decodeDatagramBody(encodeDatagramBody([{ kind: 'gossip', updates: [], rumours: [spread] }])));
    }
    assert(decodes(encodePost({ kind: 'removal', certificate: removed })));
  });

  test('a genesis of nine control nodes with four addresses each fits a digest', () => {
    const founders = new Founders(9);
    const host = 'fd00:1111:2222:3333:4444:5555:6666:7777';
    const control = founders.genesis.control.map((node) => ({
      ...node,
      name: node.name.padEnd(63, 'x'),
      endpoints: new Array(4).fill({ host, port: 7100 }),
    }));
    const genesis = encodeGenesis({ ...founders.genesis, control });
    assert(decode(digestCodec, encode(digestCodec, { ...digest, genesis })));
  });

  test('a message with every list at its limit is still one that unpacks', () => {
    const names = range(relatedRolesMax).map((each) => `role-${each}`);
    const declared = range(declarationsMax).map((each) =>
      role(`r${each}`, { requires: names, bootstrapFrom: names, consumes: names }),
    );
    const full = {
      ...digest,
      members: new Array<MemberFacts>(digestMembersMax).fill(members[1] as MemberFacts),
      removed: encodeNumbers(range(100_001).slice(1)),
      declarations: declared,
    };
    assert(decode(admission, encode(admission, { certificate, digest: full })));
    const held = range(configsPerRoleMax).map((owner) => ({ owner, seq: 1 }));
    assert(decodes(encodeRequest({ ...requests['config-sync'], held })));
    assert(decodes(encodePost({ kind: 'configs', configs: held.map((each) => ({ ...config, ...each })) })));
    const entries = range(4_096).map((index) => ({ ...entry, index }));
    assert(decodes(encodePost({ kind: 'raft', wall: 5, message: { ...raftMessages['append-request'], entries } })));
    const subjects = range(10_000).map((number) => ({ number, incarnation: 0 }));
    assert(decodeCommand(encodeCommand({ ...commands.convict, subjects })));
  });
});

describe('a keep-alive’s answer', () => {
  const silent = range(silentControlNodesMax).map((each) => ({ number: 0xffff_0000 + each, since: u48Max }));
  const answer = { ...datagramMessages['keep-alive-answer'], health: { ...health, silent } };
  const changes = answer.changes ?? assert.fail();
  const most = (count: number): readonly number[] => range(count).map((each) => 0xffff_0000 + each);
  const bytesOf = (part: Partial<ViewChanges>): number =>
    encodeDatagramBody([{ ...answer, changes: { ...changes, slice: undefined, ...part } }]).length;
  const nothingNew = { updates: [], removed: [], admitted: [] };

  test('with the largest slice of a cluster of billions fits a datagram (HM-15)', () => {
    const observers = most(10);
    const largest: Slice = {
      subjects: observers.map((number) => ({ number, observers })),
      observers,
      reserve: most(10),
      control: most(9),
      peers: most(slicePeersMax),
    };
    assert(bytesOf({ ...nothingNew, slice: largest }) <= bodyBytesMax);
  });

  test('with all lists of news full fits a datagram', () => {
    const updates = most(changesMax).map((number) => ({ number, incarnation: 70_000, status: 'down' as const }));
    assert(bytesOf({ updates, removed: most(changesMax), admitted: most(changesMax) }) <= bodyBytesMax);
  });
});

test("nobody's number, 0, is refused wherever somebody's belongs", () => {
  const changes: ViewChanges = { reaches: 5, updates: [], removed: [], admitted: [], slice: undefined, resync: false };
  const common = { kind: 'keep-alive-answer', nonce: 1, charter: 0, logIndex: 5, health, size: 5 } as const;
  const isRead = (wrong: Partial<ViewChanges>): boolean =>
    decodeDatagramBody(encodeDatagramBody([{ ...common, changes: { ...changes, ...wrong } }])) !== undefined;
  assert(isRead({ removed: [1] }));
  assert(!isRead({ removed: [0] }));
  assert(!isRead({ admitted: [0] }));
  assert(!isRead({ updates: [{ number: 0, incarnation: 1, status: 'down' }] }));
  assert.equal(decodeRequest(encodeRequest({ kind: 'facts', numbers: [0] })), undefined);
});
