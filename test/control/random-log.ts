/** Random logs of any kinds of entries, most of which fit the state. */
import fc from 'fast-check';
import { controlNodesMax } from '../../src/certificate/genesis.ts';
import { removalReasons } from '../../src/certificate/statement.ts';
import type { CharterChange } from '../../src/control/amending.ts';
import { controlRole } from '../../src/control/control-state.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { dayMs, filled, firstTokenSeed, foundedAt, role, signingKey } from '../certificate/cluster.ts';
import { createToken, type Pane, tokenSeed, type Undated } from './pane.ts';

/** One entry, as it will be once it is known what the state holds by then. */
type Step = (pane: Pane) => Undated;

const number: fc.Arbitrary<NodeNumber> = fc.integer({ min: 2, max: 8 });
const incarnation = fc.nat(1);
const seeds = [0x51, 0x53, 0x55, 0x57];
const tokenSeeds = [firstTokenSeed, tokenSeed, 0x62];
export const randomRoles = [role('host'), role('dns', { consumes: ['host'] }), role('dns'), role(controlRole)];

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
      { weight: 1, arbitrary: fc.subarray(randomRoles) },
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

/** Few sessions and turns, so that most are sent again; the oldest are sent long after. */
const noteStep = fc.record({ session: fc.nat(3), sequence: fc.integer({ min: 1, max: 90 }), since: fc.nat(70) }).map(
  ({ session, sequence, since }): Step =>
    () => ({ kind: 'note', by: 4, session: filled(8, session), since, sequence, text: filled(3, 0x61) }),
);

const amendStep: fc.Arbitrary<Step> = fc
  .oneof(
    fc.constant({ kind: 'epoch' } as const),
    fc
      .tuple(fc.subarray([1, 2, 3, 4], { minLength: 1 }), fc.nat(3))
      .map(([numbers, base]): CharterChange => ({ kind: 'control-set', numbers, base })),
  )
  .map(
    (change): Step =>
      () => ({ kind: 'begin-amendment', change }),
  );

/** Mostly signed by all: whoever is in force then is among them. */
const amendedStep = fc.oneof(fc.constant([1, 2, 3]), fc.subarray([1, 2, 3])).map(
  (signers): Step =>
    ({ state: { amending, charter }, founders }) => {
      const known = signers.filter((signer) => charter.controlSet.signingKeys.has(signer));
      const shares = amending === undefined ? [] : founders.shares(amending.statement, known);
      return shares.length === 0 ? { kind: 'withdraw-amendment' } : { kind: 'complete-amendment', shares };
    },
);

/** An entry of a random log, and how much later than the one before it is. */
export const entry: fc.Arbitrary<{ readonly step: Step; readonly passedMs: number }> = fc.record({
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
    noteStep,
    amendStep,
    amendedStep,
    amendedStep,
  ),
  /** Leaders' clocks differ: some entries bear an earlier time than the one before. */
  passedMs: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: -5_000, max: 5_000 }) },
    { weight: 1, arbitrary: fc.constant(61_000) },
  ),
});
