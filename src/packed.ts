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

/** How many bytes tell the length or count, by type byte: of byte strings, strings, lists and maps. */
const countBytes: Readonly<Record<number, number>> = {
  ...{ 196: 1, 197: 2, 198: 4 },
  ...{ 217: 1, 218: 2, 219: 4 },
  ...{ 220: 2, 221: 4, 222: 2, 223: 4 },
};

type Shape = 'scalar' | 'text' | 'list' | 'map';

/** What one value begins with. */
interface Head {
  /** Bytes to skip: the head and, for strings and byte strings, their content. */
  length: number;
  /** Values that follow inside this one. */
  children: number;
  shape: Shape;
}

/** The head read last: a packet has hundreds, and none outlives the next. */
const head: Head = { length: 0, children: 0, shape: 'scalar' };
/** For each open container: values still to come, … */
const left = new Float64Array(packedDepthMax + 2);
/** … and whether it is a map, in which every other one is a key. */
const isMap: boolean[] = new Array(packedDepthMax + 2).fill(false);

/** It does not call itself, nor anything that does: so it may scan in what it kept from before. */
function isBounded(bytes: Uint8Array): boolean {
  let at = 0;
  let values = 0;
  let depth = 0;
  left[0] = 1;
  isMap[0] = false;
  while (depth >= 0) {
    const toCome = left[depth] as number;
    if (toCome === 0) {
      depth--;
      continue;
    }
    if (!readHead(bytes, at) || ++values > packedValuesMax) return false;
    if (isMap[depth] && toCome % 2 === 0 && head.shape !== 'text') return false;
    at += head.length;
    if (at > bytes.length || head.children > bytes.length - at) return false;
    left[depth] = toCome - 1;
    if (head.shape === 'scalar' || head.shape === 'text') continue;
    if (++depth > packedDepthMax) return false;
    left[depth] = head.children;
    isMap[depth] = head.shape === 'map';
  }
  return at === bytes.length;
}

/** False when no value of ours begins so. */
function readHead(bytes: Uint8Array, at: number): boolean {
  const type = bytes[at];
  if (type === undefined) return false;
  if (type <= 0x7f || type >= 0xe0) return found('scalar', 1);
  if (type <= 0x8f) return found('map', 1, 2 * (type & 0x0f));
  if (type <= 0x9f) return found('list', 1, type & 0x0f);
  if (type <= 0xbf) return found('text', 1 + (type & 0x1f));
  const fixed = fixedLength[type] ?? varying;
  if (fixed !== varying) return found('scalar', 1 + fixed);
  return readVarying(bytes, at, type);
}

function readVarying(bytes: Uint8Array, at: number, type: number): boolean {
  const width = countBytes[type];
  if (width === undefined || at + 1 + width > bytes.length) return false;
  let count = 0;
  for (let digit = 0; digit < width; digit++) count = count * 256 + (bytes[at + 1 + digit] as number);
  if (type <= 198) return found('scalar', 1 + width + count);
  if (type <= 219) return found('text', 1 + width + count);
  return type <= 221 ? found('list', 1 + width, count) : found('map', 1 + width, 2 * count);
}

function found(shape: Shape, length: number, children = 0): true {
  head.shape = shape;
  head.length = length;
  head.children = children;
  return true;
}
