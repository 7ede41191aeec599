/** Domain names (RFC 1035 §3.1), kept as the bytes they are: a label may hold any byte, a dot included. */

/** The labels, leftmost first, one character (U+0000 … U+00FF) for each byte; the root is empty. */
export type Name = readonly string[];

export const labelBytesMax = 63;
/** A whole name on the wire: length bytes and the root's zero byte included. */
export const nameBytesMax = 255;

/** Reads a checked name in presentation form, like `git.lab.test`. It knows no escapes. */
export function nameFrom(text: string): Name {
  return text === '' ? [] : text.split('.');
}

export function nameBytes(name: Name): number {
  return name.reduce((bytes, label) => bytes + 1 + label.length, 1);
}

/**
 * Equal for names that differ in ASCII case alone (RFC 4343), and for no others. It is the wire form, lower-cased:
 * no length byte is mistaken for a letter, because the longest label has 63 bytes and `A` is 65.
 */
export function nameKey(name: Name): string {
  const wire = name.map((label) => String.fromCharCode(label.length) + label).join('');
  return wire.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** The key of the name without its first label; the root, whose key is empty, stays the root. */
export function parentKey(key: string): string {
  return key === '' ? key : key.slice(1 + key.charCodeAt(0));
}

/** Whether `name` is `ancestor` or lies below it. */
export function isWithin(name: Name, ancestor: Name): boolean {
  const below = name.length - ancestor.length;
  return below >= 0 && nameKey(name.slice(below)) === nameKey(ancestor);
}
