import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { MemberEvent } from '../member/effect.ts';
import { reportLeaseMs } from '../swim/jury.ts';
import { violated } from './invariant-violation.ts';
import type { SimNode } from './sim-node.ts';

/** How long after its end a suspicion may still be a leader's reason: the lease of a report, and its way. */
const afterglowMs: MonotonicMs = reportLeaseMs + 500;

interface Suspicion {
  readonly process: number;
  /** Infinite while it lasts. */
  endedAt: MonotonicMs;
}

/** Who suspects whom, from the events of all members: without suspicion nobody reports, so none may count. */
export class Suspicions {
  private readonly nodes = new Map<NodeNumber, SimNode>();
  private readonly held = new Map<string, Suspicion>();

  onEvent(node: SimNode, event: MemberEvent): void {
    if (event.kind === 'suspected') this.begin(node, event.number);
    else if (event.kind === 'refuted' || event.kind === 'left') this.end(node, event.number);
    else if (event.kind === 'down' && !event.hint) this.end(node, event.number);
  }

  /** `live` are all that are not convicted, and those of this verdict drop out of the jury one by one. */
  checkConviction(leader: SimNode, live: Set<NodeNumber>, subjects: readonly { readonly number: NodeNumber }[]): void {
    for (const { number } of subjects) {
      live.delete(number);
      const suspecting = [...live].filter((other) => this.suspects(other, number, leader.time.now)).length;
      if (suspecting * 2 > live.size) continue;
      violated('a majority convicts', leader, `#${number} is suspected by ${suspecting} of ${live.size}`);
    }
  }

  private begin(node: SimNode, subject: NodeNumber): void {
    this.nodes.set(node.number, node);
    this.held.set(`${node.number} ${subject}`, { process: node.generation, endedAt: Number.POSITIVE_INFINITY });
  }

  private end(node: SimNode, subject: NodeNumber): void {
    const suspicion = this.held.get(`${node.number} ${subject}`);
    if (suspicion !== undefined) suspicion.endedAt = Math.min(suspicion.endedAt, node.time.now);
  }

  private suspects(observer: NodeNumber, subject: NodeNumber, now: MonotonicMs): boolean {
    const [node, suspicion] = [this.nodes.get(observer), this.held.get(`${observer} ${subject}`)];
    if (node === undefined || suspicion === undefined) return false;
    // A process that died said its last word before.
    if (suspicion.process !== node.generation) suspicion.endedAt = Math.min(suspicion.endedAt, node.diedAt);
    return now <= suspicion.endedAt + afterglowMs;
  }
}
