/** The brake on convictions, as a leader tells of it: when it began to hold, and when it let go. */
import type { WallMs } from '../identity.ts';
import type { BrakeState } from '../swim/brake.ts';
import type { BrakeStatus } from '../wire/peer-message.ts';
import type { Instant } from './instant.ts';
import type { Outbox } from './outbox.ts';

export class BrakeWatch {
  private readonly outbox: Outbox;
  private isOn = false;
  private since: WallMs = 0;

  constructor(outbox: Outbox) {
    this.outbox = outbox;
  }

  /** Tells of a change. */
  follow(brake: BrakeState, at: Instant): void {
    if (brake.on === this.isOn) return;
    this.isOn = brake.on;
    this.since = at.wall;
    this.outbox.event({ kind: 'brake', on: brake.on, accused: brake.on ? brake.accused : [] });
  }

  status(brake: BrakeState, releasedUntil: WallMs): BrakeStatus {
    if (!brake.on) return { on: false, since: 0, accused: [], releasedUntil };
    return { on: true, since: this.since, accused: brake.accused, releasedUntil };
  }
}
