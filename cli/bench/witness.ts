/** What one agent believes, followed from outside: a list once, and each change as its agent tells it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentEvent, AgentLink, AgentPlace, Product } from './product.ts';

/** How often an agent that does not answer yet is tried. */
const attachPeriodMs = 50;

export interface WitnessCallbacks {
  readonly onEvent: (event: AgentEvent) => void;
  /** The list was read: whom it has up may have changed without an event. */
  readonly onList: () => void;
}

export class Witness {
  /** Whom its agent holds for up; the agent itself is always among them. */
  readonly up: Set<string> = new Set();
  private readonly product: Product;
  private readonly place: AgentPlace;
  private readonly callbacks: WitnessCallbacks;
  private link: AgentLink | undefined;
  private attempt = new AbortController();
  /** For each list that is asked for, the changes told since: it may be older than they are. */
  private readonly told = new Set<AgentEvent[]>();

  constructor(product: Product, place: AgentPlace, callbacks: WitnessCallbacks) {
    this.product = product;
    this.place = place;
    this.callbacks = callbacks;
  }

  /** Connects as soon as its agent answers; resolves then, or once `detach` is called. */
  async attach(): Promise<void> {
    this.attempt = new AbortController();
    const { signal } = this.attempt;
    while (!signal.aborted) {
      if (await this.tryOnce(signal)) return;
      await sleep(attachPeriodMs);
    }
  }

  /** Its agent has ended; it believes nothing any more. */
  detach(): void {
    this.attempt.abort();
    this.link?.close();
    this.link = undefined;
    this.up.clear();
  }

  /** Reads the list anew, where the changes may have missed something. */
  async relist(): Promise<void> {
    const { link } = this;
    if (link === undefined) return;
    const changes: AgentEvent[] = [];
    this.told.add(changes);
    try {
      const names = await link.listUp();
      if (this.link !== link) return;
      this.up.clear();
      for (const name of [...names, this.place.name]) this.up.add(name);
      for (const change of changes) this.apply(change);
    } finally {
      this.told.delete(changes);
    }
    this.callbacks.onList();
  }

  async isHealthy(): Promise<boolean> {
    return (await this.link?.isHealthy()) ?? false;
  }

  /** @throws HivemindError as its agent refuses */
  async send(event: string, payload: string): Promise<void> {
    await this.link?.send(event, payload);
  }

  private async tryOnce(signal: AbortSignal): Promise<boolean> {
    try {
      const link = await this.product.connect(this.place, (event) => this.take(event));
      if (signal.aborted) {
        link.close();
        return true;
      }
      this.link = link;
      await this.relist();
      return true;
    } catch {
      // It is still starting, or was asked while it ended.
      this.link?.close();
      this.link = undefined;
      return false;
    }
  }

  private take(event: AgentEvent): void {
    if (event.kind !== 'message') {
      if (event.node === this.place.name) return;
      for (const changes of this.told) changes.push(event);
      this.apply(event);
    }
    this.callbacks.onEvent(event);
  }

  private apply(event: AgentEvent): void {
    if (event.kind === 'up') this.up.add(event.node);
    if (event.kind === 'down') this.up.delete(event.node);
  }
}
