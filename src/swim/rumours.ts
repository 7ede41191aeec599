import { toHex } from '../bytes.ts';
import { sha256 } from '../crypto.ts';
import type { NodeNumber } from '../identity.ts';
import type { Gossip, Update } from './message.ts';

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
/** Contents remembered so that each is told only once. More than `rumoursMax`: what is queued is known. */
export const seenMax = 4_096;
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

/**
 * What is still to be told: newest first, each thing a limited number of times. Fresh things are passed on at
 * once besides; those sends do not count, because a limit used up in the first instant leaves a member
 * uninformed when they are all lost.
 */
export class Rumours {
  /** Things dropped, before they were told often enough, because there were too many. */
  dropped = 0;
  /** Oldest first. */
  private readonly queue = new Map<string, Entry>();
  private readonly fresh = new Set<Entry>();
  private readonly seen = new Set<string>();

  get isEmpty(): boolean {
    return this.queue.size === 0;
  }

  get hasFresh(): boolean {
    return this.fresh.size > 0;
  }

  /** Queues an update in place of any other about the same member; false when this one was queued before. */
  addUpdate(update: Update, sends: number): boolean {
    const key = updateKey(update.number);
    if (!this.isNew(`${key} ${update.incarnation} ${update.status}`)) return false;
    this.drop(key);
    this.add({ key, payload: { kind: 'update', update }, bytes: updateBytesMax, sendsLeft: sends });
    return true;
  }

  /** True for a content that was never heard here, and only once. */
  hear(bytes: Uint8Array): boolean {
    return this.isNew(rumourKey(bytes));
  }

  /** Queues a rumour. */
  addRumour(bytes: Uint8Array, sends: number): void {
    const key = rumourKey(bytes);
    this.drop(key);
    this.add({ key, payload: { kind: 'rumour', bytes }, bytes: bytes.length + rumourHeadBytes, sendsLeft: sends });
  }

  /** Tells no more about a member. */
  dropUpdate(number: NodeNumber): void {
    this.drop(updateKey(number));
  }

  /** What fits into one datagram; with `freshOnes`, those come first and uncounted. */
  compose(freshOnes: boolean): Gossip | undefined {
    const parcel: Entry[] = [];
    let bytesLeft = gossipBytesMax;
    const load = (entry: Entry): boolean => {
      if (entry.bytes > bytesLeft || parcel.length >= entriesPerGossipMax) return false;
      bytesLeft -= entry.bytes;
      parcel.push(entry);
      return true;
    };
    if (freshOnes) for (const entry of this.fresh) load(entry);
    for (const entry of [...this.queue.values()].reverse()) {
      if (freshOnes && this.fresh.has(entry)) continue;
      if (load(entry) && --entry.sendsLeft <= 0) this.queue.delete(entry.key);
    }
    return parcel.length === 0 ? undefined : gossipOf(parcel);
  }

  /** Ends the first instant of whatever was fresh. */
  settle(): void {
    this.fresh.clear();
  }

  private isNew(content: string): boolean {
    if (this.seen.has(content)) return false;
    this.seen.add(content);
    if (this.seen.size > seenMax) forgetFirst(this.seen);
    return true;
  }

  private add(entry: Entry): void {
    this.queue.set(entry.key, entry);
    this.fresh.add(entry);
    if (this.queue.size <= rumoursMax) return;
    this.dropped++;
    const [oldest] = this.queue.keys();
    this.drop(oldest as string);
  }

  private drop(key: string): void {
    const entry = this.queue.get(key);
    if (entry === undefined) return;
    this.queue.delete(key);
    this.fresh.delete(entry);
  }
}

function updateKey(number: NodeNumber): string {
  return `update ${number}`;
}

function forgetFirst(keys: Set<string>): void {
  const [first] = keys;
  keys.delete(first as string);
}

function gossipOf(entries: readonly Entry[]): Gossip {
  const updates: Update[] = [];
  const rumours: Uint8Array[] = [];
  for (const { payload } of entries) {
    if (payload.kind === 'update') updates.push(payload.update);
    else rumours.push(payload.bytes);
  }
  return { kind: 'gossip', updates, rumours };
}

function rumourKey(bytes: Uint8Array): string {
  return `rumour ${toHex(sha256(bytes).subarray(0, seenKeyBytes))}`;
}
