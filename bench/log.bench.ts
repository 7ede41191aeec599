import { fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chainHash, chainStart, type LogEntry, type LogStore } from '../src/seam/log-store.ts';
import { seededRandom } from '../src/seam/random.ts';
import { openWriteAheadLog } from '../src/store/write-ahead-log.ts';
import { type Bench, type BenchTask, benchSeed } from './bench.ts';

const payloadBytes = 256;
/** What the log adds to an entry on disk. */
const entryHeadBytes = 50;
const batchSizes = [1, 64];
/** Entries between two snapshots, and the size of one. */
const snapshotEvery = 8_192;
const stateBytes = 1_000_000;

/** A log that a control node may have: it is written to for as long as the bench runs, and takes its snapshots. */
class GrowingLog {
  private readonly store: LogStore;
  /** One write is in flight at a time, and a stopwatch does not always wait. */
  private last: Promise<unknown>;
  private readonly payload = seededRandom(benchSeed).bytes(payloadBytes);
  private readonly state = new Uint8Array(stateBytes);
  private index = 0;
  private chain: Uint8Array = chainStart;
  private compacting: Promise<void> | undefined;

  constructor(folder: string) {
    this.store = openWriteAheadLog(folder);
    this.last = this.store.load();
  }

  append(count: number): Promise<unknown> {
    this.last = this.last.then(() => this.appendNext(count));
    return this.last;
  }

  private async appendNext(count: number): Promise<void> {
    const before = Math.floor(this.index / snapshotEvery);
    const entries = Array.from({ length: count }, () => this.nextEntry());
    await this.store.write({ entries });
    if (Math.floor(this.index / snapshotEvery) > before) await this.compact();
  }

  private nextEntry(): LogEntry {
    const entry: LogEntry = { index: ++this.index, term: 1, kind: 'command', payload: this.payload };
    this.chain = chainHash(this.chain, entry);
    return entry;
  }

  private async compact(): Promise<void> {
    const { index, chain, state } = this;
    await this.compacting;
    const snapshot = { index, term: 1, chain, configuration: new Uint8Array(0), state };
    this.compacting = this.store.compact(snapshot, Math.max(1, index - snapshotEvery));
  }
}

/** What a disk can do at best: one record after the other, each synced, in this thread. */
function bareDisk(folder: string, count: number): () => void {
  const descriptor = openSync(join(folder, `bare-${count}`), 'w');
  const record = new Uint8Array(count * (payloadBytes + entryHeadBytes));
  return () => {
    writeSync(descriptor, record);
    fdatasyncSync(descriptor);
  };
}

const bench: Bench = {
  name: 'log',
  about: `entries of ${payloadBytes} bytes made durable on this machine's disk, with snapshots beside`,
  tasks: () => {
    const folder = mkdtempSync(join(tmpdir(), 'hivemind-log-bench-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    return batchSizes.flatMap((count): readonly BenchTask[] => {
      const log = new GrowingLog(join(folder, `log-${count}`));
      return [
        { name: `write ${count} with fdatasync`, run: bareDisk(folder, count) },
        { name: `append ${count} to the log`, run: () => log.append(count), against: `write ${count} with fdatasync` },
      ];
    });
  },
};

export default bench;
