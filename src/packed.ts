/**
 * msgpack within bounds. Bytes from outside are scanned before any library builds objects from them: only
 * nil, booleans, integers of up to 32 bits, float64, strings, byte strings, arrays and maps with string keys;
 * no extension types, no nesting or counts beyond a limit, nothing missing and nothing left over.
 */
import { Packr, Unpackr } from 'msgpackr';

const packing = {
  useRecords: false,
  mapsAsObjects: true,
  copyBuffers: true,
  variableMapSize: true,
  // Otherwise undefined would be an extension type, which no reader takes.
  skipValues: [undefined],
  encodeUndefinedAsNil: true,
};
const packr = new Packr(packing);
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, copyBuffers: true });

/** Lists and maps inside each other, empty ones included. */
export const packedDepthMax = 12;
/** Values of all kinds, containers included, in one packed body. */
export const packedValuesMax = 65_536;

/** As in JSON, an object's undefined members are left out, and undefined elsewhere becomes nil. */
export function pack(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** The value in hostile bytes, or nothing when they are not one whole bounded msgpack value. */
export function unpack(bytes: Uint8Array): unknown | undefined {
  if (!isBounded(bytes)) return undefined;
  try {
    return unpackr.unpack(bytes);
  } catch {
    return undefined;
  }
}

const varying = 0xff;
/** Bytes after the first one, for each type byte from 0xc0; the variable ones are handled by name below. */
const fixedLength: Readonly<Record<number, number>> = {
  192: 0, // nil
  194: 0, // false
  195: 0, // true
  203: 8, // float64
  204: 1, // uint8
  205: 2, // uint16
  206: 4, // uint32
  208: 1, // int8
  209: 2, // int16
  210: 4, // int32
};

interface Head {
  /** Bytes to skip: the head and, for strings and byte strings, their content. */
  readonly length: number;
  /** Values that follow inside this one. */
  readonly children: number;
  readonly shape: 'scalar' | 'text' | 'list' | 'map';
}

function isBounded(bytes: Uint8Array): boolean {
  let at = 0;
  let values = 0;
  /** For each open container: values still to come, and whether the next one is a map's key. */
  const open: { left: number; isMap: boolean }[] = [{ left: 1, isMap: false }];
  while (open.length > 0) {
    const container = open[open.length - 1] as { left: number; isMap: boolean };
    if (container.left === 0) {
      open.pop();
      continue;
    }
    const head = readHead(bytes, at);
    if (head === undefined || ++values > packedValuesMax) return false;
    if (container.isMap && container.left % 2 === 0 && head.shape !== 'text') return false;
    at += head.length;
    if (at > bytes.length || head.children > bytes.length - at) return false;
    container.left--;
    if (head.shape === 'scalar' || head.shape === 'text') continue;
    open.push({ left: head.children, isMap: head.shape === 'map' });
    if (open.length > packedDepthMax + 1) return false;
  }
  return at === bytes.length;
}

function readHead(bytes: Uint8Array, at: number): Head | undefined {
  const type = bytes[at];
  if (type === undefined) return undefined;
  if (type <= 0x7f || type >= 0xe0) return scalar(1);
  if (type <= 0x8f) return map(1, type & 0x0f);
  if (type <= 0x9f) return array(1, type & 0x0f);
  if (type <= 0xbf) return text(1 + (type & 0x1f));
  const fixed = fixedLength[type] ?? varying;
  if (fixed !== varying) return scalar(1 + fixed);
  return readVarying(bytes, at, type);
}

function readVarying(bytes: Uint8Array, at: number, type: number): Head | undefined {
  const width = { 196: 1, 197: 2, 198: 4, 217: 1, 218: 2, 219: 4, 220: 2, 221: 4, 222: 2, 223: 4 }[type];
  if (width === undefined || at + 1 + width > bytes.length) return undefined;
  let count = 0;
  for (let digit = 0; digit < width; digit++) count = count * 256 + (bytes[at + 1 + digit] as number);
  if (type <= 198) return scalar(1 + width + count);
  if (type <= 219) return text(1 + width + count);
  return type <= 221 ? array(1 + width, count) : map(1 + width, count);
}

const scalar = (length: number): Head => ({ length, children: 0, shape: 'scalar' });
const text = (length: number): Head => ({ length, children: 0, shape: 'text' });
const array = (length: number, children: number): Head => ({ length, children, shape: 'list' });
const map = (length: number, pairs: number): Head => ({ length, children: pairs * 2, shape: 'map' });
