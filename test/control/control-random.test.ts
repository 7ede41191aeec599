/** Random logs: whatever they hold, every control node comes to the same state, and the state stays sound. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '../../src/bytes.ts';
import type { AdmittedMember } from '../../src/control/control-state.ts';
import type { LogIndex, NodeNumber } from '../../src/identity.ts';
import { contents, Pane, sameContents } from './pane.ts';
import { entry, randomRoles } from './random-log.ts';

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
  for (const each of state.controlNumbers) assert(state.members.has(each), 'a control node is gone');
  for (const member of members) {
    if (founders.numbers.includes(member.number)) continue;
    assert(state.charter.verify(member.certificate ?? new Uint8Array(0)), 'a member has no certificate');
  }
  for (const { certificate } of state.removed.values()) {
    if (certificate !== undefined) assert(state.charter.verify(certificate), 'a removal has no certificate');
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
  for (const { name } of randomRoles) {
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
      'note',
      'begin-amendment',
      'complete-amendment',
      'withdraw-amendment',
    ]) {
      for (const outcome of ['changed', 'ignored'])
        assert((seen.get(`${kind} ${outcome}`) ?? 0) > 3, `${kind} ${outcome}`);
    }
  });
});
