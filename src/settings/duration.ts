/** Durations as people write them: `30s`, `30m`, `24h`, `7d`. */

const secondMs = 1_000;
const unitsMs: Readonly<Record<string, number>> = {
  s: secondMs,
  m: 60 * secondMs,
  h: 3_600 * secondMs,
  d: 86_400 * secondMs,
};
/** Ten years; whoever writes more has mistaken the unit. */
const durationMsMax = 3_650 * 86_400 * secondMs;

/** The milliseconds of a number and a unit, more than 0 and at most `durationMsMax`; nothing for any other text. */
export function durationMsOf(text: string): number | undefined {
  const [, count = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const durationMs = Number(count) * (unitsMs[unit] ?? 0);
  return durationMs > 0 && durationMs <= durationMsMax ? durationMs : undefined;
}
