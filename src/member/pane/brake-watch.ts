/** Tells when the brake on convictions takes hold, and since when it does. */
import type { WallMs } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import type { Jury } from '../../swim/jury.ts';
import type { BrakeStatus } from '../../wire/peer-message.ts';
import type { Outbox } from '../outbox.ts';

export class BrakeWatch {
  private readonly outbox: Outbox;
  private isOn = false;
  private since: WallMs = 0;

  constructor(outbox: Outbox) {
    this.outbox = outbox;
  }

  follow(brake: Jury['brake'], at: Instant): void {
    if (brake.on === this.isOn) return;
    this.isOn = brake.on;
    this.since = at.wall;
    this.outbox.event({ kind: 'brake', on: brake.on, accused: brake.on ? brake.accused : [] });
  }

  status(brake: Jury['brake'], releasedUntil: WallMs): BrakeStatus {
    if (!brake.on) return { on: false, since: 0, accused: [], releasedUntil };
    return { on: true, since: this.since, accused: brake.accused, releasedUntil };
  }
}
