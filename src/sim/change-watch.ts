import type { SimNode } from './sim-node.ts';

/**
 * Tells whether a node's list is another one than at its last check, so that invariants read only what changed.
 * Members keep a list until it changes; a thorough watch does not trust that, and compares contents as well.
 */
export class ChangeWatch<T> {
  private readonly thorough: boolean;
  private readonly describe: (items: readonly T[]) => string;
  private readonly seen = new Map<string, { readonly items: readonly T[]; readonly content: string }>();

  constructor(thorough: boolean, describe: (items: readonly T[]) => string) {
    this.thorough = thorough;
    this.describe = describe;
  }

  /** @throws Error when the content changed and the list did not */
  changed(node: SimNode, name: string, items: readonly T[]): boolean {
    const key = `${node.name} ${node.generation} ${name}`;
    const seen = this.seen.get(key);
    const isSame = seen?.items === items;
    if (isSame && !this.thorough) return false;
    const content = this.thorough ? this.describe(items) : '';
    if (isSame && seen.content !== content)
      throw new Error(`${key} changed unseen, from ${seen.content} to ${content}`);
    this.seen.set(key, { items, content });
    return true;
  }
}
