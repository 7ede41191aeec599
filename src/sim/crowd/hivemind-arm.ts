/** The arm of this project: the cores that run in production, with a model of the pane above them. */
import { assert } from '../../assert.ts';
import { utf8 } from '../../bytes.ts';
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import { Places } from '../../swim/rings.ts';
import { swimDefaults } from '../../swim/settings.ts';
import type { Arm, ArmNode, ArmWorld, ClockOf, PaneWorld } from './arm.ts';
import { HivemindNode, type HivemindParts } from './hivemind-node.ts';
import { PaneModel } from './pane-model.ts';
import { PaneState } from './pane-state.ts';

/** Members 1 … 3 are the control nodes. */
export const controlNodes = 3;
/** How long the operator's release of the brake holds. */
const brakeReleaseMs = 600_000;

export interface HivemindArmOptions {
  /** See `SwimSettings`; 4,000 by default. */
  readonly stallToleranceMs?: number;
}

export class HivemindArm implements Arm {
  readonly name = 'hivemind';
  private readonly stallToleranceMs: number;
  private readonly nodes = new Map<NodeNumber, HivemindNode>();
  private parts: HivemindParts | undefined;
  private restarts = 0;

  constructor({ stallToleranceMs = swimDefaults.stallToleranceMs }: HivemindArmOptions = {}) {
    this.stallToleranceMs = stallToleranceMs;
  }

  get brake(): { readonly isOn: boolean; release(): void } {
    const { parts, nodes } = this;
    return {
      get isOn(): boolean {
        return parts?.pane.state.control.some((number) => nodes.get(number)?.seat?.isBraked) === true;
      },
      release(): void {
        if (parts !== undefined) parts.pane.state.brakeReleasedUntilMs = parts.world.now() + brakeReleaseMs;
      },
    };
  }

  found(count: number, world: ArmWorld, clockOf: ClockOf): readonly ArmNode[] {
    const cluster = utf8('crowd');
    const places = new Places(cluster);
    const control = Array.from({ length: Math.min(controlNodes, count) }, (_, index) => index + 1);
    const state = new PaneState(control, places);
    for (let number = 1; number <= count; number++) state.admit(number);
    const paneWorld = world as PaneWorld;
    const settings = { ...swimDefaults, stallToleranceMs: this.stallToleranceMs };
    this.parts = { world: paneWorld, pane: new PaneModel(state, paneWorld), places, settings, cluster };
    for (let number = 1; number <= count; number++) this.newNode(number, 0, clockOf(number));
    for (const [number, node] of this.nodes) this.acquaint(node, number, clockOf(number));
    return [...this.nodes.values()];
  }

  join(number: NodeNumber, _seeds: readonly NodeNumber[], now: MonotonicMs): ArmNode {
    const before = this.nodes.get(number);
    const node = this.newNode(number, before === undefined ? 0 : ++this.restarts, now);
    if (before === undefined) node.askToJoin(now);
    else node.begin(before.knowledge, now);
    return node;
  }

  private newNode(number: NodeNumber, process: number, now: MonotonicMs): HivemindNode {
    assert(this.parts !== undefined, 'a cluster is founded before anybody joins it');
    const node = new HivemindNode(number, process, this.parts, now);
    this.nodes.set(number, node);
    return node;
  }

  /** As a keep-alive would leave it: its slice, and everybody at a control node. */
  private acquaint(node: HivemindNode, number: NodeNumber, now: MonotonicMs): void {
    const { state } = (this.parts as HivemindParts).pane;
    // A control node knows everybody, and needs no slice to be told it.
    const slice = node.seat === undefined ? state.sliceOf(number) : undefined;
    const members = state.viewOf(number, slice);
    node.begin({ logIndex: state.logIndex, members, slice }, now);
  }
}
