/** The node's recent events, for `hivemind events`: bounded, and followed by whoever listens. */
import type { LocalEvent } from './local-api.ts';

export const eventsKeptMax = 1_000;
export const eventListenersMax = 64;

export type EventListener = (event: LocalEvent) => void;

export class EventRing {
  private readonly kept: LocalEvent[] = [];
  /** Where the next one goes, once as many are kept as may: in the place of the oldest. */
  private oldest = 0;
  private readonly listeners = new Set<EventListener>();

  add(event: LocalEvent): void {
    if (this.kept.length < eventsKeptMax) this.kept.push(event);
    else {
      this.kept[this.oldest] = event;
      this.oldest = (this.oldest + 1) % eventsKeptMax;
    }
    for (const listener of this.listeners) listener(event);
  }

  last(most: number): readonly LocalEvent[] {
    const inOrder = [...this.kept.slice(this.oldest), ...this.kept.slice(0, this.oldest)];
    return most <= 0 ? [] : inOrder.slice(-most);
  }

  /** Nothing when as many listen as may. */
  listen(listener: EventListener): (() => void) | undefined {
    if (this.listeners.size >= eventListenersMax) return undefined;
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
