/** What must hold of refusals: who hears that nothing of a wish was decided may wish for it anew. */
import { toHex } from '../bytes.ts';
import type { Command } from '../control/command.ts';
import type { ErrorCode } from '../error.ts';
import type { Outcome } from '../member/outbox.ts';
import type { PaneAsk } from '../wire/peer-message.ts';
import { violated } from './invariant-violation.ts';
import type { SimNode } from './sim-node.ts';

/** Those that say so: nothing of it is in the log, nor ever will be. */
const refusals: ReadonlySet<ErrorCode> = new Set(['busy', 'no-leader', 'no-quorum', 'not-leader']);

export class Wishes {
  /** How often each was asked for without such an answer. */
  private readonly open = new Map<string, number>();
  private readonly decided = new Set<string>();

  onAsked(ask: PaneAsk): void {
    this.count(nameOf(ask), 1);
  }

  onAnswered(node: SimNode, ask: PaneAsk, outcome: Outcome<unknown>): void {
    if (outcome.ok || !refusals.has(outcome.error.code)) return;
    const wish = nameOf(ask);
    this.count(wish, -1);
    this.check(node, wish);
  }

  onCommitted(node: SimNode, command: Command): void {
    const wish = nameOf(command);
    if (wish === undefined) return;
    this.decided.add(wish);
    this.check(node, wish);
  }

  private count(wish: string | undefined, by: number): void {
    if (wish !== undefined) this.open.set(wish, (this.open.get(wish) ?? 0) + by);
  }

  private check(node: SimNode, wish: string | undefined): void {
    if (wish !== undefined && this.decided.has(wish) && this.open.get(wish) === 0)
      violated('what was refused is not decided', node, wish);
  }
}

/** The same for a wish and for its entry; nothing for wishes that are not told apart. */
function nameOf(wish: PaneAsk | Command): string | undefined {
  if (wish.kind === 'note') return `note ${toHex(wish.session)} ${wish.sequence}`;
  return wish.kind === 'create-token' ? `token ${toHex(wish.publicKey)}` : undefined;
}
