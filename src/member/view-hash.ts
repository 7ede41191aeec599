/** What a member and the pane compare, so that whatever was missed is found: who is in the view, and how. */
import { ByteWriter } from '../bytes.ts';
import { sha256 } from '../crypto.ts';
import type { NodeNumber } from '../identity.ts';
import type { Standing } from '../swim/precedence.ts';
import type { Slice } from '../swim/slice.ts';
import { viewHashBytes } from '../wire/datagram.ts';

/**
 * @param slice who watches whom in it; nothing when that follows from the rings of all
 * @param numbers the view, its owner included, ascending
 * @param standingOf nothing for a number that is not known: the hash is then another one, as it should be
 */
export function viewHash(
  slice: Slice | undefined,
  numbers: readonly NodeNumber[],
  standingOf: (number: NodeNumber) => Standing | undefined,
  removedHash: Uint8Array,
): Uint8Array {
  const out = new ByteWriter();
  if (slice !== undefined) writeSlice(out, slice);
  for (const number of numbers) {
    const standing = standingOf(number);
    if (standing === undefined) continue;
    out
      .u32(number)
      .u32(standing.incarnation)
      .u8(standing.status === 'down' ? 1 : 0);
  }
  return sha256(out.raw(removedHash).finish()).subarray(0, viewHashBytes);
}

function writeSlice(out: ByteWriter, { subjects, observers }: Slice): void {
  for (const subject of subjects) {
    out.u32(subject.number).u8(subject.observers.length);
    for (const observer of subject.observers) out.u32(observer);
  }
  out.u8(observers.length);
  for (const observer of observers) out.u32(observer);
}
