/** Small operations on bytes, and the canonical encoding of everything that is signed or hashed. */

// A byte order mark is kept like any character: dropping it would give one text two encodings.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The largest integer that the canonical encoding takes: 2^48−1. */
export const u48Max = 0xffff_ffff_ffff;

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

/** The bytes of a hexadecimal string, or nothing when it is not one. */
export function fromHex(text: string): Uint8Array | undefined {
  return /^([0-9a-f]{2})*$/i.test(text) ? Buffer.from(text, 'hex') : undefined;
}

export function toBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
}

/** The bytes of a base64url string without padding, or nothing when it is not the one encoding of any bytes. */
export function fromBase64Url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return toBase64Url(bytes) === text ? bytes : undefined;
}

export function utf8(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

/** The text of well-formed UTF-8, or nothing. */
export function fromUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * The canonical encoding: big-endian integers of a fixed width; strings and byte strings behind a 16- or
 * 32-bit length. One value has exactly one encoding, so a signature over it means one thing. The first
 * field is always a label that names what is signed and its version.
 */
export class ByteWriter {
  private readonly parts: Uint8Array[] = [];

  constructor(label?: string) {
    if (label !== undefined) this.text(label);
  }

  u8(value: number): this {
    return this.fixed(1, value);
  }

  u16(value: number): this {
    return this.fixed(2, value);
  }

  u32(value: number): this {
    return this.fixed(4, value);
  }

  /** 0 … 2^48−1: counters, and milliseconds since 1970. */
  u48(value: number): this {
    return this.fixed(6, value);
  }

  /** Bytes whose length both sides know. */
  raw(bytes: Uint8Array): this {
    this.parts.push(bytes);
    return this;
  }

  /** Up to 65,535 bytes behind their length. */
  bytes(bytes: Uint8Array): this {
    return this.u16(bytes.length).raw(bytes);
  }

  /** Up to 2^32−1 bytes behind their length. */
  blob(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  text(text: string): this {
    return this.bytes(utf8(text));
  }

  finish(): Uint8Array {
    return Buffer.concat(this.parts);
  }

  private fixed(width: number, value: number): this {
    const part = Buffer.allocUnsafe(width);
    part.writeUIntBE(value, 0, width);
    this.parts.push(part);
    return this;
  }
}

/**
 * Reads the canonical encoding of hostile bytes: every read gives a zero or nothing once anything was missing,
 * and `done` says whether all was read and nothing is left over.
 */
export class ByteReader {
  private readonly bytesLeft: Buffer;
  private at = 0;
  private broken = false;

  constructor(bytes: Uint8Array) {
    this.bytesLeft = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get done(): boolean {
    return !this.broken && this.at === this.bytesLeft.length;
  }

  u8(): number {
    return this.fixed(1);
  }

  u16(): number {
    return this.fixed(2);
  }

  u32(): number {
    return this.fixed(4);
  }

  u48(): number {
    return this.fixed(6);
  }

  /** A copy of the next `length` bytes; empty when there are fewer. */
  raw(length: number): Uint8Array {
    if (this.broken || this.at + length > this.bytesLeft.length) {
      this.broken = true;
      return new Uint8Array(0);
    }
    const part = Uint8Array.from(this.bytesLeft.subarray(this.at, this.at + length));
    this.at += length;
    return part;
  }

  bytes(): Uint8Array {
    return this.raw(this.u16());
  }

  blob(): Uint8Array {
    return this.raw(this.u32());
  }

  text(): string {
    const text = fromUtf8(this.bytes());
    if (text === undefined) this.broken = true;
    return text ?? '';
  }

  private fixed(width: number): number {
    if (this.broken || this.at + width > this.bytesLeft.length) {
      this.broken = true;
      return 0;
    }
    const value = this.bytesLeft.readUIntBE(this.at, width);
    this.at += width;
    return value;
  }
}
