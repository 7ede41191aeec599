import { toHex } from '../bytes.ts';
import { sha256 } from '../crypto.ts';
import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { Gossip, Update } from './message.ts';
import { type PackedStanding, packed } from './precedence.ts';

/** The largest opaque rumour: it must fit a datagram that carries it alone. */
export const rumourBytesMax = 1_000;
/** An update on the wire: an array of two 32-bit integers and a small one. */
export const updateBytesMax = 12;
/** What a rumour takes beside its own bytes. */
const rumourHeadBytes = 3;
/** The part of a datagram (1,400 bytes) that gossip may take: enough for the largest rumour. */
export const gossipBytesMax: number = rumourBytesMax + rumourHeadBytes;
/** Updates and rumours together in one datagram; receivers refuse more. */
export const entriesPerGossipMax = 64;
/** Updates and rumours that wait to be passed on; beyond, the oldest one is dropped. */
export const rumoursMax = 1_024;
/** Rumours, and standings, remembered so that each is told once. More than `rumoursMax`: what is queued is known. */
export const seenMax = 4_096;
/** Rumours kept for whoever could not hear them, the latest ones … */
export const recentMax = 64;
/** … for so long. */
export const recentForMs = 60_000;
/** Bytes of a rumour's SHA-256 by which it is known again. */
const seenKeyBytes = 8;

type Payload =
  | { readonly kind: 'update'; readonly update: Update }
  | { readonly kind: 'rumour'; readonly bytes: Uint8Array };

interface Entry {
  readonly key: string;
  readonly payload: Payload;
  readonly bytes: number;
  sendsLeft: number;
}

interface Recent {
  readonly bytes: Uint8Array;
  readonly heardAtMs: MonotonicMs;
}

/**
 * What is still to be told: newest first, each thing a limited number of times. Fresh things are passed on at
 * once besides; those sends do not count, because a limit used up in the first instant leaves a member
 * uninformed when they are all lost.
 */
export class Rumours {
  /** Things dropped, before they were told often enough, because there were too many. */
  dropped = 0;
  private readonly queue = new Map<string, Entry>();
  /** The queue, oldest first, and among it some that have left. */
  private order: Entry[] = [];
  private readonly fresh = new Set<Entry>();
  private readonly seen = new Set<string>();
  private readonly told = new Map<NodeNumber, PackedStanding>();
  private recent: Recent[] = [];

  get isEmpty(): boolean {
    return this.queue.size === 0;
  }

  get hasFresh(): boolean {
    return this.fresh.size > 0;
  }

  /** Queues an update in place of any other about the same member; false when this one was the last that was queued. */
  addUpdate(update: Update, sends: number): boolean {
    const standing = packed(update);
    if (this.told.get(update.number) === standing) return false;
    remember(this.told, update.number, standing);
    const key = updateKey(update.number);
    this.add({ key, payload: { kind: 'update', update }, bytes: updateBytesMax, sendsLeft: sends });
    return true;
  }

  /** True for a content that was never heard here, and only once. */
  hear(bytes: Uint8Array): boolean {
    const key = rumourKey(bytes);
    if (this.seen.has(key)) return false;
    this.seen.add(key);
    if (this.seen.size > seenMax) this.seen.delete(firstOf(this.seen));
    return true;
  }

  /** Queues a rumour, and keeps it for those who cannot hear it now. */
  addRumour(bytes: Uint8Array, sends: number, now: MonotonicMs): void {
    const key = rumourKey(bytes);
    this.add({ key, payload: { kind: 'rumour', bytes }, bytes: bytes.length + rumourHeadBytes, sendsLeft: sends });
    this.recent.push({ bytes, heardAtMs: now });
    if (this.recent.length > recentMax) this.recent.shift();
  }

  /** Tells no more about a member. */
  dropUpdate(number: NodeNumber): void {
    this.drop(updateKey(number));
  }

  /** What fits into one datagram; with `freshOnes`, those come first and uncounted. */
  compose(freshOnes: boolean): Gossip | undefined {
    if (this.queue.size === 0) return undefined;
    const parcel = new Parcel();
    if (freshOnes) for (const entry of this.fresh) parcel.load(entry);
    for (let at = this.order.length - 1; at >= 0 && !parcel.isFull; at--) {
      const entry = this.order[at] as Entry;
      if (!this.isQueued(entry) || (freshOnes && this.fresh.has(entry))) continue;
      if (parcel.load(entry) && --entry.sendsLeft <= 0) this.queue.delete(entry.key);
    }
    this.tidy();
    return parcel.seal();
  }

  /** All that was heard lately, oldest first, in as many parcels as it takes. */
  composeRecent(now: MonotonicMs): readonly Gossip[] {
    this.recent = this.recent.filter(({ heardAtMs }) => now - heardAtMs <= recentForMs);
    const parcels: Parcel[] = [];
    for (const { bytes } of this.recent) {
      const entry = { payload: { kind: 'rumour', bytes }, bytes: bytes.length + rumourHeadBytes } as const;
      if (parcels.at(-1)?.load(entry)) continue;
      const parcel = new Parcel();
      parcel.load(entry);
      parcels.push(parcel);
    }
    return parcels.map((parcel) => parcel.seal()).filter((gossip) => gossip !== undefined);
  }

  /** Ends the first instant of whatever was fresh. */
  settle(): void {
    this.fresh.clear();
  }

  private add(entry: Entry): void {
    this.drop(entry.key);
    this.queue.set(entry.key, entry);
    this.order.push(entry);
    this.fresh.add(entry);
    if (this.queue.size <= rumoursMax) return;
    this.dropped++;
    this.drop(firstOf(this.queue.keys()));
  }

  private drop(key: string): void {
    const entry = this.queue.get(key);
    if (entry === undefined) return;
    this.queue.delete(key);
    this.fresh.delete(entry);
  }

  private isQueued(entry: Entry): boolean {
    return this.queue.get(entry.key) === entry;
  }

  /** Those who left go all at once, when they are the most. */
  private tidy(): void {
    if (this.order.length <= this.queue.size * 2) return;
    this.order = this.order.filter((entry) => this.isQueued(entry));
  }
}

/** What goes into one datagram. */
class Parcel {
  private readonly updates: Update[] = [];
  private readonly rumours: Uint8Array[] = [];
  private bytesLeft = gossipBytesMax;

  get isFull(): boolean {
    return this.count >= entriesPerGossipMax || this.bytesLeft < rumourHeadBytes;
  }

  /** Whether it still fitted. */
  load({ payload, bytes }: Pick<Entry, 'payload' | 'bytes'>): boolean {
    if (bytes > this.bytesLeft || this.count >= entriesPerGossipMax) return false;
    this.bytesLeft -= bytes;
    if (payload.kind === 'update') this.updates.push(payload.update);
    else this.rumours.push(payload.bytes);
    return true;
  }

  seal(): Gossip | undefined {
    const { updates, rumours } = this;
    return this.count === 0 ? undefined : { kind: 'gossip', updates, rumours };
  }

  private get count(): number {
    return this.updates.length + this.rumours.length;
  }
}

function updateKey(number: NodeNumber): string {
  return `update ${number}`;
}

function rumourKey(bytes: Uint8Array): string {
  return `rumour ${toHex(sha256(bytes).subarray(0, seenKeyBytes))}`;
}

function remember(told: Map<NodeNumber, PackedStanding>, number: NodeNumber, standing: PackedStanding): void {
  told.delete(number);
  told.set(number, standing);
  if (told.size > seenMax) told.delete(firstOf(told.keys()));
}

function firstOf<T>(items: Iterable<T>): T {
  const [first] = items;
  return first as T;
}
