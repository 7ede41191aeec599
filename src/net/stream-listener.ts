import { createServer, type Server, type Socket } from 'node:net';
import type { Endpoint, NodeNumber } from '../identity.ts';
import type { StreamPeer } from '../seam/streams.ts';
import { bindError } from './bind-error.ts';
import { Doorstep } from './doorstep.ts';
import type { CloseReason } from './frame-socket.ts';
import { GuestSlots } from './guest-slots.ts';
import { IncomingConnection, type IncomingContext } from './incoming-connection.ts';
import { fromMapped } from './mapped-address.ts';
import { answerTls, keepAliveMs, type TlsContext } from './tls-session.ts';

/** Connections that the system has accepted and this process has not: a burst of joiners. */
const backlogMax = 511;

export type ListenerContext = Omit<IncomingContext, 'onWelcomed' | 'onClosed' | 'ownKey'> & {
  readonly tls: TlsContext;
  readonly onPeerClosed: (peer: StreamPeer, reason: CloseReason) => void;
};

/** The answering side: accepts, limits, and keeps track of who is connected. */
export class StreamListener {
  private readonly context: ListenerContext;
  private readonly incoming: IncomingContext;
  private readonly server: Server;
  private readonly doorstep: Doorstep;
  private readonly guests: GuestSlots;
  /** All that there is, oldest first, with what gives its guest slot back. */
  private readonly connections = new Map<IncomingConnection, () => void>();

  constructor(context: ListenerContext) {
    this.context = context;
    this.incoming = {
      ...context,
      ownKey: context.tls.publicKey,
      onWelcomed: (connection) => this.onWelcomed(connection),
      onClosed: (connection, reason) => this.onClosed(connection, reason),
    };
    const { clock, counters, limits } = context;
    this.doorstep = new Doorstep({
      clock,
      counters,
      silenceMs: limits.silenceMs,
      enter: (raw) => this.onFirstBytes(raw),
    });
    this.guests = new GuestSlots(limits.guestsMax, limits.guestsPerAddressMax);
    this.server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs }, (raw) =>
      this.onConnection(raw),
    );
  }

  /** @throws HivemindError `port-in-use` or `address-invalid` */
  async listen(wanted: Endpoint): Promise<Endpoint> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (cause) => reject(bindError('TCP', wanted, cause)));
      this.server.listen({ host: wanted.host, port: wanted.port, backlog: backlogMax, exclusive: true }, resolve);
    });
    this.server.removeAllListeners('error');
    // Running out of file descriptors costs the connection that came, not the node.
    this.server.on('error', () => this.context.counters.turnedAway++);
    const { address, port } = this.server.address() as { address: string; port: number };
    return { host: address, port };
  }

  peers(): readonly StreamPeer[] {
    return this.open().flatMap((connection) => connection.peer ?? []);
  }

  disconnect(number: NodeNumber): void {
    for (const connection of this.open()) if (connection.number === number) connection.close();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.doorstep.close();
    const connections = [...this.connections.keys()];
    for (const connection of connections) connection.close();
    await Promise.all([closed, ...connections.map((connection) => connection.closed)]);
  }

  /** Those that are not being closed, oldest first. */
  private open(): readonly IncomingConnection[] {
    return [...this.connections.keys()].filter((connection) => !connection.isClosing);
  }

  private onConnection(raw: Socket): void {
    this.context.counters.accepted++;
    raw.on('error', () => {});
    this.doorstep.arrive(raw);
  }

  private onFirstBytes(raw: Socket): void {
    const { tls, limits, counters } = this.context;
    const remote = remoteOf(raw);
    const leave = this.connections.size < limits.incomingMax ? this.guests.take(remote.host) : undefined;
    if (leave === undefined) {
      counters.turnedAway++;
      raw.destroy();
      return;
    }
    const connection = new IncomingConnection(answerTls(tls, raw), remote, this.incoming);
    this.connections.set(connection, leave);
  }

  private onWelcomed(connection: IncomingConnection): void {
    const { number } = connection;
    if (number === undefined) return;
    this.connections.get(connection)?.();
    const ofPeer = this.open().filter((each) => each.number === number);
    if (ofPeer.length > this.context.limits.incomingPerMemberMax) ofPeer[0]?.close();
  }

  private onClosed(connection: IncomingConnection, reason: CloseReason): void {
    const { counters } = this.context;
    this.connections.get(connection)?.();
    this.connections.delete(connection);
    if (reason === 'malformed') counters.malformed++;
    if (connection.peer) this.context.onPeerClosed(connection.peer, reason);
    else if (reason !== 'goodbye') counters.handshakesFailed++;
  }
}

function remoteOf(raw: Socket): Endpoint {
  return { host: fromMapped(raw.remoteAddress ?? ''), port: raw.remotePort ?? 0 };
}
