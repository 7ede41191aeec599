/** Mutants take minutes and run by hand and by night; that they still break what they name is seen at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mutation as ofMember } from '../member/mutants.ts';
import { mutation as ofRaft } from '../raft/mutants.ts';
import { mutation as ofTheWhole } from '../sim/mutants.ts';
import { outgrown } from './mutation.ts';

for (const [name, mutation] of Object.entries({ raft: ofRaft, member: ofMember, sim: ofTheWhole })) {
  test(`each mutant of test/${name} replaces a text that the sources hold once`, () => {
    assert(mutation.mutants.length >= 15);
    assert.deepEqual(outgrown(mutation), []);
    const names = mutation.mutants.map(({ wrong }) => wrong);
    assert.equal(new Set(names).size, names.length, 'each is named once');
  });
}
