import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ConfigurationHistory,
  decodeConfiguration,
  encodeConfiguration,
  learnersMax,
  participants,
  type RaftConfiguration,
  votersMax,
} from '../../src/raft/configuration.ts';
import { completed, type LeaderView, lagEntriesMax, planChange } from '../../src/raft/configuration-change.ts';
import { agreedIn, hasMajority } from '../../src/raft/quorum.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { votersOnly } from './voter.ts';

const joint: RaftConfiguration = { voters: [3, 4, 5], learners: [1, 9], outgoing: [1, 2, 3] };

/** 1 … count. */
function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, position) => position + 1);
}

describe('a configuration', () => {
  test('comes back from its bytes as it was, at its largest too', () => {
    const largest = { voters: numbers(votersMax), learners: numbers(learnersMax + 9).slice(9), outgoing: numbers(9) };
    for (const configuration of [joint, votersOnly(1), votersOnly(0xffff_ffff), largest]) {
      assert.deepEqual(decodeConfiguration(encodeConfiguration(configuration)), configuration);
    }
  });

  const impossible: Readonly<Record<string, RaftConfiguration>> = {
    'without a voter': { voters: [], learners: [1], outgoing: [] },
    'with too many voters': votersOnly(...numbers(votersMax + 1)),
    'with too many outgoing voters': { ...joint, outgoing: numbers(votersMax + 1) },
    'with too many learners': { ...votersOnly(100), learners: numbers(learnersMax + 1) },
    'with a number twice': votersOnly(1, 1),
    'out of order': votersOnly(2, 1),
    'with number 0': votersOnly(0),
    'with a learner that votes': { ...votersOnly(1, 2), learners: [2] },
  };
  for (const [name, configuration] of Object.entries(impossible)) {
    test(`${name} is not read`, () => {
      assert.equal(decodeConfiguration(encodeConfiguration(configuration)), undefined);
    });
  }

  test('of hostile bytes is nothing, or one that can be', () => {
    const random = seededRandom(7);
    for (let round = 0; round < 2000; round++) {
      const bytes = Uint8Array.from(encodeConfiguration(joint)).slice(0, random.below(60));
      if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
      const read = decodeConfiguration(bytes);
      if (read !== undefined) assert.deepEqual(encodeConfiguration(read), Buffer.from(bytes));
    }
    assert.equal(decodeConfiguration(Uint8Array.of(...encodeConfiguration(joint), 0)), undefined);
    assert.equal(decodeConfiguration(Uint8Array.of(2, 1, 0, 0, 0, 1, 0, 0)), undefined);
  });

  test('has each number take part once', () => {
    assert.deepEqual([...participants(joint)], [3, 4, 5, 1, 9, 2]);
  });
});

describe('majorities during a change', () => {
  test('are needed of the old and of the new voters (CCF: not of both together)', () => {
    const reached = (number: number): number => ({ 1: 9, 2: 7, 3: 2, 4: 5, 5: 6 })[number] ?? 0;
    assert.equal(agreedIn(joint, reached), 5);
    assert.equal(agreedIn(completed(joint), reached), 5);
    assert.equal(agreedIn(votersOnly(1, 2, 3), reached), 7);
    assert.equal(hasMajority(joint, new Set([3, 4, 5])), false);
    assert.equal(hasMajority(joint, new Set([1, 2, 4])), false);
    assert.equal(hasMajority(joint, new Set([1, 3, 4])), true);
  });

  test('do not count learners, but those that are leaving as voters', () => {
    assert.equal(hasMajority(joint, new Set([9, 4, 5])), false);
    assert.equal(hasMajority(joint, new Set([1, 2, 4, 5])), true);
    assert.equal(hasMajority({ ...votersOnly(1, 2), learners: [3] }, new Set([1, 3])), false);
  });
});

describe('a change', () => {
  const present: RaftConfiguration = { voters: [1, 2, 3], learners: [4], outgoing: [] };
  const leader = (view: Partial<LeaderView> = {}): LeaderView => ({
    self: 1,
    configuration: present,
    isSettled: true,
    lastIndex: 5000,
    matchIndex: () => 5000 - lagEntriesMax,
    ...view,
  });
  const reasonOf = (voters: readonly number[], learners: readonly number[], view?: Partial<LeaderView>): string => {
    const planned = planChange({ voters, learners }, leader(view));
    return planned.kind === 'refused' ? planned.reason : planned.kind;
  };

  test('of learners alone is one entry', () => {
    assert.deepEqual(planChange({ voters: [3, 2, 1], learners: [6, 5] }, leader()), {
      kind: 'change',
      configuration: { voters: [1, 2, 3], learners: [5, 6], outgoing: [] },
    });
  });

  test('of voters is joint, and its end is the wanted one', () => {
    const planned = planChange({ voters: [4, 2, 3], learners: [1] }, leader());
    assert.equal(planned.kind, 'change');
    const { configuration } = planned as Extract<typeof planned, { kind: 'change' }>;
    assert.deepEqual(configuration, { voters: [2, 3, 4], learners: [1], outgoing: [1, 2, 3] });
    assert.deepEqual(completed(configuration), { voters: [2, 3, 4], learners: [1], outgoing: [] });
  });

  test('that cannot be is refused with the reason', () => {
    assert.match(reasonOf([1], [], { isSettled: false }), /under way/);
    assert.match(reasonOf([1], [], { configuration: joint }), /under way/);
    assert.match(reasonOf([], [1]), /no voter/);
    assert.match(reasonOf(numbers(votersMax + 1), []), /more than 9 voters/);
    assert.match(reasonOf([1, 2, 3], [4, 4]), /ascend/);
    assert.match(reasonOf([1, 2, 3], [3]), /number 3 would be voter and learner/);
    assert.match(reasonOf([3, 2, 1], [4]), /nothing/);
    assert.match(reasonOf([1, 2, 3, 5], []), /number 5 has to be a learner first/);
    assert.match(reasonOf([1, 2, 3, 4], [], { lastIndex: 5001 }), /number 4 has not caught up/);
    assert.match(reasonOf([1, 2, 3, 4], [], { matchIndex: () => undefined }), /number 4 has not caught up/);
    const deaf = (number: number): number | undefined => (number === 2 ? undefined : 5000);
    assert.match(reasonOf([1, 2], [], { matchIndex: deaf }), /no quorum without 2/);
    assert.match(reasonOf([2], [], { matchIndex: deaf }), /no quorum without 2/);
    assert.equal(reasonOf([1, 3], [], { matchIndex: deaf }), 'change');
    assert.equal(reasonOf([1, 2, 3], [], { matchIndex: () => undefined }), 'change', 'learners alone need none');
    assert.equal(reasonOf([1, 2, 3, 4], []), 'change');
  });
});

describe('the configurations of a log', () => {
  test('are adopted, taken back and forgotten with their entries', () => {
    const history = new ConfigurationHistory(0, votersOnly(1));
    history.adopt(5, votersOnly(1, 2));
    history.adopt(8, votersOnly(1, 2, 3));
    assert.deepEqual(
      [4, 5, 7, 8, 99].map((index) => history.at(index).voters.length),
      [1, 2, 2, 3, 3],
    );
    history.takeBackFrom(8);
    assert.deepEqual([history.newest, history.newestIndex], [votersOnly(1, 2), 5]);
    history.forgetBefore(6);
    history.takeBackFrom(7);
    assert.deepEqual([history.newest, history.newestIndex], [votersOnly(1, 2), 6]);
    history.restart(20, votersOnly(9));
    assert.deepEqual([history.newest, history.newestIndex, history.at(20)], [votersOnly(9), 20, votersOnly(9)]);
  });
});
