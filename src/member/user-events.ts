/** What members tell all others in their own words: once on each node, by gossip (serf's user events). */
import { HivemindError } from '../error.ts';
import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import { userEventBytesMax } from '../wire/rumour.ts';
import type { Membership } from './membership.ts';
import type { Outbox } from './outbox.ts';

/** Events that one node sends within a second: more than the gossip of a second could carry everywhere. */
export const userEventsPerSecondMax = 200;

export class UserEvents {
  private readonly self: NodeNumber;
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private lastId = 0;
  private sentAt: MonotonicMs[] = [];

  constructor(self: NodeNumber, membership: Membership, outbox: Outbox) {
    this.self = self;
    this.membership = membership;
    this.outbox = outbox;
  }

  /** Spreads it, and hears it here as well; the reason when it cannot be. */
  send(name: string, payload: Uint8Array, at: Instant): HivemindError | undefined {
    if (payload.length > userEventBytesMax) {
      const sentence = `The payload takes ${payload.length} bytes; ${userEventBytesMax} is the most of an event.`;
      return new HivemindError('refused', `${sentence} Publish what is larger as a config.`);
    }
    this.sentAt = this.sentAt.filter((each) => at.now < each + 1_000);
    if (this.sentAt.length >= userEventsPerSecondMax) {
      return new HivemindError(
        'busy',
        `A node sends ${userEventsPerSecondMax} events a second at most; wait a moment.`,
      );
    }
    this.sentAt.push(at.now);
    // By the time of day, so that a restart does not repeat one; counted on, so that two of a moment differ.
    this.lastId = Math.max(this.lastId + 1, Math.floor(at.wall));
    this.membership.spread({ kind: 'user-event', from: this.self, id: this.lastId, name, payload }, at);
    this.outbox.event({ kind: 'user-event', number: this.self, event: name, payload });
    return undefined;
  }
}
