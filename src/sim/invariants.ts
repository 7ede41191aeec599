/**
 * What must hold after every step of every simulation, whatever was lost, cut or killed. A violation throws with
 * the time and the node; the seed replays it.
 */
import { decode } from '../codec.ts';
import type { LogIndex, NodeNumber, Seq } from '../identity.ts';
import type { MemberEffect } from '../member/effect.ts';
import type { RaftMessage } from '../raft/message.ts';
import { configPage, decodePost, logPage, type PaneAsk } from '../wire/peer-message.ts';
import { ConfigInvariants } from './config-invariants.ts';
import { DiskInvariants } from './disk-invariants.ts';
import { violated } from './invariant-violation.ts';
import { MembershipInvariants } from './membership-invariants.ts';
import { PaneInvariants } from './pane-invariants.ts';
import type { SimNode } from './sim-node.ts';
import { Suspicions } from './suspicions.ts';
import { isFor, Wishes } from './wishes.ts';

export interface InvariantsOptions {
  /** Those of the genesis. */
  readonly controlNodes: readonly SimNode[];
  /** All that were ever made. */
  readonly nodes: () => readonly SimNode[];
  /** Reads everything after each step, also what did not change, and proves that it did not. Default false. */
  readonly thorough?: boolean;
}

export class Invariants {
  private readonly suspicions = new Suspicions();
  private readonly pane: PaneInvariants;
  private readonly membership: MembershipInvariants;
  private readonly configs: ConfigInvariants;
  private readonly disks = new DiskInvariants();
  /** Told how each wish is answered, too. */
  readonly wishes: Wishes = new Wishes();
  /** Told to be decided within the step that is checked next. */
  private decided: { readonly index: LogIndex; readonly ask: PaneAsk }[] = [];
  checks = 0;
  /** Those that were answered. */
  consistentReads = 0;

  constructor({ controlNodes, nodes, thorough = false }: InvariantsOptions) {
    this.membership = new MembershipInvariants(controlNodes, nodes, thorough);
    this.configs = new ConfigInvariants(thorough);
    this.pane = new PaneInvariants(nodes, this.suspicions, (node, command) => {
      this.membership.onCommitted(command);
      this.wishes.onCommitted(node, command);
    });
  }

  check(node: SimNode, effects: readonly MemberEffect[]): void {
    this.checks++;
    // A leader may convict in the very step in which its own testimony completes the case.
    for (const effect of effects) if (effect.kind === 'event') this.suspicions.onEvent(node, effect.event);
    for (const { to, message } of node.takeRaftDatagrams()) this.checkRaftMessage(node, to, message);
    this.disks.check(node);
    this.pane.check(node);
    this.checkDecided(node);
    this.membership.check(node);
    this.configs.check(node);
    for (const effect of effects) this.checkEffect(node, effect);
  }

  /** What a role was told is published stays published. */
  onAcknowledged(node: SimNode, role: string, seq: Seq): void {
    this.configs.onAcknowledged(node, role, seq);
  }

  /** The node's disk went back to an earlier time, which breaks what it promised itself. */
  onMemoryLost(node: SimNode): void {
    this.configs.onMemoryLost(node);
  }

  /** What the pane told somebody is decided stays decided; 0 for what stood already. A note never does without one. */
  onDecided(index: LogIndex, ask: PaneAsk): void {
    if (index > 0 || ask.kind === 'note') this.decided.push({ index, ask });
  }

  /** The end of what was ever committed: no consistent read that is asked for from now on may miss any of it. */
  get committedIndex(): LogIndex {
    return this.pane.committedIndex;
  }

  /** A consistent read showed all up to `index`; when it was asked for, all up to `floor` was committed. */
  onRead(node: SimNode, index: LogIndex, floor: LogIndex): void {
    this.consistentReads++;
    if (index < floor) violated('a consistent read misses nothing decided before', node, `${index} of ${floor}`);
  }

  /** The view behind it, where that is of everybody: who was removed or admitted when it was asked for. */
  onViewRead(
    node: SimNode,
    { removed, admitted }: { readonly removed: readonly NodeNumber[]; readonly admitted: readonly NodeNumber[] },
  ): void {
    const { directory, membership, number: self } = node.member ?? {};
    if (directory === undefined || membership?.isComplete !== true) return;
    const shown = removed.find((number) => number !== self && directory.get(number) !== undefined);
    if (shown !== undefined) violated('a consistent read shows nobody who was removed before', node, `#${shown}`);
    const missing = admitted.find((number) => directory.get(number) === undefined);
    if (missing !== undefined) violated('a consistent read shows all who were admitted before', node, `#${missing}`);
  }

  private checkDecided(node: SimNode): void {
    for (const { index, ask } of this.decided) {
      if (!this.pane.isDecided(index)) violated('acknowledged entries are committed', node, `index ${index}`);
      if (!isFor(ask, this.pane.commandAt(index)))
        violated('what is acknowledged stands where it is said to', node, `${ask.kind} at index ${index}`);
    }
    this.decided = [];
  }

  private checkEffect(node: SimNode, effect: MemberEffect): void {
    this.membership.checkEffect(node, effect);
    if (effect.kind === 'write') this.pane.checkWrite(node, effect.write);
    else if (effect.kind === 'post') this.checkPost(node, effect.to.number, effect.body);
    else if (effect.kind === 'answer') this.checkAnswer(node, effect.what, effect.body);
  }

  private checkRaftMessage(node: SimNode, to: NodeNumber, message: RaftMessage): void {
    this.disks.checkMessage(node, message);
    this.pane.checkMessage(node, to, message);
  }

  private checkPost(node: SimNode, to: number, body: Uint8Array): void {
    const post = decodePost(body);
    if (post?.kind === 'raft') this.checkRaftMessage(node, to, post.message);
    else if (post?.kind === 'configs') this.configs.checkShown(node, post.configs);
  }

  private checkAnswer(node: SimNode, what: string, body: Uint8Array): void {
    if (what === 'config-sync') this.configs.checkShown(node, decode(configPage, body)?.configs ?? []);
    if (what !== 'log') return;
    const shown = decode(logPage, body)?.entries ?? [];
    for (const entry of shown) {
      if (!this.pane.isCommitted(entry)) violated('an uncommitted entry is shown to nobody', node, `${entry.index}`);
    }
  }
}
