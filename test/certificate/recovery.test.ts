/** A recovery amends the charter when no majority is left: by the recovery key and the node that goes on. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toHex } from '../../src/bytes.ts';
import { isAdmission } from '../../src/certificate/certificate.ts';
import type { Charter } from '../../src/certificate/charter.ts';
import {
  numbersSkipped,
  type RecoveryStatement,
  recoveryIn,
  resumedIndex,
  signRecovery,
  verifyRecovery,
} from '../../src/certificate/recovery.ts';
import { parseRecoveryKey, recoveryKeyText } from '../../src/certificate/recovery-key.ts';
import type { AdmitStatement } from '../../src/certificate/statement.ts';
import { tokenText } from '../../src/certificate/token.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { alterations, Founders, filled, recoverySeed, signingKey, truncations } from './cluster.ts';

const founders = new Founders();

function signed(statement: RecoveryStatement, keySeed = recoverySeed, nodeSeed = statement.node.number): Uint8Array {
  return signRecovery(statement, signingKey(keySeed), signingKey(nodeSeed));
}

/** Control node 1 went on alone. */
function recovered(): { readonly charter: Charter; readonly bytes: Uint8Array } {
  const { charter } = founders;
  const bytes = signed(founders.recovery(charter));
  assert.equal(charter.amend(bytes), 'amended');
  return { charter, bytes };
}

describe('a recovery', () => {
  test('makes one node the control set, and opens an epoch', () => {
    const { charter } = recovered();
    assert.deepEqual([charter.length, charter.epoch, charter.controlSet.index], [1, 2, 1]);
    assert.deepEqual([...charter.controlSet.signingKeys.keys()], [1]);
    assert.equal(charter.epochStatement?.nextNumber, 20 + numbersSkipped);
  });

  test('is walked from the genesis by whoever was away, and stands once', () => {
    const { charter, bytes } = recovered();
    const late = founders.charter;
    assert.equal(late.amend(bytes), 'amended');
    assert.equal(toHex(late.head), toHex(charter.head));
    assert.equal(toHex(late.head), toHex(verifyRecovery(bytes, founders.genesis)?.hash ?? new Uint8Array()));
    assert.equal(late.amend(bytes), 'known');
    assert.equal(late.length, 1);
  });

  test('counts only with both signatures: the recovery key, and the key of the node itself', () => {
    const { charter } = founders;
    const statement = founders.recovery(charter);
    assert.equal(charter.amend(signed(statement, 2)), 'refused', 'a control node has no say');
    assert.equal(charter.amend(signed(statement, recoverySeed, 2)), 'refused', 'not the node that it names');
    assert.equal(charter.amend(signed(statement, 1, recoverySeed)), 'refused', 'the two exchanged');
    for (const altered of [...alterations(signed(statement)), ...truncations(signed(statement))]) {
      assert.equal(charter.amend(altered), 'refused');
    }
    assert.equal(charter.length, 0);
  });

  test('by all control nodes together is none without the recovery key', () => {
    const { charter } = founders;
    const bytes = founders.certificate(founders.successors(charter, [1], { epoch: 2 }), [1, 2, 3]).bytes;
    assert.equal(charter.amend(bytes), 'refused');
  });

  test('comes next, of this cluster, with a later epoch, or not at all', () => {
    const { charter } = founders;
    const statement = founders.recovery(charter);
    const wrong: readonly Partial<RecoveryStatement>[] = [
      { previous: filled(32, 1) },
      { amendment: 2 },
      { amendment: 0 },
      { controlSet: 1 },
      { epoch: 1 },
      { cluster: filled(16, 1) },
      { node: { ...statement.node, endpoints: [] } },
      { node: { ...statement.node, name: 'No Label' } },
    ];
    for (const changes of wrong) {
      assert.equal(charter.amend(signed({ ...statement, ...changes }, recoverySeed, 1)), 'refused');
    }
    assert.equal(charter.amend(signed(statement)), 'amended');
  });

  test('takes every say from the control nodes that were lost, also in their old epoch', () => {
    const { charter } = recovered();
    const admitted = (changes: Partial<AdmitStatement>, signers: readonly NodeNumber[]): boolean => {
      const verified = charter.verify(founders.certificate(founders.admission(changes), signers).bytes);
      return isAdmission(verified) && charter.counts(verified.statement, (number) => number === 4);
    };
    assert(admitted({ number: 4 }, [2, 3]), 'a member that goes on belonging');
    assert(!admitted({ number: 5 }, [2, 3]), 'admitted by the lost ones, and unknown to the survivor');
    assert(!admitted({ number: 5, epoch: 2 }, [1, 2, 3]), 'they speak in no later epoch');
    assert(!admitted({ number: 20 + numbersSkipped, epoch: 2 }, [2, 3]));
    const first = { number: 20 + numbersSkipped, epoch: 2, controlSet: 1 };
    assert(admitted(first, [1]), 'the survivor admits alone');
    assert(!admitted(first, [2]));
  });

  test('may make a node one that was never a member: it is a founder as those of the genesis', () => {
    const { charter } = founders;
    const statement = founders.recovery(charter, 9);
    assert.equal(charter.amend(signed(statement)), 'amended');
    assert.deepEqual(charter.founders.at(-1), statement.node);
    assert.equal(charter.founders.length, 4);
  });
});

describe('two recoveries with the same key', () => {
  test('part the charter: the first stands, and the other is told apart from noise', () => {
    const { charter } = recovered();
    const other = signed(founders.recovery(founders.charter, 2));
    assert.equal(charter.fork, undefined);
    assert.equal(charter.amend(other), 'forked');
    assert.deepEqual([charter.fork, charter.length], [1, 1]);
    assert.deepEqual([...charter.controlSet.signingKeys.keys()], [1]);
  });

  test('what the lost control nodes decided after all is such a fork, too', () => {
    const { charter } = recovered();
    const epoch = founders.certificate(founders.nextEpoch(founders.charter), [2, 3]).bytes;
    assert.equal(charter.amend(epoch), 'forked');
    assert.equal(charter.amend(founders.certificate(founders.nextEpoch(charter), [2, 3]).bytes), 'refused');
    assert.equal(charter.fork, 1);
  });
});

describe('a recovery statement', () => {
  test('leaves out numbers and indexes that the lost nodes may have given out', () => {
    const statement = founders.recovery(founders.charter);
    const previous = Uint8Array.from(statement.previous);
    assert.deepEqual(recoveryIn(signed(statement)), { ...statement, previous });
    assert.equal(resumedIndex(statement), statement.lastIndex + 10_000_000_000);
    assert.equal(recoveryIn(founders.certificate(founders.admission()).bytes), undefined);
  });
});

describe('the recovery key', () => {
  const text = recoveryKeyText(filled(32, recoverySeed), founders.genesis);

  test('is text that reads back, with or without the end of a line', () => {
    const key = parseRecoveryKey(`${text}\n`, founders.genesis);
    assert.equal(toHex(key.publicKey), toHex(founders.genesis.recoveryKey));
  });

  test('is refused with a sentence when it is mistyped, cut, a token, or of another cluster', () => {
    const mistyped = text.replace(/.$/, (last) => (last === 'A' ? 'E' : 'A'));
    const refused = (wrong: string, code: string): void =>
      assert.throws(() => parseRecoveryKey(wrong, founders.genesis), { code });
    refused(mistyped, 'key-invalid');
    refused(text.slice(0, -4), 'key-invalid');
    refused(tokenText(filled(32, recoverySeed), founders.genesis.cluster, founders.hash), 'key-invalid');
    const other = new Founders(3, filled(16, 0xdd)).genesis;
    refused(recoveryKeyText(filled(32, recoverySeed), other), 'cluster-mismatch');
    refused(recoveryKeyText(filled(32, 1), founders.genesis), 'cluster-mismatch');
  });
});
