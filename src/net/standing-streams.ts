/**
 * Standing streams: connections that are kept open for the sake of their end. A process that dies closes them
 * without a goodbye, and so its kernel tells the news faster than any probe.
 */
import { HivemindError } from '../error.ts';
import { endpointText } from '../identity.ts';
import type { Clock } from '../seam/clock.ts';
import type { StreamTarget } from '../seam/streams.ts';
import { redialDelayMs, redialMsMax } from './redial.ts';

/** Of the held targets so many are dialled at the same time: a start is no storm of handshakes. */
const dialsAtOnceMax = 2;

/** A connection that exists, as far as it is to be watched. */
interface Standing {
  readonly closed: Promise<void>;
}

export interface StandingContext {
  readonly clock: Clock;
  /** Gives the connection there is, or dials one; rejects with a HivemindError. */
  readonly connect: (to: StreamTarget) => Promise<Standing>;
  /** What two targets have in common that are served by one connection. */
  readonly keyOf: (to: StreamTarget) => string;
}

/** A target while a loop keeps its connection open. */
interface Kept {
  /** Nothing once it is held no more; its loop ends with the connection that there still is. */
  target: StreamTarget | undefined;
  /** Dials in a row that failed, or whose connection did not last. */
  failures: number;
  /** Ends the pause before the next dial. */
  wake: () => void;
}

export class StandingStreams {
  private readonly context: StandingContext;
  private readonly kept = new Map<string, Kept>();
  private readonly waiting: (() => void)[] = [];
  private dialling = 0;
  private isClosed = false;

  constructor(context: StandingContext) {
    this.context = context;
  }

  holds(key: string): boolean {
    return this.kept.get(key)?.target !== undefined;
  }

  /** Keeps these connections, and no others, from now on. */
  hold(targets: readonly StreamTarget[]): void {
    const wanted = new Map(targets.map((target) => [this.context.keyOf(target), target]));
    for (const [key, kept] of this.kept) if (!wanted.has(key)) kept.target = undefined;
    if (this.isClosed) return;
    for (const [key, target] of wanted) {
      const kept = this.kept.get(key);
      if (kept === undefined) this.begin(key, target);
      else this.retarget(kept, target);
    }
  }

  close(): void {
    this.isClosed = true;
    for (const kept of this.kept.values()) {
      kept.target = undefined;
      kept.wake();
    }
  }

  private begin(key: string, target: StreamTarget): void {
    const kept: Kept = { target, failures: 0, wake: () => {} };
    this.kept.set(key, kept);
    void this.keep(key, kept);
  }

  /** What failed before says nothing about a target that is held anew or has moved: no pause for it. */
  private retarget(kept: Kept, target: StreamTarget): void {
    const isOld = kept.target && addressesOf(kept.target) === addressesOf(target);
    kept.target = target;
    if (isOld) return;
    kept.failures = 0;
    kept.wake();
  }

  private async keep(key: string, kept: Kept): Promise<void> {
    const { clock } = this.context;
    while (kept.target) {
      const connection = await this.dial(kept);
      const openedAt = clock.now();
      await connection?.closed;
      if (connection && clock.now() - openedAt >= redialMsMax) kept.failures = 0;
      if (kept.target) await this.pause(kept);
    }
    this.kept.delete(key);
  }

  /** Nothing when it failed, or when it is held no more by the time that its turn comes. */
  private async dial(kept: Kept): Promise<Standing | undefined> {
    if (this.dialling < dialsAtOnceMax) this.dialling++;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return kept.target && (await this.context.connect(kept.target));
    } catch (thrown) {
      if (!(thrown instanceof HivemindError)) throw thrown;
      return undefined;
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.dialling--;
    }
  }

  private pause(kept: Kept): Promise<void> {
    const delayMs = redialDelayMs(kept.failures++, Math.random());
    return new Promise((resolve) => {
      const stop = this.context.clock.after(delayMs, resolve);
      kept.wake = () => {
        stop();
        resolve();
      };
    });
  }
}

function addressesOf(target: StreamTarget): string {
  return target.endpoints.map(endpointText).join(' ');
}
