/** How long the epoch before the present one is still spoken. */
import { clockSkewMs } from '../control/admission-policy.ts';
import type { WallMs } from '../identity.ts';
import { epochGraceMs } from '../session/sessions.ts';

/**
 * What is left of the grace of an epoch that was asked for at `askedAt`: all of it, unless that is so long ago that
 * everybody who runs must have heard of it, whatever its clock says; then less, and at last 0. A member that hears of
 * an epoch late, or a control node that reads of it in its log, so does not talk to those who stayed behind.
 */
export function graceLeftMs(askedAt: WallMs, wall: WallMs): number {
  return Math.min(epochGraceMs, Math.max(0, askedAt + epochGraceMs + clockSkewMs - wall));
}
