/** The tags of the data that left lately: only who received a packet can echo its tag. */
import { toHex } from '../bytes.ts';
import { aeadTagBytes } from '../crypto.ts';
import type { Endpoint, MonotonicMs } from '../identity.ts';
import type { Session } from './session.ts';

/** For how long an echo is believed. */
export const echoLifetimeMs = 2_000;
/** Beyond, the oldest tags are forgotten: at 2,000 packets a second they still last for 2 s. */
export const sentTagsMax = 4_096;

interface SentPacket {
  readonly session: Session;
  readonly to: Endpoint;
  readonly atMs: MonotonicMs;
}

/** The last 16 bytes of a sealed datagram. */
export function tagOf(datagram: Uint8Array): Uint8Array {
  return datagram.subarray(-aeadTagBytes);
}

export class SentTags {
  private readonly byTag = new Map<string, SentPacket>();

  remember(datagram: Uint8Array, packet: SentPacket): void {
    this.byTag.set(toHex(tagOf(datagram)), packet);
    for (const [tag, { atMs }] of this.byTag) {
      if (this.byTag.size <= sentTagsMax && packet.atMs - atMs <= echoLifetimeMs) break;
      this.byTag.delete(tag);
    }
  }

  /** The recent packet with this tag; a tag is taken once. */
  take(tag: Uint8Array, now: MonotonicMs): SentPacket | undefined {
    const key = toHex(tag);
    const packet = this.byTag.get(key);
    this.byTag.delete(key);
    return packet !== undefined && now - packet.atMs <= echoLifetimeMs ? packet : undefined;
  }
}
