/**
 * Cookies: how a node sees that someone receives at the address it sends from, without remembering that it
 * asked (the idea of RFC 6347 §4.2.1). A cookie is the time of issue and a MAC of it with everything that
 * must be the same when it comes back.
 */
import { timingSafeEqual } from 'node:crypto';
import { ByteReader, ByteWriter, concatBytes } from '../bytes.ts';
import { hmacSha256 } from '../crypto.ts';
import { type Endpoint, endpointText, type MonotonicMs, type NodeNumber } from '../identity.ts';

/**
 * From the challenge that carries a cookie to the prove that brings it back. It leaves time for a machine on which many
 * processes start at once: where it did not, each prove came too late and cost another hello.
 */
export const cookieLifetimeMs = 10_000;

const issuedBytes = 6;
const macBytes = 16;
export const cookieBytes: number = issuedBytes + macBytes;

/** Who a cookie is for. */
export interface CookieHolder {
  readonly address: Endpoint;
  readonly number: NodeNumber;
  readonly boot: Uint8Array;
}

export class CookieJar {
  private readonly secret: Uint8Array;

  /** @param secret 32 bytes that no other process and no earlier start of this one has */
  constructor(secret: Uint8Array) {
    this.secret = secret;
  }

  issue(holder: CookieHolder, now: MonotonicMs): Uint8Array {
    const issuedMs = Math.floor(now);
    return concatBytes(new ByteWriter().u48(issuedMs).finish(), this.mac(holder, issuedMs));
  }

  /** When this valid cookie was issued, or nothing when it is another's, forged or too old. */
  issuedMs(cookie: Uint8Array, holder: CookieHolder, now: MonotonicMs): MonotonicMs | undefined {
    const reader = new ByteReader(cookie);
    const issuedMs = reader.u48();
    if (issuedMs > now || now - issuedMs > cookieLifetimeMs) return undefined;
    return timingSafeEqual(this.mac(holder, issuedMs), reader.raw(macBytes)) ? issuedMs : undefined;
  }

  private mac({ address, number, boot }: CookieHolder, issuedMs: number): Uint8Array {
    const bound = new ByteWriter('hivemind/cookie/1').u48(issuedMs).text(endpointText(address)).u32(number).raw(boot);
    return hmacSha256(this.secret, bound.finish()).subarray(0, macBytes);
  }
}
