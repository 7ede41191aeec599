/** Tells members that were removed so themselves: nobody else talks to them any more. */
import type { NodeNumber } from '../../identity.ts';
import type { StreamTarget } from '../../seam/streams.ts';
import type { Membership } from '../membership.ts';
import type { Outbox } from '../outbox.ts';

/** Members under removal that are told of it; more learn it when nobody answers them. */
const leaversMax = 1_024;

export class Farewells {
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  /** Where those are who are being removed, until their certificate is there. */
  private readonly leavers = new Map<NodeNumber, StreamTarget>();

  constructor(membership: Membership, outbox: Outbox) {
    this.membership = membership;
    this.outbox = outbox;
  }

  /** Before it is forgotten. */
  onRemoving(number: NodeNumber): void {
    const target = this.membership.directory.target(number);
    if (target !== undefined && this.leavers.size < leaversMax) this.leavers.set(number, target);
  }

  /** Without a certificate it was told long ago. */
  onRemoved(number: NodeNumber, certificate: Uint8Array | undefined): void {
    const target = this.leavers.get(number);
    this.leavers.delete(number);
    if (target !== undefined && certificate !== undefined) this.outbox.post(target, { kind: 'removal', certificate });
  }
}
