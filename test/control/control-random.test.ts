/** Random logs: whatever they hold, every control node comes to the same state, and the state stays sound. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '../../src/bytes.ts';
import { verifyCertificate } from '../../src/certificate/certificate.ts';
import { controlNodesMax } from '../../src/certificate/genesis.ts';
import { removalReasons } from '../../src/certificate/statement.ts';
import { type AdmittedMember, controlRole } from '../../src/control/control-state.ts';
import type { LogIndex, NodeNumber } from '../../src/identity.ts';
import { dayMs, firstTokenSeed, foundedAt, role, signingKey } from '../certificate/cluster.ts';
import { contents, createToken, Pane, sameContents, tokenSeed, type Undated } from './pane.ts';

/** One entry, as it will be once it is known what the state holds by then. */
type Step = (pane: Pane) => Undated;

const number: fc.Arbitrary<NodeNumber> = fc.integer({ min: 2, max: 8 });
const incarnation = fc.nat(1);
const seeds = [0x51, 0x53, 0x55, 0x57];
const tokenSeeds = [firstTokenSeed, tokenSeed, 0x62];
const roles = [role('host'), role('dns', { consumes: ['host'] }), role('dns'), role(controlRole)];

const createStep = fc
  .record({
    seed: fc.constantFrom(...tokenSeeds),
    roles: fc.subarray(['host', 'dns']),
    notAfter: fc.integer({ min: foundedAt, max: foundedAt + 3 * dayMs }),
    usesMax: fc.nat(2),
  })
  .map(
    (terms): Step =>
      () =>
        createToken(terms),
  );

const beginStep = fc
  .record({
    seed: fc.constantFrom(...seeds),
    token: fc.constantFrom(firstTokenSeed, ...tokenSeeds),
    name: fc.constantFrom('atlas', 'bee', 'cicada', 'dor', 'earwig', 'control-1', 'Not-A-Label'),
    roles: fc.oneof(
      { weight: 4, arbitrary: fc.constant([role('host')]) },
      { weight: 1, arbitrary: fc.subarray(roles) },
    ),
  })
  .map(
    (wish): Step =>
      (pane) =>
        pane.begin(wish),
  );

/** Right signatures, most of the time: of whatever is pending or removed under that number. */
const completeStep = fc
  .record({
    number,
    signers: fc.oneof(
      { weight: 4, arbitrary: fc.shuffledSubarray([1, 2, 3], { minLength: 2 }) },
      { weight: 1, arbitrary: fc.array(fc.nat(4), { maxLength: controlNodesMax }) },
    ),
    kind: fc.constantFrom('complete-admission' as const, 'complete-removal' as const),
  })
  .map(
    ({ number, signers, kind }): Step =>
      (pane) => {
        const open = [...pane.state.pending.keys(), ...pane.state.removed.keys()];
        const wanted = open[number % open.length];
        const known = signers.filter((signer) => signer > 0);
        return wanted === undefined ? { kind, number, shares: [] } : pane.complete(wanted, known);
      },
  );

const otherStep = fc
  .oneof(
    fc
      .constantFrom(...tokenSeeds)
      .map((seed) => ({ kind: 'revoke-token', publicKey: signingKey(seed).publicKey }) as const),
    fc.record({ kind: fc.constant('begin-removal' as const), number, reason: fc.constantFrom(...removalReasons) }),
    fc.record({
      kind: fc.constant('convict' as const),
      subjects: fc.array(fc.record({ number, incarnation }), { maxLength: 4 }),
    }),
    fc
      .integer({ min: -1, max: 3_660 })
      .map((seconds) => ({ kind: 'release-brake', until: foundedAt + seconds * 1_000 }) as const),
    fc.nat(3).map((level) => ({ kind: 'raise-feature-level', level }) as const),
  )
  .map(
    (command): Step =>
      () =>
        command,
  );

const withdrawStep = number.map(
  (each): Step =>
    ({ state: { pending } }) => {
      const known = [...pending.keys()];
      return { kind: 'withdraw-admission', number: known[each % known.length] ?? each };
    },
);

/** Of somebody who is down, if anybody is, and mostly at the right incarnation. */
const returnStep = fc.record({ number, ahead: fc.constantFrom(1, 1, 1, 2) }).map(
  ({ number, ahead }): Step =>
    ({ state }) => {
      const down = [...state.members.values()].filter(({ status }) => status === 'down');
      const member = down[number % down.length] ?? state.members.get(number);
      return { kind: 'return', number: member?.number ?? number, incarnation: (member?.incarnation ?? 0) + ahead };
    },
);

const entry = fc.record({
  step: fc.oneof(
    createStep,
    beginStep,
    beginStep,
    completeStep,
    completeStep,
    completeStep,
    withdrawStep,
    returnStep,
    otherStep,
    otherStep,
  ),
  /** Leaders' clocks differ: some entries bear an earlier time than the one before. */
  passedMs: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: -5_000, max: 5_000 }) },
    { weight: 1, arbitrary: fc.constant(61_000) },
  ),
});

function assertSound(pane: Pane): void {
  const { state, founders } = pane;
  const members = [...state.members.values()];
  const pending = [...state.pending.values()].map((admission) => admission.statement);
  const held = [...members, ...pending];
  const isOnce = (each: readonly unknown[]): boolean => new Set(each).size === each.length;
  assert(isOnce(held.map(({ name }) => name)), 'a name is taken twice');
  assert(isOnce(held.map(({ signingKey: each }) => toHex(each))), 'a key is admitted twice');
  const given = [...state.members.keys(), ...state.pending.keys(), ...state.removed.keys()];
  assert(isOnce(given) && given.every((each) => each < state.nextNumber), 'a number is given twice');
  for (const each of founders.numbers) assert(state.members.has(each), 'a control node is gone');
  for (const member of members) {
    if (state.isControl(member.number)) continue;
    assert(!member.roles.includes(controlRole));
    assert(verifyCertificate(member.certificate ?? new Uint8Array(0), founders.set), 'a member has no certificate');
  }
  for (const { certificate } of state.removed.values()) {
    if (certificate !== undefined) assert(verifyCertificate(certificate, founders.set));
  }
  assertFound(pane);
  for (const { uses, usesMax } of state.tokens.values()) assert(uses >= 0 && (usesMax === 0 || uses <= usesMax));
}

/** What is looked up by name, key or role is what a search through all would find. */
function assertFound({ state }: Pane): void {
  const [members, pending] = [[...state.members.values()], [...state.pending.values()]];
  for (const member of members) {
    assert(state.memberByName(member.name) === member && state.memberByKey(member.signingKey) === member);
    assert(state.pendingByName(member.name) === undefined && state.pendingByKey(member.signingKey) === undefined);
  }
  for (const admission of pending) {
    const { name, signingKey: key } = admission.statement;
    assert(state.pendingByName(name) === admission && state.pendingByKey(key) === admission);
    assert(state.memberByName(name) === undefined && state.memberByKey(key) === undefined);
  }
  for (const { name } of roles) {
    const performers = members.filter((member) => member.roles.includes(name)).map((member) => member.number);
    assert.deepEqual(state.membersOfRole(name), performers.sort(ascending));
  }
  const ahead = new Set([...state.declarations.keys(), ...pending.flatMap(({ statement }) => statement.roles)]);
  assert.equal(state.declarationsAhead, ahead.size);
}

/** The changes behind an index are the difference between the members then and now. */
function assertChangesTold({ state }: Pane, index: LogIndex, then: ReadonlyMap<NodeNumber, AdmittedMember>): void {
  const told = new Set(state.changesSince(index)?.map((change) => change.number));
  const numbers = new Set([...then.keys(), ...state.members.keys()]);
  const differing = [...numbers].filter((each) => then.get(each) !== state.members.get(each));
  assert.deepEqual([...told].sort(ascending), differing.sort(ascending));
}

const ascending = (a: number, b: number): number => a - b;

describe('a random log', () => {
  test('leads every control node to the same state, entry by entry; what is ignored changes nothing', () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(entry, { minLength: 30, maxLength: 60 }), (entries) => {
        const pane = new Pane();
        const hashes: string[] = [];
        for (const { step, passedMs } of entries) {
          pane.now += passedMs;
          const command = step(pane);
          const index = pane.state.appliedIndex;
          const members = new Map(pane.state.members);
          const [before, at, next] = [contents(pane.state), pane.state.at, pane.state.nextNumber];
          const applied = pane.apply(command);
          if (applied.kind === 'ignored')
            assert(sameContents(before, contents(pane.state)), `${command.kind} was ignored`);
          assert(pane.state.at >= at && pane.state.nextNumber >= next);
          const outcome = `${command.kind} ${applied.kind}`;
          seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
          assertChangesTold(pane, index, members);
          hashes.push(pane.hash);
        }
        assertSound(pane);
        const follower = new Pane();
        pane.log.forEach((payload, at) => {
          follower.append(payload);
          assert.equal(follower.hash, hashes[at], `entry ${at + 1}`);
        });
      }),
      { seed: 6, numRuns: 200 },
    );
    // A log of refusals alone would prove little.
    for (const kind of [
      'begin-admission',
      'complete-admission',
      'withdraw-admission',
      'begin-removal',
      'complete-removal',
      'convict',
      'return',
      'release-brake',
    ]) {
      for (const outcome of ['changed', 'ignored'])
        assert((seen.get(`${kind} ${outcome}`) ?? 0) > 3, `${kind} ${outcome}`);
    }
  });
});
