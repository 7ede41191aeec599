/** One pair of boots: its keys, the counter of what it seals, the window of what it opens. */
import { assert } from '../assert.ts';
import { ByteWriter, concatBytes } from '../bytes.ts';
import { open, seal } from '../crypto.ts';
import type { Endpoint, Epoch, MonotonicMs, NodeNumber } from '../identity.ts';
import { clusterTagBytes, counterMax, encodeHeader, type Header, headerBytes, type PacketKind } from './header.ts';
import { type DirectionKeys, directionKeys, type OwnKeys, type PeerKeys, pairSecret, type Scope } from './keys.ts';
import { ReplayWindow } from './window.ts';

/** When a peer was seen to live, by a counter that it used then. */
export interface Proof {
  /** All that the peer sealed before carries a lower counter. */
  readonly counter: number;
  /** A time of this node's clock at which that boot of the peer was running. */
  readonly aliveAtMs: MonotonicMs;
}

export class Session {
  readonly peer: PeerKeys;
  /** Where its newest packet came from; the peer's advertised address may be another. */
  source: Endpoint | undefined;
  /** When it last sealed or opened a packet. */
  usedAtMs: MonotonicMs = 0;
  /** Boots of this peer that may not come back. */
  retiredBoots: readonly Uint8Array[] = [];

  private readonly own: OwnKeys;
  private readonly secret: Uint8Array;
  private scope: Scope;
  private keys: DirectionKeys;
  /** Of the epoch before or after, while the peer is in that one. */
  private neighbouring: { readonly epoch: Epoch; readonly keys: DirectionKeys } | undefined;
  private counter: number;
  private window: ReplayWindow | undefined;
  private proofMs: MonotonicMs = 0;

  private constructor(own: OwnKeys, peer: PeerKeys, secret: Uint8Array, scope: Scope, firstCounter: number) {
    this.own = own;
    this.peer = peer;
    this.secret = secret;
    this.scope = scope;
    this.keys = directionKeys(secret, own, peer, scope);
    this.counter = firstCounter;
  }

  /**
   * @param firstCounter above any that an earlier session with the same boots may have used
   * @returns nothing when one of the peer's keys is of low order
   */
  static between(own: OwnKeys, peer: PeerKeys, scope: Scope, firstCounter: number): Session | undefined {
    const secret = pairSecret(own, peer);
    return secret && new Session(own, peer, secret, scope, firstCounter);
  }

  get number(): NodeNumber {
    return this.peer.number;
  }

  /** The counter of the next packet that it seals. */
  get nextCounter(): number {
    return this.counter;
  }

  /** When the peer's boot was last proven to be running; see {@link Proof}. */
  get aliveAtMs(): MonotonicMs {
    return this.proofMs;
  }

  /** Begins to take packets: those that the peer sealed after its proof. Once proven, the window stays as it is. */
  prove(proof: Proof): void {
    this.window ??= new ReplayWindow(proof.counter);
    this.proofMs = Math.max(this.proofMs, proof.aliveAtMs);
  }

  /** A whole datagram: header, `clear` as it is, `body` sealed; all of it authenticated. */
  seal(kind: PacketKind, scope: Scope, clear: Uint8Array, body: Uint8Array): Uint8Array {
    assert(this.counter <= counterMax, 'a session never seals 2^48 packets');
    this.moveTo(scope);
    const counter = this.counter++;
    const clusterTag = scope.cluster.subarray(0, clusterTagBytes);
    const header = encodeHeader({ kind, clusterTag, epoch: scope.epoch, number: this.own.number, counter });
    const head = concatBytes(header, clear);
    return concatBytes(head, seal(this.keys.sending, nonceOf(counter), head, body));
  }

  /** The body that was sealed behind header and `clearBytes`, or nothing when the datagram is not the peer's. */
  open(header: Header, datagram: Uint8Array, scope: Scope, clearBytes: number = 0): Uint8Array | undefined {
    this.moveTo(scope);
    const { receiving } = this.keysOf(header.epoch);
    const head = datagram.subarray(0, headerBytes + clearBytes);
    return open(receiving, nonceOf(header.counter), head, datagram.subarray(head.length));
  }

  /** The caller lets no other epochs pass than the neighbouring ones. */
  private keysOf(epoch: Epoch): DirectionKeys {
    if (epoch === this.scope.epoch) return this.keys;
    if (this.neighbouring?.epoch !== epoch) {
      const { cluster } = this.scope;
      this.neighbouring = { epoch, keys: directionKeys(this.secret, this.own, this.peer, { cluster, epoch }) };
    }
    return this.neighbouring.keys;
  }

  /** Whether a packet that was opened is seen for the first time; it then counts as seen. */
  takes(counter: number, from: Endpoint): boolean {
    if (!this.window?.isNew(counter)) return false;
    this.window.mark(counter);
    // A late packet, or one that somebody held back and sent on from elsewhere, says nothing of today's address.
    if (this.window.highest === counter) this.source = from;
    return true;
  }

  /** A new epoch has new keys. Counters and window go on, so no order of epochs could repeat a nonce or a packet. */
  private moveTo(scope: Scope): void {
    if (scope.epoch === this.scope.epoch) return;
    this.scope = scope;
    this.keys = directionKeys(this.secret, this.own, this.peer, scope);
  }
}

/** 96 bits (NIST SP 800-38D §8.2.1): unique under one direction's key because the counter is. */
function nonceOf(counter: number): Uint8Array {
  return new ByteWriter().u48(0).u48(counter).finish();
}
