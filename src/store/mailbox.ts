/**
 * Hands small requests to a thread in memory that both share: a message between threads is cloned, queued and read
 * back, which for an entry of the event log takes longer than all else that its thread does besides the disk.
 *
 * One request at a time lies in the box. What is too large for it, or anything but the common kind, goes as a message;
 * the thread sleeps until it is rung for either, and takes both in the order in which they were made.
 */
import { assert } from '../assert.ts';

/** A request of more bytes goes as a message. */
export const mailboxBytesMax: number = 64 * 1024;

/** Where each number stands: how often it was rung, … */
const rung = 0;
/** … whether a request lies in the box, … */
const isFull = 1;
/** … the how-many-eth ring was for that one, … */
const ringOf = 2;
/** … and how many bytes it has. */
const byteLength = 3;
const headBytes = 4 * Int32Array.BYTES_PER_ELEMENT;

export class Mailbox {
  /** Each of the two threads makes its own of the same memory. */
  readonly memory: SharedArrayBuffer;
  private readonly head: Int32Array;
  private readonly content: Uint8Array;
  /** How many rings were answered; it wraps round as the number of rings does. */
  private taken = 0;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(headBytes + mailboxBytesMax)) {
    this.memory = memory;
    this.head = new Int32Array(memory, 0, headBytes / Int32Array.BYTES_PER_ELEMENT);
    this.content = new Uint8Array(memory, headBytes);
  }

  /** Puts a request in, for which the next ring is; false when it is too large. */
  put(request: Uint8Array): boolean {
    if (request.length > this.content.length) return false;
    assert(Atomics.load(this.head, isFull) === 0, 'one request lies in the box at a time');
    this.content.set(request);
    this.head[byteLength] = request.length;
    this.head[ringOf] = (Atomics.load(this.head, rung) + 1) | 0;
    Atomics.store(this.head, isFull, 1);
    return true;
  }

  /** There is a request, in the box or as a message. */
  ring(): void {
    Atomics.add(this.head, rung, 1);
    Atomics.notify(this.head, rung);
  }

  /** In the thread: sleeps until it is rung; gives what lies in the box for that, or nothing where a message came. */
  take(): Uint8Array<ArrayBuffer> | undefined {
    // Whoever rings is heard from the moment it counts, and its call may wake this thread a second time, for nothing.
    while (Atomics.load(this.head, rung) === this.taken) Atomics.wait(this.head, rung, this.taken);
    this.taken = (this.taken + 1) | 0;
    if (Atomics.load(this.head, isFull) === 0 || this.head[ringOf] !== this.taken) return undefined;
    const request = Uint8Array.from(this.content.subarray(0, this.head[byteLength]));
    Atomics.store(this.head, isFull, 0);
    return request;
  }
}
