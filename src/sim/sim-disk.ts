/**
 * The disk of one simulated node: the write-ahead log of production on simulated files. A write is durable when it
 * is confirmed; a crash before that comes at any point of it.
 */
import type { LogIndex } from '../identity.ts';
import type { HardState, LogEntry, LogSnapshot, LogWrite, StoredLog } from '../seam/log-store.ts';
import type { Random } from '../seam/random.ts';
import { saveLogSnapshot } from '../store/log-snapshot.ts';
import { removeFiles, WalWriter } from '../store/wal-writer.ts';
import { PowerFailure, SimFileSystem } from './sim-file-system.ts';

const folder = '/log';
/** Small, so that runs of some seconds begin new ones. */
const segmentBytesMax = 16_384;
const spareBytes = 2_048;
/** A power failure comes within so many changes of the files, or after the write. */
const changesMax = 8;

interface Held {
  hardState: HardState;
  snapshot: LogSnapshot | undefined;
  entries: LogEntry[];
}

function heldIn({ hardState, snapshot, entries }: StoredLog): Held {
  return { hardState, snapshot, entries: [...entries] };
}

/** As the log itself takes a write. */
function follow(held: Held, { hardState, snapshot, entries }: LogWrite): void {
  if (hardState !== undefined) held.hardState = hardState;
  if (snapshot !== undefined) {
    const covered = held.entries.find(({ index }) => index === snapshot.index);
    const behind = held.entries.filter(({ index }) => index > snapshot.index);
    held.entries = covered?.term === snapshot.term ? behind : [];
    held.snapshot = snapshot;
  }
  const [first] = entries;
  if (first === undefined) return;
  const from = held.entries.findIndex(({ index }) => index >= first.index);
  if (from >= 0) held.entries.length = from;
  held.entries.push(...entries);
}

export class SimDisk {
  readonly files: SimFileSystem;
  private writer: WalWriter | undefined;
  private underWay: LogWrite | undefined;
  private memoryBytes: Uint8Array | undefined;
  /** What the files hold: read once, and followed from then on. */
  private held: Held | undefined;

  constructor(random: Random) {
    this.files = new SimFileSystem(random);
  }

  begin(write: LogWrite): void {
    this.underWay = write;
  }

  confirm(): void {
    if (this.underWay === undefined) return;
    this.writer?.write(this.underWay);
    if (this.held !== undefined) follow(this.held, this.underWay);
    this.underWay = undefined;
  }

  compact(snapshot: LogSnapshot, keepFrom: LogIndex): void {
    saveLogSnapshot(this.files, folder, snapshot);
    removeFiles(this.files, folder, this.writer?.forgetBelow(keepFrom) ?? []);
    this.held = undefined;
  }

  /** What was damaged has come back from other nodes. */
  heal(): void {
    this.writer?.healed();
  }

  /** The power fails: of a write under way nothing, any part or all of it is there. */
  crash(random: Random): void {
    const write = this.underWay;
    this.underWay = undefined;
    if (write !== undefined) this.writeUntilPowerFails(write, random.below(changesMax));
    this.files.crash();
    this.writer = undefined;
    this.held = undefined;
  }

  load(): StoredLog {
    const { writer, log } = this.open();
    this.writer = writer;
    this.held = heldIn(log);
    return log;
  }

  /** What a start would find now, for those who look on: many look at each step. */
  get stored(): Readonly<Held> {
    this.held ??= heldIn(this.open().log);
    return this.held;
  }

  private open(): { readonly writer: WalWriter; readonly log: StoredLog } {
    const writer = new WalWriter({ files: this.files, folder, segmentBytesMax, spareBytes });
    return { writer, log: writer.load() };
  }

  get memory(): Uint8Array | undefined {
    return this.memoryBytes;
  }

  keepMemory(bytes: Uint8Array): void {
    this.memoryBytes = bytes;
  }

  private writeUntilPowerFails(write: LogWrite, changes: number): void {
    this.files.failPowerAfter(changes);
    try {
      this.writer?.write(write);
    } catch (thrown) {
      if (!(thrown instanceof PowerFailure)) throw thrown;
    }
  }
}
