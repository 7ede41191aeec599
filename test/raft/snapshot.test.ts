import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeConfiguration } from '../../src/raft/configuration.ts';
import { RaftLog } from '../../src/raft/log.ts';
import type { SnapshotAnswer, SnapshotChunk } from '../../src/raft/message.ts';
import { raftSettingsDefault } from '../../src/raft/raft.ts';
import { openReadsMax } from '../../src/raft/reads.ts';
import { IncomingSnapshot, OutgoingSnapshot } from '../../src/raft/snapshot-transfer.ts';
import type { LogEntry, LogSnapshot } from '../../src/seam/log-store.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { settle, soleVoter, TestVoter, votersOnly } from './voter.ts';

function entries(first: number, terms: readonly number[]): LogEntry[] {
  return terms.map((term, at) => ({ index: first + at, term, kind: 'command', payload: Buffer.from('x') }));
}

function snapshotAt(index: number, term: number, state = new Uint8Array(10)): LogSnapshot {
  const configuration = encodeConfiguration(votersOnly(1, 2, 3));
  return { index, term, chain: new Uint8Array(32), configuration, state };
}

function stored(snapshot: LogSnapshot | undefined, held: readonly LogEntry[]): RaftLog {
  return new RaftLog({ snapshot, entries: held, configuration: votersOnly(1, 2, 3) });
}

describe('a log that begins behind a snapshot', () => {
  test('knows the term of its base, and nothing of what is before', () => {
    const log = stored(snapshotAt(5, 2), entries(6, [2, 3]));
    assert.deepEqual([log.firstIndex, log.lastIndex, log.lastTerm, log.commitIndex], [6, 7, 3, 5]);
    assert.deepEqual(
      [4, 5, 6, 7, 8].map((index) => log.termAt(index)),
      [undefined, 2, 2, 3, undefined],
    );
    assert.deepEqual([log.from(5, 9), log.from(6, 1)], [[], entries(6, [2])]);
  });

  test('keeps entries that the snapshot holds as well, but for the first, which says what the base is', () => {
    const log = stored(snapshotAt(5, 2), entries(3, [1, 2, 2, 2]));
    assert.deepEqual([log.firstIndex, log.termAt(3), log.lastIndex, log.commitIndex], [4, 1, 6, 5]);
    assert.equal(stored(snapshotAt(2, 1), entries(1, [1, 1, 1])).firstIndex, 1);
  });

  test('drops entries that do not reach it, or contradict it', () => {
    for (const held of [
      [],
      entries(1, [1, 1]),
      entries(3, [1, 1]),
      entries(3, [1, 1, 1, 1]),
      entries(1, Array(9).fill(1)),
    ]) {
      const log = stored(snapshotAt(5, 2), held);
      assert.deepEqual([log.firstIndex, log.lastIndex, log.lastTerm], [6, 5, 2]);
    }
  });

  test('forgets entries with a snapshot, but not those to be kept', () => {
    const log = stored(undefined, entries(1, [1, 1, 2, 2, 2]));
    log.commitTo(5);
    log.takeCommitted(9);
    log.compact(snapshotAt(4, 2), 3);
    assert.deepEqual([log.firstIndex, log.termAt(2), log.snapshot?.index], [3, 1, 4]);
    log.compact(snapshotAt(3, 2), 4);
    assert.deepEqual([log.firstIndex, log.snapshot?.index], [3, 4], 'an older one changes nothing');
    assert.throws(() => log.compact(snapshotAt(6, 2), 5), /holds what was applied/);
    assert.throws(() => log.compact(snapshotAt(5, 2), 7), /what no snapshot holds/);
  });

  test('agrees with every leader on what it forgot, whatever an old request says', () => {
    const log = stored(snapshotAt(5, 2), entries(6, [2]));
    assert.equal(log.agreesAt(3, 1), true);
    log.merge(entries(4, [1, 2, 2, 2]));
    assert.deepEqual([log.lastIndex, log.conflictWith(entries(4, [9]))], [7, undefined]);
  });

  test('stays small for a leader while a follower is away', () => {
    const one = soleVoter();
    for (let round = 0; round < 200; round++) {
      one.raft.propose(
        Array.from({ length: 50 }, () => Buffer.from('entry')),
        0,
      );
      settle(one, 0);
      one.compact(100);
    }
    assert.equal(one.raft.lastIndex, 10_001);
    assert.equal(one.raft.lastIndex - one.raft.firstIndex, 99);
  });
});

describe('a snapshot on its way', () => {
  const snapshot = snapshotAt(
    7,
    3,
    Uint8Array.from({ length: 10 }, (_, at) => at),
  );

  test('goes piece by piece, and comes together in order', () => {
    const outgoing = new OutgoingSnapshot(snapshot);
    const incoming = new IncomingSnapshot(outgoing.chunk(4, 1, 4));
    for (let pieces = 0; pieces < 3; pieces++) {
      const chunk = outgoing.chunk(4, 1, 4);
      incoming.add(chunk);
      incoming.add(chunk);
      assert.equal(outgoing.onAnswer(7, incoming.offset), true);
    }
    assert.deepEqual([incoming.isWhole, incoming.state()], [true, Buffer.from(snapshot.state)]);
  });

  test('goes on with no answer that says nothing new, and goes back to what was lost', () => {
    const outgoing = new OutgoingSnapshot(snapshot);
    assert.equal(outgoing.onAnswer(7, 4), true);
    assert.equal(outgoing.onAnswer(7, 4), false);
    assert.equal(outgoing.onAnswer(6, 8), false, 'another snapshot');
    assert.equal(outgoing.onAnswer(7, 11), false, 'more than there is');
    assert.equal(outgoing.onAnswer(7, 0), false);
    assert.equal(outgoing.chunk(4, 1, 4).offset, 0);
  });
});

describe('a voter that is sent a snapshot', () => {
  const chunk = (fields: Partial<SnapshotChunk> = {}): SnapshotChunk => {
    const { chain, configuration } = snapshotAt(7, 3);
    const position = { index: 7, lastTerm: 3, chain, configuration, offset: 0, totalBytes: 4 };
    return { kind: 'snapshot-chunk', term: 4, round: 1, ...position, bytes: Buffer.from('abcd'), ...fields };
  };
  const follower = (held: readonly LogEntry[] = []): TestVoter => {
    const settings = raftSettingsDefault;
    const common = { self: 1, configuration: votersOnly(1, 2, 3), settings, random: seededRandom(1) };
    return new TestVoter({ ...common, entries: held, hardState: { term: 4, votedFor: 2 } }, 0);
  };
  const answers = (one: TestVoter, ...chunks: readonly SnapshotChunk[]): SnapshotAnswer[] =>
    chunks.flatMap((each) => {
      one.raft.receive(2, each, 0);
      const ready = one.raft.takeReady();
      return [...(ready?.sendNow ?? []), ...(ready?.sendAfterWrite ?? [])].map(
        ({ message }) => message as SnapshotAnswer,
      );
    });

  test('whose log holds that entry commits it, and keeps what comes after', () => {
    const one = follower(entries(1, [1, 1, 1, 1, 1, 1, 3, 3, 3]));
    assert.deepEqual(
      answers(one, chunk({ totalBytes: 9 })).map(({ done }) => done),
      [true],
    );
    assert.deepEqual([one.raft.commitIndex, one.raft.lastIndex, one.raft.firstIndex], [7, 9, 1]);
  });

  test('whose log contradicts it begins anew', () => {
    const one = follower(entries(1, Array(12).fill(2)));
    one.raft.receive(2, chunk(), 0);
    assert.deepEqual([one.raft.commitIndex, one.raft.lastIndex, one.raft.termAt(7)], [7, 7, 3]);
  });

  test('does not put pieces of two together, and heeds no late piece of an older one', () => {
    const one = follower();
    const bytes = Buffer.from('ab');
    const got = answers(
      one,
      chunk({ bytes }),
      chunk({ index: 8, bytes }),
      chunk({ offset: 2, bytes }),
      chunk({ index: 8, offset: 1, bytes }),
    );
    assert.deepEqual(
      got.map(({ index, offset, done }) => [index, offset, done]),
      [
        [7, 2, false],
        [8, 2, false],
        [7, 0, false],
        [8, 2, false],
      ],
    );
    assert.equal(one.raft.commitIndex, 0);
  });

  const implausible: Readonly<Record<string, Partial<SnapshotChunk>>> = {
    'of nothing': { index: 0, lastTerm: 0 },
    'of a later term': { lastTerm: 5 },
    'beyond its end': { offset: 1 },
    'without bytes': { bytes: Buffer.from('') },
    'larger than any': { totalBytes: 2 ** 40 },
    'before its beginning': { offset: -1 },
    'that does not say who votes': { configuration: Buffer.from('?') },
  };
  for (const [name, fields] of Object.entries(implausible)) {
    test(`drops and counts one ${name}`, () => {
      const one = follower();
      assert.deepEqual([answers(one, chunk(fields)), one.raft.dropped, one.raft.commitIndex], [[], 1, 0]);
    });
  }

  test('and that is one of an older term says which it is in', () => {
    assert.deepEqual(
      answers(follower(), chunk({ term: 3 })).map(({ term, done, round }) => [term, done, round]),
      [[4, false, 0]],
    );
  });
});

describe('reads', () => {
  test('of a lone voter are answered at once', () => {
    const one = soleVoter();
    assert.deepEqual(one.raft.read(0), { kind: 'pending', id: 1 });
    assert.deepEqual(one.raft.takeReady()?.reads, [{ id: 1, index: 1 }]);
  });

  test('that wait are bounded', () => {
    const one = soleVoter();
    for (let read = 0; read < openReadsMax; read++) assert.equal(one.raft.read(0).kind, 'pending');
    assert.deepEqual(one.raft.read(0), { kind: 'busy' });
    settle(one, 0);
    assert.equal(one.raft.read(0).kind, 'pending');
  });
});
