/** What a recovery makes of the state of the node that goes on, and of whom it will have nothing to do with. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toHex } from '../../src/bytes.ts';
import { numbersSkipped, resumedIndex, signRecovery } from '../../src/certificate/recovery.ts';
import { amendmentsReserve, judgeChange, recoveriesReserve } from '../../src/control/amending.ts';
import type { ControlState } from '../../src/control/control-state.ts';
import { decodeNumbers, numbersMax } from '../../src/control/number-set.ts';
import { heed, planRecovery, type RecoveryPlan, type RecoveryWish, recover } from '../../src/control/recovering.ts';
import { decodeState, encodeState, stateHash } from '../../src/control/state-snapshot.ts';
import type { ErrorCode } from '../../src/error.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { exchangeKey, filled, firstTokenSeed, recoverySeed, role, signingKey } from '../certificate/cluster.ts';
import { createToken, Pane } from './pane.ts';

/** The node that has the keys of this seed; control node n has the seed n. */
function wish(
  pane: Pane,
  seed: NodeNumber = 1,
  changes: Partial<RecoveryWish> = {},
  name = `control-${seed}`,
): RecoveryWish {
  const keys = { signingKey: signingKey(seed).publicKey, exchangeKey: exchangeKey(0x10 + seed) };
  const node = { name, ...keys, endpoints: [{ host: '10.0.0.1', port: 7100 }] };
  const lastIndex = pane.state.appliedIndex;
  return { node, keep: [], lastIndex, lastChain: filled(32, 7), at: pane.now + 1_000, ...changes };
}

function planned(pane: Pane, asked: RecoveryWish = wish(pane)): RecoveryPlan {
  const plan = planRecovery(pane.state, asked);
  assert('statement' in plan, 'sentence' in plan ? plan.sentence : '');
  return plan;
}

function signed({ statement }: RecoveryPlan, seed = statement.node.number): Uint8Array {
  return signRecovery(statement, signingKey(recoverySeed), signingKey(seed));
}

function refused(pane: Pane, asked: RecoveryWish, code: ErrorCode, sentence: RegExp): void {
  const before = pane.hash;
  const refusal = planRecovery(pane.state, asked);
  assert('code' in refusal, 'it is refused');
  assert.equal(refusal.code, code);
  assert.match(refusal.sentence, sentence);
  assert.equal(pane.hash, before);
}

/** Three control nodes, atlas with number 4, gone with number 5, who was removed. */
function cluster(): Pane {
  const pane = new Pane();
  pane.admit();
  const gone = pane.admit({ name: 'gone', seed: 0x51 }).number;
  pane.change({ kind: 'begin-removal', number: gone, reason: 'left' });
  pane.change(pane.complete(gone));
  return pane;
}

describe('a recovery on the one control node that is left', () => {
  test('keeps the members, gives up the other control nodes, and opens an epoch in which it signs alone', () => {
    const pane = cluster();
    const plan = planned(pane);
    assert.deepEqual(
      plan.givenUp.map(({ name }) => name),
      ['control-2', 'control-3'],
    );
    assert(recover(pane.state, plan, signed(plan)));
    const { state } = pane;
    assert.deepEqual([...state.members.values()].map(({ name }) => name).sort(), ['atlas', 'control-1']);
    assert.deepEqual([state.epoch, state.controlNumbers, state.removed.size], [2, [1], 0]);
    assert.deepEqual(decodeNumbers(state.epochSince.members, numbersMax), [1, 4]);
    assert.equal(state.appliedIndex, resumedIndex(plan.statement));
    assert.equal(state.at, plan.statement.at);
  });

  test('leaves out numbers that the lost control nodes may have given out', () => {
    const pane = cluster();
    const plan = planned(pane);
    assert(recover(pane.state, plan, signed(plan)));
    assert.equal(pane.state.nextNumber, 6 + numbersSkipped);
    const begun = pane.change(pane.begin({ name: 'late', seed: 0x71 }));
    assert.equal(begun[0]?.kind, 'signatures-wanted');
    pane.change(pane.complete(6 + numbersSkipped, [1]));
    assert.equal(pane.member(6 + numbersSkipped).name, 'late');
  });

  test('gives up what was under way: who was being admitted asks again, and its token is not used up by it', () => {
    const pane = cluster();
    pane.change(createToken({ seed: 0x62, usesMax: 1 }));
    pane.change(pane.begin({ name: 'comes', seed: 0x71, token: 0x62 }));
    pane.change({ kind: 'begin-removal', number: 4, reason: 'removed' });
    pane.change({ kind: 'begin-amendment', change: { kind: 'epoch' } });
    const plan = planned(pane);
    assert(recover(pane.state, plan, signed(plan)));
    const { state } = pane;
    assert.deepEqual([state.pending.size, state.removed.size, state.unsigned.length], [0, 0, 0]);
    assert.deepEqual([...state.members.keys()], [1], 'whose removal was decided is out, signed or not');
    const number = state.nextNumber;
    pane.change(pane.begin({ name: 'comes', seed: 0x71, token: 0x62 }));
    pane.change(pane.complete(number, [1]));
  });

  test('is alive afterwards, though the lost ones had convicted it', () => {
    const pane = cluster();
    pane.change({ kind: 'convict', subjects: [{ number: 1, incarnation: 0 }] });
    const plan = planned(pane);
    assert(recover(pane.state, plan, signed(plan)));
    assert.deepEqual([pane.member(1).status, pane.member(1).incarnation], ['alive', 1]);
  });

  test('may keep others that live: members still, without a vote', () => {
    const pane = cluster();
    const plan = planned(pane, wish(pane, 2, { keep: ['control-3'] }));
    assert.deepEqual(
      plan.kept.map(({ number }) => number),
      [3],
    );
    assert(recover(pane.state, plan, signed(plan)));
    assert.deepEqual([...pane.state.members.keys()].sort(), [2, 3, 4]);
    assert.deepEqual([pane.state.controlNumbers, pane.state.membersOfRole('control')], [[2], [2, 3]]);
  });

  test('may be done again, by the same words', () => {
    const pane = cluster();
    for (const epoch of [2, 3]) {
      const plan = planned(pane, wish(pane, 2, { keep: ['control-3'] }));
      assert(recover(pane.state, plan, signed(plan)));
      assert.deepEqual([pane.state.epoch, [...pane.state.members.keys()].sort()], [epoch, [2, 3, 4]]);
    }
  });

  test('sends everybody who knows the log of before to its digest', () => {
    const pane = cluster();
    const plan = planned(pane);
    const { appliedIndex } = pane.state;
    assert(recover(pane.state, plan, signed(plan)));
    assert.equal(pane.state.changesSince(appliedIndex), undefined);
    assert.deepEqual(pane.state.changesSince(pane.state.appliedIndex), []);
  });

  test('is the same state when it comes out of a snapshot', () => {
    const pane = cluster();
    const plan = planned(pane, wish(pane, 9, {}, 'control-2'));
    assert(recover(pane.state, plan, signed(plan, 9)));
    const read = decodeState(encodeState(pane.state), pane.founders.genesis, pane.founders.hash);
    assert(read !== undefined);
    assert.equal(toHex(stateHash(read)), pane.hash);
    assert.equal(read.memberByName('control-2')?.number, 6 + numbersSkipped);
  });
});

describe('a recovery by a new node, out of a saved snapshot', () => {
  test('gives it the first number, may give it the name of a lost one, and gives up all control nodes', () => {
    const pane = cluster();
    const plan = planned(pane, wish(pane, 9, {}, 'control-2'));
    assert.equal(plan.givenUp.length, 3);
    assert(recover(pane.state, plan, signed(plan, 9)));
    const number = 6 + numbersSkipped;
    assert.deepEqual([pane.state.controlNumbers, pane.state.nextNumber], [[number], number + 1]);
    assert.deepEqual(pane.member(number).roles, ['control']);
    assert.equal(pane.member(number).certificate, undefined);
    assert.deepEqual([...pane.state.members.keys()], [4, number]);
  });

  test('is refused the name of a member that goes on', () => {
    const pane = cluster();
    refused(pane, wish(pane, 9, {}, 'atlas'), 'name-taken', /atlas is a living member's/);
    refused(pane, wish(pane, 9, { keep: ['control-2'] }, 'control-2'), 'name-taken', /control-2/);
  });
});

describe('a recovery of a state that an earlier recovery does not know', () => {
  /** The first recovery on a new node, with the name of a lost one; and the state from before it. */
  function heard(): { readonly pane: Pane; readonly first: RecoveryPlan; readonly again: ControlState } {
    const pane = cluster();
    const again = decodeState(encodeState(pane.state), pane.founders.genesis, pane.founders.hash);
    const first = planned(pane, wish(pane, 9, {}, 'control-2'));
    const bytes = signed(first, 9);
    assert(again !== undefined && recover(pane.state, first, bytes));
    heed(again, { amendments: [bytes], members: first.members });
    return { pane, first, again };
  }

  test('gives up whom the earlier one set in, and nobody who was given up by it belongs', () => {
    const { pane, first, again } = heard();
    const asked = wish(pane, 10, { lastIndex: again.appliedIndex }, 'control-2');
    const plan = planRecovery(again, asked);
    assert('statement' in plan, 'the name is free, for it is a lost one’s');
    assert.deepEqual(
      plan.givenUp.map(({ name, number }) => [name, number]),
      [['control-2', first.statement.node.number]],
    );
    assert.deepEqual(decodeNumbers(plan.members, numbersMax), [4]);
  });

  test('goes on behind the numbers and indexes that the earlier one may have given out', () => {
    const { pane, first, again } = heard();
    const plan = planRecovery(again, wish(pane, 10, { lastIndex: again.appliedIndex }, 'control-9'));
    assert('statement' in plan);
    assert.equal(plan.statement.node.number, first.statement.nextNumber + 1 + numbersSkipped);
    assert.equal(plan.statement.lastIndex, resumedIndex(first.statement));
    const bytes = signed(plan, 10);
    assert.equal(pane.state.charter.amend(bytes), 'amended');
    assert(recover(again, plan, bytes));
    assert.deepEqual([...again.members.keys()], [4, plan.statement.node.number]);
  });

  test('drops nobody where it is not known who went on belonging', () => {
    const { pane, first } = heard();
    const state = cluster().state;
    const bytes = pane.state.charter.since(0, 1);
    heed(state, { amendments: bytes, members: new Uint8Array(0) });
    assert.deepEqual([state.members.size, state.nextNumber], [4, first.statement.nextNumber]);
  });
});

describe('a recovery is refused', () => {
  test('on a member that keeps no event log, and with a --keep that is no other control node', () => {
    const pane = cluster();
    refused(pane, wish(pane, 0x41), 'refused', /atlas is no control node/);
    refused(pane, wish(pane, 1, { keep: ['atlas'] }), 'refused', /atlas is not among/);
    refused(pane, wish(pane, 1, { keep: ['control-1'] }), 'refused', /control-1 is not among/);
  });

  test('with another key, for another state, or a second time, and nothing changes', () => {
    const pane = cluster();
    const plan = planned(pane);
    const isRefused = (bytes: Uint8Array, other: RecoveryPlan = plan): void => {
      const before = pane.hash;
      assert(!recover(pane.state, other, bytes));
      assert.equal(pane.hash, before);
    };
    isRefused(signRecovery(plan.statement, signingKey(2), signingKey(1)));
    isRefused(signRecovery(plan.statement, signingKey(recoverySeed), signingKey(2)));
    isRefused(signed({ ...plan, statement: { ...plan.statement, previous: filled(32, 1) } }));
    isRefused(signed(plan), { ...plan, members: Uint8Array.of(1) });
    const once = signed(plan);
    assert(recover(pane.state, plan, once));
    isRefused(once);
    assert.equal(pane.state.charter.length, 1);
  });

  test('by nobody for want of room in the charter: changes by hand leave some', () => {
    assert(recoveriesReserve > 0 && recoveriesReserve < amendmentsReserve);
    const pane = cluster();
    const plan = planned(pane);
    assert(recover(pane.state, plan, signed(plan)));
    assert.equal(judgeChange(pane.state, { kind: 'epoch' }), undefined);
  });
});

test('a token works on after a recovery', () => {
  const pane = cluster();
  const plan = planned(pane);
  assert(recover(pane.state, plan, signed(plan)));
  const number = pane.state.nextNumber;
  pane.change(pane.begin({ name: 'host-b', seed: 0x55, token: firstTokenSeed, roles: [role('host')] }));
  pane.change(pane.complete(number, [1]));
});
