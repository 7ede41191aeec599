/** A standing connection is dialled again no sooner than this after it ended or could not be made. */
export const redialMsMin = 1_000;
/** However often that failed, it is tried again after this at the latest. */
export const redialMsMax = 30_000;

/**
 * How long to wait before the next dial: twice as long after each failure in a row, and up to half of it is left
 * to `chance` (0 … 1), lest all who lost the same peer come back in the same moment.
 */
export function redialDelayMs(failures: number, chance: number): number {
  const longestMs = Math.min(redialMsMax, 2 * redialMsMin * 2 ** failures);
  return longestMs * (0.5 + chance / 2);
}
