/** How hints travel in the hivemind arm: as rumours of their full length. Nobody lies here, so nothing is signed. */
import { signatureBytes } from '../../crypto.ts';
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import type { Hint } from '../../swim/swim.ts';
import { encodeRumour, type Rumour } from '../../wire/rumour.ts';

type HintRumour = Extract<Rumour, { kind: 'hint' }>;

/** Any time since 1970 takes the same room. */
export const somewhen = 1_790_000_000_000;
const signature: Uint8Array = new Uint8Array(signatureBytes);

export class HintCourier {
  private readonly self: NodeNumber;
  private toldAt = 0;
  /** When the last hint of each pair of observer and subject was made. */
  private readonly heardAt = new Map<string, number>();

  constructor(self: NodeNumber) {
    this.self = self;
  }

  /** The rumour of what this node found out about its subject: always a later one than the last. */
  tell({ number, incarnation, isDown }: Hint, now: MonotonicMs): Uint8Array {
    this.toldAt = Math.max(this.toldAt + 1, somewhen + Math.floor(now));
    return encodeRumour({ kind: 'hint', number, incarnation, by: this.self, at: this.toldAt, isDown, signature });
  }

  /** Whether it is another one's, and the newest of its pair. */
  isNews({ by, number, at }: HintRumour): boolean {
    const pair = `${by} ${number}`;
    if (by === this.self || by === number || at <= (this.heardAt.get(pair) ?? 0)) return false;
    this.heardAt.set(pair, at);
    return true;
  }
}
