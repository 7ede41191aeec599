/**
 * Compares this control node's time of day with that of the others. What a leader dates everybody goes by: tokens
 * expire, and members are reaped by the time of the log, which never runs back. So whose clock is off by more than
 * joiners' clocks may be dates nothing, and hands the lead over.
 */
import { clockSkewMs } from '../../control/admission-policy.ts';
import { HivemindError } from '../../error.ts';
import type { MonotonicMs, NodeNumber, WallMs } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import type { Outbox } from '../outbox.ts';

/** What a control node told of its clock counts for so long. */
export const toldForMs = 10_000;
/** A leader whose clock is off tries to hand over so often. */
const handOverPeriodMs = 1_000;

interface Told {
  /** The other's time of day less this node's monotonic time: so a jump of the own clock shows at once. */
  readonly differenceMs: number;
  readonly at: MonotonicMs;
}

export class ClockWatch {
  private readonly outbox: Outbox;
  /** One for each node that keeps the log. */
  private readonly told = new Map<NodeNumber, Told>();
  private wasOff = false;
  private handOverAt: MonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(outbox: Outbox) {
    this.outbox = outbox;
  }

  onTold(from: NodeNumber, wall: WallMs, { now }: Instant): void {
    this.told.set(from, { differenceMs: wall - now, at: now });
  }

  /** Tells of a change. */
  follow(voters: readonly NodeNumber[], at: Instant): void {
    for (const [number, { at: toldAt }] of this.told) if (at.now - toldAt > toldForMs) this.told.delete(number);
    const offByMs = this.offBy(voters, at);
    const isOff = offByMs !== undefined;
    if (isOff !== this.wasOff) this.outbox.event({ kind: 'clock', offByMs: offByMs ?? 0 });
    this.wasOff = isOff;
  }

  /** Why nothing can be dated now, or nothing. */
  objection(voters: readonly NodeNumber[], at: Instant): HivemindError | undefined {
    const offByMs = this.offBy(voters, at);
    if (offByMs === undefined) return undefined;
    const by = `${Math.round(Math.abs(offByMs) / 1_000)} s ${offByMs > 0 ? 'ahead of' : 'behind'}`;
    const sentence = `The clock of this control node is ${by} the others'; set it, and ask again.`;
    // Nothing is refused for good: this node hands the lead over, and the next leader judges.
    return new HivemindError('no-leader', sentence);
  }

  /** Whether it is time to hand the lead over. */
  wantsToGo(voters: readonly NodeNumber[], at: Instant): boolean {
    if (at.now < this.handOverAt || this.offBy(voters, at) === undefined) return false;
    this.handOverAt = at.now + handOverPeriodMs;
    return true;
  }

  /** By how much this clock is ahead of most; nothing when it is right, or nobody can tell who is. */
  private offBy(voters: readonly NodeNumber[], { now, wall }: Instant): number | undefined {
    if (!this.differsFromAny(wall - now)) return undefined;
    const others = voters.flatMap((number) => this.told.get(number) ?? []);
    const fresh = others.filter(({ at }) => now - at <= toldForMs);
    const offs = [0, ...fresh.map(({ differenceMs }) => wall - now - differenceMs)].sort((a, b) => a - b);
    const [low = 0, high = 0] = [offs[(offs.length - 1) >> 1], offs[offs.length >> 1]];
    const offByMs = Math.abs(low) < Math.abs(high) ? low : high;
    return Math.abs(offByMs) > clockSkewMs ? offByMs : undefined;
  }

  /** At each entry this is asked: as a rule all clocks agree, and there is nothing to sort. */
  private differsFromAny(ownMs: number): boolean {
    for (const { differenceMs } of this.told.values()) if (Math.abs(ownMs - differenceMs) > clockSkewMs) return true;
    return false;
  }
}
