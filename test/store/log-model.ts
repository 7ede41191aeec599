/** What a log must hold after any history of writes: kept in the plainest way, to hold the real one against. */
import { toHex } from '../../src/bytes.ts';
import {
  chainHash,
  chainStart,
  type HardState,
  type LogEntry,
  type LogSnapshot,
  type LogWrite,
} from '../../src/seam/log-store.ts';
import type { Random } from '../../src/seam/random.ts';
import { entryAt } from '../conformance/log-store.ts';

/** All that matters of a log: entries that a snapshot covers do not. */
export interface LogImage {
  readonly hardState: HardState;
  readonly snapshotIndex: number;
  readonly entries: readonly string[];
}

/** Each entry in a few letters, so that a difference can be read. */
export function inShort(entries: readonly LogEntry[]): readonly string[] {
  return entries.map((entry) => `${entry.index}/${entry.term}:${toHex(chainHash(chainStart, entry)).slice(0, 8)}`);
}

export interface LogAction {
  readonly write?: LogWrite;
  readonly compact?: { readonly snapshot: LogSnapshot; readonly keepFrom: number };
}

export class LogModel {
  hardState: HardState = { term: 0, votedFor: 0 };
  snapshot: LogSnapshot | undefined;
  /** From the one behind the snapshot on. */
  entries: readonly LogEntry[] = [];

  copy(): LogModel {
    return Object.assign(new LogModel(), this);
  }

  get lastIndex(): number {
    return this.snapshotIndex + this.entries.length;
  }

  get snapshotIndex(): number {
    return this.snapshot?.index ?? 0;
  }

  image(): LogImage {
    const { hardState, snapshotIndex, entries } = this;
    return { hardState, snapshotIndex, entries: inShort(entries) };
  }

  /** After each part of an action that may become durable on its own. */
  after({ write, compact }: LogAction): readonly LogModel[] {
    const stages: LogModel[] = [];
    const stage = (change: (model: LogModel) => void): void => {
      const model = (stages.at(-1) ?? this).copy();
      change(model);
      stages.push(model);
    };
    if (compact !== undefined) stage((model) => model.cover(compact.snapshot));
    const { hardState, snapshot, entries = [] } = write ?? {};
    const settle = (model: LogModel): void => {
      model.hardState = hardState ?? model.hardState;
    };
    if (snapshot !== undefined) {
      stage(settle);
      stage((model) => model.cover(snapshot));
    }
    stage((model) => {
      settle(model);
      model.append(entries);
    });
    return stages;
  }

  chainAt(index: number): Uint8Array {
    const from = this.snapshot?.chain ?? chainStart;
    return this.entries.filter((entry) => entry.index <= index).reduce(chainHash, from);
  }

  private append(entries: readonly LogEntry[]): void {
    const [first] = entries;
    if (first === undefined) return;
    this.entries = [...this.entries.filter(({ index }) => index < first.index), ...entries];
  }

  private cover(snapshot: LogSnapshot): void {
    const holds = this.entries.some(({ index, term }) => index === snapshot.index && term === snapshot.term);
    this.entries = holds ? this.entries.filter(({ index }) => index > snapshot.index) : [];
    this.snapshot = snapshot;
  }

  // — actions —

  draw(random: Random): LogAction {
    const lot = random.next();
    if (lot < 0.15 && this.entries.length > 0) return this.drawCompaction(random);
    if (lot < 0.22) return this.drawInstallation(random);
    const term = this.hardState.term + (lot < 0.4 ? 1 : 0);
    const hardState = { term, votedFor: term === this.hardState.term ? this.hardState.votedFor : random.below(5) };
    const replaces = term > this.hardState.term && this.entries.length > 0 && random.next() < 0.5;
    const first = replaces ? this.snapshotIndex + 1 + random.below(this.entries.length) : this.lastIndex + 1;
    const entries = drawEntries(first, 1 + random.below(4), term, random);
    return { write: { ...((lot < 0.4 || random.next() < 0.2) && { hardState }), entries } };
  }

  private drawCompaction(random: Random): LogAction {
    const { index, term } = this.entries[random.below(this.entries.length)] as LogEntry;
    const snapshot = drawSnapshot(index, term, this.chainAt(index), random);
    return { compact: { snapshot, keepFrom: Math.max(1, index + 1 - random.below(6)) } };
  }

  private drawInstallation(random: Random): LogAction {
    const term = this.hardState.term + 1;
    const index = this.snapshotIndex + 1 + random.below(this.entries.length + 5);
    const held = this.entries.find((entry) => entry.index === index);
    const isHeld = held !== undefined && random.next() < 0.3;
    const chain = isHeld ? this.chainAt(index) : random.bytes(32);
    const snapshot = drawSnapshot(index, isHeld ? held.term : term, chain, random);
    const last = isHeld ? this.lastIndex : index;
    const entries = drawEntries(last + 1, random.below(3), term, random);
    return { write: { hardState: { term, votedFor: 0 }, snapshot, entries } };
  }
}

function drawEntries(first: number, count: number, term: number, random: Random): readonly LogEntry[] {
  return Array.from({ length: count }, (_, offset) =>
    entryAt(first + offset, term, `${first + offset}/${term} ${'x'.repeat(random.below(900))}`),
  );
}

function drawSnapshot(index: number, term: number, chain: Uint8Array, random: Random): LogSnapshot {
  const state = Buffer.from(`state at ${index} `.repeat(1 + random.below(40)));
  return { index, term, chain, configuration: Buffer.from('who votes'), state };
}
