/**
 * Keeps the member's memory on disk up to date: at once for what was promised, within seconds for what
 * others know as well. One write is under way at a time; whoever waits for its promise is called when it is durable.
 */
import { equalBytes } from '../bytes.ts';
import { sha256 } from '../crypto.ts';
import type { MonotonicMs } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import { encodeMemory, type MemberMemory } from './memory.ts';
import type { Outbox } from './outbox.ts';

/** What others know as well is written at most this often: a hundred joins in a row are a few writes. */
export const rememberPeriodMs = 3_000;

type Then = (at: Instant) => void;

export class Recollection {
  private readonly outbox: Outbox;
  private readonly memory: () => MemberMemory;
  private dueAt: MonotonicMs;
  private lastHash: Uint8Array = new Uint8Array(0);
  private lastId = 0;
  private underWay = false;
  /** Waiting for the next write, and for the one under way. */
  private waiting: Then[] = [];
  private written: Then[] = [];

  constructor(outbox: Outbox, memory: () => MemberMemory, at: Instant) {
    this.outbox = outbox;
    this.memory = memory;
    this.dueAt = at.now;
  }

  nextTickAt(): MonotonicMs {
    return this.underWay ? Number.POSITIVE_INFINITY : this.dueAt;
  }

  softly(at: Instant): void {
    this.dueAt = Math.min(this.dueAt, at.now + rememberPeriodMs);
  }

  soon(at: Instant): void {
    this.dueAt = at.now;
  }

  /** Calls back when all that the member knows now is durable. */
  afterwards(call: Then, at: Instant): void {
    this.waiting.push(call);
    this.soon(at);
  }

  tick(at: Instant): void {
    if (this.underWay || at.now < this.dueAt) return;
    this.dueAt = Number.POSITIVE_INFINITY;
    const bytes = encodeMemory(this.memory());
    const hash = sha256(bytes);
    if (this.waiting.length === 0 && equalBytes(hash, this.lastHash)) return;
    this.lastHash = hash;
    this.underWay = true;
    this.written = this.waiting;
    this.waiting = [];
    this.outbox.push({ kind: 'remember', id: ++this.lastId, bytes });
  }

  onRemembered(id: number, at: Instant): void {
    if (id !== this.lastId) return;
    this.underWay = false;
    const due = this.written;
    this.written = [];
    for (const call of due) call(at);
  }
}
