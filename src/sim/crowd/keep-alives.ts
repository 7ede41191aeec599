/** When a member asks which control node for news (design rule 11). */
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import { keepAliveAnswerMs, keepAlivePeriodMs, paneSilenceMs } from '../../member/client/pane-client.ts';
import type { Random } from '../../seam/random.ts';

/** What is asked at once is asked by all: they spread over this time. */
const soonMs = 500;

export class KeepAlives {
  private readonly random: Random;
  private nextAtMs: MonotonicMs;
  private asked: { readonly sinceMs: MonotonicMs; readonly order: readonly NodeNumber[]; tries: number } | undefined;

  constructor(random: Random, now: MonotonicMs) {
    this.random = random;
    this.nextAtMs = now + random.next() * keepAlivePeriodMs;
  }

  nextAt(): MonotonicMs {
    return this.nextAtMs;
  }

  /** Asks earlier than planned. */
  askSoon(now: MonotonicMs): void {
    if (this.asked === undefined) this.nextAtMs = Math.min(this.nextAtMs, now + this.random.next() * soonMs);
  }

  /** Whom to ask now: `candidates` in turn, the preferred one first, until one answers. */
  ask(candidates: readonly NodeNumber[], now: MonotonicMs): NodeNumber | undefined {
    this.asked ??= { sinceMs: now, order: candidates, tries: 0 };
    this.nextAtMs = now + keepAliveAnswerMs;
    const { order } = this.asked;
    return order[this.asked.tries++ % order.length];
  }

  /** Whether nobody has answered for too long. */
  isAlone(now: MonotonicMs): boolean {
    return this.asked !== undefined && now - this.asked.sinceMs > paneSilenceMs;
  }

  onAnswer(now: MonotonicMs): void {
    if (this.asked === undefined) return;
    this.nextAtMs = Math.max(now, this.asked.sinceMs + keepAlivePeriodMs);
    this.asked = undefined;
  }
}

/** Rendezvous hashing (Thaler 1998): each member has an order of its own, and only a dead one's share moves. */
export function rendezvousOrder(number: NodeNumber, control: readonly NodeNumber[]): readonly NodeNumber[] {
  const weights = new Map(control.map((each) => [each, mix(number, each)]));
  return [...control].sort((a, b) => (weights.get(b) as number) - (weights.get(a) as number));
}

function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(b ^ 0x7f4a_7c15, 0xc2b2_ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
