import { connect, type Socket } from 'node:net';
import { type Endpoint, isEndpoint } from '../identity.ts';
import type { Clock } from '../seam/clock.ts';
import type { KnockOutcome, StreamTarget } from '../seam/streams.ts';
import type { StreamCounters } from './stream-counters.ts';

/** Knocks under way at a time; further ones are counted and end `silent`, which proves nothing. */
export const knocksMax = 64;

/**
 * Asks kernels whether anything listens. A connection that comes about is reset at once: this end keeps no port in
 * TIME_WAIT (RFC 9293 §3.6.1), and the other end sees that nobody meant to speak.
 */
export class Knocking {
  private readonly clock: Clock;
  private readonly counters: StreamCounters;
  /** Gives up what is under way. */
  private readonly abandon = new Set<() => void>();
  private underWay = 0;
  private isClosed = false;

  constructor(clock: Clock, counters: StreamCounters) {
    this.clock = clock;
    this.counters = counters;
  }

  /** Tries the target's addresses in order; what the first ones leave of the time is for the others. */
  async knock(to: StreamTarget, timeoutMs: number): Promise<KnockOutcome> {
    if (this.underWay >= knocksMax) {
      this.counters.knocksDropped++;
      return 'silent';
    }
    this.counters.knocksSent++;
    this.underWay++;
    try {
      return await this.knockAll(to.endpoints.filter(isEndpoint), this.clock.now() + timeoutMs);
    } finally {
      this.underWay--;
    }
  }

  close(): void {
    this.isClosed = true;
    for (const giveUp of this.abandon) giveUp();
  }

  private async knockAll(endpoints: readonly Endpoint[], deadline: number): Promise<KnockOutcome> {
    let refusals = 0;
    for (const [position, endpoint] of endpoints.entries()) {
      const shareMs = (deadline - this.clock.now()) / (endpoints.length - position);
      const outcome = await this.knockAt(endpoint, Math.max(0, shareMs));
      if (outcome === 'accepted') return 'accepted';
      if (outcome === 'refused') refusals++;
    }
    return refusals > 0 && refusals === endpoints.length ? 'refused' : 'silent';
  }

  private knockAt({ host, port }: Endpoint, limitMs: number): Promise<KnockOutcome> {
    if (this.isClosed) return Promise.resolve('silent');
    return new Promise((resolve) => {
      const socket: Socket = connect({ host, port });
      const end = (outcome: KnockOutcome): void => {
        stopTimer();
        this.abandon.delete(giveUp);
        resolve(outcome);
      };
      const giveUp = (): void => {
        socket.destroy();
        end('silent');
      };
      const stopTimer = this.clock.after(limitMs, giveUp);
      this.abandon.add(giveUp);
      socket.on('error', (cause: NodeJS.ErrnoException) => end(cause.code === 'ECONNREFUSED' ? 'refused' : 'silent'));
      socket.once('connect', () => {
        socket.resetAndDestroy();
        end('accepted');
      });
    });
  }
}
