/** The checks themselves: one request or connection each, spread over time, a few at once. */
import { request } from 'node:http';
import { connect } from 'node:net';
import { unreachable } from '../../src/assert.ts';
import type { Endpoint } from '../../src/identity.ts';
import type { CancelTimer, Clock } from '../../src/seam/clock.ts';
import type { Random } from '../../src/seam/random.ts';
import type { CheckSettings, HttpCheck } from './settings.ts';

/** Checks under way at the same time on one host; further ones wait their turn. */
export const checksAtOnceMax = 16;

/** Resolves with why the check failed, or with nothing when it succeeded. Never rejects. */
export function runCheck(
  check: CheckSettings,
  target: Endpoint,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | undefined> {
  const ending = new AbortController();
  const cancelTimeout = clock.after(check.timeoutMs, () => ending.abort());
  // Not AbortSignal.any: it would keep a little of every check for as long as the role's own signal lives.
  const end = (): void => ending.abort();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  const attempt = attemptOf(check, target, ending.signal).catch((thrown: unknown) =>
    ending.signal.aborted ? `no answer within ${check.timeoutMs} ms` : reasonOf(thrown),
  );
  return attempt.finally(() => {
    cancelTimeout();
    signal.removeEventListener('abort', end);
  });
}

function attemptOf(check: CheckSettings, target: Endpoint, signal: AbortSignal): Promise<string | undefined> {
  switch (check.kind) {
    case 'http':
      return attemptHttp(check, target, signal);
    case 'tcp':
      return attemptTcp(target, signal);
    default:
      return unreachable(check);
  }
}

function attemptHttp(check: HttpCheck, target: Endpoint, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...target, path: check.path, agent: false, signal });
    asked.on('error', reject);
    asked.on('response', (response) => {
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 400 ? undefined : `answered with status ${status}`);
      asked.destroy();
    });
    asked.end();
  });
}

function attemptTcp(target: Endpoint, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const socket = connect(target);
    const abort = (): void => void socket.destroy(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    socket.on('connect', () => {
      resolve(undefined);
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => signal.removeEventListener('abort', abort));
  });
}

function reasonOf(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (code === 'ECONNREFUSED') return 'connection refused';
  return thrown instanceof Error ? thrown.message : String(thrown);
}

export interface CheckedTarget {
  readonly check: CheckSettings;
  /** Asked before each check, because a node's own addresses may change; nothing while they are unknown. */
  target(): Endpoint | undefined;
  onOutcome(error: string | undefined): void;
}

/** Checks each target once per interval, the first time at once. */
export class HealthChecks {
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly stopping = new AbortController();
  private readonly timers = new Map<CheckedTarget, CancelTimer>();
  /** At most one place for each target: its next check is planned when the last one has ended. */
  private readonly waiting: CheckedTarget[] = [];
  private readonly underWay = new Set<Promise<void>>();

  constructor(clock: Clock, random: Random) {
    this.clock = clock;
    this.random = random;
  }

  add(checked: CheckedTarget): void {
    this.waiting.push(checked);
    this.startWaiting();
  }

  /** Ends the checks under way; their outcomes are not told. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.waiting.length = 0;
    for (const cancel of this.timers.values()) cancel();
    await Promise.all(this.underWay);
  }

  private startWaiting(): void {
    while (this.underWay.size < checksAtOnceMax) {
      const checked = this.waiting.shift();
      if (checked === undefined) return;
      const running = this.check(checked).finally(() => {
        this.underWay.delete(running);
        this.startWaiting();
      });
      this.underWay.add(running);
    }
  }

  private async check(checked: CheckedTarget): Promise<void> {
    const startedAt = this.clock.now();
    const target = checked.target();
    const error =
      target === undefined
        ? "this node's own address is not known yet"
        : await runCheck(checked.check, target, this.clock, this.stopping.signal);
    if (this.stopping.signal.aborted) return;
    checked.onOutcome(error);
    this.timers.set(
      checked,
      this.clock.after(this.delayMs(checked, startedAt), () => this.add(checked)),
    );
  }

  /** A tenth more or less, so that checks which started together drift apart. */
  private delayMs(checked: CheckedTarget, startedAt: number): number {
    const intervalMs = checked.check.intervalMs * (0.9 + 0.2 * this.random.next());
    return Math.max(0, startedAt + intervalMs - this.clock.now());
  }
}
