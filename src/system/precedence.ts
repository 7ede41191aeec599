/** Whose turn it is on a busy machine. */
import { constants, setPriority } from 'node:os';

/**
 * Puts this process before those of usual priority, where that is allowed (to root, and with CAP_SYS_NICE): a control
 * node that waits for its turn longer than an election takes costs the whole cluster its leader, and needs hardly
 * any time itself. Where it is not allowed nothing changes.
 */
export function takePrecedence(): void {
  try {
    setPriority(constants.priority.PRIORITY_ABOVE_NORMAL);
  } catch {
    // An ordinary user may not; the pane then takes its turn like everybody.
  }
}
