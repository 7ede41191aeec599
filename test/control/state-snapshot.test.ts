/** The state as a snapshot: whoever goes on from one is the same as whoever applied every entry. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { concatBytes, toHex, utf8 } from '../../src/bytes.ts';
import { assembleCertificate } from '../../src/certificate/certificate.ts';
import type { Charter } from '../../src/certificate/charter.ts';
import type { AdmitStatement } from '../../src/certificate/statement.ts';
import { membersMax } from '../../src/control/admission-policy.ts';
import { admittedMember, returnsMax } from '../../src/control/admitted-member.ts';
import { sessionsMax, turnsKept } from '../../src/control/client-sessions.ts';
import type { ControlState } from '../../src/control/control-state.ts';
import { membershipChangesMax } from '../../src/control/membership-changes.ts';
import { numbersMax } from '../../src/control/number-set.ts';
import { decodeState, encodeState, stateHash } from '../../src/control/state-snapshot.ts';
import { sha256 } from '../../src/crypto.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { Founders, filled, foundedAt, truncations } from '../certificate/cluster.ts';
import { Pane } from './pane.ts';
import { entry, randomRoles } from './random-log.ts';

/** The state in a snapshot of `pane`'s. */
function restored({ state, founders }: Pane): ControlState {
  const found = decodeState(encodeState(state), founders.genesis, founders.hash);
  assert(found !== undefined, 'a snapshot is read');
  return found;
}

/** All that a control node answers from its state. */
function answers(state: ControlState): unknown {
  const members = [...state.members.values()].sort((a, b) => a.number - b.number);
  const { epoch, epochSince, amending, charter, featureLevel, appliedIndex, at, nextNumber, brakeReleasedUntil } =
    state;
  return {
    charter: [charter.head, charter.controlSet, epochSince, amending],
    counters: [epoch, featureLevel, appliedIndex, at, nextNumber, brakeReleasedUntil],
    members,
    byName: members.map(({ name }) => state.memberByName(name)?.number),
    byKey: members.map(({ signingKey }) => state.memberByKey(signingKey)?.number),
    pendingByKey: [...state.pending.values()].map(({ request }) => state.pendingByKey(request.signingKey)),
    performers: randomRoles.map(({ name }) => state.membersOfRole(name)),
    declarations: randomRoles.map(({ name }) => [state.declarations.get(name), state.declarationAhead(name)]),
    declared: state.declarationsAhead,
    changes: Array.from({ length: state.appliedIndex + 1 }, (_, index) => state.changesSince(index)),
    sessions: state.sessions.kept,
  };
}

/** The same with bytes as text: whether they are a Buffer means nothing. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value);
  if (value instanceof Map || Array.isArray(value)) return [...value].map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
}

describe('a snapshot of the state', () => {
  test('then the rest of a log lead to the same state as the whole log, with the same answers', () => {
    fc.assert(
      fc.property(fc.array(entry, { minLength: 20, maxLength: 60 }), fc.nat(60), (entries, cut) => {
        const [whole, other] = [new Pane(), new Pane()];
        entries.forEach(({ step, passedMs }, at) => {
          whole.now += passedMs;
          const applied = whole.apply(step(whole));
          const again = other.append(whole.log.at(-1) as Uint8Array);
          assert.deepEqual(again, applied, 'the same entry has the same outcome');
          if (at === cut % entries.length) other.state = restored(other);
          assert.equal(other.hash, whole.hash);
        });
        assert.equal(toHex(encodeState(other.state)), toHex(encodeState(whole.state)));
        assert.deepEqual(plain(answers(other.state)), plain(answers(whole.state)));
      }),
      { seed: 4, numRuns: 200 },
    );
  });

  test('is of one cluster, and cut short, altered in its counts or followed by anything it is none', () => {
    const pane = new Pane();
    pane.admit();
    pane.change(pane.begin({ seed: 0x51, name: 'bee' }));
    pane.change({ kind: 'begin-removal', number: 4, reason: 'left' });
    const bytes = encodeState(pane.state);
    const { genesis, hash } = pane.founders;
    for (const short of truncations(bytes)) assert.equal(decodeState(short, genesis, hash), undefined);
    assert.equal(decodeState(concatBytes(bytes, filled(1, 0)), genesis, hash), undefined);
    const other = new Founders(3, filled(16, 0xdd));
    assert.equal(decodeState(bytes, other.genesis, other.hash), undefined);
    for (let at = 0; at < bytes.length; at++) {
      const altered = Uint8Array.from(bytes);
      altered[at] = 0xff;
      // Whatever it is read as, it neither throws nor takes for ever.
      decodeState(altered, genesis, hash);
    }
  });

  test('has no pending admission that its joiner did not sign: this node may be asked to', () => {
    const pane = new Pane();
    pane.change(pane.begin());
    const [admission] = pane.state.pending.values();
    assert(admission !== undefined);
    const forged = Uint8Array.from(admission.request.bytes);
    forged[forged.length - 1] = (forged.at(-1) as number) ^ 1;
    pane.state.putPending({ ...admission, request: { ...admission.request, bytes: forged } });
    assert.equal(decodeState(encodeState(pane.state), pane.founders.genesis, pane.founders.hash), undefined);
  });

  test('has no pending admission to anything but what its joiner asked for', () => {
    const pane = new Pane();
    pane.change(pane.begin());
    const [admission] = pane.state.pending.values();
    assert(admission !== undefined);
    const { founders, state } = pane;
    const isRead = (changes: Partial<AdmitStatement>): boolean => {
      state.putPending({ ...admission, statement: { ...admission.statement, ...changes } });
      return decodeState(encodeState(state), founders.genesis, founders.hash) !== undefined;
    };
    assert(isRead({}));
    for (const changes of [{ name: 'other' }, { roles: ['control'] }, { exchangeKey: filled(32, 9) }]) {
      assert(!isRead(changes), Object.keys(changes)[0]);
    }
  });

  test('of ten thousand members takes less than 16 MiB and half a second each way', (context) => {
    const pane = new Pane();
    fillUp(pane, 10_000);
    const beganAt = performance.now();
    const bytes = encodeState(pane.state);
    const encodedAt = performance.now();
    const state = decodeState(bytes, pane.founders.genesis, pane.founders.hash);
    const decodedAt = performance.now();
    assert(state !== undefined);
    assert.equal(state.members.size, 10_000);
    assert.deepEqual(state.changes.kept, pane.state.changes.kept);
    assert.equal(state.changesSince(1), undefined, 'what was forgotten stays forgotten');
    const [encodeMs, decodeMs] = [encodedAt - beganAt, decodedAt - encodedAt];
    const size = `${(bytes.length / 2 ** 20).toFixed(1)} MiB`;
    context.diagnostic(`${size}, written in ${encodeMs.toFixed()} ms, read in ${decodeMs.toFixed()} ms`);
    assert(bytes.length < 2 ** 24);
    assert(encodeMs < 5_000 && decodeMs < 5_000, 'a generous ceiling for a machine shared by many');
  });

  test('as large as it may get is read', () => {
    const pane = new Pane();
    fillUp(pane, membersMax);
    const statement = pane.founders.removal();
    for (let number = membersMax + 1; number <= numbersMax; number++) {
      pane.state.removed.set(number, { statement: { ...statement, number }, certificate: undefined });
    }
    const state = restored(pane);
    assert.equal(state.removed.size, numbersMax - membersMax);
    assert.deepEqual(stateHash(state), stateHash(pane.state));
  });
});

/** Members with certificates and locators of the usual length, as many changes and sessions as may be, and returns. */
function fillUp({ state, founders }: Pane, members: number): void {
  const shares = [1, 2].map((signer) => ({ signer, signature: filled(64, signer) }));
  while (state.members.size < members) {
    const number: NodeNumber = state.nextNumber++;
    const [signingKey, exchangeKey] = ['signing', 'exchange'].map((use) => sha256(utf8(`${use} ${number}`)));
    assert(signingKey !== undefined && exchangeKey !== undefined);
    const admission = founders.admission({ number, name: `node-${number}`, signingKey, exchangeKey });
    const { bytes: certificate } = assembleCertificate(admission, shares);
    state.appliedIndex++;
    const member = admittedMember(admission, { certificate, locator: filled(190, 7) }, state.appliedIndex, foundedAt);
    state.putMember({ ...member, returnedAt: number % 10 === 0 ? Array(returnsMax).fill(foundedAt) : [] });
  }
  assert(state.changes.kept.newest.length === Math.min(members, membershipChangesMax));
  for (let each = 0; each < sessionsMax; each++) {
    const session = sha256(utf8(`session ${each}`)).subarray(0, 8);
    for (let sequence = 1; sequence <= turnsKept; sequence += each % 4 === 0 ? 1 : turnsKept) {
      state.sessions.settle({ session, since: 0, sequence }, ++state.appliedIndex);
    }
  }
}

test('a state whose charter has an amendment that is not rightly signed is none', () => {
  const pane = new Pane();
  pane.admit();
  const { state, founders } = pane;
  const amendment = founders.certificate(founders.nextEpoch(state.charter)).bytes;
  const spoilt = Uint8Array.from(amendment);
  spoilt[spoilt.length - 1] = (spoilt.at(-1) as number) ^ 1;
  const read = (bytes: Uint8Array): ControlState | undefined => {
    const charter = Object.create(state.charter, { since: { value: () => [bytes] } }) as Charter;
    const snapshot = encodeState(Object.create(state, { charter: { value: charter } }) as ControlState);
    return decodeState(snapshot, founders.genesis, founders.hash);
  };
  assert.equal(read(amendment)?.epoch, 2);
  assert.equal(read(spoilt), undefined);
});
