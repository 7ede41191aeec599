/**
 * Carries the pane's messages between control nodes. All that is small goes by datagram, because a lost one is made
 * good by the next within a heartbeat, while TCP waits twice as long after each loss: at 20 % the pane would have no
 * leader for long. What must not be lost, or does not fit, goes by stream as well; and everything does, as long as
 * datagrams are not known to pass both ways.
 */
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import type { AddressedRaftMessage, RaftMessage } from '../../raft/message.ts';
import type { Instant } from '../../seam/instant.ts';
import type { RaftDatagram } from '../../wire/datagram.ts';
import type { Directory } from '../directory.ts';
import type { Outbox } from '../outbox.ts';

/** Entries that are carried by datagram together, in bytes; the rest of it stays below 200. */
export const datagramEntriesBytesMax = 1_100;
/** Datagrams that came so lately show that they pass: five heartbeats. */
export const passingForMs = 500;
/** What an entry takes beside its payload. */
const entryHeadBytes = 16;

/** How it stands with one other control node. */
interface Path {
  /** When a datagram of its came last. */
  heardAt: MonotonicMs;
  /** When one came last that said the same of ours. */
  echoedAt: MonotonicMs;
}

export class RaftCourier {
  private readonly directory: Directory;
  private readonly outbox: Outbox;
  private readonly sendDatagram: (to: NodeNumber, message: RaftDatagram, at: Instant) => void;
  /** One for each control node at most. */
  private readonly paths = new Map<NodeNumber, Path>();

  constructor(parts: {
    readonly directory: Directory;
    readonly outbox: Outbox;
    readonly sendDatagram: (to: NodeNumber, message: RaftDatagram, at: Instant) => void;
  }) {
    this.directory = parts.directory;
    this.outbox = parts.outbox;
    this.sendDatagram = parts.sendDatagram;
  }

  send({ to, message }: AddressedRaftMessage, at: Instant): void {
    const path = this.paths.get(to);
    const fits = entriesBytesOf(message) <= datagramEntriesBytesMax;
    const heard = at.now <= (path?.heardAt ?? Number.NEGATIVE_INFINITY) + passingForMs;
    if (fits) this.sendDatagram(to, { kind: 'raft', message, heard, wall: at.wall }, at);
    const passes = at.now <= (path?.echoedAt ?? Number.NEGATIVE_INFINITY) + passingForMs;
    if (fits && passes && !isPrecious(message)) return;
    const target = this.directory.target(to);
    if (target !== undefined) this.outbox.post(target, { kind: 'raft', message, wall: at.wall });
  }

  /** A datagram came; whether it is a control node's, whom alone it may come from. */
  onDatagram(from: NodeNumber, { heard }: RaftDatagram, at: Instant): boolean {
    if (!this.directory.keepsLog(from)) return false;
    const echoedAt = heard ? at.now : (this.paths.get(from)?.echoedAt ?? Number.NEGATIVE_INFINITY);
    this.paths.set(from, { heardAt: at.now, echoedAt });
    return true;
  }
}

/** Nothing repeats these within a heartbeat. One lost append holds nothing up while other followers have it. */
function isPrecious({ kind }: RaftMessage): boolean {
  return kind !== 'append-request' && kind !== 'append-answer';
}

function entriesBytesOf(message: RaftMessage): number {
  if (message.kind === 'snapshot-chunk') return message.bytes.length + message.configuration.length;
  if (message.kind !== 'append-request') return 0;
  return message.entries.reduce((sum, { payload }) => sum + payload.length + entryHeadBytes, 0);
}
