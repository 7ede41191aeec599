/** What gossip carries beside updates: opaque to swim, meaningful to the composition. */
import { bool, bytes, type Codec, decode, encode, variants } from '../codec.ts';
import { counter, incarnation, label, nodeNumber, signature } from './fields.ts';

export type Rumour =
  /** A number that is out for good, with the certificate that says so. */
  | { readonly kind: 'removal'; readonly certificate: Uint8Array }
  /** A member moved. */
  | { readonly kind: 'locator'; readonly number: number; readonly locator: Uint8Array }
  /** What some member wants all to hear, once each; `id` tells two with the same content apart. */
  | {
      readonly kind: 'user-event';
      readonly from: number;
      readonly id: number;
      readonly name: string;
      readonly payload: Uint8Array;
    }
  /** A control node's word that the quorum was lost or is back: a reason to ask the pane at once. */
  | { readonly kind: 'pane-changed'; readonly by: number; readonly at: number }
  /** An observer's word, while no quorum can decide, on whether a member is down; of one pair the latest counts. */
  | {
      readonly kind: 'hint';
      readonly number: number;
      readonly incarnation: number;
      readonly by: number;
      readonly at: number;
      readonly isDown: boolean;
      /** The observer's. */
      readonly signature: Uint8Array;
    };

/** The most that a user event carries (serf's limit); name and payload fit one datagram with room to spare. */
export const userEventBytesMax = 512;

const codec: Codec<Rumour> = variants<Rumour>({
  removal: [1, { certificate: bytes(1_000) }],
  locator: [2, { number: nodeNumber, locator: bytes(400) }],
  'pane-changed': [3, { by: nodeNumber, at: counter }],
  'user-event': [4, { from: nodeNumber, id: counter, name: label, payload: bytes(userEventBytesMax) }],
  hint: [5, { number: nodeNumber, incarnation, by: nodeNumber, at: counter, isDown: bool, signature }],
});

export function encodeRumour(rumour: Rumour): Uint8Array {
  return encode(codec, rumour);
}

export function decodeRumour(spread: Uint8Array): Rumour | undefined {
  return decode(codec, spread);
}
