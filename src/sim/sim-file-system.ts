/**
 * Files that keep no more than a real disk promises. What was written since the last sync survives a crash sector
 * by sector, or does not; so do creations, renames and removals since a folder was synced. Faults come on demand:
 * power that fails in the middle, failing syncs, a full disk, bit rot.
 */
import { assert } from '../assert.ts';
import type { FileSystem, OpenFile } from '../seam/file-system.ts';
import type { Random } from '../seam/random.ts';
import { SimFile } from './sim-file.ts';

/** Thrown where the power fails: the process does not live to see it. */
export class PowerFailure extends Error {
  constructor() {
    super('the power of a simulated machine failed');
    this.name = 'PowerFailure';
  }
}

/** A change of names that a crash may undo. */
interface NameChange {
  readonly from?: string;
  readonly to?: string;
  readonly file: SimFile;
}

export class SimFileSystem implements FileSystem {
  /** Bytes that all files together may have; without a limit at first. */
  capacityBytes: number = Number.POSITIVE_INFINITY;
  /** A sync does not end while this is set: whoever drives the machine reads it, and waits. */
  syncHangs = false;
  /** Every change since the start; a crash may come before any one of them. */
  changes = 0;
  private readonly random: Random;
  private readonly folders = new Set<string>();
  private visible = new Map<string, SimFile>();
  private readonly durable = new Map<string, SimFile>();
  private nameChanges: NameChange[] = [];
  private powerFailsAt = Number.POSITIVE_INFINITY;
  private syncErrors = 0;

  constructor(random: Random) {
    this.random = random;
  }

  // — faults —

  /** The power fails after so many more changes; `crash` brings the machine back. */
  failPowerAfter(changes: number): void {
    this.powerFailsAt = this.changes + changes;
  }

  /** The next sync of a file fails with EIO, and the pages count as clean from then on, as on Linux. */
  failNextSync(): void {
    this.syncErrors++;
  }

  forgetSyncErrors(): void {
    this.syncErrors = 0;
  }

  /** Turns one bit of what is on the disk. */
  rot(path: string, offset: number, bit: number): void {
    this.at(path).rot(offset, bit);
  }

  /** The machine starts again with what the disk kept. */
  crash(): void {
    for (const change of this.nameChanges) if (this.random.next() < 0.5) this.keep(change);
    this.nameChanges = [];
    for (const file of new Set([...this.visible.values(), ...this.durable.values()])) file.crash(this.random);
    this.visible = new Map(this.durable);
    this.powerFailsAt = Number.POSITIVE_INFINITY;
    this.syncErrors = 0;
  }

  /** The process died, the machine did not: it goes on with all that it was given. */
  goOn(): void {
    this.powerFailsAt = Number.POSITIVE_INFINITY;
  }

  /** The disk is exchanged for an empty one. */
  wipe(): void {
    this.folders.clear();
    this.visible.clear();
    this.durable.clear();
    this.nameChanges = [];
  }

  get usedBytes(): number {
    let sum = 0;
    for (const file of this.visible.values()) sum += file.lengthBytes;
    return sum;
  }

  // — the seam —

  makeFolder(path: string): void {
    this.folders.add(path);
  }

  list(folder: string): readonly string[] {
    const inside = `${folder}/`;
    const names = [...this.visible.keys(), ...this.folders]
      .filter((path) => path.startsWith(inside))
      .map((path) => path.slice(inside.length))
      .filter((name) => !name.includes('/'));
    return [...new Set(names)].sort();
  }

  read(path: string, bytesMax: number = Number.POSITIVE_INFINITY): Uint8Array {
    const file = this.at(path);
    return file.read(Math.min(bytesMax, file.lengthBytes));
  }

  create(path: string): OpenFile {
    this.change();
    const file = new SimFile();
    this.visible.set(path, file);
    this.nameChanges.push({ to: path, file });
    return this.handle(file);
  }

  open(path: string): OpenFile {
    return this.handle(this.at(path));
  }

  rename(from: string, to: string): void {
    this.change();
    const file = this.at(from);
    this.visible.delete(from);
    this.visible.set(to, file);
    this.nameChanges.push({ from, to, file });
  }

  remove(path: string): void {
    const file = this.visible.get(path);
    if (file === undefined) return;
    this.change();
    this.visible.delete(path);
    this.nameChanges.push({ from: path, file });
  }

  syncFolder(folder: string): void {
    this.change();
    const inside = `${folder}/`;
    const isInside = ({ from, to }: NameChange): boolean => [from, to].some((path) => path?.startsWith(inside));
    for (const change of this.nameChanges) if (isInside(change)) this.keep(change);
    this.nameChanges = this.nameChanges.filter((change) => !isInside(change));
  }

  /** One process at a time runs on a simulated machine. */
  lock(): { release(): void } {
    return { release() {} };
  }

  // — files —

  private handle(file: SimFile): OpenFile {
    return {
      write: (bytes, offset) => this.write(file, bytes, offset),
      syncData: () => this.sync(file),
      sync: () => this.sync(file),
      truncate: (lengthBytes) => {
        this.change();
        file.truncate(lengthBytes);
      },
      close: () => {},
    };
  }

  /** A full disk takes what fits. */
  private write(file: SimFile, bytes: Uint8Array, offset: number): void {
    this.change();
    const grownBytes = Math.max(0, offset + bytes.length - file.lengthBytes);
    const lackingBytes = grownBytes === 0 ? 0 : Math.max(0, grownBytes + this.usedBytes - this.capacityBytes);
    file.write(bytes.subarray(0, Math.max(0, bytes.length - lackingBytes)), offset);
    if (lackingBytes > 0) throw systemError('ENOSPC', 'write');
  }

  private sync(file: SimFile): void {
    this.change();
    if (this.syncErrors > 0) {
      this.syncErrors--;
      file.loseUnsynced(this.random);
      throw systemError('EIO', 'fsync');
    }
    file.sync();
  }

  private keep({ from, to, file }: NameChange): void {
    if (from !== undefined && this.durable.get(from) === file) this.durable.delete(from);
    if (to !== undefined) this.durable.set(to, file);
  }

  private at(path: string): SimFile {
    const file = this.visible.get(path);
    if (file === undefined) throw systemError('ENOENT', 'open');
    return file;
  }

  private change(): void {
    assert(this.changes <= this.powerFailsAt, 'nothing runs without power');
    if (this.changes === this.powerFailsAt) throw new PowerFailure();
    this.changes++;
  }
}

/** As node:fs throws them. */
function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${syscall}`), { code, syscall });
}
