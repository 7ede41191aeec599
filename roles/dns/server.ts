/** The sockets: UDP and TCP on each listening address. What is answered is decided elsewhere. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIPv6, type Socket, type Server as TcpServer } from 'node:net';
import { endpointText } from '../../src/identity.ts';
import { type Clock, type Endpoint, HivemindError, type RoleMetrics } from '../../src/role/role.ts';
import type { Transport } from './answer.ts';
import { serveConnection } from './connection.ts';

/** Over one address; further ones are closed at once and counted. */
export const connectionsMax = 256;
/** From one asker, so that none takes all. */
export const connectionsPerClientMax = 32;
/** Responses that the kernel has not taken yet; further ones are lost, as datagrams may be, and counted. */
const sendsInFlightMax = 1_024;

export interface ServerOptions {
  readonly listen: readonly Endpoint[];
  readonly clock: Clock;
  readonly metrics: RoleMetrics;
  /** The response to a query; nothing for what is no query. */
  answer(query: Uint8Array, transport: Transport): Uint8Array | undefined;
  /** A listening socket broke. */
  onBroken(reason: Error): void;
}

export interface DnsServer {
  close(): Promise<void>;
}

/**
 * Listens on all addresses, or on none.
 *
 * @throws HivemindError `port-in-use`, `refused` (not allowed to), `address-invalid` (not an address of this machine)
 */
export async function startServer(options: ServerOptions): Promise<DnsServer> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(closers.map((closeOne) => closeOne()));
  };
  try {
    for (const endpoint of options.listen) {
      closers.push(await listenDatagrams(endpoint, options));
      closers.push(await listenStreams(endpoint, options));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

async function listenDatagrams(endpoint: Endpoint, options: ServerOptions): Promise<() => Promise<void>> {
  const isV6 = isIPv6(endpoint.host);
  const socket = createSocket({ type: isV6 ? 'udp6' : 'udp4', ipv6Only: isV6 });
  socket.bind(endpoint.port, endpoint.host);
  await listening(socket, 'UDP', endpoint);
  socket.on('error', (error) => options.onBroken(error));
  let inFlight = 0;
  socket.on('message', (query, from) => {
    // Nobody can receive at port 0; such a source is forged.
    const response = from.port === 0 ? undefined : options.answer(query, 'datagram');
    if (response === undefined) return;
    if (inFlight >= sendsInFlightMax) {
      options.metrics.count('unsent_answers');
      return;
    }
    inFlight++;
    socket.send(response, from.port, from.address, (error) => {
      inFlight--;
      if (error) options.metrics.count('unsent_answers');
    });
  });
  return () => new Promise((resolve) => socket.close(() => resolve()));
}

async function listenStreams(endpoint: Endpoint, options: ServerOptions): Promise<() => Promise<void>> {
  const open = new Map<Socket, string>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const client = socket.remoteAddress ?? '';
    const ofClient = [...open.values()].filter((address) => address === client).length;
    if (open.size >= connectionsMax || ofClient >= connectionsPerClientMax) {
      options.metrics.count('refused_connections');
      socket.destroy();
      return;
    }
    open.set(socket, client);
    socket.on('close', () => open.delete(socket));
    serveConnection(socket, options.clock, (query) => options.answer(query, 'stream'));
  });
  server.listen({ host: endpoint.host, port: endpoint.port, ipv6Only: isIPv6(endpoint.host) });
  await listening(server, 'TCP', endpoint);
  // A connection that could not be accepted, for want of file descriptors, is one lost asker and not a broken socket.
  server.on('error', () => options.metrics.count('refused_connections'));
  return () => {
    for (const socket of open.keys()) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  };
}

async function listening(socket: UdpSocket | TcpServer, protocol: string, endpoint: Endpoint): Promise<void> {
  try {
    await once(socket, 'listening');
  } catch (error) {
    socket.close();
    throw listenError(error, `${protocol} ${endpointText(endpoint)}`);
  }
}

function listenError(error: unknown, where: string): unknown {
  const setting = 'under "listen" in the settings of the dns role';
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return new HivemindError(
        'port-in-use',
        `The dns role cannot listen on ${where}, which is in use; end its user or name another address ${setting}.`,
        error,
      );
    case 'EACCES':
      return new HivemindError(
        'refused',
        `The dns role may not listen on ${where}; take a port above 1023 ${setting} or grant CAP_NET_BIND_SERVICE.`,
        error,
      );
    case 'EADDRNOTAVAIL':
      return new HivemindError(
        'address-invalid',
        `The dns role cannot listen on ${where}, which is no address of this machine; name another ${setting}.`,
        error,
      );
    default:
      return error;
  }
}
