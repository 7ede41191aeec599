/** Tells a reader of the log who has read all of it when to look again. */
import type { CancelTimer, Clock } from '../seam/clock.ts';
import type { Node } from './node.ts';

/** A node without a log of its own looks so often; and entries that changed nothing are no event on any. */
export const logPollMs = 250;

export class LogNews {
  private readonly clock: Clock;
  private readonly signal: AbortSignal;
  private readonly stopListening: () => void;
  /** Something came since `expect`. */
  private hasCome = false;
  private wake: () => void = () => {};

  constructor(node: Node, clock: Clock, signal: AbortSignal) {
    this.clock = clock;
    this.signal = signal;
    this.stopListening = node.onEvent((event) => event.kind === 'decided' && this.onNews());
    signal.addEventListener('abort', () => this.onNews(), { once: true });
  }

  /** Called before a read: what comes during it is news, too. */
  expect(): void {
    this.hasCome = false;
  }

  /** Resolves when there may be more to read, or when the reader is gone. */
  async come(): Promise<void> {
    if (this.hasCome || this.signal.aborted) return;
    let cancel: CancelTimer = () => {};
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      cancel = this.clock.after(logPollMs, resolve);
    });
    cancel();
  }

  end(): void {
    this.stopListening();
  }

  private onNews(): void {
    this.hasCome = true;
    this.wake();
  }
}
