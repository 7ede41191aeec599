import type { Random } from '../seam/random.ts';

/** What a disk writes as a whole or not at all. */
export const sectorBytes = 512;

/** One file: what a reader sees of it, and what a crash leaves. */
export class SimFile {
  private seen = new Uint8Array(sectorBytes);
  private seenBytes = 0;
  private kept = new Uint8Array(sectorBytes);
  private keptBytes = 0;
  /** Sectors that differ since the last sync. */
  private readonly unsynced = new Set<number>();

  get lengthBytes(): number {
    return this.seenBytes;
  }

  read(lengthBytes: number): Uint8Array {
    return this.seen.slice(0, lengthBytes);
  }

  write(bytes: Uint8Array, offset: number): void {
    if (bytes.length === 0) return;
    const end = offset + bytes.length;
    this.seen = withRoom(this.seen, end);
    this.seen.set(bytes, offset);
    this.seenBytes = Math.max(this.seenBytes, end);
    for (let sector = Math.floor(offset / sectorBytes); sector * sectorBytes < end; sector++) this.unsynced.add(sector);
  }

  truncate(lengthBytes: number): void {
    this.seen.fill(0, lengthBytes, this.seenBytes);
    for (let sector = Math.floor(lengthBytes / sectorBytes); sector * sectorBytes < this.seenBytes; sector++) {
      this.unsynced.add(sector);
    }
    this.seenBytes = lengthBytes;
  }

  sync(): void {
    for (const sector of this.unsynced) this.keepSector(sector);
    this.unsynced.clear();
    this.keptBytes = this.seenBytes;
  }

  /** A sync failed: some sectors got there, the others count as clean and never will. */
  loseUnsynced(random: Random): void {
    for (const sector of this.unsynced) if (random.next() < 0.5) this.keepSector(sector);
    this.unsynced.clear();
  }

  rot(offset: number, bit: number): void {
    for (const bytes of [this.seen, this.kept]) {
      if (offset < bytes.length) bytes[offset] = (bytes[offset] as number) ^ (1 << bit);
    }
  }

  /** Any of the unsynced sectors survive; the length is the old one, the new one, or what they need. */
  crash(random: Random): void {
    const hadBytes = this.keptBytes;
    for (const sector of this.unsynced) if (random.next() < 0.5) this.keepSector(sector);
    if (this.unsynced.size > 0 && random.next() < 0.5) this.keptBytes = this.seenBytes;
    this.unsynced.clear();
    if (this.keptBytes < hadBytes) this.kept.fill(0, this.keptBytes);
    this.seen = Uint8Array.from(this.kept);
    this.seenBytes = this.keptBytes;
  }

  /** Behind the end there are zeros on both sides. */
  private keepSector(sector: number): void {
    const [from, to] = [sector * sectorBytes, (sector + 1) * sectorBytes];
    this.kept = withRoom(this.kept, to);
    this.kept.set(this.seen.subarray(from, to), from);
    if (from < this.seenBytes) this.keptBytes = Math.max(this.keptBytes, Math.min(to, this.seenBytes));
  }
}

/** Whole sectors, so that each can be copied at once. */
function withRoom(bytes: Uint8Array<ArrayBuffer>, lengthBytes: number): Uint8Array<ArrayBuffer> {
  if (lengthBytes <= bytes.length) return bytes;
  const sectors = Math.ceil(Math.max(lengthBytes, 2 * bytes.length) / sectorBytes);
  const grown = new Uint8Array(sectors * sectorBytes);
  grown.set(bytes);
  return grown;
}
