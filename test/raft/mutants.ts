/**
 * Breaks the Raft machine in one place at a time and lets the tests of this folder find out:
 * `node --import tsx test/raft/mutants.ts [part of a name]`.
 *
 * Each mutant is a copy of the sources with one text replaced: a bug that some implementation really had, where one is
 * named, or one that its rule exists to prevent. It counts as caught when the random clusters fail, or else a scenario
 * does; one that survives shows a rule that nothing checks. Takes some minutes: for by hand and for the night. Ends
 * with exit code 1 when a mutant survives.
 *
 * The bugs of changes by a single server (Ongaro, raft-dev, 2015) have no mutant: voters change by joint consensus
 * alone, so there is no code that could have them.
 */
import { type Fate, fateByTests, type Mutant, type Mutation, tryWhenRun } from '../house/mutation.ts';

/** A cluster that takes longer spins for ever: caught only where that is what the mutant does wrong. */
const runMsMax = 120_000;

const votesAndTerms: readonly Mutant[] = [
  {
    wrong: 'a vote is given before it is durable',
    file: 'election.ts',
    from: "this.ready.promise(from, { kind: 'vote-answer'",
    to: "this.ready.send(from, { kind: 'vote-answer'",
  },
  {
    wrong: 'a candidate asks before its own vote is durable',
    file: 'election.ts',
    from: "this.ready.promise(to, { kind: 'vote-request'",
    to: "this.ready.send(to, { kind: 'vote-request'",
  },
  {
    wrong: 'a vote is forgotten over a crash',
    file: 'election.ts',
    from: 'this.hardState = options.hardState;',
    to: 'this.hardState = { term: options.hardState.term, votedFor: 0 };',
  },
  {
    wrong: 'a voter votes twice in a term',
    file: 'election.ts',
    from: 'const isFree = votedFor === 0 || votedFor === from;',
    to: 'const isFree = votedFor >= 0;',
  },
  {
    wrong: 'a candidate whose log is older gets votes',
    file: 'log.ts',
    from: 'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);',
    to: 'return lastTerm >= 0 && lastIndex >= 0;',
  },
  {
    wrong: 'a longer log beats a newer one',
    file: 'log.ts',
    from: 'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);',
    to: 'return lastTerm > 0 && lastIndex >= this.lastIndex;',
  },
  {
    wrong: 'a refused pre-vote tells nobody of a later term, and 2 of 3 elect nobody (hashicorp/raft#605)',
    file: 'election.ts',
    from: "      case 'pre-vote-answer':\n        return !message.granted;",
    to: "      case 'pre-vote-answer':\n        return false;",
  },
  {
    wrong: 'a pre-vote is refused for ever after a leader was heard once',
    file: 'election.ts',
    from: 'now - (this.heardAt ?? -Infinity) < this.settings.electionTimeoutMs',
    to: '(this.heardAt ?? -Infinity) <= now',
  },
  {
    wrong: 'whoever does not hear the leader that the others hear disturbs it (Cloudflare 2020)',
    file: 'election.ts',
    from: 'return message.isTransfer || !this.hearsLeader(now);',
    to: 'return true;',
  },
  {
    wrong: 'a leader without a majority goes on',
    file: 'raft.ts',
    from: 'if (!hasMajority || this.election.diskHangs(this.now))',
    to: 'if (this.election.diskHangs(this.now))',
  },
  {
    wrong: 'a leader whose disk hangs goes on (hashicorp/raft#503)',
    file: 'raft.ts',
    from: 'if (!hasMajority || this.election.diskHangs(this.now))',
    to: 'if (!hasMajority)',
  },
];

const replication: readonly Mutant[] = [
  {
    wrong: 'entries are acknowledged before they are durable',
    file: 'raft.ts',
    from: 'this.ready.promise(from, this.replica.onAppend(request));',
    to: 'this.ready.send(from, this.replica.onAppend(request));',
  },
  {
    wrong: 'a leader counts its own entries before they are durable (etcd#14370)',
    file: 'leadership.ts',
    from: 'voter === self ? log.durableIndex :',
    to: 'voter === self ? log.lastIndex :',
  },
  {
    wrong: 'what is replaced during its write is durable when that ends',
    file: 'log.ts',
    from: '    this.written = Math.min(this.written, index - 1);\n',
    to: '',
  },
  {
    wrong: 'entries of an older term are committed by counting (CCF, figure 3.7)',
    file: 'raft.ts',
    from: 'if (agreedIndex <= this.commitIndex || this.log.termAt(agreedIndex) !== this.term) return;',
    to: 'if (agreedIndex <= this.commitIndex) return;',
  },
  {
    wrong: 'a refusal counts as an acknowledgement (CCF: commit on NACK)',
    file: 'leadership.ts',
    from: 'else progress.onRefused(answer.matchIndex, answer.round);',
    to: 'else progress.onAccepted(Math.min(answer.matchIndex, this.log.lastIndex), answer.round);',
  },
  {
    wrong: 'an early request that comes late takes away what came after it (CCF)',
    file: 'log.ts',
    from: 'const conflict = this.conflictWith(entries);\n    if (',
    to: 'const conflict = entries[0]?.index ?? this.lastIndex + 1;\n    if (conflict <= this.lastIndex && ',
  },
  {
    wrong: 'all beyond the previous entry of a request is taken away',
    file: 'replica.ts',
    from: '    this.log.merge(entries);\n',
    to:
      '    if (previousIndex >= this.log.commitIndex) this.log.truncateFrom(previousIndex + 1);\n' +
      '    this.log.merge(entries);\n',
  },
  {
    wrong: 'more is acknowledged than a request covered (CCF: over-acking)',
    file: 'replica.ts',
    from: 'const matchIndex = previousIndex + entries.length;',
    to: 'const matchIndex = this.log.lastIndex;',
  },
  {
    wrong: 'a follower does not compare what comes before',
    file: 'log.ts',
    from: 'return index < this.base || this.termAt(index) === term;',
    to: 'return index <= this.lastIndex && term >= 0;',
  },
  {
    wrong: 'a follower commits what a request did not cover',
    file: 'replica.ts',
    from: 'this.log.commitTo(Math.min(commitIndex, matchIndex));',
    to: 'this.log.commitTo(Math.min(commitIndex, this.log.lastIndex));',
  },
  {
    wrong: 'a follower that skips a term which it has in part is never repaired',
    file: 'progress.ts',
    from: 'const isOld = hint < this.match && round <= this.acceptedRound;',
    to: 'const isOld = hint < this.match;',
  },
  {
    wrong: 'entries are applied before they are durable here',
    file: 'log.ts',
    from: 'const last = Math.min(this.committed, this.durable, this.delivered + most);',
    to: 'const last = Math.min(this.committed, this.delivered + most);',
  },
  {
    wrong: 'the commit index is that of the last follower in a list out of order (OpenRaft#1802)',
    file: 'quorum.ts',
    from: 'countAtLeast(value, voters, reached) >= majority',
    to: 'voters.indexOf(voter) >= majority - 1',
  },
  {
    wrong: 'a majority is one too few',
    file: 'quorum.ts',
    from: 'return Math.floor(voters / 2) + 1;',
    to: 'return Math.max(1, Math.floor(voters / 2));',
  },
];

const snapshots: readonly Mutant[] = [
  {
    wrong: 'a snapshot takes away the longer log that holds it',
    file: 'replica.ts',
    from: 'if (index > this.log.commitIndex && this.log.termAt(index) === lastTerm) this.log.commitTo(index);',
    to: '',
  },
  {
    wrong: 'a snapshot that comes late takes the log back',
    file: 'replica.ts',
    from: '    if (index > this.log.commitIndex) {\n',
    to: '    if (index > 0) {\n',
  },
  {
    wrong: 'a snapshot is acknowledged before it is durable',
    file: 'raft.ts',
    from: 'this.ready.promise(from, { ...this.replica.onChunk(chunk), term: this.term });',
    to: 'this.ready.send(from, { ...this.replica.onChunk(chunk), term: this.term });',
  },
  {
    wrong: 'a snapshot is restored before it is durable',
    file: 'log.ts',
    from: 'if (this.delivered >= this.base || this.durable < this.base) return undefined;',
    to: 'if (this.delivered >= this.base) return undefined;',
  },
  {
    wrong: 'a write in flight makes a snapshot durable that came after it',
    file: 'log.ts',
    from: '    this.written = 0;\n    this.durable = 0;\n',
    to: '    this.written = snapshot.index;\n    this.durable = 0;\n',
  },
  {
    wrong: 'pieces of two snapshots are put together',
    file: 'snapshot-transfer.ts',
    from: 'return term === this.term && index === this.index && totalBytes === this.totalBytes;',
    to: 'return totalBytes === this.totalBytes && term > 0 && index > 0;',
  },
  {
    wrong: 'a piece that comes twice is added twice',
    file: 'snapshot-transfer.ts',
    from: '    if (offset !== this.received) return;\n',
    to: '    if (offset > this.received) return;\n',
  },
  {
    wrong: 'a snapshot leaves a configuration of the log that it replaced (OpenRaft#1808)',
    file: 'log.ts',
    from: '    this.configurations.restart(snapshot.index, configuration);\n',
    to:
      '    if (this.configurations.newestIndex <= this.committed) ' +
      'this.configurations.restart(snapshot.index, configuration);\n',
  },
  {
    wrong: 'a log that begins behind a snapshot forgets its last term',
    file: 'log.ts',
    from: 'return this.entries.at(-1)?.term ?? this.baseTerm;',
    to: 'return this.entries.at(-1)?.term ?? 0;',
  },
  {
    wrong: 'the base keeps the term of the one before',
    file: 'log.ts',
    from: '    this.baseTerm = this.termAt(this.base + forgotten) as Term;\n',
    to: '',
  },
  {
    wrong: 'a snapshot says who votes now, not as of its index',
    file: 'configuration.ts',
    from: 'return (this.known.findLast((known) => known.index <= index) ?? first).configuration;',
    to: 'return (this.known.findLast((known) => known.index >= index) ?? first).configuration;',
  },
];

const reads: readonly Mutant[] = [
  {
    wrong: 'a read is answered without a round',
    file: 'raft.ts',
    from: 'const id = this.reads.open(Math.max(this.commitIndex, leadership.openingIndex), round);',
    to: 'const id = this.reads.open(Math.max(this.commitIndex, leadership.openingIndex), round * 0);',
  },
  {
    wrong: 'a read is confirmed by a round that began before it',
    file: 'leadership.ts',
    from: '    this.wantsRound = true;\n    return this.round + 1;',
    to: '    return this.round;',
  },
  {
    wrong: 'a read does not wait for a commit in the own term',
    file: 'raft.ts',
    from: 'const id = this.reads.open(Math.max(this.commitIndex, leadership.openingIndex), round);',
    to: 'const id = this.reads.open(this.commitIndex, round);',
  },
  {
    wrong: 'the id of a read is used again (etcd#20418)',
    file: 'reads.ts',
    from: '    this.confirmed = [];\n    this.waiting = [];\n',
    to: '    this.confirmed = [];\n    this.waiting = [];\n    this.lastId = 0;\n',
  },
  {
    wrong: 'a read is answered before its state is applied',
    file: 'reads.ts',
    from: 'this.confirmed.filter(({ index }) => index <= delivered);',
    to: 'this.confirmed.filter(({ index }) => index >= 0 || index <= delivered);',
  },
  {
    wrong: 'reads of a lost lead are never answered',
    file: 'raft.ts',
    from: '    if (this.leadership !== undefined) this.reads.fail();\n',
    to: '',
  },
  {
    wrong: 'an answer to an older term confirms a round of this one',
    file: 'raft.ts',
    from: 'if (this.leadership === undefined || answer.term !== this.term) return;',
    to: 'if (this.leadership === undefined || answer.term > this.term) return;',
  },
];

const configurations: readonly Mutant[] = [
  {
    wrong: 'a majority is counted over both sets together (CCF)',
    file: 'quorum.ts',
    from: 'const agreed = agreedAmong(voters, reached);\n  return ',
    to: 'const agreed = agreedAmong([...new Set([...voters, ...outgoing])], reached);\n  return true ? agreed : ',
  },
  {
    wrong: 'during a change the voters to come decide alone',
    file: 'quorum.ts',
    from: 'return outgoing.length === 0 ? agreed : Math.min(agreed, agreedAmong(outgoing, reached));',
    to: 'return outgoing.length === 0 ? agreed : agreed;',
  },
  {
    wrong: 'learners count',
    file: 'quorum.ts',
    from: '  const agreed = agreedAmong(voters, reached);\n',
    to: '  const agreed = agreedAmong([...voters, ...arguments[0].learners], reached);\n',
  },
  {
    wrong: 'a change goes without joint consensus',
    file: 'configuration-change.ts',
    from: 'hasSameVoters ? next : { ...next, outgoing: present.voters }',
    to: 'hasSameVoters || present.voters.length > 0 ? next : { ...next, outgoing: present.voters }',
  },
  {
    wrong: 'joint consensus is left before it is committed',
    file: 'raft.ts',
    from: '    if (this.log.configurations.newestIndex > this.commitIndex) return;\n',
    to: '',
  },
  {
    wrong: 'joint consensus is never left',
    file: 'raft.ts',
    from: '    if (this.configuration.outgoing.length > 0) {\n      this.appendOwn',
    to: '    if (this.configuration.outgoing.length > 9) {\n      this.appendOwn',
  },
  {
    wrong: 'a second change begins before the first is committed',
    file: 'raft.ts',
    from: 'isSettled: this.commitIndex >= Math.max(this.log.configurations.newestIndex, leadership.openingIndex),',
    to: 'isSettled: this.commitIndex >= leadership.openingIndex,',
  },
  {
    wrong: 'a leader changes who votes before an entry of its term is committed',
    file: 'raft.ts',
    from: 'isSettled: this.commitIndex >= Math.max(this.log.configurations.newestIndex, leadership.openingIndex),',
    to: 'isSettled: this.commitIndex >= this.log.configurations.newestIndex,',
  },
  {
    wrong: 'a configuration stays when its entry is taken back',
    file: 'log.ts',
    from: '    this.configurations.takeBackFrom(index);\n',
    to: '',
  },
  {
    wrong: 'who takes part is adopted when it is committed, not when it is appended',
    file: 'log.ts',
    from: "if (entry.kind === 'configuration' && entry.index > this.configurations.newestIndex) this.adopt(entry);",
    to:
      "const isLate = ({ kind, index }) => kind === 'configuration' && index <= this.committed;\n" +
      '      const late = this.entries.findLast(isLate);\n' +
      '      if (late !== undefined && late.index > this.configurations.newestIndex) this.adopt(late);',
  },
  {
    wrong: 'a learner stands for election',
    file: 'configuration.ts',
    from: 'export function isVoter({ voters, outgoing }: RaftConfiguration, number: NodeNumber): boolean {\n  return ',
    to:
      'export function isVoter({ voters, learners, outgoing }: RaftConfiguration, number: NodeNumber): boolean {\n' +
      '  return learners.includes(number) || ',
  },
  {
    wrong: 'a newcomer votes before it has caught up',
    file: 'configuration-change.ts',
    from: 'if (lag > lagEntriesMax) return',
    to: 'if (lag < 0) return',
  },
  {
    wrong: 'a change begins that only the silent could end',
    file: 'configuration-change.ts',
    from: 'if (!hasSameVoters && !hasQuorum) return',
    to: 'if (!hasSameVoters && !hasQuorum && silent.length > 9) return',
  },
  {
    wrong: 'who is left out does not stand, though its log is the newest (CCF: premature retirement)',
    file: 'election.ts',
    from: 'return isVoter(configuration, this.self) || isVoter(configurations.at(commitIndex), this.self);',
    to: 'return isVoter(configuration, this.self) || configurations.at(commitIndex) === undefined;',
  },
  {
    wrong: 'a lone voter tells learners of a term before that is durable',
    file: 'ready.ts',
    from: '    if (this.hardStateWrite <= this.writesDurable) this.send(to, message);\n',
    to: '    if (this.hardStateWrite >= 0) this.send(to, message);\n',
  },
  {
    wrong: 'a leader that is to go goes before that is committed',
    file: 'raft.ts',
    from: "    if (kind === 'configuration') leadership.followConfiguration(this.now);\n",
    to:
      "    if (kind === 'configuration') leadership.followConfiguration(this.now);\n" +
      "    if (kind === 'configuration' && !this.configuration.voters.includes(this.self)) " +
      'this.becomeFollower(this.term, undefined);\n',
  },
  {
    wrong: 'a leader that takes no part any more goes on leading',
    file: 'raft.ts',
    from: '} else if (!isVoter(this.configuration, this.self)) {',
    to: '} else if (this.configuration.voters.length === 0) {',
  },
];

const transfersAndLosses: readonly Mutant[] = [
  {
    wrong: 'whom the leader wants to lead is refused because the leader is heard',
    file: 'election.ts',
    from: 'return message.isTransfer || !this.hearsLeader(now);',
    to: 'return !this.hearsLeader(now);',
  },
  {
    wrong: 'the lead is handed over before the successor is up to date',
    file: 'leadership.ts',
    from: '    if (this.followers.get(transfer.to)?.matchIndex !== this.log.lastIndex) return;\n',
    to: '',
  },
  {
    wrong: 'a transfer that fails is never given up',
    file: 'leadership.ts',
    from: 'if (this.transfer !== undefined && now >= this.transfer.until) this.transfer = undefined;',
    to: '',
  },
  {
    wrong: 'proposals are taken while the lead is handed over',
    file: 'raft.ts',
    from: 'if (leadership.isHandingOver || !this.hasRoomFor(payloads))',
    to: 'if (!this.hasRoomFor(payloads))',
  },
  {
    wrong: 'whoever lost entries votes',
    file: 'election.ts',
    from: 'return !this.replica.isQuarantined && this.log.isNoNewerThan(lastTerm, lastIndex);',
    to: 'return this.log.isNoNewerThan(lastTerm, lastIndex);',
  },
  {
    wrong: 'whoever lost entries stands for election',
    file: 'election.ts',
    from: 'return this.takesPart() && !this.replica.isQuarantined && !this',
    to: 'return this.takesPart() && !this',
  },
  {
    wrong: 'a leader does not heed that a follower lost entries',
    file: 'progress.ts',
    from: '    this.match = 0;\n    this.backToProbing();\n',
    to: '',
  },
  {
    wrong: 'a leader believes what was acknowledged before a loss, once that is made good',
    file: 'progress.ts',
    from: 'if (lostLog !== 0 && lostLog === this.loss) return true;',
    to: 'if (lostLog === this.loss) return true;',
  },
  {
    wrong: 'an answer joins one that leaves before it is durable',
    file: 'ready.ts',
    from: 'if (joined === undefined || waiting?.afterWrite !== this.savingWrite) this.hold',
    to: 'if (joined === undefined || waiting === undefined) this.hold',
  },
  {
    wrong: 'a leader believes what was acknowledged before a loss',
    file: 'progress.ts',
    from: '    if (answeredRound <= this.lossRound) return false;\n',
    to: '',
  },
  {
    wrong: 'quarantine ends with a request from before the leader knew',
    file: 'replica.ts',
    from: 'return lossSeen === this.lossId && commitIndex <= matchIndex',
    to: 'return lossSeen >= 0 && commitIndex <= matchIndex',
  },
  {
    wrong: 'quarantine ends before all that is committed is here again',
    file: 'replica.ts',
    from: 'return lossSeen === this.lossId && commitIndex <= matchIndex && this.log.termAt(commitIndex) === term;',
    to: 'return lossSeen === this.lossId && matchIndex >= 0 && commitIndex >= 0 && term > 0;',
  },
  {
    wrong: 'quarantine ends before what came is durable',
    file: 'ready.ts',
    from: 'this.recoveredAfter = this.savingWrite;',
    to: 'this.recoveredAfter = 0;',
  },
];

const mutants = [...votesAndTerms, ...replication, ...snapshots, ...reads, ...configurations, ...transfersAndLosses];

/** The random clusters see most; what they cannot tell apart, a scenario does. */
function fateIn(folder: string): Fate {
  const fate = fateByTests(folder, ['test/raft/raft-random.test.ts'], runMsMax);
  return fate.kind === 'survives' ? fateByTests(folder, ['test/raft/scenario.test.ts'], runMsMax) : fate;
}

export const mutation: Mutation = {
  mutants,
  below: 'src/raft',
  tests: ['test/raft'],
  fateIn,
};

tryWhenRun(import.meta.url, mutation);
