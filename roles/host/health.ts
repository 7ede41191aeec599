/** Whether a service is healthy, from the outcomes of its checks. Pure. */
import type { WallMs } from '../../src/identity.ts';
import type { CheckSettings } from './settings.ts';

export interface Health {
  readonly healthy: boolean;
  /** When it last turned. */
  readonly since: WallMs;
  readonly successesInARow: number;
  readonly failuresInARow: number;
  /** Why the last check failed; nothing after a success. */
  readonly lastError?: string;
}

/** A service with a check has to prove itself first. */
export function healthAtStart(isChecked: boolean, at: WallMs): Health {
  return { healthy: !isChecked, since: at, successesInARow: 0, failuresInARow: 0 };
}

/** `error` is why the check failed; nothing says that it succeeded. */
export function afterCheck(health: Health, error: string | undefined, check: CheckSettings, at: WallMs): Health {
  const successesInARow = error === undefined ? health.successesInARow + 1 : 0;
  const failuresInARow = error === undefined ? 0 : health.failuresInARow + 1;
  const turns = health.healthy ? failuresInARow >= check.failuresMax : successesInARow >= check.successesMin;
  return {
    healthy: turns ? !health.healthy : health.healthy,
    since: turns ? at : health.since,
    successesInARow,
    failuresInARow,
    ...(error === undefined ? {} : { lastError: error }),
  };
}
