/** Which members have been down for so long that they are to be removed. */
import type { NodeNumber, WallMs } from '../identity.ts';
import type { ControlState } from './control-state.ts';

/** Members that are reaped together; the rest follows once these are removed. */
export const reapedTogetherMax = 64;

/**
 * Members that were convicted at least `reapAfterMs` before `at` and did not return, at most `reapedTogetherMax`, in
 * the order in which they were admitted. Never a control node. With `reapAfterMs` 0 nobody.
 */
export function reapable(state: ControlState, at: WallMs, reapAfterMs: number): NodeNumber[] {
  const numbers: NodeNumber[] = [];
  if (reapAfterMs === 0) return numbers;
  for (const { number, status, since } of state.members.values()) {
    if (status !== 'down' || state.isControl(number) || since + reapAfterMs > at) continue;
    numbers.push(number);
    if (numbers.length === reapedTogetherMax) break;
  }
  return numbers;
}
