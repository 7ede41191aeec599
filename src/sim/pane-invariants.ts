/** What must hold of the control pane: of its votes, its leaders, its disks and its one log. */
import { equalBytes, toHex } from '../bytes.ts';
import type { Turn } from '../control/client-sessions.ts';
import type { Command } from '../control/command.ts';
import { stateHash } from '../control/state-snapshot.ts';
import type { LogIndex, NodeNumber, Term } from '../identity.ts';
import type { ControlPane } from '../member/pane/control-pane.ts';
import { encodeConfiguration, sameNumbers } from '../raft/configuration.ts';
import type { AppendAnswer, RaftMessage } from '../raft/message.ts';
import type { Raft } from '../raft/raft.ts';
import type { LogEntry, LogWrite } from '../seam/log-store.ts';
import { decodeCommand } from '../wire/command.ts';
import { violated } from './invariant-violation.ts';
import type { SimDisk } from './sim-disk.ts';
import type { SimNode } from './sim-node.ts';
import type { Suspicions } from './suspicions.ts';

export class PaneInvariants {
  /** All that were ever made. */
  private readonly nodes: () => readonly SimNode[];
  private readonly suspicions: Suspicions;
  private readonly onCommitted: (node: SimNode, command: Command) => void;
  /** The last entry that anybody has applied. */
  committedIndex: LogIndex = 0;
  private readonly committed = new Map<LogIndex, LogEntry>();
  /** Of whoever committed the entry. */
  private readonly committedIn = new Map<LogIndex, Term>();
  private readonly leaders = new Map<Term, NodeNumber>();
  private readonly votes = new Map<string, NodeNumber>();
  private readonly chains = new Map<LogIndex, string>();
  private readonly hashes = new Map<LogIndex, string>();
  /** By process: up to where its log was looked at, what it applied, and what it proposed. */
  private readonly applied = new Map<string, LogIndex>();
  private readonly proposed = new Map<string, LogIndex>();
  /** Every entry that was ever written, by index and term, and the term of the one before it. */
  private readonly written = new Map<string, { readonly entry: LogEntry; readonly before: Term | undefined }>();
  /** The highest index that any node knew to be committed. */
  private commitSeen: LogIndex = 0;
  private readonly notes = new Set<string>();

  constructor(
    nodes: () => readonly SimNode[],
    suspicions: Suspicions,
    onCommitted: (node: SimNode, command: Command) => void,
  ) {
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

  /** What was committed there, if that is a command. */
  commandAt(index: LogIndex): Command | undefined {
    const entry = this.committed.get(index);
    return entry === undefined ? undefined : commandOf(entry);
  }

  check(node: SimNode): void {
    const pane = node.member?.pane;
    if (pane === undefined) return;
    const { role, term, commitIndex } = pane.engine.raft;
    this.commitSeen = Math.max(this.commitSeen, commitIndex);
    // A candidate may die before its own vote is durable, and has not voted then.
    const { hardState } = node.disk.stored;
    const isCast = hardState.term === term && hardState.votedFor === node.number;
    if (role === 'leader' || (role === 'candidate' && isCast)) this.countVote(node, term, node.number);
    if (role === 'leader') this.checkLeader(node, pane);
    this.checkApplied(node, pane);
  }

  // — what is said —

  /** Nothing is promised that a crash could take back. */
  checkMessage(node: SimNode, to: NodeNumber, message: RaftMessage): void {
    if (message.kind === 'pre-vote-request' || message.kind === 'pre-vote-answer') return;
    const { hardState } = node.disk.stored;
    if (hardState.term < message.term) violated('a term is durable before it is spoken of', node, `${message.term}`);
    if (message.kind === 'vote-answer' && message.granted) this.checkVote(node, message.term, to);
    if (message.kind === 'vote-request') this.checkVote(node, message.term, node.number);
    if (message.kind === 'append-answer' && message.accepted) this.checkPromise(node, message);
  }

  /** Whoever asks for votes has given its own. */
  private checkVote(node: SimNode, term: Term, candidate: NodeNumber): void {
    const { hardState } = node.disk.stored;
    this.countVote(node, term, candidate);
    const isDurable = hardState.term > term || hardState.votedFor === candidate;
    if (!isDurable) violated('a vote is durable before it is given', node, `term ${term}`);
  }

  /** Two logs that have an entry in common have all before it in common, committed or not (Raft §3.5). */
  checkWrite(node: SimNode, { entries }: LogWrite): void {
    const raft = node.member?.pane?.engine.raft;
    for (const [position, entry] of entries.entries()) {
      const place = `${entry.index}@${entry.term}`;
      const before = entries[position - 1]?.term ?? raft?.termAt(entry.index - 1);
      const known = this.written.get(place);
      if (known === undefined) this.written.set(place, { entry, before });
      else if (!isSameEntry(known.entry, entry) || (known.before ?? before) !== (before ?? known.before))
        violated('logs with an entry in common agree before it', node, `index ${entry.index}, term ${entry.term}`);
    }
    if (raft === undefined || !entries.some(({ kind }) => kind === 'configuration')) return;
    this.checkAdopted(node, raft);
    this.checkChanges(node, raft);
  }

  /** Committed or not (Raft §4.1). */
  private checkAdopted(node: SimNode, raft: Raft): void {
    const held = raft.entriesFrom(raft.firstIndex, raft.lastIndex - raft.firstIndex + 1);
    const newest = held.findLast(({ kind }) => kind === 'configuration');
    if (newest === undefined) return;
    if (!equalBytes(newest.payload, encodeConfiguration(raft.configuration)))
      violated('who votes is what the log says last', node, `index ${newest.index}`);
    const [before, after] = [raft.configurationAt(newest.index - 1), raft.configuration];
    const isJoint = before.outgoing.length > 0;
    const isSame = sameNumbers(after.voters, before.voters) && after.outgoing.length === 0;
    if (isSame || (!isJoint && sameNumbers(after.outgoing, before.voters))) return;
    violated('voters change through joint consensus', node, `index ${newest.index}`);
  }

  private checkChanges(node: SimNode, raft: Raft): void {
    const open = raft.entriesFrom(this.commitSeen + 1, raft.lastIndex - this.commitSeen);
    const changes = open.filter(({ kind }) => kind === 'configuration');
    if (changes.length <= 1) return;
    const where = changes.map(({ index }) => index).join();
    violated('one change of the configuration at a time', node, `uncommitted at ${where}`);
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
    if (leader === undefined) {
      this.checkElected(node, pane);
      this.checkComplete(node, pane);
    } else if (leader !== node.number)
      violated('at most one leader in a term', node, `term ${raft.term}: ${leader} too`);
    this.leaders.set(raft.term, node.number);
    this.checkProposals(node, pane);
  }

  private checkElected(node: SimNode, { engine: { raft } }: ControlPane): void {
    const { voters, outgoing } = raft.configuration;
    const electors = this.nodes().filter(({ name }) => this.votes.get(`${name}@${raft.term}`) === node.number);
    const numbers = electors.map(({ number }) => number);
    if (isMajority(numbers, voters) && isMajority(numbers, outgoing)) return;
    violated('a majority elects a leader', node, `term ${raft.term} by ${numbers.join()}`);
  }

  /**
   * All of earlier terms (Raft §5.4.3). A candidate may count its last vote when a later term has its leader: it misses
   * what that one committed, and commits nothing itself.
   */
  private checkComplete(node: SimNode, { engine: { raft } }: ControlPane): void {
    for (const { index, term } of this.committed.values()) {
      const isEarlier = (this.committedIn.get(index) ?? 0) < raft.term;
      // What a snapshot took the place of was committed when it was taken.
      if (isEarlier && index >= raft.firstIndex && raft.termAt(index) !== term)
        violated('a leader has all that earlier ones committed', node, `index ${index}`);
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
    this.committedIn.set(entry.index, pane.engine.raft.term);
    this.committedIndex = Math.max(this.committedIndex, entry.index);
    const command = commandOf(entry);
    if (command?.kind === 'note') this.checkTurn(node, command);
    if (command !== undefined) this.onCommitted(node, command);
  }

  /** However often a client sent it. */
  private checkTurn(node: SimNode, { session, sequence }: Turn): void {
    const turn = `${toHex(session)} ${sequence}`;
    if (this.notes.has(turn)) violated("a session's command is in the log once", node, turn);
    this.notes.add(turn);
  }

  /**
   * Committed means on the disks of a majority, not in its memories; so a minority commits nothing. Who is counted is
   * what the leader's newest configuration said: that of the entry, or one behind it.
   */
  private checkDurable(node: SimNode, { engine: { raft } }: ControlPane, { index, term }: LogEntry): void {
    const holders = this.nodes()
      .filter(({ disk }) => disk.hasHeld(index, term))
      .map(({ number }) => number);
    const behind = raft.entriesFrom(index + 1, raft.lastIndex - index).filter(({ kind }) => kind === 'configuration');
    const counted = [index, ...behind.map((entry) => entry.index)].map((at) => raft.configurationAt(at));
    if (counted.some(({ voters, outgoing }) => isMajority(holders, voters) && isMajority(holders, outgoing))) return;
    violated('committed entries are on a majority of disks', node, `index ${index} on those of ${holders.join()}`);
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

function isMajority(holders: readonly NodeNumber[], set: readonly NodeNumber[]): boolean {
  return set.length === 0 || set.filter((number) => holders.includes(number)).length * 2 > set.length;
}

function commandOf({ kind, payload }: LogEntry): Command | undefined {
  return kind === 'command' ? decodeCommand(payload) : undefined;
}

function isSameEntry(a: LogEntry, b: LogEntry): boolean {
  return a.term === b.term && a.kind === b.kind && equalBytes(a.payload, b.payload);
}
