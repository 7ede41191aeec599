import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { MemberEvent } from '../member/effect.ts';
import { lossyLeaseMs, reportLeaseMs } from '../swim/jury.ts';
import { violated } from './invariant-violation.ts';
import type { SimNode } from './sim-node.ts';

/** How long after its end a suspicion may still be a leader's reason: the lease of a report, and its way. */
const afterglowMs: MonotonicMs = reportLeaseMs + 500;

interface Suspicion {
  readonly process: number;
  /** Infinite while it lasts. */
  endedAt: MonotonicMs;
}

/**
 * Who suspects whom, or finds the link to it lossy, from the events of all members: without that nobody reports, so
 * none may count.
 */
export class Suspicions {
  private readonly nodes = new Map<NodeNumber, SimNode>();
  private readonly held = new Map<string, Suspicion>();
  /** When a link was found lossy last. */
  private readonly lossy = new Map<string, MonotonicMs>();

  onEvent(node: SimNode, event: MemberEvent): void {
    if (event.kind === 'suspected') this.begin(node, event.number);
    else if (event.kind === 'lossy') this.lossy.set(pairOf(node.number, event.number), node.timelineNow);
    else if (event.kind === 'refuted' || event.kind === 'left') this.end(node, event.number);
    else if (event.kind === 'down' && !event.hint) this.end(node, event.number);
  }

  /** `live` are all that are not convicted, and those of this verdict drop out of the jury one by one. */
  checkConviction(leader: SimNode, live: Set<NodeNumber>, subjects: readonly { readonly number: NodeNumber }[]): void {
    const all = new Set(live);
    for (const { number } of subjects) {
      live.delete(number);
      const observers = leader.member?.membership.swim.jurorsOf(number) ?? [];
      const jurors = observers.filter((observer) => live.has(observer));
      const suspecting = jurors.filter((juror) => this.suspects(juror, number, leader.timelineNow)).length;
      // The jury leaves out jurors that are reported themselves when it would come to nothing with them. Of those who
      // doubt a juror it may have heard nobody; whom it heard accuse is surely one of its jurors.
      const now = leader.timelineNow;
      const sound = jurors.filter((juror) => this.suspects(juror, number, now) || !this.isDoubted(juror, all, leader));
      if (suspecting * 2 > jurors.length || (sound.length > 0 && suspecting * 2 > sound.length)) continue;
      violated('a majority convicts', leader, `#${number} is suspected by ${suspecting} of ${jurors.length}`);
    }
  }

  private isDoubted(juror: NodeNumber, live: ReadonlySet<NodeNumber>, leader: SimNode): boolean {
    const observers = leader.member?.membership.swim.jurorsOf(juror) ?? [];
    const now = leader.timelineNow;
    return observers.filter((observer) => live.has(observer) && this.suspects(observer, juror, now)).length >= 2;
  }

  private begin(node: SimNode, subject: NodeNumber): void {
    this.nodes.set(node.number, node);
    this.held.set(pairOf(node.number, subject), { process: node.generation, endedAt: Number.POSITIVE_INFINITY });
  }

  private end(node: SimNode, subject: NodeNumber): void {
    const suspicion = this.held.get(pairOf(node.number, subject));
    if (suspicion !== undefined) suspicion.endedAt = Math.min(suspicion.endedAt, node.timelineNow);
  }

  private suspects(observer: NodeNumber, subject: NodeNumber, now: MonotonicMs): boolean {
    const pair = pairOf(observer, subject);
    if (now <= (this.lossy.get(pair) ?? Number.NEGATIVE_INFINITY) + lossyLeaseMs + 500) return true;
    const [node, suspicion] = [this.nodes.get(observer), this.held.get(pair)];
    if (node === undefined || suspicion === undefined) return false;
    // A process that died said its last word before.
    if (suspicion.process !== node.generation) suspicion.endedAt = Math.min(suspicion.endedAt, node.diedAt);
    return now <= suspicion.endedAt + afterglowMs;
  }
}

function pairOf(observer: NodeNumber, subject: NodeNumber): string {
  return `${observer} ${subject}`;
}
