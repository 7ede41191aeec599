import { HivemindError } from '../src/error.ts';
import { durationMsOf } from '../src/settings/duration.ts';

/**
 * Reads `30s`, `30m`, `24h` or `7d`, up to ten years, and gives milliseconds.
 *
 * @throws HivemindError `usage`
 */
export function parseDuration(text: string): number {
  const durationMs = durationMsOf(text);
  if (durationMs !== undefined) return durationMs;
  throw new HivemindError(
    'usage',
    `"${text}" is not a duration; write a number and a unit, like 30m, 24h or 7d, up to ten years.`,
  );
}
