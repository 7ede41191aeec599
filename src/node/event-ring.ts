/** The node's recent events, for `hivemind events`: bounded, and followed by whoever listens. */
import type { LocalEvent } from './local-api.ts';

export const eventsKeptMax = 1_000;
export const eventListenersMax = 64;

export type EventListener = (event: LocalEvent) => void;

export class EventRing {
  private kept: LocalEvent[] = [];
  private readonly listeners = new Set<EventListener>();

  add(event: LocalEvent): void {
    this.kept.push(event);
    if (this.kept.length > eventsKeptMax) this.kept = this.kept.slice(-eventsKeptMax);
    for (const listener of this.listeners) listener(event);
  }

  last(most: number): readonly LocalEvent[] {
    return most <= 0 ? [] : this.kept.slice(-most);
  }

  /** Nothing when as many listen as may. */
  listen(listener: EventListener): (() => void) | undefined {
    if (this.listeners.size >= eventListenersMax) return undefined;
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
