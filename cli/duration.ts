import { HivemindError } from '../src/error.ts';

const secondMs = 1_000;
const unitsMs: Readonly<Record<string, number>> = {
  s: secondMs,
  m: 60 * secondMs,
  h: 3_600 * secondMs,
  d: 86_400 * secondMs,
};
/** Ten years; whoever writes more has mistaken the unit. */
const durationMsMax = 3_650 * 86_400 * secondMs;

/**
 * Reads `30s`, `30m`, `24h` or `7d`, and gives milliseconds.
 *
 * @throws HivemindError `usage`
 */
export function parseDuration(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const durationMs = Number(count) * (unitsMs[unit] ?? 0);
  if (durationMs > 0 && durationMs <= durationMsMax) return durationMs;
  throw new HivemindError(
    'usage',
    `"${text}" is not a duration; write a number and a unit, like 30m, 24h or 7d, up to ten years.`,
  );
}
