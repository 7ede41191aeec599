/**
 * The disk of one simulated node. A write is durable when it is confirmed; a crash before that keeps a random
 * part of what was under way, which is all that a real disk promises.
 */
import type { HardState, LogEntry, LogWrite, StoredLog } from '../seam/log-store.ts';
import type { Random } from '../seam/random.ts';

export class SimDisk {
  private hardState: HardState = { term: 0, votedFor: 0 };
  private entries: readonly LogEntry[] = [];
  private underWay: LogWrite | undefined;
  private memoryBytes: Uint8Array | undefined;

  begin(write: LogWrite): void {
    this.underWay = write;
  }

  confirm(): void {
    if (this.underWay === undefined) return;
    this.apply(this.underWay);
    this.underWay = undefined;
  }

  /** The process died: of a write under way nothing, a first part or all of it is there. */
  crash(random: Random): void {
    const write = this.underWay;
    this.underWay = undefined;
    if (write === undefined || random.next() < 0.5) return;
    // One record holds term and vote, and the entries follow it in order: a torn tail is cut at the first gap.
    const kept = random.below(write.entries.length + 1);
    this.apply({ ...write, entries: write.entries.slice(0, kept) });
  }

  load(): StoredLog {
    return { hardState: this.hardState, entries: this.entries, repairs: [] };
  }

  get memory(): Uint8Array | undefined {
    return this.memoryBytes;
  }

  keepMemory(bytes: Uint8Array): void {
    this.memoryBytes = bytes;
  }

  private apply(write: LogWrite): void {
    if (write.hardState !== undefined) this.hardState = write.hardState;
    const [first] = write.entries;
    if (first === undefined) return;
    this.entries = [...this.entries.slice(0, first.index - 1), ...write.entries];
  }
}
