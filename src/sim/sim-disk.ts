/**
 * The disk of one simulated node: the write-ahead log of production on simulated files. A write is durable when it
 * is confirmed; a crash before that comes at any point of it.
 */
import type { LogIndex } from '../identity.ts';
import type { LogSnapshot, LogWrite, StoredLog } from '../seam/log-store.ts';
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

export class SimDisk {
  readonly files: SimFileSystem;
  private writer: WalWriter | undefined;
  private underWay: LogWrite | undefined;
  private memoryBytes: Uint8Array | undefined;

  constructor(random: Random) {
    this.files = new SimFileSystem(random);
  }

  begin(write: LogWrite): void {
    this.underWay = write;
  }

  confirm(): void {
    if (this.underWay === undefined) return;
    this.writer?.write(this.underWay);
    this.underWay = undefined;
  }

  compact(snapshot: LogSnapshot, keepFrom: LogIndex): void {
    saveLogSnapshot(this.files, folder, snapshot);
    removeFiles(this.files, folder, this.writer?.forgetBelow(keepFrom) ?? []);
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
  }

  load(): StoredLog {
    this.writer = new WalWriter({ files: this.files, folder, segmentBytesMax, spareBytes });
    return this.writer.load();
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
