/**
 * DNS messages on the wire (RFC 1035 §4): queries in, responses out.
 *
 * Reading needs no decompression. A query has one question, right behind the header, where a pointer could only
 * lead into the header or to itself; all other names in it are skipped, never followed. So there are no loops to
 * guard against.
 */
import { unreachable } from '../../src/assert.ts';
import { labelBytesMax, type Name, nameBytesMax, nameKey, parentKey } from './name.ts';
import { type RecordData, recordTypes } from './record.ts';

/** A longer query is dropped: one question and every option in use fit many times. */
export const queryBytesMax = 4_096;
/** The longest response there is, over TCP: its length has 16 bits. */
export const streamResponseBytesMax = 65_535;

const headerBytes = 12;
const optBytes = 11;
const firstBufferBytes = 512;
const optType = 41;
export const internetClass = 1;
const doFlag = 0x8000;
const pointerBits = 0xc0;
const pointerOffsetMax = 0x3fff;

export const opcodeQuery = 0;

/** RFC 1035 §4.1.1; BADVERS, RFC 6891 §9, is the one that needs the upper bits in the OPT record. */
export const responseCodes = { NOERROR: 0, FORMERR: 1, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;
export type ResponseCode = keyof typeof responseCodes;

export interface QueryHeader {
  readonly id: number;
  readonly opcode: number;
  readonly recursionDesired: boolean;
}

export interface Question {
  readonly name: Name;
  readonly type: number;
  readonly class: number;
}

/** The OPT record of a query (RFC 6891 §6.1). */
export interface Edns {
  readonly version: number;
  /** The largest datagram that the asker takes. */
  readonly udpBytesMax: number;
  /** DO, "DNSSEC answers OK": copied into the response. */
  readonly dnssecOk: boolean;
}

export type ReadQuery =
  /** Not a query at all: answering it could start an endless exchange. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'malformed'; readonly header: QueryHeader }
  | { readonly kind: 'query'; readonly header: QueryHeader; readonly question: Question; readonly edns?: Edns };

/** Reads hostile bytes; it never throws. */
export function readQuery(packet: Uint8Array): ReadQuery {
  if (packet.length < headerBytes || packet.length > queryBytesMax) return { kind: 'ignored' };
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.length);
  const flags = bytes.readUInt16BE(2);
  if ((flags & 0x8000) !== 0) return { kind: 'ignored' };
  const header = { id: bytes.readUInt16BE(0), opcode: (flags >> 11) & 15, recursionDesired: (flags & 0x0100) !== 0 };
  const body = new QueryReader(bytes);
  // Two questions are forbidden, none at all is for cookies alone (RFC 9619, RFC 7873 §5.4).
  const question = bytes.readUInt16BE(4) === 1 ? body.question() : undefined;
  const options = body.options(bytes.readUInt16BE(6) + bytes.readUInt16BE(8), bytes.readUInt16BE(10));
  if (question === undefined || !body.done || options.length > 1) return { kind: 'malformed', header };
  const [edns] = options;
  return edns === undefined ? { kind: 'query', header, question } : { kind: 'query', header, question, edns };
}

class QueryReader {
  private readonly bytes: Buffer;
  private at = headerBytes;
  private broken = false;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Whether everything was well formed and nothing is left over. */
  get done(): boolean {
    return !this.broken && this.at === this.bytes.length;
  }

  question(): Question {
    return { name: this.name(), type: this.unsigned(2), class: this.unsigned(2) };
  }

  /** Skips the records of the answer and authority sections; gives the OPT records of the additional section. */
  options(skipped: number, additional: number): readonly Edns[] {
    const found: Edns[] = [];
    for (let left = skipped + additional; left > 0 && !this.broken; left--) {
      const ownerIsRoot = this.skipName();
      const type = this.unsigned(2);
      const edns = this.edns(type === optType);
      if (type !== optType) continue;
      if (!ownerIsRoot || left > additional) this.broken = true;
      found.push(edns);
    }
    return found;
  }

  /** A record's class, TTL and data, read as those of an OPT record; what another record says there is ignored. */
  private edns(isOpt: boolean): Edns {
    const udpBytesMax = this.unsigned(2);
    const [, version, flags] = [this.unsigned(1), this.unsigned(1), this.unsigned(2)];
    const end = this.unsigned(2) + this.at;
    while (isOpt && !this.broken && this.at < end) {
      this.unsigned(2);
      this.skip(this.unsigned(2));
    }
    if (isOpt && this.at !== end) this.broken = true;
    this.skip(end - this.at);
    return { version, udpBytesMax, dnssecOk: (flags & doFlag) !== 0 };
  }

  private name(): Name {
    const labels: string[] = [];
    const start = this.at;
    for (let length = this.unsigned(1); length > 0 && !this.broken; length = this.unsigned(1)) {
      const end = this.at + length;
      if (length > labelBytesMax) this.broken = true;
      else labels.push(this.bytes.toString('latin1', this.at, end));
      this.skip(length);
    }
    if (this.at - start > nameBytesMax) this.broken = true;
    return labels;
  }

  /** Steps over a name, up to its end or its pointer; says whether it was the root. */
  private skipName(): boolean {
    const start = this.at;
    for (let length = this.unsigned(1); length > 0 && !this.broken; length = this.unsigned(1)) {
      if (length >= pointerBits) {
        this.skip(1);
        return false;
      }
      if (length > labelBytesMax) this.broken = true;
      this.skip(length);
    }
    return this.at === start + 1;
  }

  private unsigned(width: number): number {
    const start = this.at;
    this.skip(width);
    return this.broken ? 0 : this.bytes.readUIntBE(start, width);
  }

  private skip(width: number): void {
    if (width < 0 || this.at + width > this.bytes.length) this.broken = true;
    else this.at += width;
  }
}

export type Section = 'answer' | 'authority' | 'additional';

export interface ResponseStatus {
  readonly header: QueryHeader;
  readonly code: ResponseCode;
  readonly authoritative: boolean;
  readonly truncated: boolean;
}

/** Builds one response of bounded size. Add the question first and the records section by section, in order. */
export class ResponseWriter {
  private readonly bytesMax: number;
  private readonly edns: { readonly dnssecOk: boolean; readonly udpBytesMax: number } | undefined;
  private readonly counts = { question: 0, answer: 0, authority: 0, additional: 0 };
  /** Where each name, and each of its parents, was written first. */
  private readonly offsets = new Map<string, number>();
  private bytes: Buffer = Buffer.alloc(firstBufferBytes);
  private at = headerBytes;
  private overflowed = false;

  /**
   * @param bytesMax size of the finished response, at least 512
   * @param edns what its OPT record says, for which room is kept; without it the response has none
   */
  constructor(bytesMax: number, edns?: { readonly dnssecOk: boolean; readonly udpBytesMax: number }) {
    this.edns = edns;
    this.bytesMax = bytesMax - (edns === undefined ? 0 : optBytes);
  }

  question(question: Question): void {
    this.compressed(question.name);
    this.unsigned(2, question.type);
    this.unsigned(2, question.class);
    this.counts.question++;
  }

  /**
   * Adds the records of one set while they fit, and says whether all of them did. Of a set that is `whole` either
   * all are added or none.
   */
  recordSet(section: Section, owner: Name, ttlSeconds: number, set: readonly RecordData[], whole = false): boolean {
    const [start, count] = [this.at, this.counts[section]];
    const fits = set.every((data) => this.record(section, owner, ttlSeconds, data));
    if (whole && !fits) {
      this.rewind(start);
      this.counts[section] = count;
    }
    return fits;
  }

  finish(status: ResponseStatus): Uint8Array {
    const code = responseCodes[status.code];
    if (this.edns !== undefined) this.writeOpt(this.edns.udpBytesMax, code >> 4, this.edns.dnssecOk);
    const { id, opcode, recursionDesired } = status.header;
    const aa = status.authoritative ? 0x0400 : 0;
    const tc = status.truncated ? 0x0200 : 0;
    const rd = recursionDesired ? 0x0100 : 0;
    const { question, answer, authority, additional } = this.counts;
    const header = [id, 0x8000 | (opcode << 11) | aa | tc | rd | (code & 15), question, answer, authority, additional];
    header.forEach((field, index) => {
      this.bytes.writeUInt16BE(field, index * 2);
    });
    return this.bytes.subarray(0, this.at);
  }

  /** Into the room that was kept for it, past `bytesMax`. */
  private writeOpt(udpBytesMax: number, upperCodeBits: number, dnssecOk: boolean): void {
    const opt = Buffer.alloc(optBytes);
    opt.writeUInt16BE(optType, 1);
    opt.writeUInt16BE(udpBytesMax, 3);
    opt.writeUInt8(upperCodeBits, 5);
    opt.writeUInt16BE(dnssecOk ? doFlag : 0, 7);
    this.grow(this.at + optBytes);
    opt.copy(this.bytes, this.at);
    this.at += optBytes;
    this.counts.additional++;
  }

  private record(section: Section, owner: Name, ttlSeconds: number, data: RecordData): boolean {
    const start = this.at;
    this.compressed(owner);
    this.unsigned(2, recordTypes[data.kind]);
    this.unsigned(2, internetClass);
    this.unsigned(4, ttlSeconds);
    const lengthAt = this.at;
    this.unsigned(2, 0);
    this.data(data);
    if (this.overflowed) {
      this.rewind(start);
      return false;
    }
    this.bytes.writeUInt16BE(this.at - lengthAt - 2, lengthAt);
    this.counts[section]++;
    return true;
  }

  private data(data: RecordData): void {
    switch (data.kind) {
      case 'A':
      case 'AAAA':
        this.text(data.address, 'hex', data.address.length / 2);
        break;
      case 'NS':
        this.compressed(data.target);
        break;
      case 'SOA':
        this.compressed(data.primary);
        this.compressed(data.mailbox);
        this.unsigned(4, data.serial);
        this.unsigned(4, data.refreshSeconds);
        this.unsigned(4, data.retrySeconds);
        this.unsigned(4, data.expireSeconds);
        this.unsigned(4, data.negativeTtlSeconds);
        break;
      case 'TXT':
        for (const text of data.strings) this.label(text);
        break;
      case 'SRV':
        this.unsigned(2, data.priority);
        this.unsigned(2, data.weight);
        this.unsigned(2, data.port);
        this.uncompressed(data.target);
        break;
      default:
        unreachable(data);
    }
  }

  /** RFC 1035 §4.1.4. */
  private compressed(name: Name): void {
    let key = nameKey(name);
    for (const label of name) {
      const known = this.offsets.get(key);
      if (known !== undefined) {
        this.unsigned(2, (pointerBits << 8) | known);
        return;
      }
      if (this.at <= pointerOffsetMax) this.offsets.set(key, this.at);
      this.label(label);
      key = parentKey(key);
    }
    this.unsigned(1, 0);
  }

  /** In the data of later types: a reader that does not know the type could not follow a pointer (RFC 3597 §4). */
  private uncompressed(name: Name): void {
    for (const label of name) this.label(label);
    this.unsigned(1, 0);
  }

  private label(label: string): void {
    this.unsigned(1, label.length);
    this.text(label, 'latin1', label.length);
  }

  private text(text: string, encoding: 'latin1' | 'hex', width: number): void {
    if (this.take(width)) this.bytes.write(text, this.at - width, width, encoding);
  }

  private unsigned(width: number, value: number): void {
    if (this.take(width)) this.bytes.writeUIntBE(value, this.at - width, width);
  }

  private take(width: number): boolean {
    if (this.overflowed || this.at + width > this.bytesMax) {
      this.overflowed = true;
      return false;
    }
    this.grow(this.at + width);
    this.at += width;
    return true;
  }

  private grow(bytes: number): void {
    if (bytes <= this.bytes.length) return;
    const larger = Buffer.alloc(Math.max(bytes, this.bytes.length * 2));
    this.bytes.copy(larger);
    this.bytes = larger;
  }

  private rewind(at: number): void {
    this.at = at;
    this.overflowed = false;
    for (const [key, offset] of this.offsets) if (offset >= at) this.offsets.delete(key);
  }
}
