/** What gossip carries beside updates: opaque to swim, meaningful to the composition. */
import { bytes, type Codec, decode, encode, variants } from '../codec.ts';
import { counter, nodeNumber } from './fields.ts';

export type Rumour =
  /** A number that is out for good, with the certificate that says so. */
  | { readonly kind: 'removal'; readonly certificate: Uint8Array }
  /** A member moved. */
  | { readonly kind: 'locator'; readonly number: number; readonly locator: Uint8Array }
  /** A control node's word that the quorum was lost or is back: a reason to ask the pane at once. */
  | { readonly kind: 'pane-changed'; readonly by: number; readonly at: number };

const codec: Codec<Rumour> = variants<Rumour>({
  removal: [1, { certificate: bytes(1_000) }],
  locator: [2, { number: nodeNumber, locator: bytes(400) }],
  'pane-changed': [3, { by: nodeNumber, at: counter }],
});

export function encodeRumour(rumour: Rumour): Uint8Array {
  return encode(codec, rumour);
}

export function decodeRumour(spread: Uint8Array): Rumour | undefined {
  return decode(codec, spread);
}
