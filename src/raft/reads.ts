import type { LogIndex } from '../identity.ts';

/** Reads that wait; one more is refused as busy. */
export const openReadsMax = 4096;

/** What may be read now: the state with all up to `index` applied, which was the newest when the read was asked for. */
export interface ServableRead {
  readonly id: number;
  readonly index: LogIndex;
}

interface OpenRead extends ServableRead {
  /** Begun after the read was asked for: once a majority answered it, no other leader had decided anything by then. */
  readonly round: number;
}

/**
 * Reads that no later decision can have overtaken (ReadIndex, §6.4), without an entry in the log. One is answered when
 * a majority has confirmed that this was the leader *after* the question came, and when what was committed then is
 * applied here. Losing the lead fails them all. An id is never used twice: an answer that comes late is nobody else's.
 */
export class Reads {
  /** Ascending by round. */
  private waiting: OpenRead[] = [];
  private confirmed: ServableRead[] = [];
  private failed: number[] = [];
  private lastId = 0;

  get isFull(): boolean {
    return this.waiting.length + this.confirmed.length >= openReadsMax;
  }

  /** A read of what is committed up to `index`, to be confirmed by `round`; gives its id. */
  open(index: LogIndex, round: number): number {
    this.lastId++;
    this.waiting.push({ id: this.lastId, index, round });
    return this.lastId;
  }

  /** A majority answered this round and so all before it. */
  confirm(round: number): void {
    let count = 0;
    while (count < this.waiting.length && (this.waiting[count] as OpenRead).round <= round) count++;
    for (const { id, index } of this.waiting.splice(0, count)) this.confirmed.push({ id, index });
  }

  /** The lead is lost: who knows what the next leader decides. */
  fail(): void {
    this.failed.push(...this.confirmed.map(({ id }) => id), ...this.waiting.map(({ id }) => id));
    this.confirmed = [];
    this.waiting = [];
  }

  /** Those to be answered now that all up to `delivered` is applied, each once. */
  takeServable(delivered: LogIndex): readonly ServableRead[] {
    if (this.confirmed.length === 0) return [];
    const servable = this.confirmed.filter(({ index }) => index <= delivered);
    if (servable.length > 0) this.confirmed = this.confirmed.filter(({ index }) => index > delivered);
    return servable;
  }

  takeFailed(): readonly number[] {
    if (this.failed.length === 0) return [];
    return this.failed.splice(0);
  }
}
