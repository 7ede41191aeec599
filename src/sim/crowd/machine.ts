import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import type { ArmNode } from './arm.ts';

/** What Linux gives a UDP socket by default for datagrams that nobody has read yet (net.core.rmem_default). */
export const socketBytesMax = 212_992;
/** What it charges for a small datagram, whatever its payload: the packet, its descriptor, their alignment. */
export const chargedBytesPerDatagram = 768;
/** A socket of Node gives so many datagrams to the program before timers get their turn. */
export const datagramsPerTurn = 32;
/** How far two clocks of one cluster may run apart: quartz, and no time daemon. */
const driftMax = 100e-6;
const clockOffsetMaxMs = 1_000_000;

/** Something that waits in a process's sockets until it is read. */
export type Arrival = (node: ArmNode, now: MonotonicMs) => void;

/** One node with the computer under it: a clock of its own, a process, a socket, and what is wrong with them. */
export class Machine {
  readonly number: NodeNumber;
  node: ArmNode | undefined;
  /** Tells the processes that run here one after the other apart. */
  process = 0;
  /** The process is gone, and the kernel answers for it. */
  isKilled = false;
  /** The machine is gone: nothing answers. */
  isGone = false;
  /** Neither timers nor packets run before this. */
  blockedUntilMs: MonotonicMs = 0;
  /** The process reads each packet late, in order. */
  readsLate = false;
  lastReadAtMs: MonotonicMs = 0;
  /** Read late, and still waiting for it. */
  readsWaiting = 0;
  /** With whom it keeps a standing stream. */
  holds: readonly NodeNumber[] = [];
  /** The plan that counts, of all that were made for its next tick. */
  plan = 0;
  plannedAtMs: MonotonicMs = Number.POSITIVE_INFINITY;
  private unread: Arrival[] = [];
  private overdue: Arrival[] = [];
  private readonly clockOffsetMs: number;
  private readonly clockRate: number;

  /** @param share where its clock stands between the extremes, and how fast it runs: both 0 … 1 */
  constructor(number: NodeNumber, share: { readonly offset: number; readonly drift: number }) {
    this.number = number;
    this.clockOffsetMs = share.offset * clockOffsetMaxMs;
    this.clockRate = 1 + (share.drift * 2 - 1) * driftMax;
  }

  get runs(): boolean {
    return this.node !== undefined && !this.isKilled && !this.isGone;
  }

  isBlocked(now: MonotonicMs): boolean {
    return this.blockedUntilMs > now;
  }

  clockAt(now: MonotonicMs): MonotonicMs {
    return this.clockOffsetMs + now * this.clockRate;
  }

  /** When this node's clock will show `clock`. */
  timeOf(clock: MonotonicMs): MonotonicMs {
    return (clock - this.clockOffsetMs) / this.clockRate;
  }

  /** Keeps it until the process runs again; false when the socket is full. */
  queue(arrival: Arrival): boolean {
    if ((this.unread.length + 1) * chargedBytesPerDatagram > socketBytesMax) return false;
    this.unread.push(arrival);
    return true;
  }

  /** A timer that ran out while the process did not run: it goes before the packets. */
  queueTimer(timer: Arrival): void {
    this.overdue.push(timer);
  }

  takeTimers(): readonly Arrival[] {
    return this.overdue.splice(0);
  }

  /** What the process reads in its next turn. */
  takeTurn(): readonly Arrival[] {
    return this.unread.splice(0, datagramsPerTurn);
  }

  /** The process ended, and the kernel threw away what it had not read. */
  end(): void {
    this.node = undefined;
    this.process++;
    this.unread = [];
    this.overdue = [];
    this.holds = [];
    this.blockedUntilMs = 0;
    this.lastReadAtMs = 0;
    this.readsWaiting = 0;
    this.plan++;
    this.plannedAtMs = Number.POSITIVE_INFINITY;
  }
}
