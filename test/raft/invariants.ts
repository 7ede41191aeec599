/** What must hold in every state of every cluster, whatever its network and disks do. */
import assert from 'node:assert/strict';
import type { LogIndex, NodeNumber, Term } from '../../src/identity.ts';
import type { AddressedRaftMessage } from '../../src/raft/message.ts';
import type { HardState, LogEntry } from '../../src/seam/log-store.ts';
import type { TestVoter } from './voter.ts';

interface Seen {
  entries: readonly LogEntry[];
  commitIndex: LogIndex;
  hardState: HardState;
  /** Leading entries on its disk that are the cluster's committed ones. */
  durableCommitted: LogIndex;
}

export class Invariants {
  private readonly voters: readonly TestVoter[];
  private readonly leaders = new Map<Term, NodeNumber>();
  /** By index and term: log matching says that these two name an entry and its predecessor. */
  private readonly identities = new Map<string, { payload: string; previousTerm: Term }>();
  private readonly committed: LogEntry[] = [];
  private readonly seen = new Map<NodeNumber, Seen>();
  /** The highest term of a promise that left, by who made it. */
  private readonly promisedTerm = new Map<NodeNumber, Term>();

  constructor(voters: readonly TestVoter[]) {
    this.voters = voters;
    for (const { self, disk } of voters) {
      this.seen.set(self, { entries: [], commitIndex: 0, hardState: disk.hardState, durableCommitted: 0 });
    }
  }

  get committedCount(): number {
    return this.committed.length;
  }

  onCrash(voter: TestVoter): void {
    // A lone voter leads before its term is durable, as nobody hears of it; so it may lead in that term again.
    if (this.voters.length === 1) this.identities.clear();
    const seen = this.seenOf(voter);
    seen.entries = [];
    seen.commitIndex = 0;
    this.onDisk(voter);
  }

  onStart(voter: TestVoter): void {
    const promised = this.promisedTerm.get(voter.self) ?? 0;
    assert.ok(voter.raft.term >= promised, `voter ${voter.self} promised term ${promised} and is back in an older one`);
    this.onStep(voter);
  }

  onStep(voter: TestVoter): void {
    this.checkLog(voter);
    this.checkCommitted(voter);
    this.checkLeader(voter);
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
    const isPromise = ['vote-request', 'vote-answer', 'append-answer'].includes(message.kind);
    if (!isPromise) return;
    this.promisedTerm.set(voter.self, Math.max(this.promisedTerm.get(voter.self) ?? 0, message.term));
    const { hardState, entries } = voter.disk;
    const what = `${message.kind} of ${voter.self} in term ${message.term}`;
    assert.ok(hardState.term >= message.term, `${what} left before its term was durable`);
    if (hardState.term > message.term) return;
    const isVote = message.kind === 'vote-request' || (message.kind === 'vote-answer' && message.granted);
    const candidate = message.kind === 'vote-request' ? voter.self : to;
    if (isVote) assert.equal(hardState.votedFor, candidate, `${what} left before the vote was durable`);
    if (message.kind === 'append-answer' && message.accepted) {
      assert.ok(entries.length >= message.matchIndex, `${what} left before its entries were durable`);
    }
  }

  private checkLog(voter: TestVoter): void {
    const seen = this.seenOf(voter);
    const entries = voter.raft.entriesFrom(1, Number.MAX_SAFE_INTEGER);
    for (const [position, entry] of entries.entries()) {
      if (entry === seen.entries[position]) continue;
      assert.equal(entry.index, position + 1);
      const previousTerm = entries[position - 1]?.term ?? 0;
      const identity = { payload: Buffer.from(entry.payload).toString(), previousTerm };
      const known = this.identities.get(`${entry.index}/${entry.term}`);
      if (known === undefined) this.identities.set(`${entry.index}/${entry.term}`, identity);
      else assert.deepEqual(identity, known, `logs differ at ${entry.index}/${entry.term}, seen at ${voter.self}`);
    }
    seen.entries = entries;
  }

  private checkCommitted(voter: TestVoter): void {
    const seen = this.seenOf(voter);
    const { commitIndex } = voter.raft;
    assert.ok(commitIndex >= seen.commitIndex, `the commit index of ${voter.self} went back`);
    const before = this.committed.length;
    for (let index = 1; index <= commitIndex; index++) {
      const entry = seen.entries[index - 1] as LogEntry;
      this.committed[index - 1] ??= entry;
      const known = this.committed[index - 1]?.term;
      assert.equal(entry.term, known, `committed entry ${index} changed, seen at ${voter.self}`);
    }
    seen.commitIndex = commitIndex;
    const { applied } = voter;
    assert.ok(applied.length <= commitIndex, `voter ${voter.self} applied what is not committed`);
    assert.equal(applied.at(-1)?.index ?? 0, applied.length, `voter ${voter.self} applied out of order`);
    assert.ok(applied.length <= voter.disk.entries.length, `voter ${voter.self} applied before its disk had it`);
    if (this.committed.length === before) return;
    for (const each of this.voters) this.measureDurable(each);
    this.checkDurable();
  }

  private checkLeader(voter: TestVoter): void {
    if (voter.raft.role !== 'leader') return;
    const { term } = voter.raft;
    const known = this.leaders.get(term);
    if (known === voter.self) return;
    assert.equal(known, undefined, `two leaders in term ${term}: ${known} and ${voter.self}`);
    this.leaders.set(term, voter.self);
    for (const { index, term: committedTerm } of this.committed) {
      assert.equal(voter.raft.termAt(index), committedTerm, `leader ${voter.self} of ${term} lacks committed ${index}`);
    }
  }

  private measureDurable(voter: TestVoter): void {
    const { entries } = voter.disk;
    const differs = this.committed.findIndex(({ term }, position) => entries[position]?.term !== term);
    this.seenOf(voter).durableCommitted = differs === -1 ? this.committed.length : differs;
  }

  private checkDurable(): void {
    const all = this.committed.length;
    const holders = [...this.seen.values()].filter(({ durableCommitted }) => durableCommitted === all);
    assert.ok(holders.length * 2 > this.voters.length, 'a committed entry is not durable on a majority');
  }

  private seenOf(voter: TestVoter): Seen {
    return this.seen.get(voter.self) as Seen;
  }
}
