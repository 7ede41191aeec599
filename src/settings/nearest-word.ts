import { closest, distance } from 'fastest-levenshtein';

/** Letters that may be wrong, missing or too many before two words count as different ones. */
const typingErrorsMax = 3;

/** The word that was probably meant, if any is near enough. */
export function nearestWord(written: string, words: readonly string[]): string | undefined {
  if (words.length === 0) return undefined;
  const nearest = closest(written, words);
  return distance(written, nearest) <= Math.min(typingErrorsMax, nearest.length / 2) ? nearest : undefined;
}
