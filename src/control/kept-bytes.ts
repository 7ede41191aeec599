/** Byte strings that stay for as long as their member does. */

/**
 * Copies of `parts` in one block of memory of their own. A part of the buffer pool would keep 8 KiB alive, and a
 * block for each part costs twice as much as a view of a common one: with thousands of members that is most of it.
 */
export function keptTogether<Parts extends readonly Uint8Array[]>(
  ...parts: Parts
): { [Position in keyof Parts]: Uint8Array } {
  const block = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let end = 0;
  const kept = parts.map((part) => {
    block.set(part, end);
    end += part.length;
    return block.subarray(end - part.length, end);
  });
  return kept as { [Position in keyof Parts]: Uint8Array };
}
