/** The charter: who signs and which epoch it is, from the genesis on, whoever brings the amendments. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toHex } from '../../src/bytes.ts';
import { isAdmission } from '../../src/certificate/certificate.ts';
import type { Charter } from '../../src/certificate/charter.ts';
import type { AdmitStatement, Amendment } from '../../src/certificate/statement.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { Founders, filled } from './cluster.ts';

const founders = new Founders();
const everybody = (): boolean => true;
const nobody = (): boolean => false;

/** Signed by these of the control nodes. */
function signed(statement: Amendment, signers: readonly NodeNumber[] = [1, 2]): Uint8Array {
  return founders.certificate(statement, signers).bytes;
}

/** 1, 2, 3, then 2, 3, 4, then 3, 4, 5; the second epoch is opened in between. */
function amended(): { readonly charter: Charter; readonly amendments: readonly Uint8Array[] } {
  const { charter } = founders;
  const amendments: Uint8Array[] = [];
  const amend = (bytes: Uint8Array): void => {
    assert.equal(charter.amend(bytes), 'amended');
    amendments.push(bytes);
  };
  amend(signed(founders.successors(charter, [2, 3, 4], { nextNumber: 10 }), [1, 3]));
  amend(signed(founders.nextEpoch(charter), [3, 4]));
  amend(signed(founders.successors(charter, [3, 4, 5], { nextNumber: 20 }), [2, 4]));
  return { charter, amendments };
}

describe('a charter', () => {
  test('begins with the genesis: its control nodes sign, in epoch 1', () => {
    const { charter } = founders;
    assert.deepEqual([charter.length, charter.epoch, charter.epochStatement], [0, 1, undefined]);
    assert.deepEqual([...charter.controlSet.signingKeys.keys()], [1, 2, 3]);
    assert.equal(toHex(charter.head), toHex(founders.hash));
  });

  test('is walked from the genesis by whoever was away, and is then the same', () => {
    const { charter, amendments } = amended();
    const late = founders.charter;
    assert.deepEqual(
      charter.since(0, 10).map((each) => late.amend(each)),
      ['amended', 'amended', 'amended'],
    );
    assert.deepEqual(charter.since(1, 1), [amendments[1]]);
    assert.equal(toHex(late.head), toHex(charter.head));
    assert.deepEqual([late.epoch, late.controlSet.index], [2, 2]);
    assert.deepEqual([...late.controlSet.signingKeys.keys()], [3, 4, 5]);
  });

  test('takes an amendment once, and says when it stands already', () => {
    const { charter, amendments } = amended();
    for (const each of amendments) assert.equal(charter.amend(each), 'known');
    const [first] = amendments as [Uint8Array];
    // The same statement with other signatures of that set is the same amendment.
    const other = founders.charter;
    const statement = founders.successors(other, [2, 3, 4], { nextNumber: 10 });
    assert.notEqual(toHex(signed(statement, [2, 3])), toHex(first));
    assert.equal(charter.amend(signed(statement, [2, 3])), 'known');
    assert.equal(charter.length, 3);
  });

  test('is changed only by a majority of those who sign at that time', () => {
    const { charter } = founders;
    const statement = founders.successors(charter, [2, 3, 4]);
    assert.equal(charter.amend(signed(statement, [1])), 'refused');
    assert.equal(charter.amend(signed(statement, [1, 4])), 'refused');
    assert.equal(charter.amend(founders.certificate(founders.removal()).bytes), 'refused');
    assert.equal(charter.amend(filled(80, 1)), 'refused');
    assert.equal(charter.amend(signed(statement)), 'amended');
    const next = founders.nextEpoch(charter);
    assert.equal(charter.amend(signed({ ...next, controlSet: 0 }, [1, 2])), 'refused', 'the set before signs no more');
    assert.equal(charter.amend(signed(next, [1, 2])), 'refused', '1 has left it');
    assert.equal(charter.amend(signed(next, [2, 4])), 'amended');
  });

  test('does not fork, skip, or go back to an earlier epoch', () => {
    const { charter, amendments } = amended();
    const [first, second] = amendments as [Uint8Array, Uint8Array];
    const late = founders.charter;
    assert.equal(late.amend(second), 'refused');
    assert.equal(late.amend(first), 'amended');
    const signers = [3, 4];
    const epoch = founders.nextEpoch(charter);
    for (const wrong of [{ amendment: 5 }, { amendment: 3 }, { previous: founders.hash }, { epoch: 2 }, { epoch: 1 }]) {
      assert.equal(charter.amend(signed({ ...epoch, ...wrong }, signers)), 'refused', JSON.stringify(wrong));
    }
    const set = founders.successors(charter, [3, 4]);
    assert.equal(charter.amend(signed({ ...set, epoch: 3 }, signers)), 'refused', 'a set opens no epoch');
    assert.equal(charter.amend(signed({ ...epoch, epoch: 9 }, signers)), 'amended', 'a disaster may skip some');
  });
});

describe('a certificate under a charter that was amended', () => {
  const admitted = (changes: Partial<AdmitStatement>, signers: readonly NodeNumber[]): Uint8Array =>
    founders.certificate(founders.admission(changes), signers).bytes;

  function counts(charter: Charter, bytes: Uint8Array, survives: (number: NodeNumber) => boolean): boolean {
    const verified = charter.verify(bytes);
    return isAdmission(verified) && charter.counts(verified.statement, survives);
  }

  test('of an earlier set and epoch counts as long as its member belongs (HM-12)', () => {
    const { charter } = amended();
    const old = admitted({ number: 4 }, [1, 2]);
    assert(counts(founders.charter, old, nobody), 'in the epoch that signed it nothing else is asked');
    assert(counts(charter, old, everybody));
    assert(!counts(charter, old, nobody), 'who was dropped with the old epoch is no member');
    assert(counts(charter, admitted({ number: 21, controlSet: 2, epoch: 2 }, [3, 5]), nobody));
    assert(!counts(charter, admitted({ number: 21, controlSet: 2, epoch: 3 }, [3, 5]), everybody), 'not yet');
  });

  test('by control nodes that sign no more admits nobody new', () => {
    const { charter } = amended();
    assert(counts(charter, admitted({ number: 9 }, [1, 2]), everybody));
    assert(!counts(charter, admitted({ number: 10 }, [1, 2]), everybody));
    assert(counts(charter, admitted({ number: 19, controlSet: 1, epoch: 2 }, [2, 3]), everybody));
    assert(!counts(charter, admitted({ number: 20, controlSet: 1, epoch: 2 }, [2, 3]), everybody));
  });

  test('of a set that is not known is none', () => {
    const { charter } = amended();
    assert.equal(charter.verify(admitted({ controlSet: 3, epoch: 2 }, [3, 4])), undefined);
    assert.equal(founders.charter.verify(admitted({ controlSet: 1 }, [2, 3])), undefined);
  });
});
