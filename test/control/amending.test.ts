/** Amending the charter through the log: who the control nodes are, and the epoch. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toHex } from '../../src/bytes.ts';
import { amendmentsMax } from '../../src/certificate/charter.ts';
import {
  amendmentLifeMs,
  amendmentsReserve,
  epochAgeMsMax,
  epochAgeMsMin,
  epochRemovedMax,
  epochRemovedUrgent,
  isEpochDue,
} from '../../src/control/amending.ts';
import { applyCommand } from '../../src/control/apply.ts';
import type { Command } from '../../src/control/command.ts';
import { decodeNumbers, numbersMax } from '../../src/control/number-set.ts';
import { decodeState, encodeState, stateHash } from '../../src/control/state-snapshot.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { dayMs, foundedAt } from '../certificate/cluster.ts';
import { Pane } from './pane.ts';

type Undated = Parameters<Pane['apply']>[0];

const nextEpoch: Undated = { kind: 'begin-amendment', change: { kind: 'epoch' } };

function controlNodes(...numbers: readonly NodeNumber[]): Undated {
  return { kind: 'begin-amendment', change: { kind: 'control-set', numbers, base: 0 } };
}

/** The command that completes the amendment under way, signed by these. */
function completed(pane: Pane, signers: readonly NodeNumber[] = [1, 2]): Undated {
  const { amending } = pane.state;
  assert(amending !== undefined);
  return { kind: 'complete-amendment', shares: pane.founders.shares(amending.statement, signers) };
}

describe('the next epoch (HM-11)', () => {
  test('begins when a majority has signed, and forgets who was removed', () => {
    const pane = new Pane();
    const [stays, goes] = [pane.admit({ name: 'stays' }).number, pane.admit({ name: 'goes', seed: 0x51 }).number];
    pane.change({ kind: 'begin-removal', number: goes, reason: 'left' });
    pane.change(pane.complete(goes));
    pane.change(nextEpoch);
    assert.equal(pane.state.epoch, 1);
    const [event] = pane.change(completed(pane));
    assert.equal(pane.state.epoch, 2);
    assert.equal(pane.state.removed.size, 0);
    assert(event?.kind === 'amended');
    assert.deepEqual(decodeNumbers(event.members, numbersMax), [1, 2, 3, stays]);
    assert.deepEqual(pane.state.epochSince, { index: pane.log.length, at: pane.state.at, members: event.members });
  });

  test('is not begun by fewer, by others, or twice with the same signatures', () => {
    const pane = new Pane();
    pane.refuse({ kind: 'complete-amendment', shares: [] }, 'not-found');
    pane.change(nextEpoch);
    pane.refuse(nextEpoch, 'busy');
    pane.refuse(completed(pane, [1]), 'refused');
    pane.refuse({ ...completed(pane), kind: 'complete-amendment', shares: [] } as Undated, 'refused');
    const complete = completed(pane);
    pane.change(complete);
    pane.refuse(complete, 'not-found');
    pane.change(nextEpoch);
    pane.refuse(complete, 'refused');
  });

  test('keeps whoever was being admitted or removed while it was signed', () => {
    const pane = new Pane();
    const goes = pane.admit({ name: 'goes', seed: 0x51 }).number;
    pane.change(pane.begin({ name: 'comes' }));
    const comes = pane.state.nextNumber - 1;
    pane.change(nextEpoch);
    pane.refuse(pane.begin({ name: 'later', seed: 0x61 }), 'busy');
    pane.change({ kind: 'begin-removal', number: goes, reason: 'removed' });
    pane.change(completed(pane));
    assert(pane.state.removed.has(goes), 'its removal is not known by its absence');
    pane.change(pane.complete(comes));
    assert.equal(pane.member(comes).name, 'comes');
    const later = pane.admit({ name: 'later', seed: 0x61 });
    assert(later.number > comes);
  });

  test('is withdrawn when nobody signed for a minute', () => {
    const pane = new Pane();
    pane.change(nextEpoch);
    pane.refuse({ kind: 'withdraw-amendment' }, 'refused');
    pane.now += amendmentLifeMs;
    assert.deepEqual(pane.change({ kind: 'withdraw-amendment' }), [{ kind: 'amendment-withdrawn' }]);
    pane.refuse({ kind: 'withdraw-amendment' }, 'not-found');
    assert.equal(pane.state.epoch, 1);
    pane.admit();
  });

  test('is due when much was removed, or something and long ago', () => {
    const { state } = new Pane();
    const statement = { kind: 'remove', cluster: state.genesis.cluster, epoch: 1, controlSet: 0 } as const;
    const remove = (number: NodeNumber): void => {
      state.removed.set(number, { statement: { ...statement, number, reason: 'left' }, certificate: undefined });
    };
    state.at = foundedAt + epochAgeMsMax;
    assert(!isEpochDue(state), 'there is nothing to forget');
    remove(4);
    assert(isEpochDue(state));
    state.at = foundedAt + epochAgeMsMin;
    assert(!isEpochDue(state));
    for (let number = 5; number < 4 + epochRemovedMax; number++) remove(number);
    assert(isEpochDue(state));
  });

  test('comes so seldom by itself that the charter lasts for nine years, while there is room for joins', () => {
    const { state } = new Pane();
    const statement = { kind: 'remove', cluster: state.genesis.cluster, epoch: 1, controlSet: 0 } as const;
    const remove = (number: NodeNumber): void => {
      state.removed.set(number, { statement: { ...statement, number, reason: 'left' }, certificate: undefined });
    };
    for (let number = 4; number < 4 + 10 * epochRemovedMax; number++) remove(number);
    assert(!isEpochDue(state));
    assert((amendmentsMax - amendmentsReserve) * epochAgeMsMin > 9 * 365 * dayMs);
    for (let number = 4; state.removed.size < epochRemovedUrgent; number++) remove(number);
    assert(isEpochDue(state));
  });
});

describe('other control nodes', () => {
  /** A member with the role of control nodes, which no token gives yet. */
  function withControl(): { readonly pane: Pane; readonly fourth: NodeNumber } {
    const pane = new Pane();
    const { number } = pane.admit();
    pane.state.putMember({ ...pane.member(number), roles: ['control'] });
    return { pane, fourth: number };
  }

  test('sign from the moment on when a majority of those before has signed', () => {
    const { pane, fourth } = withControl();
    pane.change(controlNodes(1, 2, fourth));
    assert.deepEqual(pane.state.controlNumbers, [1, 2, 3]);
    pane.change(completed(pane, [2, 3]));
    assert.deepEqual(pane.state.controlNumbers, [1, 2, fourth]);
    assert.equal(pane.state.epoch, 1);
    pane.change({ kind: 'begin-removal', number: 3, reason: 'removed' });
    pane.refuse({ kind: 'begin-removal', number: fourth, reason: 'removed' }, 'refused');
  });

  test('are refused where they could decide nothing, and it is said why', () => {
    const { pane, fourth } = withControl();
    const plain = pane.admit({ name: 'plain', seed: 0x51 }).number;
    pane.refuse(controlNodes(1, 2, 3), 'refused');
    pane.refuse(controlNodes(), 'refused');
    pane.refuse(controlNodes(3, 2, 1), 'refused');
    pane.refuse(controlNodes(1, 2, 77), 'refused');
    assert.match(pane.refuse(controlNodes(1, 2, plain), 'refused'), /has not the role control/);
    const down = (number: NodeNumber): Undated => ({ kind: 'convict', subjects: [{ number, incarnation: 0 }] });
    pane.change(down(2));
    pane.change(down(3));
    assert.match(pane.refuse(controlNodes(1, 2, 3, fourth), 'refused'), /2 would be alive, and 3 are needed/);
    pane.change(down(fourth));
    assert.match(pane.refuse(controlNodes(1, fourth), 'refused'), /is down; promote it when it is back/);
  });
});

test('amendments are entries like others: whoever replays them holds the same charter', () => {
  const pane = new Pane();
  pane.change(nextEpoch);
  pane.change(completed(pane));
  pane.change(nextEpoch);
  const replayed = new Pane();
  for (const payload of pane.log) replayed.append(payload);
  assert.equal(replayed.hash, pane.hash);
  assert.equal(replayed.state.charter.length, 1);
});

test('a snapshot holds the charter, the epoch and the amendment under way', () => {
  const pane = new Pane();
  pane.admit();
  pane.change(nextEpoch);
  pane.change(completed(pane));
  pane.change(nextEpoch);
  const { genesis, hash } = pane.founders;
  const restored = decodeState(encodeState(pane.state), genesis, hash);
  assert(restored !== undefined);
  assert.equal(toHex(stateHash(restored)), pane.hash);
  assert.deepEqual([restored.epoch, restored.epochSince], [2, pane.state.epochSince]);
  const complete = { ...completed(pane), at: pane.now } as Command;
  for (const state of [pane.state, restored]) assert.equal(applyCommand(state, 99, complete).kind, 'changed');
  assert.equal(toHex(stateHash(restored)), pane.hash);
});
