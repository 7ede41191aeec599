/** The fields that several messages share, with their bounds. */
import { u48Max } from '../bytes.ts';
import { type Codec, fixedBytes, text, uint } from '../codec.ts';
import { publicKeyBytes, signatureBytes } from '../crypto.ts';
import { isLabel, labelCharactersMax, nodeNumberMax } from '../identity.ts';

export const incarnationMax = 0xffff_ffff;

/** Somebody's: nobody has 0. */
export const nodeNumber: Codec<number> = uint(nodeNumberMax, 1);
/** Somebody's, or 0 for nobody's. */
export const nodeNumberOrNone: Codec<number> = uint(nodeNumberMax);
export const incarnation: Codec<number> = uint(incarnationMax);
export const nonce: Codec<number> = uint(0xffff_ffff);
/** Log indexes, terms, seqs, milliseconds since 1970: no more than what is signed and hashed can hold. */
export const counter: Codec<number> = uint(u48Max);
/** As wide as in a datagram's header. */
export const epoch: Codec<number> = uint(0xffff_ffff);
export const label: Codec<string> = text(labelCharactersMax, isLabel);
/** A label, or nothing at all. */
export const labelOrEmpty: Codec<string> = text(labelCharactersMax, (given) => given === '' || isLabel(given));
export const publicKey: Codec<Uint8Array> = fixedBytes(publicKeyBytes);
export const signature: Codec<Uint8Array> = fixedBytes(signatureBytes);
