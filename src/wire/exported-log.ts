/**
 * A part of the event log as a file (docs/formats.md): the genesis, the hash before the first entry, the entries, and
 * the hash of the last one. Whoever has it verifies it on any machine, without a cluster.
 */
import { ByteReader, ByteWriter, utf8 } from '../bytes.ts';
import { decodeGenesis, encodeGenesis, type Genesis } from '../certificate/genesis.ts';
import { hashBytes } from '../crypto.ts';
import type { LogIndex } from '../identity.ts';
import { entryKinds, type LogEntry } from '../seam/log-store.ts';

export type ExportRecord =
  | {
      readonly kind: 'head';
      readonly genesis: Genesis;
      /** The index of the first entry that follows. */
      readonly first: LogIndex;
      /** The hash of the entry before that. */
      readonly chain: Uint8Array;
    }
  | { readonly kind: 'entry'; readonly entry: LogEntry }
  /** `chain`: the hash of the last entry. */
  | { readonly kind: 'end'; readonly chain: Uint8Array };

const magic = utf8('HIVELOG\0');
const version = 1;
const recordNumbers: Readonly<Record<ExportRecord['kind'], number>> = { end: 0, head: 1, entry: 2 };
/** An entry of 1 MiB with all that stands around it. */
export const exportRecordBytesMax = 1_100_000;
const lengthBytes = 4;

/** What the file begins with. */
export function exportPreface(): Uint8Array {
  return new ByteWriter().raw(magic).u16(version).finish();
}
export const exportPrefaceBytes: number = exportPreface().length;

export function encodeExportRecord(record: ExportRecord): Uint8Array {
  const out = new ByteWriter().u8(recordNumbers[record.kind]);
  if (record.kind === 'head') out.blob(encodeGenesis(record.genesis)).u48(record.first).raw(record.chain);
  else if (record.kind === 'end') out.raw(record.chain);
  else {
    const { index, term, kind, payload } = record.entry;
    out.u48(index).u48(term).u8(entryKinds.indexOf(kind)).blob(payload);
  }
  return new ByteWriter().blob(out.finish()).finish();
}

export function decodeExportRecord(bytes: Uint8Array): ExportRecord | undefined {
  const input = new ByteReader(bytes);
  switch (input.u8()) {
    case recordNumbers.head: {
      const genesis = decodeGenesis(input.blob());
      const [first, chain] = [input.u48(), input.raw(hashBytes)];
      return input.done && genesis !== undefined ? { kind: 'head', genesis, first, chain } : undefined;
    }
    case recordNumbers.entry: {
      const [index, term, kind, payload] = [input.u48(), input.u48(), entryKinds[input.u8()], input.blob()];
      return input.done && kind !== undefined ? { kind: 'entry', entry: { index, term, kind, payload } } : undefined;
    }
    case recordNumbers.end: {
      const chain = input.raw(hashBytes);
      return input.done ? { kind: 'end', chain } : undefined;
    }
    default:
      return undefined;
  }
}

/** Cuts a file that comes in pieces into its records. */
export class ExportSplitter {
  private pending: Buffer = Buffer.alloc(0);
  private hasPreface = false;

  /** The records that are whole with this piece; nothing for one that cannot be, after which the rest is none. */
  take(piece: Uint8Array): readonly (ExportRecord | undefined)[] {
    this.pending = Buffer.concat([this.pending, piece]);
    const records: (ExportRecord | undefined)[] = [];
    if (!this.hasPreface) {
      if (this.pending.length < exportPrefaceBytes) return records;
      this.hasPreface = this.pending.subarray(0, exportPrefaceBytes).equals(exportPreface());
      if (!this.hasPreface) return [undefined];
      this.pending = this.pending.subarray(exportPrefaceBytes);
    }
    while (this.pending.length >= lengthBytes) {
      const end = lengthBytes + this.pending.readUInt32BE(0);
      if (end > exportRecordBytesMax) return [...records, undefined];
      if (this.pending.length < end) break;
      records.push(decodeExportRecord(this.pending.subarray(lengthBytes, end)));
      this.pending = this.pending.subarray(end);
    }
    return records;
  }

  /** Whether nothing is left of a record that began. */
  get isBetweenRecords(): boolean {
    return this.hasPreface && this.pending.length === 0;
  }
}
