/** What must hold of the control pane: of its votes, its leaders, its disks and its one log. */
import { equalBytes, toHex } from '../bytes.ts';
import type { Command } from '../control/command.ts';
import { stateHash } from '../control/state-snapshot.ts';
import type { LogIndex, NodeNumber, Term } from '../identity.ts';
import type { ControlPane } from '../member/control-pane.ts';
import type { AppendAnswer, RaftMessage } from '../raft/message.ts';
import type { LogEntry } from '../seam/log-store.ts';
import { decodeCommand } from '../wire/command.ts';
import { violated } from './invariant-violation.ts';
import type { SimDisk } from './sim-disk.ts';
import type { SimNode } from './sim-node.ts';
import type { Suspicions } from './suspicions.ts';

export class PaneInvariants {
  /** All that were ever made. */
  private readonly nodes: () => readonly SimNode[];
  private readonly suspicions: Suspicions;
  private readonly onCommitted: (command: Command) => void;
  /** The last entry that anybody has applied. */
  committedIndex: LogIndex = 0;
  private readonly committed = new Map<LogIndex, LogEntry>();
  private readonly leaders = new Map<Term, NodeNumber>();
  private readonly votes = new Map<string, NodeNumber>();
  private readonly chains = new Map<LogIndex, string>();
  private readonly hashes = new Map<LogIndex, string>();
  /** By process: up to where its log was looked at, what it applied, and what it proposed. */
  private readonly applied = new Map<string, LogIndex>();
  private readonly proposed = new Map<string, LogIndex>();

  constructor(nodes: () => readonly SimNode[], suspicions: Suspicions, onCommitted: (command: Command) => void) {
    this.nodes = nodes;
    this.suspicions = suspicions;
    this.onCommitted = onCommitted;
  }

  /** Whether this is what stands at its index for ever. */
  isCommitted(entry: LogEntry): boolean {
    const known = this.committed.get(entry.index);
    return known !== undefined && isSameEntry(known, entry);
  }

  isDecided(index: LogIndex): boolean {
    return this.committed.has(index);
  }

  check(node: SimNode): void {
    const pane = node.member?.pane;
    if (pane === undefined) return;
    const { role, term } = pane.engine.raft;
    if (role === 'candidate' || role === 'leader') this.countVote(node, term, node.number);
    if (role === 'leader') this.checkLeader(node, pane);
    this.checkApplied(node, pane);
  }

  // — what is said —

  /** Nothing is promised that a crash could take back. */
  checkMessage(node: SimNode, to: NodeNumber, message: RaftMessage): void {
    if (message.kind === 'pre-vote-request' || message.kind === 'pre-vote-answer') return;
    const { hardState } = node.disk.stored;
    if (hardState.term < message.term) violated('a term is durable before it is spoken of', node, `${message.term}`);
    if (message.kind === 'vote-answer' && message.granted) {
      this.countVote(node, message.term, to);
      const isDurable = hardState.term > message.term || hardState.votedFor === to;
      if (!isDurable) violated('a vote is durable before it is given', node, `term ${message.term}`);
    }
    if (message.kind === 'append-answer' && message.accepted) this.checkPromise(node, message);
  }

  private checkPromise(node: SimNode, { term, matchIndex }: AppendAnswer): void {
    const stored = node.disk.stored;
    const last = lastIndexOf(stored);
    if (stored.hardState.term === term && last < matchIndex) {
      violated('entries are durable before they are answered', node, `${matchIndex} of ${last}`);
    }
  }

  private countVote(node: SimNode, term: Term, candidate: NodeNumber): void {
    const vote = `${node.name}@${term}`;
    const before = this.votes.get(vote) ?? candidate;
    if (before !== candidate) violated('a voter votes once in a term', node, `term ${term}: ${before}, ${candidate}`);
    this.votes.set(vote, candidate);
  }

  // — leaders —

  private checkLeader(node: SimNode, pane: ControlPane): void {
    const { raft } = pane.engine;
    const leader = this.leaders.get(raft.term);
    if (leader === undefined) this.checkComplete(node, pane);
    else if (leader !== node.number) violated('at most one leader in a term', node, `term ${raft.term}: ${leader} too`);
    this.leaders.set(raft.term, node.number);
    this.checkProposals(node, pane);
  }

  private checkComplete(node: SimNode, { engine: { raft } }: ControlPane): void {
    for (const { index, term } of this.committed.values()) {
      // What a snapshot took the place of was committed when it was taken.
      if (index >= raft.firstIndex && raft.termAt(index) !== term)
        violated('a leader has all that is committed', node, `index ${index}`);
    }
  }

  /** A conviction is judged when it is proposed: later its reasons may be gone. */
  private checkProposals(node: SimNode, { engine: { raft }, state }: ControlPane): void {
    const process = `${node.name}#${node.generation}@${raft.term}`;
    const seen = this.proposed.get(process) ?? raft.lastIndex;
    this.proposed.set(process, raft.lastIndex);
    for (const entry of raft.entriesFrom(seen + 1, raft.lastIndex - seen)) {
      const command = commandOf(entry);
      if (command?.kind !== 'convict') continue;
      const live = [...state.members.values()].filter(({ status }) => status === 'alive').map(({ number }) => number);
      this.suspicions.checkConviction(node, new Set(live), command.subjects);
    }
  }

  // — the log —

  private checkApplied(node: SimNode, pane: ControlPane): void {
    const { log } = pane;
    const process = `${node.name}#${node.generation}`;
    const from = (this.applied.get(process) ?? 0) + 1;
    const index = log.state.appliedIndex;
    if (index < from) return;
    this.applied.set(process, index);
    for (const entry of log.committed(from, index - from + 1)) this.checkCommitted(node, pane, entry);
    this.agree(this.chains, 'equal chains at equal indexes', node, index, toHex(log.chain));
    this.agree(this.hashes, 'equal states at equal indexes', node, index, toHex(stateHash(log.state)));
  }

  private checkCommitted(node: SimNode, pane: ControlPane, entry: LogEntry): void {
    const known = this.committed.get(entry.index);
    if (known !== undefined) {
      if (!isSameEntry(known, entry)) violated('the committed prefix never changes', node, `index ${entry.index}`);
      return;
    }
    this.checkDurable(node, pane, entry);
    this.checkCounted(node, pane);
    this.committed.set(entry.index, entry);
    this.committedIndex = Math.max(this.committedIndex, entry.index);
    const command = commandOf(entry);
    if (command !== undefined) this.onCommitted(command);
  }

  /** Committed means on the disks of a majority, not in its memories; so a minority commits nothing. */
  private checkDurable(node: SimNode, { engine: { raft } }: ControlPane, { index, term }: LogEntry): void {
    const { voters, outgoing } = raft.configurationAt(index);
    for (const set of [voters, outgoing]) {
      const disks = this.nodes().filter(({ number }) => set.includes(number));
      const holders = disks.filter(({ disk }) => isStored(disk.stored, index, term)).length;
      if (holders * 2 > set.length || set.length === 0) continue;
      violated('committed entries are on a majority of disks', node, `index ${index} on ${holders} of ${set.length}`);
    }
  }

  /** An older entry on a majority may yet be replaced; one of the leader's own term takes it along (Raft §3.6.2). */
  private checkCounted(node: SimNode, { engine: { raft } }: ControlPane): void {
    if (raft.role !== 'leader' || raft.termAt(raft.commitIndex) === raft.term) return;
    violated('a leader commits by its own term', node, `index ${raft.commitIndex} in term ${raft.term}`);
  }

  private agree(known: Map<LogIndex, string>, invariant: string, node: SimNode, index: LogIndex, value: string): void {
    if ((known.get(index) ?? value) !== value) violated(invariant, node, `index ${index}`);
    known.set(index, value);
  }
}

function lastIndexOf({ snapshot, entries }: SimDisk['stored']): LogIndex {
  return Math.max(snapshot?.index ?? 0, entries.at(-1)?.index ?? 0);
}

/** As an entry, or in a snapshot. */
function isStored({ snapshot, entries }: SimDisk['stored'], index: LogIndex, term: Term): boolean {
  if (index <= (snapshot?.index ?? 0)) return true;
  return entries[index - (entries[0]?.index ?? 0)]?.term === term;
}

function commandOf({ kind, payload }: LogEntry): Command | undefined {
  return kind === 'command' ? decodeCommand(payload) : undefined;
}

function isSameEntry(a: LogEntry, b: LogEntry): boolean {
  return a.term === b.term && a.kind === b.kind && equalBytes(a.payload, b.payload);
}
