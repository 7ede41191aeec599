/**
 * Datagrams over one UDP socket.
 *
 * ```ts
 * const datagrams = await bindDatagrams({ host: '0.0.0.0', port: 7100, log });
 * datagrams.onDatagram((from, bytes) => node.onDatagram(from, bytes));
 * ```
 */
import { createSocket, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { type Endpoint, isEndpoint } from '../identity.ts';
import type { DatagramListener, Datagrams } from '../seam/datagrams.ts';
import type { Logger } from '../seam/logger.ts';
import { bindError } from './bind-error.ts';
import { fromMapped, toMapped } from './mapped-address.ts';

/** Room for a burst that arrives while the event loop is busy: some 6,000 full packets. */
const receiveBufferBytesDefault = 8 * 1024 * 1024;
/** Below this a large cluster's bursts are lost, so the operator is told. */
const receiveBufferBytesEnough = 1024 * 1024;

export interface DatagramOptions {
  /** A literal address: IPv4, IPv6, or `::` for both. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Asked of the system, which may grant less; 8 MiB by default. */
  readonly receiveBufferBytes?: number;
  readonly log: Logger;
}

export interface DatagramCounters {
  readonly sent: number;
  readonly sentBytes: number;
  /** Packets that the system would not take: no route, no buffer, an address of the other family. */
  readonly sendFailures: number;
  readonly received: number;
  readonly receivedBytes: number;
}

export interface UdpDatagrams extends Datagrams {
  readonly counters: DatagramCounters;
}

/** @throws HivemindError `port-in-use` or `address-invalid` */
export async function bindDatagrams(options: DatagramOptions): Promise<UdpDatagrams> {
  const isIPv6 = isIP(options.host) === 6;
  const socket = createSocket({
    type: isIPv6 ? 'udp6' : 'udp4',
    // Endpoints are literal addresses: nothing is left to look up, and no packet has to wait for a turn of the loop.
    lookup: (host, _options, done) => done(null, host, isIPv6 ? 6 : 4),
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (cause) => {
      socket.close();
      reject(bindError('UDP', options, cause));
    });
    socket.bind({ address: options.host, port: options.port, exclusive: true }, resolve);
  });
  socket.removeAllListeners('error');
  growReceiveBuffer(socket, options);
  return new UdpSocket(socket, isIPv6);
}

function growReceiveBuffer(socket: Socket, options: DatagramOptions): void {
  // Linux grants what its limit allows; BSDs refuse what is beyond theirs, so ask for less until one is granted.
  let wanted = options.receiveBufferBytes ?? receiveBufferBytesDefault;
  while (!tryReceiveBuffer(socket, wanted) && wanted > receiveBufferBytesEnough) wanted /= 2;
  const granted = socket.getRecvBufferSize();
  if (granted >= receiveBufferBytesEnough) return;
  options.log.warn(
    `the system grants ${granted} bytes of receive buffer; bursts of packets may be lost: raise net.core.rmem_max`,
    { grantedBytes: granted, wantedBytes: options.receiveBufferBytes ?? receiveBufferBytesDefault },
  );
}

function tryReceiveBuffer(socket: Socket, bytes: number): boolean {
  try {
    socket.setRecvBufferSize(Math.floor(bytes));
    return true;
  } catch {
    return false;
  }
}

class UdpSocket implements UdpDatagrams {
  readonly local: Endpoint;
  readonly counters = { sent: 0, sentBytes: 0, sendFailures: 0, received: 0, receivedBytes: 0 };
  private readonly socket: Socket;
  private readonly isIPv6: boolean;
  private listener: DatagramListener = () => {};
  private closed: Promise<void> | undefined;

  constructor(socket: Socket, isIPv6: boolean) {
    this.socket = socket;
    this.isIPv6 = isIPv6;
    const { address, port } = socket.address();
    this.local = { host: fromMapped(address), port };
    // Late ICMP errors and the like: nothing that was sent is promised to arrive.
    socket.on('error', () => this.onSendFailure());
    socket.on('message', (bytes, from) => {
      this.counters.received++;
      this.counters.receivedBytes += bytes.length;
      this.listener({ host: fromMapped(from.address), port: from.port }, bytes);
    });
  }

  send(to: Endpoint, bytes: Uint8Array): void {
    if (!this.canSend(to)) {
      this.onSendFailure();
      return;
    }
    this.socket.send(bytes, to.port, this.isIPv6 ? toMapped(to.host) : to.host, (error) => {
      if (error) return this.onSendFailure();
      this.counters.sent++;
      this.counters.sentBytes += bytes.length;
    });
  }

  onDatagram(listener: DatagramListener): void {
    this.listener = listener;
  }

  close(): Promise<void> {
    this.closed ??= new Promise((resolve) => this.socket.close(() => resolve()));
    return this.closed;
  }

  private canSend(to: Endpoint): boolean {
    return !this.closed && isEndpoint(to) && (this.isIPv6 || isIP(to.host) === 4);
  }

  private onSendFailure(): void {
    this.counters.sendFailures++;
  }
}
