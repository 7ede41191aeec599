/**
 * Mutually authenticated streams over TLS 1.3. The membership is the trust store: `verifyPeer` says whose key
 * it is that a peer has proved to hold.
 *
 * ```ts
 * const streams = await listenStreams({ host: '0.0.0.0', port: 7100, tls, self, verifyPeer, onRequest, onPost,
 *   clock, log });
 * const { body } = await streams.request({ endpoints, number: 7, publicKey }, question, 2_000);
 * ```
 */
import type { Endpoint, NodeNumber } from '../identity.ts';
import type { Clock } from '../seam/clock.ts';
import type { Logger } from '../seam/logger.ts';
import type { PostHandler, RequestHandler, StreamPeer, Streams } from '../seam/streams.ts';
import type { CloseReason } from './frame-socket.ts';
import { Knocking } from './knocking.ts';
import type { OutgoingConnection } from './outgoing-connection.ts';
import { newStreamCounters, type StreamCounters } from './stream-counters.ts';
import type { StreamSelf, VerifyPeer } from './stream-handshake.ts';
import { type StreamLimits, streamLimits } from './stream-limits.ts';
import { StreamListener } from './stream-listener.ts';
import { StreamPool } from './stream-pool.ts';
import type { TlsIdentity } from './tls-identity.ts';
import { tlsContext } from './tls-session.ts';

export interface ConnectedPeer {
  readonly peer: StreamPeer;
  readonly direction: 'incoming' | 'outgoing';
  /** The boot id that an answerer gave with its welcome. */
  readonly boot?: Uint8Array;
}

export interface ClosedPeer extends ConnectedPeer {
  /** `broken`, which is without a goodbye, is a hint that the peer's process died. */
  readonly reason: CloseReason;
}

export interface StreamOptions {
  /** A literal address: IPv4, IPv6, or `::` for both. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly tls: TlsIdentity;
  /** Asked at each handshake, since number, epoch and credential change. */
  readonly self: () => StreamSelf;
  readonly verifyPeer: VerifyPeer;
  readonly onRequest: RequestHandler;
  readonly onPost: PostHandler;
  /** A welcomed connection ended, in either direction. */
  readonly onPeerClosed?: (closed: ClosedPeer) => void;
  readonly clock: Clock;
  readonly log: Logger;
  /** In place of single defaults of `streamLimits`. */
  readonly limits?: Partial<StreamLimits>;
}

export interface TlsStreams extends Streams {
  readonly counters: Readonly<StreamCounters>;
  /** Everybody whom a welcomed connection leads to, now. */
  peersConnected(): readonly ConnectedPeer[];
  /** Closes every connection with a member, after it was removed or its certificate replaced. */
  disconnect(number: NodeNumber): void;
}

/** @throws HivemindError `port-in-use`, `address-invalid` or `key-invalid` */
export async function listenStreams(options: StreamOptions): Promise<TlsStreams> {
  const counters = newStreamCounters();
  const tls = tlsContext(options.tls);
  const limits: StreamLimits = { ...streamLimits, ...options.limits };
  const shared = { ...options, tls, limits, counters };
  const onPeerClosed = options.onPeerClosed ?? (() => {});
  const listener = new StreamListener({
    ...shared,
    onPeerClosed: (peer, reason) => onPeerClosed({ ...incoming(peer), reason }),
  });
  const pool = new StreamPool({
    ...shared,
    onPeerClosed: (connection, reason) => onPeerClosed({ ...outgoing(connection), reason }),
  });
  const knocking = new Knocking(options.clock, counters);
  const local: Endpoint = await listener.listen({ host: options.host, port: options.port });
  return {
    local,
    counters,
    request: (to, body, timeoutMs) => pool.request(to, body, timeoutMs),
    post: (to, body) => pool.post(to, body),
    knock: (to, timeoutMs) => knocking.knock(to, timeoutMs),
    hold: (targets) => pool.hold(targets),
    peersConnected: () => [...listener.peers().map(incoming), ...pool.open().map(outgoing)],
    disconnect(number) {
      listener.disconnect(number);
      pool.disconnect(number);
    },
    async close() {
      knocking.close();
      await Promise.all([pool.close(), listener.close()]);
    },
  };
}

function incoming(peer: StreamPeer): ConnectedPeer {
  return { direction: 'incoming', peer };
}

function outgoing(connection: OutgoingConnection): ConnectedPeer {
  return { direction: 'outgoing', peer: connection.peer, boot: connection.boot };
}
