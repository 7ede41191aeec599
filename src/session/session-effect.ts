import type { Endpoint, Epoch, NodeNumber } from '../identity.ts';
import type { DropReason } from './drop.ts';

/** What the caller is to do, or to know, in this order. */
export type SessionEffect =
  /** To be sent. */
  | { readonly kind: 'datagram'; readonly to: Endpoint; readonly bytes: Uint8Array }
  /** What a member said: authentic, and for the first time. `at` is where the packet came from. */
  | { readonly kind: 'body'; readonly from: NodeNumber; readonly at: Endpoint; readonly body: Uint8Array }
  /**
   * A boot of a member is proven that was not before: it is new here, or was restarted.
   *
   * `credential` is what the member itself brought, or absent when it was this node that introduced itself.
   */
  | {
      readonly kind: 'established';
      readonly number: NodeNumber;
      readonly boot: Uint8Array;
      readonly at: Endpoint;
      readonly credential?: Uint8Array;
    }
  /** Already counted. `from` is where the packet came from or, on the way out, was to go. */
  | { readonly kind: 'dropped'; readonly reason: DropReason; readonly from: Endpoint }
  /** A packet of another epoch. `proven`: it opened; where it was dropped instead, anybody may have sent it. */
  | {
      readonly kind: 'other-epoch';
      readonly from: Endpoint;
      readonly epoch: Epoch;
      readonly number: NodeNumber;
      readonly proven: boolean;
    };
