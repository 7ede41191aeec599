/** The proven sessions of a node, one for each peer, the least recently used first. */
import { equalBytes } from '../bytes.ts';
import type { MonotonicMs, NodeNumber } from '../identity.ts';
import { cookieLifetimeMs } from './cookie.ts';
import type { Session } from './session.ts';

/** About a kilobyte each. A control node of the largest cluster keeps some 35,000 busy. */
export const sessionsMax = 65_536;
/** Only a session silent for so long gives way to another. It must exceed a cookie's lifetime: see `makeRoom`. */
export const evictableAfterMs: number = 2 * cookieLifetimeMs;
/** Boots of one peer that were replaced and may not come back; the oldest are forgotten. */
export const retiredBootsMax = 8;

export class SessionTable {
  private readonly most: number;
  private readonly byNumber = new Map<NodeNumber, Session>();
  private floor = 0;

  constructor(most: number) {
    this.most = most;
  }

  /**
   * Where the counters of a new session begin. Keys are a function of two boots, so a session that was dropped
   * and made again has the same ones: beginning above all dropped sessions' counters keeps every nonce unique.
   */
  get counterFloor(): number {
    return this.floor;
  }

  get(number: NodeNumber): Session | undefined {
    return this.byNumber.get(number);
  }

  touch(session: Session, now: MonotonicMs): void {
    session.usedAtMs = now;
    this.byNumber.delete(session.number);
    this.byNumber.set(session.number, session);
  }

  /**
   * Whether a session with this peer has a place, if need be that of the least recently used one.
   *
   * Why that one must have been silent for longer than a cookie lives: after (1) a peer's prove, (2) data and
   * (3) the eviction, whoever recorded both could (4) replay the prove, which makes the session anew, and
   * (5) the data, which then looks new. With the silence between 2 and 3 the prove's cookie is too old at 4.
   */
  makeRoom(number: NodeNumber, now: MonotonicMs): boolean {
    if (this.byNumber.has(number) || this.byNumber.size < this.most) return true;
    const [oldest] = this.byNumber.values();
    if (oldest === undefined || now - oldest.usedAtMs < evictableAfterMs) return false;
    this.delete(oldest.number);
    return true;
  }

  /** Makes this the session with its peer; the boot of the one that it replaces may not come back. */
  put(session: Session, now: MonotonicMs): void {
    const replaced = this.byNumber.get(session.number);
    if (replaced !== undefined) {
      session.retiredBoots = [...replaced.retiredBoots, replaced.peer.boot].slice(-retiredBootsMax);
      this.delete(session.number);
    }
    this.touch(session, now);
  }

  isRetired(number: NodeNumber, boot: Uint8Array): boolean {
    return this.get(number)?.retiredBoots.some((retired) => equalBytes(retired, boot)) ?? false;
  }

  delete(number: NodeNumber): void {
    const session = this.byNumber.get(number);
    if (session === undefined) return;
    this.byNumber.delete(number);
    this.release(session);
  }

  /** A session that sealed packets and is not used again, in the table or not. */
  release(session: Session): void {
    this.floor = Math.max(this.floor, session.nextCounter);
  }
}
