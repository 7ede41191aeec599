/**
 * Who watches whom. Both functions are pure, so every node that knows the same members knows all pairs, and
 * they agree: `a` observes `b` exactly when `b` is a subject of `a`.
 */
import { ByteWriter } from '../bytes.ts';
import { sha256 } from '../crypto.ts';
import type { NodeNumber } from '../identity.ts';

/** Up to so many members everybody observes everybody else. */
export const viewMax = 128;

/** Those who probe `subject`. */
export function observersOf(
  members: readonly NodeNumber[],
  subject: NodeNumber,
  cluster: Uint8Array,
): readonly NodeNumber[] {
  return neighboursOf(members, subject, cluster, 'before');
}

/** Those whom `observer` probes. */
export function subjectsOf(
  members: readonly NodeNumber[],
  observer: NodeNumber,
  cluster: Uint8Array,
): readonly NodeNumber[] {
  return neighboursOf(members, observer, cluster, 'after');
}

function neighboursOf(
  members: readonly NodeNumber[],
  centre: NodeNumber,
  cluster: Uint8Array,
  side: 'before' | 'after',
): readonly NodeNumber[] {
  const others = members.filter((number) => number !== centre);
  if (others.length < viewMax) return others;
  const ring = ringOf([...others, centre], cluster);
  const start = ring.indexOf(centre);
  const step = side === 'after' ? 1 : ring.length - 1;
  return Array.from({ length: viewMax - 1 }, (_, hop) => ring[(start + step * (hop + 1)) % ring.length] as NodeNumber);
}

/** All members in the order of their hashes, which nobody can choose for a number that the pane gives out. */
function ringOf(members: readonly NodeNumber[], cluster: Uint8Array): readonly NodeNumber[] {
  return members
    .map((number) => ({ number, place: placeOf(number, cluster) }))
    .sort((a, b) => Buffer.compare(a.place, b.place))
    .map(({ number }) => number);
}

function placeOf(number: NodeNumber, cluster: Uint8Array): Uint8Array {
  return sha256(new ByteWriter('hivemind/ring/1').bytes(cluster).u32(number).finish());
}
