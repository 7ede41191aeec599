import type { MonotonicMs, NodeNumber } from '../identity.ts';

/** So many may be accused at once in any case, however small the cluster or the role. */
export const accusedMin = 2;
/** The part of the cluster, or of a role, that may be accused at once. */
export const accusedShareMax = 0.25;
/** A conviction counts as accused for so long, so that a slow series of them is seen as the mass that it is. */
export const recentConvictionMs = 10_000;

/** A role, as far as the brake is concerned: it must not lose most of its members by one mistake. */
export interface Group {
  readonly name: string;
  readonly members: ReadonlySet<NodeNumber> | readonly NodeNumber[];
}

export type BrakeState =
  | { readonly on: false }
  | {
      readonly on: true;
      readonly since: MonotonicMs;
      /** Ascending. */
      readonly accused: readonly NodeNumber[];
    };

/**
 * Stops convictions when more are accused at once than fail at once: then it is rather the network, or this pane.
 * Processes that their kernels report dead are no matter of belief, and are not counted.
 */
export class Brake {
  state: BrakeState = { on: false };
  private readonly groups: () => readonly Group[];
  private readonly convictedUntilMs = new Map<NodeNumber, MonotonicMs>();

  constructor(groups: () => readonly Group[]) {
    this.groups = groups;
  }

  /** Somebody is convicted without a kernel's word. */
  onConvicted(number: NodeNumber, now: MonotonicMs): void {
    this.convictedUntilMs.set(number, now + recentConvictionMs);
  }

  /** Looks anew at who is accused now; an operator's release lets everything pass. */
  judge(accused: readonly NodeNumber[], live: ReadonlySet<NodeNumber>, isReleased: boolean, now: MonotonicMs): void {
    for (const [number, untilMs] of this.convictedUntilMs) if (now > untilMs) this.convictedUntilMs.delete(number);
    const all = new Set([...accused, ...this.convictedUntilMs.keys()]);
    if (isReleased || !this.isTooMany(all, live)) {
      this.state = { on: false };
      return;
    }
    const since = this.state.on ? this.state.since : now;
    this.state = { on: true, since, accused: [...all].sort((a, b) => a - b) };
  }

  private isTooMany(accused: ReadonlySet<NodeNumber>, live: ReadonlySet<NodeNumber>): boolean {
    if (accused.size <= accusedMin) return false;
    const isCounted = (number: NodeNumber): boolean => live.has(number) || this.convictedUntilMs.has(number);
    let gone = 0;
    for (const number of this.convictedUntilMs.keys()) if (!live.has(number)) gone++;
    if (accused.size > mostOf(live.size + gone)) return true;
    return this.groups().some(({ members }) => {
      const counted = [...members].filter(isCounted);
      return counted.filter((number) => accused.has(number)).length > mostOf(counted.length);
    });
  }
}

function mostOf(size: number): number {
  return Math.max(accusedMin, size * accusedShareMax);
}
