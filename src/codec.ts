/**
 * Codecs: how a value of ours becomes a msgpack-able value, by position, and how a stranger's becomes one of
 * ours, checked for every type, range and length. One definition serves both ways, so they cannot drift.
 *
 * ```ts
 * const ping: Codec<Ping> = record<Ping>({ nonce: uint(0xffff_ffff) });
 * ```
 */
import { pack, unpack } from './packed.ts';

export interface Codec<T> {
  write(value: T): unknown;
  /** @throws Malformed, which `decode` turns into `undefined` */
  read(value: unknown): T;
}

/** Thrown inside `read` alone; it never leaves `decode`. */
export class Malformed extends Error {}

function malformed(): never {
  throw new Malformed('malformed');
}

export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  return pack(codec.write(value));
}

/** The value in a peer's bytes, or nothing when they hold anything else. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T | undefined {
  const value = unpack(bytes);
  return value === undefined ? undefined : readWith(codec, value);
}

/** The same for a value that was unpacked already. */
export function readWith<T>(codec: Codec<T>, value: unknown): T | undefined {
  try {
    return codec.read(value);
  } catch (thrown) {
    if (thrown instanceof Malformed) return undefined;
    throw thrown;
  }
}

const same = (value: unknown): unknown => value;

/** An integer, `min` (0 by default) … `max` (2^53−1 by default). */
export function uint(max: number = Number.MAX_SAFE_INTEGER, min = 0): Codec<number> {
  return {
    write: same,
    read: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : malformed(),
  };
}

/** Any finite number. */
export const float: Codec<number> = {
  write: same,
  read: (value) => (typeof value === 'number' && Number.isFinite(value) ? value : malformed()),
};

export const bool: Codec<boolean> = {
  write: same,
  read: (value) => (typeof value === 'boolean' ? value : malformed()),
};

/** A string of at most `most` UTF-16 units that fits `valid`. */
export function text(most: number, valid: (text: string) => boolean = () => true): Codec<string> {
  return {
    write: same,
    read: (value) => (typeof value === 'string' && value.length <= most && valid(value) ? value : malformed()),
  };
}

/** Bytes, at most `most`. */
export function bytes(most: number): Codec<Uint8Array> {
  return {
    write: same,
    read: (value) => (value instanceof Uint8Array && value.length <= most ? value : malformed()),
  };
}

/** Exactly `length` bytes. */
export function fixedBytes(length: number): Codec<Uint8Array> {
  return {
    write: same,
    read: (value) => (value instanceof Uint8Array && value.length === length ? value : malformed()),
  };
}

/** A value in bytes of its own, at most `most`: one value for the scanner, so that long lists of such stay readable. */
export function packed<T>(codec: Codec<T>, most: number): Codec<T> {
  const wrapped = bytes(most);
  return {
    write: (value) => encode(codec, value),
    read: (value) => decode(codec, wrapped.read(value)) ?? malformed(),
  };
}

export function list<T>(item: Codec<T>, most: number): Codec<readonly T[]> {
  return {
    write: (values) => values.map((value) => item.write(value)),
    read: (value) =>
      Array.isArray(value) && value.length <= most ? value.map((each) => item.read(each)) : malformed(),
  };
}

/** A value that may be absent; nil on the wire. */
export function optional<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    write: (value) => (value === undefined ? null : codec.write(value)),
    read: (value) => (value === null ? undefined : codec.read(value)),
  };
}

/** One of a few words, as its position in the list: words may be added at the end, never moved. */
export function word<T extends string>(...words: readonly T[]): Codec<T> {
  return {
    write: (value) => words.indexOf(value),
    read: (value) => (typeof value === 'number' ? words[value] : undefined) ?? malformed(),
  };
}

/** Anything that msgpack can carry; the bounds are those of `unpack`. */
export const anything: Codec<unknown> = { write: same, read: same };

export type Fields<T> = { readonly [K in keyof T]-?: Codec<T[K]> };

/**
 * An object as an array, in the order of `fields`. A reader ignores further positions, so that a later
 * version may add fields at the end.
 */
export function record<T extends object>(fields: Fields<T>): Codec<T> {
  const names = Object.keys(fields) as (keyof T & string)[];
  return {
    write: (value) => names.map((name) => fields[name].write(value[name])),
    read: (value) => (Array.isArray(value) ? readFields(fields, names, value, 0) : malformed()),
  };
}

function readFields<T extends object>(
  fields: Fields<T>,
  names: readonly (keyof T & string)[],
  values: readonly unknown[],
  from: number,
): T {
  if (values.length < from + names.length) malformed();
  const result: Partial<T> = {};
  names.forEach((name, position) => {
    const read = fields[name].read(values[from + position]);
    if (read !== undefined) result[name] = read;
  });
  return result as T;
}

type OfKind<T extends { readonly kind: string }, K extends T['kind']> = Omit<Extract<T, { readonly kind: K }>, 'kind'>;

/** For each kind its number on the wire and its fields. Numbers are never reused. */
export type Variants<T extends { readonly kind: string }> = {
  readonly [K in T['kind']]: readonly [number, Fields<OfKind<T, K>>];
};

/** A union on `kind` as an array: the kind's number, then its fields. A kind left out does not compile. */
export function variants<T extends { readonly kind: string }>(table: Variants<T>): Codec<T> {
  const kinds = Object.keys(table) as T['kind'][];
  const byTag = new Map<number, T['kind']>(kinds.map((kind) => [table[kind][0], kind]));
  const fieldsOf = (kind: T['kind']): Fields<Record<string, unknown>> =>
    table[kind][1] as unknown as Fields<Record<string, unknown>>;
  return {
    write(value) {
      const kind = value.kind as T['kind'];
      const source = value as unknown as Record<string, unknown>;
      const fields = fieldsOf(kind);
      return [
        table[kind][0],
        ...Object.keys(fields).map((name) => (fields[name] as Codec<unknown>).write(source[name])),
      ];
    },
    read(value) {
      const kind = Array.isArray(value) ? byTag.get(value[0] as number) : undefined;
      if (kind === undefined) return malformed();
      const fields = fieldsOf(kind);
      return { kind, ...readFields(fields, Object.keys(fields), value as unknown[], 1) } as unknown as T;
    },
  };
}
