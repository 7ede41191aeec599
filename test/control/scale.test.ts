/** A state as large as it may get: found at once, small in memory, and limited. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { concatBytes, equalBytes } from '../../src/bytes.ts';
import { membersMax } from '../../src/control/admission-policy.ts';
import { admittedMember } from '../../src/control/admitted-member.ts';
import type { ControlState } from '../../src/control/control-state.ts';
import { numbersMax } from '../../src/control/number-set.ts';
import { sha256 } from '../../src/crypto.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { filled, foundedAt } from '../certificate/cluster.ts';
import { Pane } from './pane.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Lengths of a certificate with two signatures, and of a locator with one address. */
const [certificateBytes, locatorBytes] = [330, 190];

/** Bytes of the buffer pool that an admission uses for a moment. */
const passingBytes = 2_000;

function keyOf(number: NodeNumber, use: 'signing' | 'exchange'): Uint8Array {
  return sha256(Buffer.from(`${use} ${number}`));
}

/** Admits a member without asking for signatures: it is their number that counts here. */
function admit(state: ControlState, number: NodeNumber): void {
  const [signingKey, exchangeKey] = [keyOf(number, 'signing'), keyOf(number, 'exchange')];
  // Certificates come out of the buffer pool, as those that were just put together do, beside much that nobody keeps.
  concatBytes(filled(passingBytes, 0));
  const papers = {
    certificate: concatBytes(filled(certificateBytes, number % 256)),
    locator: concatBytes(filled(locatorBytes, 1)),
  };
  const life = { notBefore: foundedAt, notAfter: foundedAt + 1 };
  const roles = ['host', ...(number % 10 === 0 ? ['dns'] : [])];
  const { cluster } = state.genesis;
  const head = { kind: 'admit', cluster, epoch: 1, controlSet: 0, number, name: `node-${number}` } as const;
  state.nextNumber = number + 1;
  state.appliedIndex++;
  state.putMember(admittedMember({ ...head, signingKey, exchangeKey, roles, ...life }, papers, number, foundedAt));
}

function fill(state: ControlState, members: number): void {
  while (state.members.size < members) admit(state, state.nextNumber);
}

function memoryInUse(): number {
  for (let round = 0; round < 3; round++) collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe('ten thousand members', () => {
  test('take less than 2 KiB of memory each', () => {
    const { state } = new Pane();
    const before = memoryInUse();
    fill(state, 10_000);
    const each = (memoryInUse() - before) / state.members.size;
    assert(each < 2_048, `${each.toFixed()} bytes`);
    assert.equal(state.members.get(10_000)?.certificate?.length, certificateBytes);
  });

  test('are found by number, name, key and role', () => {
    const { state } = new Pane();
    fill(state, 10_000);
    for (const number of [4, 5_000, 10_000]) {
      const member = state.members.get(number);
      assert(member !== undefined && equalBytes(member.exchangeKey, keyOf(number, 'exchange')));
      assert.equal(state.memberByName(`node-${number}`), member);
      assert.equal(state.memberByKey(keyOf(number, 'signing')), member);
    }
    assert.equal(state.membersOfRole('host').length, 10_000 - 3);
    assert.deepEqual(state.membersOfRole('dns').slice(0, 3), [10, 20, 30]);
    for (const number of [20, 10_000]) state.dropMember(number);
    assert.deepEqual([state.memberByName('node-20'), state.memberByKey(keyOf(20, 'signing'))], [undefined, undefined]);
    assert.deepEqual(state.membersOfRole('dns').slice(0, 3), [10, 30, 40]);
    assert.equal(state.membersOfRole('dns').at(-1), 9_990);
    assert.equal(state.changesSince(state.appliedIndex - 1)?.length, 3);
  });
});

describe('a cluster', () => {
  test(`has at most ${membersMax} members, those included who are about to be`, () => {
    const pane = new Pane();
    fill(pane.state, membersMax - 1);
    pane.change(pane.begin());
    const more = pane.begin({ seed: 0x51, name: 'bee' });
    assert.match(pane.refuse(more, 'refused'), /has 20000 members, the most that it admits/);
    pane.change({ kind: 'begin-removal', number: 4, reason: 'left' });
    pane.change(more);
  });

  test(`remembers at most ${numbersMax} numbers, and says how to go on`, () => {
    const pane = new Pane();
    const { cluster } = pane.state.genesis;
    for (let number = 10; pane.state.removed.size < numbersMax - 4; number++) {
      const statement = { kind: 'remove', cluster, epoch: 1, controlSet: 0, number, reason: 'left' } as const;
      pane.state.removed.set(number, { statement, certificate: undefined });
    }
    pane.change(pane.begin());
    assert.match(pane.refuse(pane.begin({ seed: 0x51, name: 'bee' }), 'refused'), /`hivemind epoch advance`/);
  });
});
