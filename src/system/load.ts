/** How busy this machine and this process are. */
import { availableParallelism, freemem, loadavg, totalmem } from 'node:os';
import { performance } from 'node:perf_hooks';

export interface MachineLoad {
  /** Processors that this process may use. */
  readonly cores: number;
  /** Processes running or waiting to run, averaged over 15 minutes. */
  readonly load15: number;
  /** Memory that can be had without swapping. */
  readonly memoryFreeBytes: number;
  readonly memoryTotalBytes: number;
}

export function machineLoad(): MachineLoad {
  return {
    cores: availableParallelism(),
    load15: loadavg()[2] ?? 0,
    memoryFreeBytes: freemem(),
    memoryTotalBytes: totalmem(),
  };
}

export interface EventLoopLag {
  /**
   * The longest that the event loop was late since the last call of this, in milliseconds; up to 50 ms too low,
   * and 0 when all was well. A blockage in whose wake this is called counts already.
   */
  maxMsSinceLastRead(): number;
  stop(): void;
}

const sampleMs = 50;

/**
 * Measures from now on, without keeping the process alive. By an own timer: `monitorEventLoopDelay` misses a
 * blockage that follows at once upon its reset.
 */
export function eventLoopLag(): EventLoopLag {
  let longestMs = 0;
  let dueMs = performance.now() + sampleMs;
  const sample = (): void => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - dueMs);
    dueMs = nowMs + sampleMs;
  };
  const timer = setInterval(sample, sampleMs).unref();
  return {
    maxMsSinceLastRead() {
      if (performance.now() > dueMs) sample();
      const lagMs = Math.round(longestMs);
      longestMs = 0;
      return lagMs;
    },
    stop: () => clearInterval(timer),
  };
}
