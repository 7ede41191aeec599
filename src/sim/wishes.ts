/**
 * What must hold of answers: who hears that nothing of a wish was decided may wish for it anew, and who sends a note
 * again hears of the same entry.
 */
import { toHex } from '../bytes.ts';
import type { Command } from '../control/command.ts';
import type { ErrorCode } from '../error.ts';
import type { LogIndex } from '../identity.ts';
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
  /** Where the entry of each note is, as its first answer said. */
  private readonly told = new Map<string, LogIndex>();
  /** Notes that were sent again after an answer, and answered again. */
  repeats = 0;

  onAsked(ask: PaneAsk): void {
    this.count(nameOf(ask), 1);
  }

  onAnswered(node: SimNode, ask: PaneAsk, outcome: Outcome<LogIndex>): void {
    const wish = nameOf(ask);
    if (outcome.ok) {
      if (wish !== undefined && ask.kind === 'note') this.checkTold(node, wish, outcome.value);
    } else if (refusals.has(outcome.error.code)) {
      this.count(wish, -1);
      this.check(node, wish);
    }
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

  private checkTold(node: SimNode, wish: string, index: LogIndex): void {
    const before = this.told.get(wish);
    this.told.set(wish, before ?? index);
    if (before === undefined) return;
    this.repeats++;
    if (before !== index) violated('what is sent again has the same entry', node, `${wish}: ${before}, then ${index}`);
  }

  private check(node: SimNode, wish: string | undefined): void {
    if (wish !== undefined && this.decided.has(wish) && this.open.get(wish) === 0)
      violated('what was refused is not decided', node, wish);
  }
}

/** Whether this entry is what was wished for, as far as wishes are told apart. */
export function isFor(wish: PaneAsk, entry: Command | undefined): boolean {
  const name = nameOf(wish);
  return name === undefined || (entry !== undefined && nameOf(entry) === name);
}

/** The same for a wish and for its entry; nothing for wishes that are not told apart. */
function nameOf(wish: PaneAsk | Command): string | undefined {
  if (wish.kind === 'note') return `note ${toHex(wish.session)} ${wish.sequence}`;
  return wish.kind === 'create-token' ? `token ${toHex(wish.publicKey)}` : undefined;
}
