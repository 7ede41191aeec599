/** Mutants take minutes and run by hand and by night; that they still break what they name is seen at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mutation as ofMember } from '../member/mutants.ts';
import { mutation as ofRaft } from '../raft/mutants.ts';
import { mutation as ofTheWhole } from '../sim/mutants.ts';
import { failuresIn, fateBy, outgrown } from './mutation.ts';

for (const [name, mutation] of Object.entries({ raft: ofRaft, member: ofMember, sim: ofTheWhole })) {
  test(`each mutant of test/${name} replaces a text that the sources hold once`, () => {
    assert(mutation.mutants.length >= 15);
    assert.deepEqual(outgrown(mutation), []);
    const names = mutation.mutants.map(({ wrong }) => wrong);
    assert.equal(new Set(names).size, names.length, 'each is named once');
  });
}

test('a failing test is found on any level of a report, and told from a file that does not load', () => {
  const report = (name: string, type: string, thrown: string, indent = ''): string =>
    [
      `not ok 1 - ${name}`,
      '  ---',
      `  failureType: '${type}'`,
      "  error: 'it is 2'",
      `  name: '${thrown}'`,
      '  ...',
      '',
    ]
      .map((line) => indent + line)
      .join('\n');
  const tap =
    report('deep down', 'testCodeFailure', 'AssertionError', '    ') +
    report('a group', 'subtestsFailed', 'Error') +
    report('on top', 'testCodeFailure', 'TypeError') +
    report('/test/some.test.ts', 'testCodeFailure', 'Error') +
    report('without an end', 'cancelledByParent', 'Error');
  assert.deepEqual(failuresIn(tap), [
    { name: 'deep down', error: 'AssertionError: it is 2', isOfTest: true },
    { name: 'on top', error: 'TypeError: it is 2', isOfTest: true },
    { name: '/test/some.test.ts', error: 'Error: it is 2', isOfTest: false },
    { name: 'without an end', error: 'Error: it is 2', isOfTest: false },
  ]);
});

test('a mutant that trips over itself is not caught', () => {
  const kinds = ['seed 3: a vote is durable before it is given: c1', 'seed 4: TypeError: x is not a function'];
  assert.deepEqual(
    kinds.map((how) => fateBy(how).kind),
    ['caught', 'crashes'],
  );
});
