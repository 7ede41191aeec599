/** What must hold in every state of every cluster, whatever its network and disks do. */
import assert from 'node:assert/strict';
import type { LogIndex, NodeNumber, Term } from '../../src/identity.ts';
import { decodeConfiguration, type RaftConfiguration } from '../../src/raft/configuration.ts';
import type { AddressedRaftMessage, RaftMessage } from '../../src/raft/message.ts';
import type { RaftReady } from '../../src/raft/raft.ts';
import type { HardState, LogEntry } from '../../src/seam/log-store.ts';
import { type AppliedState, applyTo, nothingApplied, type TestVoter } from './voter.ts';

interface Seen {
  firstIndex: LogIndex;
  entries: readonly LogEntry[];
  commitIndex: LogIndex;
  hardState: HardState;
  /** Committed entries on its disk without a gap, from the first on; what a quarantined voter lost is not counted. */
  durableCommitted: LogIndex;
  /** What it led by before the present step; nothing when it did not lead. */
  ledBy: RaftConfiguration | undefined;
  /** Reads under way in this process, by id: how much was committed anywhere when each was asked for. */
  readonly reads: Map<number, LogIndex>;
  /** Ids of reads are used once in a process. */
  lastRead: number;
  /** Of what was committed when its disk lost entries, all that the disk had held. */
  mustRecover: LogIndex;
}

export class Invariants {
  private readonly voters: readonly TestVoter[];
  private readonly leaders = new Map<Term, NodeNumber>();
  /** By index and term: log matching says that these two name an entry and its predecessor. */
  private readonly identities = new Map<string, { payload: string; previousTerm: Term | undefined }>();
  private readonly committed: LogEntry[] = [];
  /** What the committed entries amount to up to each index. */
  private readonly states: AppliedState[] = [nothingApplied];
  /** By the committed entries alone. */
  private configuration: RaftConfiguration;
  private readonly seen = new Map<NodeNumber, Seen>();
  /** The highest term of a promise that left, by who made it. */
  private readonly promisedTerm = new Map<NodeNumber, Term>();
  /** Votes that left, by term and candidate. */
  private readonly votes = new Map<string, Set<NodeNumber>>();
  private served = 0;

  constructor(voters: readonly TestVoter[], genesis: RaftConfiguration) {
    this.voters = voters;
    this.configuration = genesis;
    for (const voter of voters) {
      this.seen.set(voter.self, {
        firstIndex: 1,
        entries: [],
        commitIndex: 0,
        hardState: voter.disk.hardState,
        durableCommitted: 0,
        ledBy: undefined,
        reads: new Map(),
        lastRead: 0,
        mustRecover: 0,
      });
      voter.onReady = (ready) => this.onReady(voter, ready);
    }
  }

  get committedCount(): number {
    return this.committed.length;
  }

  /** By the committed entries: whoever is to be caught up in the end. */
  get agreedConfiguration(): RaftConfiguration {
    return this.configuration;
  }

  get readsServed(): number {
    return this.served;
  }

  onCrash(voter: TestVoter): void {
    const seen = this.seenOf(voter);
    // A lone voter leads before its term is durable, as nobody hears of it; so it may lead in that term again.
    for (const { index, term } of seen.entries) {
      if (!this.voters.some((each) => has(each, index, term))) this.identities.delete(`${index}/${term}`);
    }
    seen.entries = [];
    seen.commitIndex = 0;
    seen.ledBy = undefined;
    seen.reads.clear();
    seen.lastRead = 0;
    this.onDisk(voter);
  }

  /** What it held is what it may have acknowledged. */
  beforeLoss(voter: TestVoter): void {
    const seen = this.seenOf(voter);
    seen.mustRecover = Math.max(seen.mustRecover, seen.durableCommitted);
  }

  onStart(voter: TestVoter): void {
    const promised = this.promisedTerm.get(voter.self) ?? 0;
    assert.ok(voter.raft.term >= promised, `voter ${voter.self} promised term ${promised} and is back in an older one`);
    this.onStep(voter);
  }

  onRead(voter: TestVoter, id: number): void {
    const seen = this.seenOf(voter);
    assert.ok(id > seen.lastRead, `voter ${voter.self} used the read id ${id} again`);
    seen.lastRead = id;
    seen.reads.set(id, this.committed.length);
  }

  onStep(voter: TestVoter): void {
    this.checkLog(voter);
    this.checkCommitted(voter);
    this.checkChanges(voter);
    this.checkLeader(voter);
    const { raft } = voter;
    this.seenOf(voter).ledBy = raft.role === 'leader' ? raft.configuration : undefined;
  }

  onDisk(voter: TestVoter): void {
    const seen = this.seenOf(voter);
    const { term, votedFor } = voter.disk.hardState;
    assert.ok(term >= seen.hardState.term, `the term of ${voter.self} went back`);
    const changedVote = term === seen.hardState.term && ![0, votedFor].includes(seen.hardState.votedFor);
    assert.ok(!changedVote, `voter ${voter.self} changed its vote in term ${term}`);
    seen.hardState = voter.disk.hardState;
    this.measureDurable(voter);
    this.checkDurable();
  }

  /** A promise that leaves must be on the disk of who makes it. */
  onSend(voter: TestVoter, { to, message }: AddressedRaftMessage): void {
    const { hardState } = voter.disk;
    const what = `${message.kind} of ${voter.self} in term ${message.term}`;
    if (isLeaders(message)) assert.ok(hardState.term >= message.term, `${what} left before its term was durable`);
    if (!isPromise(message)) return;
    this.promisedTerm.set(voter.self, Math.max(this.promisedTerm.get(voter.self) ?? 0, message.term));
    assert.ok(hardState.term >= message.term, `${what} left before its term was durable`);
    const isVote = message.kind === 'vote-request' || (message.kind === 'vote-answer' && message.granted);
    const candidate = message.kind === 'vote-request' ? voter.self : to;
    if (isVote) this.onVote(voter, candidate, message.term);
    if (hardState.term > message.term) return;
    if (isVote) assert.equal(hardState.votedFor, candidate, `${what} left before the vote was durable`);
    const claimed = claimedIndex(message);
    assert.ok(voter.disk.lastIndex >= claimed, `${what} left before its entries were durable`);
  }

  private onVote(voter: TestVoter, candidate: NodeNumber, term: Term): void {
    assert.ok(!voter.disk.isQuarantined, `voter ${voter.self} voted in quarantine`);
    const key = `${term}/${candidate}`;
    const known = this.votes.get(key) ?? new Set();
    this.votes.set(key, known.add(voter.self));
  }

  private onReady(voter: TestVoter, { reads, readsFailed, recovered }: RaftReady): void {
    const seen = this.seenOf(voter);
    for (const { id, index } of reads) {
      const floor = seen.reads.get(id);
      assert.ok(floor !== undefined, `voter ${voter.self} answered read ${id}, which nobody waits for`);
      assert.ok(index >= floor, `read ${id} of ${voter.self} is stale: ${index}, and ${floor} was decided before it`);
      assert.ok(voter.state.index >= index, `read ${id} of ${voter.self} came before its state`);
      seen.reads.delete(id);
      this.served++;
    }
    for (const id of readsFailed) {
      assert.ok(seen.reads.delete(id), `voter ${voter.self} failed read ${id}, which nobody waits for`);
    }
    if (voter.raft.role !== 'leader') assert.equal(seen.reads.size, 0, `voter ${voter.self} forgot a read`);
    if (recovered) this.checkRecovered(voter);
  }

  private checkRecovered(voter: TestVoter): void {
    this.measureDurable(voter);
    const { durableCommitted, mustRecover } = this.seenOf(voter);
    assert.ok(durableCommitted >= mustRecover, `voter ${voter.self} left quarantine before it had what it lost`);
    this.seenOf(voter).mustRecover = 0;
  }

  private checkLog(voter: TestVoter): void {
    const seen = this.seenOf(voter);
    const { raft } = voter;
    const { firstIndex } = raft;
    const entries = raft.entriesFrom(firstIndex, Number.MAX_SAFE_INTEGER);
    for (const [position, entry] of entries.entries()) {
      if (entry === seen.entries[position + firstIndex - seen.firstIndex]) continue;
      assert.equal(entry.index, firstIndex + position);
      const previousTerm = raft.termAt(entry.index - 1);
      const identity = { payload: `${entry.kind} ${Buffer.from(entry.payload).toString('hex')}`, previousTerm };
      const key = `${entry.index}/${entry.term}`;
      const known = this.identities.get(key);
      if (known === undefined) this.identities.set(key, identity);
      else assert.deepEqual(identity, known, `logs differ at ${key}, seen at ${voter.self}`);
      if (entry.index <= seen.commitIndex) this.checkSame(voter, entry.index, entry.term);
    }
    seen.firstIndex = firstIndex;
    seen.entries = entries;
  }

  private checkCommitted(voter: TestVoter): void {
    const seen = this.seenOf(voter);
    const { raft, state } = voter;
    const { commitIndex } = raft;
    assert.ok(commitIndex >= seen.commitIndex, `the commit index of ${voter.self} went back`);
    const before = this.committed.length;
    for (let index = Math.max(seen.commitIndex + 1, raft.firstIndex); index <= commitIndex; index++) {
      if (index > this.committed.length) this.commit(seen.entries[index - raft.firstIndex] as LogEntry);
      this.checkSame(voter, index, raft.termAt(index));
    }
    if (commitIndex > seen.commitIndex && seen.ledBy !== undefined) this.checkCounted(voter, seen.ledBy);
    seen.commitIndex = commitIndex;
    assert.ok(state.index <= commitIndex, `voter ${voter.self} applied what is not committed`);
    assert.deepEqual(state, this.states[state.index], `voter ${voter.self} has another state at ${state.index}`);
    assert.ok(state.index <= voter.disk.lastIndex, `voter ${voter.self} applied before its disk had it`);
    if (this.committed.length === before) return;
    for (const each of this.voters) this.measureDurable(each);
    this.checkDurable();
  }

  /** One change at a time: the next one begins when the one before is committed. */
  private checkChanges({ self, raft }: TestVoter): void {
    const open = raft.entriesFrom(Math.max(raft.firstIndex, this.committed.length + 1), Number.MAX_SAFE_INTEGER);
    const changes = open.filter(({ kind }) => kind === 'configuration');
    assert.ok(changes.length <= 1, `${changes.length} changes are open at ${self}`);
  }

  private commit(entry: LogEntry): void {
    assert.equal(entry.index, this.committed.length + 1, 'what is committed first has been in a log');
    this.committed.push(entry);
    this.states.push(applyTo(this.states.at(-1) as AppliedState, entry));
    if (entry.kind !== 'configuration') return;
    const next = decodeConfiguration(entry.payload) as RaftConfiguration;
    const { voters, outgoing } = this.configuration;
    if (outgoing.length > 0) assert.deepEqual(next.voters, voters, 'a change ends as it began');
    else assert.deepEqual(next.outgoing.length > 0 ? next.outgoing : next.voters, voters, 'voters change jointly');
    this.configuration = next;
  }

  private checkSame(voter: TestVoter, index: LogIndex, term: Term | undefined): void {
    assert.equal(term, this.committed[index - 1]?.term, `committed entry ${index} changed, seen at ${voter.self}`);
  }

  /** By whatever it led by then, a majority of each set holds what it commits; and it counted an entry of its term. */
  private checkCounted(voter: TestVoter, { voters, outgoing }: RaftConfiguration): void {
    const { raft } = voter;
    const { commitIndex } = raft;
    if (raft.role !== 'leader') return;
    const term = raft.termAt(commitIndex) as Term;
    assert.equal(term, raft.term, `leader ${voter.self} committed an entry of an older term by counting`);
    for (const set of outgoing.length === 0 ? [voters] : [voters, outgoing]) {
      const holders = set.filter((number) => this.hadOnDisk(number, commitIndex, term));
      const what = `leader ${voter.self} committed ${commitIndex} with ${holders.join(' ')} of ${set.join(' ')}`;
      assert.ok(holders.length * 2 > set.length, what);
    }
  }

  /** Quarantined voters count as far as their loss is why they do not have it. */
  private hadOnDisk(number: NodeNumber, index: LogIndex, term: Term): boolean {
    const voter = this.voterOf(number);
    return voter.disk.isQuarantined || voter.disk.holds(index, term);
  }

  private checkLeader(voter: TestVoter): void {
    if (voter.raft.role !== 'leader') return;
    const { term } = voter.raft;
    const known = this.leaders.get(term);
    if (known === voter.self) return;
    assert.equal(known, undefined, `two leaders in term ${term}: ${known} and ${voter.self}`);
    this.leaders.set(term, voter.self);
    this.checkElected(voter);
    for (const { index, term: committedTerm } of this.committed.slice(voter.raft.firstIndex - 1)) {
      assert.equal(voter.raft.termAt(index), committedTerm, `leader ${voter.self} of ${term} lacks committed ${index}`);
    }
  }

  private checkElected({ self, raft }: TestVoter): void {
    const { voters, outgoing } = raft.configuration;
    const votes = this.votes.get(`${raft.term}/${self}`) ?? new Set();
    for (const set of outgoing.length === 0 ? [voters] : [voters, outgoing]) {
      // A lone voter leads before its vote for itself is durable.
      const yes = set.filter((number) => number === self || votes.has(number));
      assert.ok(yes.length * 2 > set.length, `${self} leads ${raft.term} with ${yes.join(' ')} of ${set.join(' ')}`);
    }
  }

  private measureDurable({ self, disk }: TestVoter): void {
    const seen = this.seen.get(self) as Seen;
    let index = Math.min(seen.durableCommitted, this.committed.length);
    // Backwards over what a crash or a leader took away, forwards over what came.
    while (index > 0 && !disk.holds(index, this.committed[index - 1]?.term as Term)) index--;
    while (index < this.committed.length && disk.holds(index + 1, this.committed[index]?.term as Term)) index++;
    seen.durableCommitted = index;
  }

  /**
   * All that is committed is on the disks of a majority of those who vote by it. During a change that is of the voters
   * to come: what is committed while the change ends, they alone have counted.
   */
  private checkDurable(): void {
    const all = this.committed.length;
    const { voters } = this.configuration;
    const holders = voters.filter((number) => {
      const { disk } = this.voterOf(number);
      return disk.isQuarantined || (this.seen.get(number) as Seen).durableCommitted === all;
    });
    assert.ok(holders.length * 2 > voters.length, 'a committed entry is not durable on a majority');
  }

  private voterOf(number: NodeNumber): TestVoter {
    return this.voters[number - 1] as TestVoter;
  }

  private seenOf(voter: TestVoter): Seen {
    return this.seen.get(voter.self) as Seen;
  }
}

function has(voter: TestVoter, index: LogIndex, term: Term): boolean {
  return voter.disk.holds(index, term) || (voter.isUp && voter.raft.termAt(index) === term);
}

function isLeaders({ kind }: RaftMessage): boolean {
  return ['append-request', 'snapshot-chunk', 'time-out-now'].includes(kind);
}

function isPromise({ kind }: RaftMessage): boolean {
  return ['vote-request', 'vote-answer', 'append-answer', 'snapshot-answer'].includes(kind);
}

/** All up to here is durable at whoever says this. */
function claimedIndex(message: RaftMessage): LogIndex {
  if (message.kind === 'append-answer' && message.accepted) return message.matchIndex;
  return message.kind === 'snapshot-answer' && message.done ? message.index : 0;
}
