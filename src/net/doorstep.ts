import type { Socket } from 'node:net';
import type { CancelTimer, Clock } from '../seam/clock.ts';
import type { StreamCounters } from './stream-counters.ts';

/**
 * Connections of which no byte has come, at most; for a further one the oldest is closed. More than the system
 * hands over at once (the backlog), so that no burst of knocks pushes out those who came to speak.
 */
export const silentConnectionsMax = 512;

export interface DoorstepContext {
  readonly clock: Clock;
  readonly counters: StreamCounters;
  /** From an accepted connection to its first byte. */
  readonly silenceMs: number;
  /** Leads in a connection whose first bytes wait to be read. */
  readonly enter: (raw: Socket) => void;
}

/**
 * Where accepted connections wait for their first byte. A dialler speaks at once; an observer only knocks, and is
 * gone without a word. So whoever has not spoken yet costs little here and takes no place from those who have.
 */
export class Doorstep {
  private readonly context: DoorstepContext;
  /** All that wait, oldest first, with what ends their waiting. */
  private readonly waiting = new Map<Socket, CancelTimer>();

  constructor(context: DoorstepContext) {
    this.context = context;
  }

  arrive(raw: Socket): void {
    const { clock, counters, silenceMs } = this.context;
    if (this.waiting.size >= silentConnectionsMax) this.turnAwayOldest();
    const onSilence = (): void => {
      counters.handshakesFailed++;
      this.turnAway(raw);
    };
    this.waiting.set(raw, clock.after(silenceMs, onSilence));
    raw.once('readable', () => this.onReadable(raw));
    raw.once('close', () => {
      if (this.leave(raw)) counters.knocks++;
    });
  }

  close(): void {
    for (const raw of this.waiting.keys()) this.turnAway(raw);
  }

  /** The first bytes, or the end of a connection on which there were none. */
  private onReadable(raw: Socket): void {
    if (raw.readableLength === 0) raw.destroy();
    else if (this.leave(raw)) this.context.enter(raw);
  }

  private turnAwayOldest(): void {
    const [oldest] = this.waiting.keys();
    if (oldest === undefined) return;
    this.context.counters.turnedAway++;
    this.turnAway(oldest);
  }

  private turnAway(raw: Socket): void {
    this.leave(raw);
    raw.destroy();
  }

  /** Whether it was waiting. */
  private leave(raw: Socket): boolean {
    this.waiting.get(raw)?.();
    return this.waiting.delete(raw);
  }
}
