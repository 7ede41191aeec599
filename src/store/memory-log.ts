/** A LogStore without a disk: for the simulator and for tests. */
import { assert } from '../assert.ts';
import type { HardState, LogEntry, LogStore, LogWrite, StoredLog } from '../seam/log-store.ts';

export interface MemoryLogStore extends LogStore {
  /**
   * The process dies: a write that has not resolved is forgotten and never settles. What is durable stays, and
   * `load` may be called again, as it may after `close`.
   */
  crash(): void;
}

/** Calls `done` when the imagined disk has everything. */
export type MemoryDisk = (done: () => void) => void;

/**
 * An empty log in memory.
 *
 * @param disk how long a write takes; by default it is durable within the same turn of the loop
 */
export function memoryLogStore(disk: MemoryDisk = queueMicrotask): MemoryLogStore {
  return new MemoryLog(disk);
}

class MemoryLog implements MemoryLogStore {
  private readonly disk: MemoryDisk;
  private hardState: HardState = { term: 0, votedFor: 0 };
  private readonly entries: LogEntry[] = [];
  private isOpen = false;
  private writing: LogWrite | undefined;

  constructor(disk: MemoryDisk) {
    this.disk = disk;
  }

  async load(): Promise<StoredLog> {
    assert(!this.isOpen, 'a log is loaded once, first');
    this.isOpen = true;
    return { hardState: this.hardState, entries: [...this.entries], repairs: [] };
  }

  write(write: LogWrite): Promise<void> {
    assert(this.isOpen, 'a log is written to between load and close');
    assert(this.writing === undefined, 'one write to the log is in flight at a time');
    const first = write.entries[0]?.index ?? 1;
    assert(first >= 1 && first <= this.entries.length + 1, 'entries are written without a gap');
    this.writing = write;
    return new Promise((resolve) => {
      this.disk(() => {
        if (this.writing !== write) return;
        this.writing = undefined;
        this.keep(write);
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    this.isOpen = false;
  }

  crash(): void {
    this.isOpen = false;
    this.writing = undefined;
  }

  private keep(write: LogWrite): void {
    this.hardState = write.hardState ?? this.hardState;
    for (const entry of write.entries) {
      this.entries.length = entry.index - 1;
      this.entries.push(entry);
    }
  }
}
