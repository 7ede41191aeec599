/**
 * The disk of one simulated node: the write-ahead log of production on simulated files. A write is durable when it
 * is confirmed; a crash before that comes at any point of it. A disk may also lose what it had: a bit, or everything.
 */
import { join } from 'node:path';
import { HivemindError } from '../error.ts';
import type { LogIndex, Term } from '../identity.ts';
import type { HardState, LogEntry, LogSnapshot, LogWrite, StoredLog } from '../seam/log-store.ts';
import type { Random } from '../seam/random.ts';
import { DiskFull, diskFailure, isDiskFull } from '../store/disk-failure.ts';
import { indexOfLogSnapshot, saveLogSnapshot } from '../store/log-snapshot.ts';
import { isSegmentName, readLog } from '../store/wal-reader.ts';
import { removeFiles, WalWriter } from '../store/wal-writer.ts';
import { PowerFailure, SimFileSystem } from './sim-file-system.ts';

const folder = '/log';
/** Small, so that runs of some seconds begin new ones. */
const segmentBytesMax = 16_384;
const spareBytes = 2_048;
/** A process dies within so many changes of the files, or after what it was about to write. */
const changesMax = 12;
/** Most writes are two, a record and its sync: so a death is as a rule before, between or behind them. */
const changesOfWrite = 2;
const deathInWriteChance = 0.75;

/** What a log holds. */
export interface Held {
  hardState: HardState;
  snapshot: LogSnapshot | undefined;
  entries: LogEntry[];
}

/** What a process left behind when it died. */
export interface Left {
  /** What it knew to be durable. */
  readonly held: Held;
  /** Of which nobody knows how far it got. */
  readonly underWay: LogWrite | undefined;
}

/** With the power everything goes that was not synced; with a process alone, the kernel keeps it. */
export type Death = 'power' | 'process';

function heldIn({ hardState, snapshot, entries }: Pick<StoredLog, keyof Held>): Held {
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

/** As an entry, or in a snapshot. */
export function holds({ snapshot, entries }: Held, index: LogIndex, term: Term): boolean {
  if (index <= (snapshot?.index ?? 0)) return true;
  return entries[index - (entries[0]?.index ?? 0)]?.term === term;
}

export class SimDisk {
  readonly files: SimFileSystem;
  private writer: WalWriter | undefined;
  private underWay: LogWrite | undefined;
  private compaction: { readonly snapshot: LogSnapshot; readonly keepFrom: LogIndex } | undefined;
  private memoryBytes: Uint8Array | undefined;
  /** What the files hold: read once, and followed from then on. */
  private held: Held | undefined;
  private leftBehind: Left | undefined;
  private rotten = false;
  private damaged = false;
  private wiped = false;
  /** How often a start found that the last record was not whole, and cut it off. */
  tornTails = 0;
  /** What it held before it rotted or was lost, as far as that is not healed. */
  private heldOnce: Held | undefined;

  constructor(random: Random) {
    this.files = new SimFileSystem(random);
  }

  // — the log —

  begin(write: LogWrite): void {
    this.underWay = write;
  }

  /** @throws HivemindError as the write-ahead log does; a `DiskFull` may be tried again */
  confirm(): void {
    if (this.underWay === undefined) return;
    this.writer?.write(this.underWay);
    if (this.held !== undefined) follow(this.held, this.underWay);
    this.underWay = undefined;
  }

  beginCompaction(snapshot: LogSnapshot, keepFrom: LogIndex): void {
    this.compaction = { snapshot, keepFrom };
  }

  /** @throws HivemindError as `confirm` does */
  compact(): void {
    if (this.compaction === undefined) return;
    const { snapshot, keepFrom } = this.compaction;
    try {
      saveLogSnapshot(this.files, folder, snapshot);
      removeFiles(this.files, folder, this.writer?.forgetBelow(keepFrom) ?? []);
    } catch (thrown) {
      throw isDiskFull(thrown) ? new DiskFull(folder, thrown) : diskFailure(folder, thrown);
    }
    this.compaction = undefined;
    if (this.held === undefined || snapshot.index <= (this.held.snapshot?.index ?? 0)) return;
    this.held.snapshot = snapshot;
    this.held.entries = this.held.entries.filter(({ index }) => index >= keepFrom);
  }

  /** What was damaged has come back from other nodes. */
  heal(): void {
    this.writer?.healed();
    this.rotten = false;
    this.damaged = false;
    this.heldOnce = undefined;
  }

  /** The process dies: of a write or a snapshot under way nothing, any part or all of it is there. */
  crash(random: Random, death: Death = 'power'): void {
    const { underWay, held, writer } = this;
    if (held !== undefined && writer !== undefined) this.leftBehind = { held: { ...held }, underWay };
    if (this.rotten) this.heldOnce ??= this.leftBehind?.held;
    this.goOnUntilDeath(random.below(random.next() < deathInWriteChance ? changesOfWrite + 1 : changesMax));
    this.underWay = undefined;
    this.compaction = undefined;
    if (death === 'power') this.files.crash();
    else this.files.goOn();
    this.writer = undefined;
    this.held = undefined;
  }

  /** @throws HivemindError as the write-ahead log does */
  load(): StoredLog {
    const reading = readLog(this.files, folder);
    if (reading.kind === 'sound' && reading.open?.isTorn === true) this.tornTails++;
    const writer = new WalWriter({ files: this.files, folder, segmentBytesMax, spareBytes });
    const log = writer.load();
    this.writer = writer;
    this.held = heldIn(log);
    this.damaged = log.damage !== undefined;
    return log;
  }

  // — faults —

  /** One bit of the log turns. False while there is no log. */
  rot(random: Random): boolean {
    const names = this.files.list(folder).filter((name) => isSegmentName(name) || indexOfLogSnapshot(name) > 0);
    const name = names[random.below(Math.max(1, names.length))];
    if (name === undefined) return false;
    const path = join(folder, name);
    const usedBytes = 1 + this.files.read(path).findLastIndex((byte) => byte !== 0);
    this.rotAt(path, random.below(usedBytes), random.below(8));
    return true;
  }

  rotAt(path: string, offset: number, bit: number): void {
    this.files.rot(path, offset, bit);
    this.rotten = true;
  }

  /** All of the log is gone; what the member remembers stays, as it does where they are on two disks. */
  wipe(): void {
    this.heldOnce = this.held ?? this.stored;
    this.files.wipe();
    this.held = undefined;
    this.wiped = true;
  }

  // — for those who look on —

  /** Whether some of the log turned bad, and has not come back. */
  get isRotten(): boolean {
    return this.rotten;
  }

  /** Whether the last process found that, and was not healed. */
  get isDamaged(): boolean {
    return this.damaged;
  }

  get isWiped(): boolean {
    return this.wiped;
  }

  /** Of the last process. */
  get left(): Left | undefined {
    return this.leftBehind;
  }

  /** What a running process knows to be durable; else what a start would find. */
  get stored(): Readonly<Held> {
    this.held ??= this.found();
    return this.held;
  }

  /** Whether an entry is durable here, or was until the disk lost it. */
  hasHeld(index: LogIndex, term: Term): boolean {
    return holds(this.stored, index, term) || (this.heldOnce !== undefined && holds(this.heldOnce, index, term));
  }

  get memory(): Uint8Array | undefined {
    return this.memoryBytes;
  }

  keepMemory(bytes: Uint8Array): void {
    this.memoryBytes = bytes;
  }

  private found(): Held {
    const reading = readLog(this.files, folder);
    if (reading.kind === 'sound') return heldIn(reading);
    return { hardState: reading.damage.hardState, snapshot: undefined, entries: [] };
  }

  private goOnUntilDeath(changes: number): void {
    this.files.failPowerAfter(changes);
    try {
      if (this.underWay !== undefined) this.writer?.write(this.underWay);
      this.compact();
    } catch (thrown) {
      if (!(thrown instanceof PowerFailure || thrown instanceof HivemindError)) throw thrown;
    }
  }
}
