import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { counterMax } from '../../src/raft/bounds.ts';
import { encodeConfiguration } from '../../src/raft/configuration.ts';
import { RaftLog } from '../../src/raft/log.ts';
import type { AppendAnswer, AppendRequest, RaftMessage, SnapshotChunk } from '../../src/raft/message.ts';
import { Progress } from '../../src/raft/progress.ts';
import { agreedAmong, quorumSize } from '../../src/raft/quorum.ts';
import { raftSettingsDefault } from '../../src/raft/raft.ts';
import { promisesMax } from '../../src/raft/ready.ts';
import type { LogEntry } from '../../src/seam/log-store.ts';
import { type Random, seededRandom } from '../../src/seam/random.ts';
import { settle, TestVoter, type VoterOptions, votersOnly } from './voter.ts';

const settings = raftSettingsDefault;

/** Entries with these terms, the first one at `first`. */
function entries(terms: readonly number[], first = 1): LogEntry[] {
  return terms.map((term, position) => ({ index: first + position, term, kind: 'command', payload: Buffer.from('x') }));
}

function appendRequest(fields: Partial<AppendRequest>): AppendRequest {
  const nothing = { previousIndex: 0, previousTerm: 0, commitIndex: 0, round: 1, lossSeen: 0, entries: [] };
  return { kind: 'append-request', term: 1, ...nothing, ...fields };
}

function accepted(matchIndex: number, fields: Partial<AppendAnswer> = {}): AppendAnswer {
  return { kind: 'append-answer', term: 1, accepted: true, matchIndex, round: 1, lostLog: 0, ...fields };
}

function refused(matchIndex: number, fields: Partial<AppendAnswer> = {}): AppendAnswer {
  return accepted(matchIndex, { accepted: false, ...fields });
}

function logOf(terms: readonly number[]): RaftLog {
  return new RaftLog({ snapshot: undefined, entries: entries(terms), configuration: votersOnly(1, 2, 3) });
}

function voter(options: Partial<VoterOptions> = {}): TestVoter {
  const configuration = votersOnly(1, 2, 3);
  return new TestVoter({ self: 1, configuration, settings, random: seededRandom(1), ...options }, 0);
}

/** Voter 1 of three, leader of term 1 at the time that is given back; its opening entry is committed. */
function leader(options: Partial<VoterOptions> = {}): { readonly one: TestVoter; readonly now: number } {
  const one = voter(options);
  const now = one.raft.nextTickAt();
  one.raft.tick(now);
  one.raft.receive(2, { kind: 'pre-vote-answer', term: 1, granted: true }, now);
  settle(one, now);
  one.raft.receive(2, { kind: 'vote-answer', term: 1, granted: true }, now);
  settle(one, now);
  one.raft.receive(2, accepted(1), now);
  settle(one, now);
  assert.equal(one.raft.role, 'leader');
  return { one, now };
}

describe('quorum', () => {
  test('a majority of n is n/2+1 (HM-5)', () => {
    assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(quorumSize), [1, 2, 2, 3, 3, 4, 4]);
  });

  test('the agreed value is what a majority has reached', () => {
    const agreed = (...reached: number[]): number => agreedAmong([...reached.keys()], (voter) => reached[voter] ?? 0);
    assert.equal(agreed(7), 7);
    assert.equal(agreed(9, 2), 2);
    assert.equal(agreed(5, 9, 7), 7);
    assert.equal(agreed(5, 5, 7), 5);
    assert.equal(agreed(5, 9, 7, 6), 6);
    assert.equal(agreed(1, 9, 7, 6, 2), 6);
    assert.equal(agreed(), 0, 'nobody agrees on nothing at all');
  });
});

describe('log', () => {
  test('an old request takes nothing away that came after it', () => {
    const log = logOf([1, 1, 2, 2]);
    log.merge(entries([1], 2));
    assert.equal(log.lastIndex, 4);
  });

  test('a conflict replaces everything from there on', () => {
    const log = logOf([1, 1, 2, 2]);
    log.merge(entries([1, 3], 2));
    assert.deepEqual(log.from(1, 9), [...entries([1, 1]), ...entries([3], 3)]);
    assert.equal(log.durableIndex, 2);
  });

  test('what is replaced while it is being written is not durable when that write ends', () => {
    const log = logOf([]);
    log.append(entries([1, 1, 1]));
    log.takeUnwritten();
    log.merge(entries([2], 2));
    log.markDurable();
    assert.equal(log.durableIndex, 1);
    assert.deepEqual(log.takeUnwritten(), { snapshot: undefined, entries: entries([2], 2) });
  });

  test('a batch is bounded in entries and bytes, and never empty while there is something', () => {
    const log = logOf([]);
    log.append(
      [4, 4, 100].map((length, at) => ({
        index: at + 1,
        term: 1,
        kind: 'command' as const,
        payload: new Uint8Array(length),
      })),
    );
    const sizes = (from: number, most: number, bytes: number): number[] =>
      log.batchFrom(from, most, bytes).map(({ payload }) => payload.length);
    assert.deepEqual(sizes(1, 9, 10), [4, 4]);
    assert.deepEqual(sizes(1, 1, 10), [4]);
    assert.deepEqual(sizes(3, 9, 10), [100]);
    assert.deepEqual(sizes(4, 9, 10), []);
  });

  test('back-off skips whole terms, and never goes below what is committed', () => {
    const log = logOf([1, 1, 1, ...Array<number>(1000).fill(4)]);
    assert.equal(log.backOff(5000, 7), 1003);
    assert.equal(log.backOff(1003, 5), 3);
    assert.equal(log.backOff(1003, 2), 3);
    log.commitTo(2);
    assert.equal(log.backOff(3, 3), 2);
  });

  test('committed entries are handed out when they are durable, once, in pieces', () => {
    const log = logOf([1, 1, 1]);
    log.append(entries([1], 4));
    log.commitTo(4);
    assert.deepEqual(log.takeCommitted(2), entries([1, 1]));
    assert.deepEqual(log.takeCommitted(2), entries([1], 3));
    log.takeUnwritten();
    log.markDurable();
    assert.deepEqual(log.takeCommitted(2), entries([1], 4));
    assert.deepEqual(log.takeCommitted(2), []);
  });
});

describe('progress', () => {
  test('one probe is out at a time, until an answer or the next heartbeat', () => {
    const progress = new Progress(5, 2, 0);
    progress.onSent(1);
    assert.equal(progress.mayTakeEntries, false);
    progress.allowProbe();
    assert.equal(progress.mayTakeEntries, true);
    assert.equal(progress.nextIndex, 5);
  });

  test('the window bounds what is unanswered', () => {
    const progress = new Progress(1, 2, 0);
    progress.onAccepted(0, 1);
    progress.onSent(3);
    progress.onSent(3);
    assert.equal(progress.mayTakeEntries, false);
    progress.onAccepted(3, 1);
    assert.equal(progress.mayTakeEntries, true);
    assert.equal(progress.nextIndex, 7);
  });

  test('late and repeated answers take nothing back', () => {
    const progress = new Progress(9, 4, 0);
    progress.onAccepted(8, 1);
    progress.onAnswered(5, 1);
    progress.onAccepted(3, 1);
    progress.onRefused(2, 1);
    progress.onAnswered(4, 2);
    assert.deepEqual([progress.matchIndex, progress.nextIndex, progress.round], [8, 9, 5]);
    assert.equal(progress.isPipelining, true);
  });

  test('a refusal that goes back behind what was accepted is old news, until it comes in a newer round', () => {
    const progress = new Progress(9, 4, 0);
    progress.onAccepted(8, 3);
    progress.onSent(2);
    progress.onRefused(5, 3);
    assert.deepEqual([progress.nextIndex, progress.isPipelining], [11, true]);
    progress.onRefused(5, 4);
    assert.deepEqual([progress.nextIndex, progress.isPipelining, progress.matchIndex], [9, false, 8]);
  });

  test('of many refusals for one loss, one asks for a new probe', () => {
    const progress = new Progress(1, 4, 0);
    progress.onAccepted(4, 1);
    for (let sent = 0; sent < 4; sent++) progress.onSent(1);
    progress.onRefused(5, 1);
    assert.deepEqual([progress.nextIndex, progress.mayTakeEntries], [6, true]);
    progress.onSent(3);
    progress.onRefused(5, 1);
    assert.equal(progress.mayTakeEntries, false);
  });
});

describe('a voter', () => {
  test('alone leads at once, and commits after its own fsync (HM-4)', () => {
    const one = voter({ configuration: votersOnly(1) });
    one.raft.tick(0);
    one.raft.propose([Buffer.from('apple')], 0);
    one.takeReadys();
    assert.deepEqual([one.raft.role, one.raft.commitIndex], ['leader', 0]);
    one.finishWrite(1);
    one.takeReadys();
    assert.deepEqual(
      one.applied.map(({ payload }) => Buffer.from(payload).toString()),
      ['', 'apple'],
    );
  });

  test('draws its patience between one and two election timeouts', () => {
    for (let seed = 0; seed < 50; seed++) {
      const at = voter({ random: seededRandom(seed) }).raft.nextTickAt();
      assert.ok(at >= settings.electionTimeoutMs && at < 2 * settings.electionTimeoutMs);
    }
  });

  test('refuses proposals as a follower and names the leader (HM-8)', () => {
    const one = voter();
    assert.deepEqual(one.raft.propose([Buffer.from('x')], 0), { kind: 'not-leader' });
    one.raft.receive(2, appendRequest({}), 0);
    assert.deepEqual(one.raft.propose([Buffer.from('x')], 0), { kind: 'not-leader', leader: 2 });
  });

  test('is busy as a leader once too much is uncommitted, and free again after a commit', () => {
    const { one, now } = leader({ settings: { ...settings, uncommittedEntriesMax: 2, uncommittedBytesMax: 10 } });
    assert.equal(one.raft.propose([new Uint8Array(11)], now).kind, 'busy');
    assert.deepEqual(one.raft.propose([new Uint8Array(5), new Uint8Array(5)], now), {
      kind: 'accepted',
      firstIndex: 2,
      lastIndex: 3,
      term: 1,
    });
    assert.equal(one.raft.propose([new Uint8Array(1)], now).kind, 'busy');
    settle(one, now);
    one.raft.receive(3, accepted(3), now);
    assert.equal(one.raft.propose([new Uint8Array(1)], now).kind, 'accepted');
  });

  test('counts its own entries only when they are durable', () => {
    const { one, now } = leader();
    one.raft.propose([Buffer.from('x')], now);
    one.takeReadys();
    one.raft.receive(2, accepted(2), now);
    assert.equal(one.raft.commitIndex, 1);
    one.finishWrite(now);
    assert.equal(one.raft.commitIndex, 2);
  });

  test('knows as a leader that it lost its majority, by when what was answered had been sent (HM-6)', () => {
    const { one, now } = leader();
    const { electionTimeoutMs, heartbeatMs } = settings;
    one.raft.tick(now + heartbeatMs);
    const late = now + heartbeatMs + electionTimeoutMs;
    one.raft.receive(2, accepted(1, { round: 2 }), late);
    assert.deepEqual(one.raft.quorum(late), { healthy: true });
    assert.deepEqual(one.raft.quorum(late + 1), { healthy: false });
    one.raft.tick(late + 1);
    assert.deepEqual([one.raft.role, one.raft.leader], ['follower', undefined]);
    assert.deepEqual(one.raft.quorum(late + 1), { healthy: false });
  });

  test('believes as a follower in a quorum for two election timeouts after it heard a leader (HM-6)', () => {
    const one = voter();
    assert.deepEqual(one.raft.quorum(0), { healthy: false });
    one.raft.receive(2, appendRequest({}), 10);
    assert.deepEqual(one.raft.quorum(10 + 2 * settings.electionTimeoutMs), { healthy: true });
    assert.deepEqual(one.raft.quorum(11 + 2 * settings.electionTimeoutMs), { healthy: false });
  });

  test('ignores a vote request of a higher term while it hears a leader', () => {
    const one = voter();
    one.raft.receive(2, appendRequest({}), 0);
    settle(one, 0);
    const request: RaftMessage = { kind: 'vote-request', term: 9, lastIndex: 5, lastTerm: 5, isTransfer: false };
    one.raft.receive(3, request, settings.electionTimeoutMs - 1);
    assert.deepEqual([settle(one, 0), one.raft.term], [[], 1]);
    one.raft.receive(3, request, settings.electionTimeoutMs);
    assert.deepEqual(settle(one, 0), [{ kind: 'vote-answer', term: 9, granted: true }]);
  });

  test('answers a request of an older term without its round, which belongs to another leadership', () => {
    const one = voter({ hardState: { term: 5, votedFor: 0 } });
    one.raft.receive(2, appendRequest({ term: 4, round: 40 }), 0);
    assert.deepEqual(settle(one, 0), [refused(0, { term: 5, round: 0 })]);
  });

  test('claims to match only what a request covered', () => {
    const one = voter({ entries: entries([1, 1, 1, 1]), hardState: { term: 1, votedFor: 0 } });
    one.raft.receive(2, appendRequest({ term: 2, previousIndex: 1, previousTerm: 1, entries: entries([1], 2) }), 0);
    const [answer] = settle(one, 0);
    assert.deepEqual(answer, accepted(2, { term: 2, round: 1 }));
    assert.equal(one.raft.lastIndex, 4);
  });

  test('answers what came during a write at once, with all that is durable then', () => {
    const one = voter();
    one.raft.receive(2, appendRequest({ entries: entries([1]) }), 0);
    one.takeReadys();
    const [second, third] = [entries([1], 2), entries([1], 3)];
    one.raft.receive(2, appendRequest({ previousIndex: 1, previousTerm: 1, round: 2, entries: second }), 0);
    one.raft.receive(2, appendRequest({ previousIndex: 2, previousTerm: 1, round: 3, entries: third }), 0);
    one.raft.receive(2, appendRequest({ round: 2, entries: entries([1]) }), 0);
    assert.deepEqual(one.takeReadys(), []);
    assert.deepEqual(
      one.finishWrite(0).map(({ message }) => message),
      [accepted(1, { round: 1 })],
    );
    assert.deepEqual(one.takeReadys(), []);
    assert.deepEqual(
      one.finishWrite(0).map(({ message }) => message),
      [accepted(3, { round: 3 })],
    );
  });

  test('bounds the promises that wait for a hanging disk', () => {
    const one = voter();
    one.raft.receive(2, appendRequest({}), 0);
    one.takeReadys();
    const beyond = { previousIndex: 7, previousTerm: 1 };
    for (let round = 2; round < promisesMax + 12; round++) one.raft.receive(2, appendRequest({ ...beyond, round }), 0);
    one.takeReadys();
    assert.equal(one.raft.dropped, 10);
    one.finishWrite(0);
    assert.equal(one.takeReadys().length, promisesMax);
  });
});

describe('hostile messages', () => {
  const position = { lastIndex: 0, lastTerm: 0 };
  const implausible: Record<string, RaftMessage> = {
    'a term beyond all bounds': { kind: 'vote-request', term: counterMax + 1, ...position, isTransfer: false },
    'a fraction of a term': { kind: 'vote-answer', term: 1.5, granted: true },
    'an index without a term': { kind: 'vote-request', term: 3, lastIndex: 4, lastTerm: 0, isTransfer: false },
    'a log newer than its term': { kind: 'pre-vote-request', term: 3, lastIndex: 4, lastTerm: 3 },
    'a gap': appendRequest({ entries: entries([1], 3) }),
    'terms that fall': appendRequest({ term: 9, entries: entries([5, 4]) }),
    'an entry of a later term': appendRequest({ entries: entries([2]) }),
    'entries of term 0': appendRequest({ entries: entries([0]) }),
    'a leader of term 0': appendRequest({ term: 0 }),
    'a negative commit': appendRequest({ commitIndex: -1 }),
    'an answer that is no number': accepted(Number.NaN),
  };
  for (const [name, message] of Object.entries(implausible)) {
    test(`${name} is dropped and counted`, () => {
      const one = voter();
      one.raft.receive(2, message, 0);
      assert.deepEqual([one.raft.dropped, one.raft.term, settle(one, 0)], [1, 0, []]);
    });
  }

  test('one that calls itself us is not listened to', () => {
    const one = voter();
    one.raft.receive(1, appendRequest({}), 0);
    assert.deepEqual([one.raft.dropped, one.raft.leader], [1, undefined]);
  });

  test('a second leader in one term is not followed', () => {
    const one = voter();
    one.raft.receive(2, appendRequest({}), 0);
    one.raft.receive(3, appendRequest({ entries: entries([1]) }), 0);
    assert.deepEqual([one.raft.dropped, one.raft.leader, one.raft.lastIndex], [1, 2, 0]);
  });

  test('what is committed is not replaced, whoever asks', () => {
    const one = voter();
    one.raft.receive(2, appendRequest({ entries: entries([1, 1]), commitIndex: 2 }), 0);
    one.raft.receive(3, appendRequest({ term: 2, entries: entries([2]) }), 0);
    assert.deepEqual([one.raft.dropped, one.raft.termAt(1), one.raft.commitIndex], [1, 1, 2]);
  });

  test('an answer for what was never sent commits nothing', () => {
    const { one, now } = leader();
    one.raft.receive(2, accepted(7), now);
    one.raft.receive(2, accepted(1, { round: 99 }), now);
    assert.deepEqual([one.raft.dropped, one.raft.commitIndex], [2, 1]);
  });

  test('no message breaks a voter, nor what it has committed', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = seededRandom(seed);
      const one = voter({ entries: entries([1, 1, 2]), hardState: { term: 2, votedFor: 0 }, random });
      let now = 0;
      for (let step = 0; step < 100; step++) {
        const { firstIndex, commitIndex } = one.raft;
        const before = one.raft.entriesFrom(firstIndex, commitIndex - firstIndex + 1);
        now += random.below(300);
        if (random.below(5) === 0) one.raft.tick(now);
        else one.raft.receive(random.below(5), anyMessage(random), now);
        if (one.raft.role === 'leader') one.raft.propose([Buffer.from('x')], now);
        // What a snapshot says of a state is not for consensus to judge: these hold none.
        settleWithoutState(one, now);
        const held = before.filter(({ index }) => index >= one.raft.firstIndex);
        assert.deepEqual(one.raft.entriesFrom(held[0]?.index ?? one.raft.firstIndex, held.length), held);
      }
    }
  });
});

/** A message with small numbers, so that many of them fit, and some that never do. */
function anyMessage(random: Random): RaftMessage {
  const any = (): number =>
    random.below(40) === 0 ? ([Number.NaN, -1, 0.5, 2 ** 60][random.below(4)] ?? 0) : random.below(6);
  const position = { lastIndex: any(), lastTerm: any() };
  const term = any() + random.below(20);
  const granted = random.below(2) === 0;
  const previousIndex = any();
  const terms = Array.from({ length: random.below(4) }, any);
  const messages: RaftMessage[] = [
    { kind: 'pre-vote-request', term, ...position },
    { kind: 'pre-vote-answer', term, granted },
    { kind: 'vote-request', term, ...position, isTransfer: granted },
    { kind: 'vote-answer', term, granted },
    { ...accepted(any(), { term, round: any() }), accepted: granted, lostLog: random.below(3) },
    appendRequest({
      term,
      previousIndex,
      previousTerm: any(),
      commitIndex: any(),
      lossSeen: random.below(2),
      entries: entries(terms, previousIndex + 1),
    }),
    appendRequest({
      term,
      entries: [{ index: 1, term: any(), kind: 'configuration', payload: anyConfiguration(random) }],
    }),
    anyChunk(term, random),
    { kind: 'snapshot-answer', term, round: any(), index: any(), offset: any(), done: granted, lostLog: any() },
    { kind: 'time-out-now', term },
  ];
  return messages[random.below(messages.length)] as RaftMessage;
}

function settleWithoutState(one: TestVoter, now: number): void {
  for (let ready = one.raft.takeReady(); ready !== undefined; ready = one.raft.takeReady()) {
    if (ready.write !== undefined) one.raft.persisted(ready.write.id, now);
  }
}

function anyConfiguration(random: Random): Uint8Array {
  const voters = [1, 2, 3, 4].filter(() => random.below(2) === 0);
  return random.below(5) === 0 ? random.bytes(9) : encodeConfiguration(votersOnly(...voters));
}

function anyChunk(term: number, random: Random): SnapshotChunk {
  const position = { index: random.below(6), lastTerm: random.below(4), chain: new Uint8Array(32) };
  const bytes = random.bytes(random.below(4));
  const part = { offset: random.below(3), totalBytes: random.below(5), bytes };
  return { kind: 'snapshot-chunk', term, round: 1, ...position, configuration: anyConfiguration(random), ...part };
}
