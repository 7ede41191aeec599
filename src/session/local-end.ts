/** This node's end of all its sessions: its keys, the proven sessions, and the packets that it makes. */
import { concatBytes } from '../bytes.ts';
import type { Endpoint, MonotonicMs, NodeNumber } from '../identity.ts';
import { type DropReason, noDrops } from './drop.ts';
import { clusterTagBytes, encodeHeader, type PacketKind } from './header.ts';
import type { OwnKeys, Scope } from './keys.ts';
import { SentTags } from './sent-tags.ts';
import type { Session } from './session.ts';
import type { SessionEffect } from './session-effect.ts';
import { SessionTable, sessionsMax } from './session-table.ts';

const nothing = new Uint8Array(0);

export class LocalEnd {
  readonly own: OwnKeys;
  readonly sessions: SessionTable = new SessionTable(sessionsMax);
  readonly sentTags: SentTags = new SentTags();
  readonly drops: Record<DropReason, number> = noDrops();
  scope: Scope;

  constructor(own: OwnKeys, scope: Scope) {
    this.own = own;
    this.scope = scope;
  }

  get number(): NodeNumber {
    return this.own.number;
  }

  get boot(): Uint8Array {
    return this.own.bootKey.publicKey;
  }

  get clusterTag(): Uint8Array {
    return this.scope.cluster.subarray(0, clusterTagBytes);
  }

  drop(reason: DropReason, from: Endpoint): SessionEffect {
    this.drops[reason]++;
    return { kind: 'dropped', reason, from };
  }

  /** A packet that no key protects. */
  plain(kind: PacketKind, to: Endpoint, payload: Uint8Array): SessionEffect {
    const header = { kind, clusterTag: this.clusterTag, epoch: this.scope.epoch, number: this.number, counter: 0 };
    return { kind: 'datagram', to, bytes: concatBytes(encodeHeader(header), payload) };
  }

  prove(session: Session, to: Endpoint, clear: Uint8Array): SessionEffect {
    return { kind: 'datagram', to, bytes: session.seal('prove', this.scope, clear, nothing) };
  }

  accept(session: Session, to: Endpoint, body: Uint8Array, now: MonotonicMs): SessionEffect {
    this.sessions.touch(session, now);
    return { kind: 'datagram', to, bytes: session.seal('accept', this.scope, nothing, body) };
  }

  data(session: Session, to: Endpoint, body: Uint8Array, now: MonotonicMs): SessionEffect {
    this.sessions.touch(session, now);
    const bytes = session.seal('data', this.scope, nothing, body);
    this.sentTags.remember(bytes, { session, to, atMs: now });
    return { kind: 'datagram', to, bytes };
  }
}
