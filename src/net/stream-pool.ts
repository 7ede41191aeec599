import { setMaxListeners } from 'node:events';
import { toHex } from '../bytes.ts';
import { HivemindError } from '../error.ts';
import { endpointText, type NodeNumber } from '../identity.ts';
import type { StreamAnswer, StreamTarget } from '../seam/streams.ts';
import { requestsInFlightMax } from './asking.ts';
import { type CloseReason, queuedBytesMax } from './frame-socket.ts';
import type { OutgoingConnection } from './outgoing-connection.ts';
import { StandingStreams } from './standing-streams.ts';
import type { StreamCounters } from './stream-counters.ts';
import { type DialContext, dialTarget } from './stream-dial.ts';

export interface PoolContext extends DialContext {
  readonly counters: StreamCounters;
  readonly onPeerClosed: (connection: OutgoingConnection, reason: CloseReason) => void;
}

/** Requests and posts that wait for one dial; their bytes are bounded by `queuedBytesMax`. */
const waitingMax: number = 2 * requestsInFlightMax;
/** How long the dial for a post or a standing stream may take at all addresses: nobody waits for it. */
const unhurriedMs = 3_000;

/** What goes out as soon as there is a connection, or learns why there is none. */
interface Outgoing {
  readonly bytes: number;
  readonly timeoutMs: number;
  deliver(connection: OutgoingConnection): void;
  fail(error: HivemindError): void;
}

/** How it stands with one target. */
type Link =
  | { readonly kind: 'dialling'; readonly waiting: Outgoing[]; bytes: number }
  | { readonly kind: 'open'; readonly connection: OutgoingConnection }
  /** Until it is forgotten, nobody tries again. */
  | { readonly kind: 'failed'; readonly error: HivemindError };

/** The asking side: one connection for each target, dialled when first needed, shared by all that is sent there. */
export class StreamPool {
  private readonly context: PoolContext;
  private readonly links = new Map<string, Link>();
  /** All that there is, those included that no link leads to any more. */
  private readonly connections = new Set<OutgoingConnection>();
  private readonly standing: StandingStreams;
  private readonly closing = new AbortController();

  constructor(context: PoolContext) {
    this.context = context;
    this.standing = new StandingStreams({
      clock: context.clock,
      connect: (to) => this.connect(to),
      keyOf: linkKey,
    });
    setMaxListeners(0, this.closing.signal);
  }

  request(to: StreamTarget, body: Uint8Array, timeoutMs: number): Promise<StreamAnswer> {
    const { clock, counters } = this.context;
    return new Promise((resolve, reject) => {
      let takeBack = (): void => {};
      let isOver = false;
      const finish = (settle: () => void): void => {
        isOver = true;
        stopTimer();
        settle();
      };
      const fail = (error: HivemindError): void => {
        counters.requestsFailed++;
        finish(() => reject(error));
      };
      const stopTimer = clock.after(timeoutMs, () => {
        takeBack();
        fail(timeOut(to, timeoutMs));
      });
      const deliver = (connection: OutgoingConnection): void => {
        if (isOver) return;
        counters.requestsSent++;
        const onAnswer = (answer: Uint8Array): void => finish(() => resolve({ from: connection.peer, body: answer }));
        takeBack = connection.request(body, { onAnswer, onFailure: fail });
      };
      const failWaiting = (error: HivemindError): void => {
        if (!isOver) fail(error);
      };
      this.use(to, { bytes: body.length, timeoutMs, deliver, fail: failWaiting });
    });
  }

  post(to: StreamTarget, body: Uint8Array): void {
    const { counters } = this.context;
    const fail = (): void => {
      counters.postsDropped++;
    };
    const deliver = (connection: OutgoingConnection): void => {
      if (connection.post(body)) counters.postsSent++;
      else fail();
    };
    this.use(to, { bytes: body.length, timeoutMs: unhurriedMs, deliver, fail });
  }

  /** Keeps the connections to these open, and no others. */
  hold(targets: readonly StreamTarget[]): void {
    this.standing.hold(targets);
  }

  open(): readonly OutgoingConnection[] {
    return [...this.connections].filter((connection) => !connection.isClosing);
  }

  disconnect(number: NodeNumber): void {
    for (const connection of this.connections) {
      if (connection.peer.kind === 'member' && connection.peer.number === number) connection.close();
    }
  }

  async close(): Promise<void> {
    this.closing.abort();
    this.standing.close();
    const closed = [...this.connections].map((connection) => connection.closed);
    for (const connection of this.connections) connection.close();
    await Promise.all(closed);
  }

  private connect(to: StreamTarget): Promise<OutgoingConnection> {
    return new Promise((resolve, reject) => {
      this.use(to, { bytes: 0, timeoutMs: unhurriedMs, deliver: resolve, fail: reject });
    });
  }

  private use(to: StreamTarget, outgoing: Outgoing): void {
    if (this.closing.signal.aborted) {
      outgoing.fail(new HivemindError('address-unreachable', 'This node is shutting down.'));
      return;
    }
    const link = this.linkTo(to, outgoing.timeoutMs);
    switch (link.kind) {
      case 'open':
        outgoing.deliver(link.connection);
        break;
      case 'failed':
        outgoing.fail(link.error);
        break;
      case 'dialling':
        wait(link, outgoing);
    }
  }

  private linkTo(to: StreamTarget, timeoutMs: number): Link {
    const key = linkKey(to);
    const link = this.links.get(key);
    if (link && !(link.kind === 'open' && this.isStale(link.connection))) return link;
    if (this.connections.size >= this.context.limits.outgoingMax && !this.closeUnused()) return tooMany;
    const dialling: Link = { kind: 'dialling', waiting: [], bytes: 0 };
    this.links.set(key, dialling);
    void this.dial(key, to, timeoutMs, dialling.waiting);
    return dialling;
  }

  /** Who was a stranger when it dialled stays one there, so a new member dials again. */
  private isStale(connection: OutgoingConnection): boolean {
    return connection.isClosing || connection.openedAs !== this.context.self().number;
  }

  private async dial(key: string, to: StreamTarget, timeoutMs: number, waiting: readonly Outgoing[]): Promise<void> {
    const { counters, limits, clock } = this.context;
    counters.dials++;
    try {
      const connection = await dialTarget(to, timeoutMs, this.context, this.closing.signal);
      this.links.set(key, { kind: 'open', connection });
      this.onOpen(key, connection);
      for (const outgoing of waiting) outgoing.deliver(connection);
    } catch (thrown) {
      if (!(thrown instanceof HivemindError)) throw thrown;
      counters.dialsFailed++;
      this.links.set(key, { kind: 'failed', error: thrown });
      clock.after(limits.redialPauseMs, () => this.links.delete(key));
      for (const outgoing of waiting) outgoing.fail(thrown);
    }
  }

  private onOpen(key: string, connection: OutgoingConnection): void {
    this.connections.add(connection);
    connection.isStanding = () => this.isLink(key, connection) && this.standing.holds(key);
    connection.onClosed = (reason) => {
      this.connections.delete(connection);
      if (this.isLink(key, connection)) this.links.delete(key);
      if (reason === 'malformed') this.context.counters.malformed++;
      this.context.onPeerClosed(connection, reason);
    };
    if (this.closing.signal.aborted) connection.close();
  }

  /** Whether it is the connection by which others are served. */
  private isLink(key: string, connection: OutgoingConnection): boolean {
    const link = this.links.get(key);
    return link?.kind === 'open' && link.connection === connection;
  }

  /** Closes the connection that was opened longest ago and that nobody needs now. Whether there was one. */
  private closeUnused(): boolean {
    const unused = this.open().find((connection) => !connection.isBusy && !connection.isStanding());
    unused?.close();
    return unused !== undefined;
  }
}

const tooMany: Link = {
  kind: 'failed',
  error: new HivemindError('busy', 'This node has too many connections in use; ask again later.'),
};

function wait(link: Extract<Link, { kind: 'dialling' }>, outgoing: Outgoing): void {
  if (link.waiting.length >= waitingMax || link.bytes + outgoing.bytes > queuedBytesMax) {
    outgoing.fail(new HivemindError('busy', 'Too much waits for this connection already; ask again later.'));
    return;
  }
  link.waiting.push(outgoing);
  link.bytes += outgoing.bytes;
}

/** A connection serves only whoever asked for the same proof of who is at its other end. */
function linkKey(to: StreamTarget): string {
  const whom = to.number === 0 ? to.endpoints.map(endpointText).join(' ') : String(to.number);
  return `${whom} ${toHex(to.publicKey ?? new Uint8Array(0))}`;
}

function timeOut(to: StreamTarget, timeoutMs: number): HivemindError {
  const [first] = to.endpoints;
  const where = first ? endpointText(first) : 'an unknown address';
  const whom = to.number === 0 ? `The node at ${where}` : `Node ${to.number} at ${where}`;
  return new HivemindError('time-out', `${whom} did not answer within ${timeoutMs} ms; ask again later.`);
}
