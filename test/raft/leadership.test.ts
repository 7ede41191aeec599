/** What a leader makes of answers that cannot be, and what a follower that is away may cost it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeConfiguration, type RaftConfiguration } from '../../src/raft/configuration.ts';
import type { AddressedRaftMessage, AppendRequest, RaftMessage } from '../../src/raft/message.ts';
import { Progress } from '../../src/raft/progress.ts';
import { type RaftSettings, raftSettingsDefault } from '../../src/raft/raft.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { settle, TestVoter, votersOnly } from './voter.ts';

/** All bytes are a thousandth of what they are by default, so that a payload of 256 stands for one of 256 KiB. */
const settings: RaftSettings = {
  ...raftSettingsDefault,
  messageBytesMax: raftSettingsDefault.messageBytesMax / 1024,
  uncommittedBytesMax: raftSettingsDefault.uncommittedBytesMax / 1024,
  snapshotChunkBytes: raftSettingsDefault.snapshotChunkBytes / 1024,
};
const large = new Uint8Array(256).fill(7);

/** Voter 1 of these, elected by voter 2; `carry` lets 2 take all that it is sent, and gives all that was sent. */
class Leader {
  readonly one: TestVoter;
  readonly two: TestVoter;
  now: number;

  constructor(configuration: RaftConfiguration) {
    const voter = (self: number): TestVoter =>
      new TestVoter({ self, configuration, settings, random: seededRandom(self) }, 0);
    [this.one, this.two] = [voter(1), voter(2)];
    this.now = this.one.raft.nextTickAt();
    this.one.raft.tick(this.now);
    this.carry();
    assert.equal(this.one.raft.role, 'leader');
  }

  carry(): readonly AddressedRaftMessage[] {
    const all: AddressedRaftMessage[] = [];
    for (let sent = takeAll(this.one, this.now); sent.length > 0; sent = takeAll(this.one, this.now)) {
      all.push(...sent);
      for (const { to, message } of sent) if (to === 2) this.two.raft.receive(1, message, this.now);
      for (const { message } of takeAll(this.two, this.now)) this.one.raft.receive(2, message, this.now);
    }
    return all;
  }

  hear(from: number, message: RaftMessage): void {
    this.one.raft.receive(from, message, this.now);
    settle(this.one, this.now);
  }

  beat(): readonly AddressedRaftMessage[] {
    this.now += settings.heartbeatMs;
    this.one.raft.tick(this.now);
    return this.carry();
  }
}

function takeAll(voter: TestVoter, now: number): readonly AddressedRaftMessage[] {
  const taken = [...voter.takeReadys()];
  while (voter.writing !== undefined) taken.push(...voter.finishWrite(now), ...voter.takeReadys());
  return taken;
}

describe('what a leader is told of a snapshot', () => {
  const done = { kind: 'snapshot-answer', term: 1, round: 1, index: 1, offset: 9, done: true, lostLog: 0 } as const;

  test('is dropped and counted when nobody can have said it', () => {
    const leader = new Leader(votersOnly(1, 2, 3));
    for (const lie of [{ round: 99 }, { index: 99 }]) {
      const { dropped } = leader.one.raft;
      leader.hear(3, { ...done, ...lie });
      assert.equal(leader.one.raft.dropped, dropped + 1);
    }
    leader.one.raft.propose([Buffer.from('x')], leader.now);
    assert.equal(leader.one.raft.commitIndex, 1);
  });

  test('may come from one that takes no part any more, and changes nothing', () => {
    const leader = new Leader(votersOnly(1, 2, 3));
    leader.one.raft.changeConfiguration({ voters: [1, 2], learners: [] }, leader.now);
    leader.carry();
    assert.deepEqual(leader.one.raft.configurationAt(leader.one.raft.commitIndex), votersOnly(1, 2));
    const { dropped, commitIndex } = leader.one.raft;
    leader.hear(3, done);
    assert.deepEqual([leader.one.raft.dropped, leader.one.raft.commitIndex], [dropped, commitIndex]);
  });
});

describe('what a leader is told by a voter that lost entries', () => {
  test('counts again when it has found all, and nothing does that was said before it told of the loss', () => {
    const progress = new Progress(9, 4, 0);
    progress.onAccepted(8, 1);
    assert.equal(progress.believes(77, 2, 5), true);
    assert.deepEqual([progress.matchIndex, progress.lossSeen], [0, 77]);
    assert.equal(progress.believes(0, 5, 5), false, 'from before the loss');
    assert.equal(progress.believes(0, 6, 6), true, 'it has everything again');
    assert.equal(progress.lossSeen, 0);
  });
});

describe('one that follows', () => {
  test('begins no change of the voters, and hands no lead over', () => {
    const { raft } = new Leader(votersOnly(1, 2, 3)).two;
    const notLeader = { kind: 'not-leader', leader: 1 };
    assert.deepEqual(raft.changeConfiguration({ voters: [1, 2], learners: [] }, 0), notLeader);
    assert.deepEqual([raft.transfer(2, 0), raft.handOver(0)], [notLeader, notLeader]);
  });
});

describe('a follower that is away', () => {
  /** Commits much with the other follower alone, and snapshots on the way; gives what was sent to the absent one. */
  function sentToAbsent(leader: Leader): readonly RaftMessage[] {
    const sent: AddressedRaftMessage[] = [];
    for (let entry = 0; entry < 2_000; entry++) {
      assert.equal(leader.one.raft.propose([large], leader.now).kind, 'accepted');
      sent.push(...leader.carry());
      if (entry % 100 === 99) leader.one.compact(50);
      if (entry % 10 === 9) sent.push(...leader.beat());
    }
    return sent.filter(({ to }) => to === 3).map(({ message }) => message);
  }

  function payloadBytes(messages: readonly RaftMessage[]): number {
    const appends = messages.filter((message): message is AppendRequest => message.kind === 'append-request');
    return appends.flatMap(({ entries }) => entries).reduce((sum, { payload }) => sum + payload.length, 0);
  }

  test('costs a leader one window of messages, however much is decided meanwhile', () => {
    const leader = new Leader(votersOnly(1, 2, 3));
    // It was there when this leader began.
    leader.hear(3, { kind: 'append-answer', term: 1, accepted: true, matchIndex: 1, round: 1, lostLog: 0 });
    const sent = sentToAbsent(leader);
    assert.equal(leader.one.raft.commitIndex, 2_001);
    assert(payloadBytes(sent) > 0);
    assert(payloadBytes(sent) <= settings.inflightMessagesMax * settings.messageBytesMax, `${payloadBytes(sent)}`);
    const heartbeats = sent.filter((message) => message.kind === 'append-request' && message.entries.length === 0);
    assert(heartbeats.length >= 200, 'it still hears that there is a leader');
    const chunks = sent.filter(({ kind }) => kind === 'snapshot-chunk');
    assert.equal(chunks.length, 1, 'one piece, not again with each heartbeat, and not one for each snapshot');
  });

  test('that this leader never heard costs a probe for each heartbeat of one election timeout, and then none', () => {
    const leader = new Leader(votersOnly(1, 2, 3));
    const sent: AddressedRaftMessage[] = [];
    for (let beat = 0; beat < 50; beat++) {
      leader.one.raft.propose([large], leader.now);
      sent.push(...leader.carry(), ...leader.beat());
    }
    const appends = sent.filter(({ to }) => to === 3).map(({ message }) => message as AppendRequest);
    const probes = appends.filter(({ entries }) => entries.length > 0);
    assert(probes.length <= 1 + settings.electionTimeoutMs / settings.heartbeatMs, `${probes.length}`);
    for (const probe of probes) assert(payloadBytes([probe]) <= settings.messageBytesMax);
    assert(appends.length >= 50, 'it still hears that there is a leader');
    const answer = { kind: 'append-answer', term: 1, accepted: true, matchIndex: 0, round: 50, lostLog: 0 } as const;
    leader.one.raft.receive(3, answer, leader.now);
    const sentThen = leader.carry().filter(({ to }) => to === 3);
    assert(payloadBytes(sentThen.map(({ message }) => message)) > 0, 'it gets entries as soon as it answers');
  });

  test('holds back no entry from being forgotten', () => {
    const leader = new Leader(votersOnly(1, 2, 3));
    sentToAbsent(leader);
    const { firstIndex, lastIndex } = leader.one.raft;
    assert.equal(lastIndex - firstIndex + 1, 50);
  });
});

describe('what nobody has agreed to yet', () => {
  test('is bounded in bytes as in entries: a leader without a majority is busy, and holds no more', () => {
    const leader = new Leader(votersOnly(1, 2, 3));
    let accepted = 0;
    while (leader.one.raft.propose([large], leader.now).kind === 'accepted') accepted++;
    assert.equal(accepted, settings.uncommittedBytesMax / large.length);
    assert.deepEqual(leader.one.raft.propose([large], leader.now), { kind: 'busy' });
  });

  test('counts a configuration as well', () => {
    const leader = new Leader(votersOnly(1, 2, 3));
    const bytes = encodeConfiguration(votersOnly(1, 2)).length;
    const most = new Uint8Array(settings.uncommittedBytesMax - bytes + 1);
    assert.equal(leader.one.raft.propose([most], leader.now).kind, 'accepted');
    assert.equal(leader.one.raft.changeConfiguration({ voters: [1, 2], learners: [] }, leader.now).kind, 'busy');
  });
});
