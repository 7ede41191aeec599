/**
 * The arms that hivemind is compared with: memberlist as its documentation and the papers describe it, with or without
 * Lifeguard. Written from those descriptions; what comes out is calibrated against figures that others published.
 */
import { assert } from '../../assert.ts';
import type { NodeNumber } from '../../identity.ts';
import type { Arm, ArmName, ArmWorld } from './arm.ts';
import { MemberlistNode } from './memberlist-node.ts';
import type { LifeguardComponents } from './memberlist-settings.ts';

export interface MemberlistArmParts extends LifeguardComponents {
  readonly name: ArmName;
}

/** The rows of Lifeguard's table (Dadgar 2018, §V): SWIM, each component by itself, all of them. */
export const lifeguardTable: readonly (LifeguardComponents & { readonly row: string })[] = [
  { row: 'SWIM', localHealthProbe: false, localHealthSuspicion: false, buddy: false },
  { row: 'local health on probes', localHealthProbe: true, localHealthSuspicion: false, buddy: false },
  { row: 'local health on suspicion', localHealthProbe: false, localHealthSuspicion: true, buddy: false },
  { row: 'buddy', localHealthProbe: false, localHealthSuspicion: false, buddy: true },
  { row: 'Lifeguard', localHealthProbe: true, localHealthSuspicion: true, buddy: true },
];

export function swimArm(): Arm {
  return memberlistArm({ name: 'swim', localHealthProbe: false, localHealthSuspicion: false, buddy: false });
}

export function lifeguardArm(): Arm {
  return memberlistArm({ name: 'lifeguard', localHealthProbe: true, localHealthSuspicion: true, buddy: true });
}

export function memberlistArm({ name, ...lifeguard }: MemberlistArmParts): Arm {
  const nodes = new Map<NodeNumber, MemberlistNode>();
  const peer = (number: NodeNumber): MemberlistNode | undefined => nodes.get(number);
  let world: ArmWorld | undefined;
  return {
    name,
    found(count, given, clockOf) {
      world = given;
      for (let number = 1; number <= count; number++) {
        const parts = { number, world, lifeguard, known: count, seeds: [], peer };
        nodes.set(number, new MemberlistNode(parts, clockOf(number)));
      }
      return [...nodes.values()];
    },
    join(number, seeds, now) {
      assert(world !== undefined, 'a cluster is founded before anybody joins it');
      const node = new MemberlistNode({ number, world, lifeguard, known: 0, seeds, peer }, now);
      nodes.set(number, node);
      return node;
    },
  };
}
