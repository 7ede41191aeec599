import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** More of a file than this is not read for its last line. */
const tailBytesMax = 4_096;
/** A longer line is cut. */
const lineCharactersMax = 400;

/** The last line of a file that is not empty, of what was written from `start` on. */
export function lastLine(path: string, start: number): string | undefined {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const from = Math.max(start, size - tailBytesMax);
    const bytes = Buffer.alloc(Math.max(0, size - from));
    const length = readSync(file, bytes, 0, bytes.length, from);
    const lines = bytes.toString('utf8', 0, length).split('\n');
    return lines.findLast((line) => line.trim() !== '')?.slice(0, lineCharactersMax);
  } finally {
    closeSync(file);
  }
}
