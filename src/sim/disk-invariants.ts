/** What must hold of the disk with the event log: what was durable survives a crash, or its loss is known. */
import type { RaftMessage } from '../raft/message.ts';
import type { HardState } from '../seam/log-store.ts';
import { violated } from './invariant-violation.ts';
import { holds, type Left } from './sim-disk.ts';
import type { SimNode } from './sim-node.ts';

export class DiskInvariants {
  /** By node, the last process whose start was looked at. */
  private readonly started = new Map<string, number>();

  check(node: SimNode): void {
    const { disk, generation } = node;
    const raft = node.member?.pane?.engine.raft;
    if (raft === undefined) return;
    const stands = raft.role === 'candidate' || raft.role === 'leader';
    if (disk.isDamaged && stands) violated('who lost entries does not stand', node, `term ${raft.term}`);
    if (this.started.get(node.name) === generation) return;
    this.started.set(node.name, generation);
    if (disk.left !== undefined) this.checkStart(node, disk.left);
  }

  checkMessage(node: SimNode, message: RaftMessage): void {
    const isVote = message.kind === 'vote-answer' && message.granted;
    if (isVote && node.disk.isDamaged) violated('who lost entries votes for nobody', node, `term ${message.term}`);
  }

  private checkStart(node: SimNode, left: Left): void {
    const { disk } = node;
    if (disk.isWiped) violated('a control node whose log is gone takes no part', node, 'it started');
    if (disk.isDamaged && !disk.isRotten) violated('a log is damaged only where its disk is', node, 'it is');
    if (disk.isDamaged) return;
    this.checkHardState(node, left);
    this.checkEntries(node, left);
  }

  private checkHardState(node: SimNode, { held, underWay }: Left): void {
    const { hardState } = node.disk.stored;
    const isSame = [held.hardState, underWay?.hardState].some((each) => each !== undefined && equal(each, hardState));
    if (!isSame) violated('term and vote survive a crash', node, `${text(hardState)} after ${text(held.hardState)}`);
  }

  private checkEntries(node: SimNode, { held, underWay }: Left): void {
    const replacedFrom = underWay?.entries[0]?.index ?? Number.POSITIVE_INFINITY;
    const { snapshot } = held;
    const must = snapshot === undefined ? held.entries : [...held.entries, snapshot];
    for (const { index, term } of must) {
      if (index < replacedFrom && !holds(node.disk.stored, index, term))
        violated('what was durable survives a crash', node, `entry ${index}`);
    }
  }
}

function equal(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.votedFor === b.votedFor;
}

function text({ term, votedFor }: HardState): string {
  return `term ${term}, a vote for ${votedFor}`;
}
