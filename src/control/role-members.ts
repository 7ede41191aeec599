/** Which members perform which role, always at hand. */
import type { NodeNumber } from '../identity.ts';

export class RoleMembers {
  private readonly numbersByRole = new Map<string, NodeNumber[]>();

  /** Ascending. It is the list itself, not a copy: it changes with the next entry. */
  of(role: string): readonly NodeNumber[] {
    return this.numbersByRole.get(role) ?? none;
  }

  add(number: NodeNumber, roles: readonly string[]): void {
    for (const role of roles) {
      const numbers = this.numbersByRole.get(role) ?? [];
      this.numbersByRole.set(role, numbers);
      numbers.splice(positionIn(numbers, number), 0, number);
    }
  }

  remove(number: NodeNumber, roles: readonly string[]): void {
    for (const role of roles) {
      const numbers = this.numbersByRole.get(role) ?? [];
      const position = positionIn(numbers, number);
      if (numbers[position] === number) numbers.splice(position, 1);
    }
  }
}

const none: readonly NodeNumber[] = [];

/** Where `number` stands in an ascending list, or would. */
function positionIn(numbers: readonly NodeNumber[], number: NodeNumber): number {
  let [from, to] = [0, numbers.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((numbers[middle] as NodeNumber) < number) from = middle + 1;
    else to = middle;
  }
  return from;
}
