/**
 * What must hold after every step of every simulation, whatever was lost, cut or killed. A violation throws with
 * the time and the node; the seed replays it.
 */
import { toHex } from '../bytes.ts';
import { majorityOf } from '../certificate/certificate.ts';
import { stateHash } from '../control/control-state.ts';
import type { LogIndex, NodeNumber, Seq, Term } from '../identity.ts';
import type { DecisionLog } from '../member/decision-log.ts';
import type { MemberEffect } from '../member/effect.ts';
import { decodeCommand } from '../wire/command.ts';
import { decodePost } from '../wire/peer-message.ts';
import type { SimNode } from './sim-node.ts';

export class InvariantViolation extends Error {
  constructor(invariant: string, node: SimNode, detail: string) {
    super(`${invariant}: ${node.name} at ${node.time.now} ms: ${detail}`);
    this.name = 'InvariantViolation';
  }
}

export class Invariants {
  private readonly controlNodes: readonly SimNode[];
  private readonly leaders = new Map<Term, NodeNumber>();
  private readonly votes = new Map<string, NodeNumber>();
  private readonly chains = new Map<LogIndex, string>();
  private readonly hashes = new Map<LogIndex, string>();
  private readonly applied = new Map<string, LogIndex>();
  private readonly admitted = new Set<NodeNumber>();
  private readonly values = new Map<string, string>();
  private readonly seqs = new Map<string, Seq>();
  /** Highest own seq that a role was told is published. */
  private readonly acknowledged = new Map<string, Seq>();
  checks = 0;

  constructor(controlNodes: readonly SimNode[]) {
    this.controlNodes = controlNodes;
    for (const node of controlNodes) this.admitted.add(node.number);
  }

  check(node: SimNode, effects: readonly MemberEffect[]): void {
    this.checks++;
    for (const effect of effects) this.checkEffect(node, effect);
    this.checkPane(node);
    this.checkMembership(node);
    this.checkConfigs(node);
  }

  onAcknowledged(node: SimNode, role: string, seq: Seq): void {
    const key = `${node.name}/${role}`;
    this.acknowledged.set(key, Math.max(seq, this.acknowledged.get(key) ?? 0));
  }

  /** What the pane told somebody is decided stays decided. */
  onDecided(node: SimNode, index: LogIndex): void {
    if (index > 0 && !this.chains.has(index)) fail('acknowledged entries are committed', node, `index ${index}`);
  }

  private checkEffect(node: SimNode, effect: MemberEffect): void {
    if (effect.kind !== 'post') return;
    const post = decodePost(effect.body);
    if (post?.kind !== 'raft' || post.message.kind !== 'vote-answer' || !post.message.granted) return;
    const vote = `${node.name}@${post.message.term}`;
    const candidate = this.votes.get(vote);
    if (candidate !== undefined && candidate !== effect.to.number) {
      fail('a voter votes once in a term', node, `term ${post.message.term} for ${candidate} and ${effect.to.number}`);
    }
    this.votes.set(vote, effect.to.number);
  }

  private checkPane(node: SimNode): void {
    const log = node.member?.pane?.log;
    if (log === undefined) return;
    const { raft, chain, state } = log;
    if (raft.role === 'leader') {
      const leader = this.leaders.get(raft.term) ?? node.number;
      if (leader !== node.number) fail('at most one leader in a term', node, `term ${raft.term}: ${leader} leads too`);
      this.leaders.set(raft.term, node.number);
    }
    const process = `${node.name}#${node.generation}`;
    if (this.applied.get(process) === state.appliedIndex) return;
    this.applied.set(process, state.appliedIndex);
    if (state.appliedIndex > 0) this.checkApplied(node, log, toHex(chain));
  }

  private checkApplied(node: SimNode, log: DecisionLog, chain: string): void {
    const { state } = log;
    const index = state.appliedIndex;
    const [known, hash] = [this.chains.get(index), toHex(stateHash(state))];
    if (known === undefined) this.checkDurable(node, index);
    if (known !== undefined && known !== chain) fail('the committed prefix never changes', node, `index ${index}`);
    if ((this.hashes.get(index) ?? hash) !== hash) fail('equal states at equal indexes', node, `index ${index}`);
    this.hashes.set(index, hash);
    this.noteCommitted(log.committed(index, 1)[0]?.payload, index, chain);
    for (const number of state.members.keys()) this.admitted.add(number);
  }

  private noteCommitted(payload: Uint8Array | undefined, index: LogIndex, chain: string): void {
    this.chains.set(index, chain);
    const command = payload === undefined || payload.length === 0 ? undefined : decodeCommand(payload);
    if (command?.kind === 'complete-admission') this.admitted.add(command.number);
  }

  /** Committed means on the disks of a majority, not in its memories. */
  private checkDurable(node: SimNode, index: LogIndex): void {
    const term = node.member?.pane?.log.raft.termAt(index);
    const holders = this.controlNodes.filter((each) => each.disk.load().entries[index - 1]?.term === term).length;
    if (holders < majorityOf(this.controlNodes.length)) {
      fail('committed entries are on a majority of disks', node, `index ${index} on ${holders}`);
    }
  }

  private checkMembership(node: SimNode): void {
    const { member } = node;
    if (member === undefined) return;
    for (const { number } of member.directory.list()) {
      if (!this.admitted.has(number)) fail('nobody is a member whom the log did not admit', node, `#${number}`);
      if (member.directory.removed.has(number)) fail('the removed stay out', node, `#${number}`);
    }
  }

  private checkConfigs(node: SimNode): void {
    const configs = node.member?.exchange.configs;
    if (configs === undefined) return;
    for (const role of configs.roles()) {
      for (const { owner, seq, value } of configs.list(role)) {
        this.checkConfig(node, `${role}/${owner}`, seq, toHex(value));
        if (owner === node.number) this.checkAcknowledged(node, role, seq);
      }
    }
  }

  private checkConfig(node: SimNode, config: string, seq: Seq, value: string): void {
    const version = `${config}@${seq}`;
    if ((this.values.get(version) ?? value) !== value) fail('one value for each seq', node, version);
    this.values.set(version, value);
    const held = `${node.name}#${node.generation}:${config}`;
    if (seq < (this.seqs.get(held) ?? 0)) fail('an older seq never replaces a newer one', node, version);
    this.seqs.set(held, seq);
  }

  private checkAcknowledged(node: SimNode, role: string, seq: Seq): void {
    const acknowledged = this.acknowledged.get(`${node.name}/${role}`) ?? 0;
    if (seq < acknowledged) fail('what was published survives a crash', node, `${role}: ${seq} after ${acknowledged}`);
  }
}

function fail(invariant: string, node: SimNode, detail: string): never {
  throw new InvariantViolation(invariant, node, detail);
}
