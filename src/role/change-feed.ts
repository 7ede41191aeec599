/** Tells the listeners of one start of a role what changed, once at a time. */
import { HivemindError } from '../error.ts';
import type { RoleChange } from './contract.ts';

/** Changes that listeners may cause by what they do when told of one; more is a circle that would never end. */
export const changesInARowMax = 1_000;

export type ChangeListener = (change: RoleChange) => void;

export class ChangeFeed {
  private readonly listeners = new Set<{ readonly listener: ChangeListener }>();
  private readonly onThrown: (thrown: unknown) => void;
  /** The change that is being told, what it caused, what that caused, and so on; empty in between. */
  private readonly row: RoleChange[] = [];

  constructor(onThrown: (thrown: unknown) => void) {
    this.onThrown = onThrown;
  }

  add(listener: ChangeListener): () => void {
    const entry = { listener };
    this.listeners.add(entry);
    return () => void this.listeners.delete(entry);
  }

  clear(): void {
    this.listeners.clear();
  }

  /** A change that comes while another is being told waits until all have heard that one. */
  tell(change: RoleChange): void {
    if (this.row.length >= changesInARowMax) {
      this.breakCircle();
      return;
    }
    if (this.row.push(change) > 1) return;
    for (const next of this.row) {
      for (const entry of [...this.listeners]) if (this.listeners.has(entry)) void this.call(entry.listener, next);
    }
    this.row.length = 0;
  }

  /** A listener may be an async function all the same, and then its rejection is the role's, too. */
  private async call(listener: ChangeListener, change: RoleChange): Promise<void> {
    try {
      await listener(change);
    } catch (thrown) {
      this.onThrown(thrown);
    }
  }

  private breakCircle(): void {
    this.clear();
    this.onThrown(
      new HivemindError(
        'role-failed',
        'It answers each change with the next one; do nothing in onChange that ends so.',
      ),
    );
  }
}
