/**
 * Sealed datagrams between members: who a packet comes from, that it is new, and that nobody else reads it.
 *
 * ```
 * initiator                                    responder
 *     hello       boot, nonce               →                 as long as the challenge
 *                                           ←   challenge     boot, nonce, cookie; nothing is kept
 *     prove       boot, cookie, credential  →                 tagged under the keys of both boots
 *                                           ←   accept        sealed; echoes the prove's counter
 *     data                                  ↔   data
 * ```
 *
 * A session belongs to a pair of boots, whoever began, so handshakes from both ends at once need no tie-break.
 * What a session takes was sealed after a moment at which its peer provably lived: the responder knows by its
 * cookie, the initiator by the accept's echo. Hence neither a restart nor an eviction opens it to replays.
 */
import { assert, unreachable } from '../assert.ts';
import { equalBytes, utf8 } from '../bytes.ts';
import { type ExchangeKey, exchangeKeyFrom, hkdf, seedBytes } from '../crypto.ts';
import type { Endpoint, Epoch, MonotonicMs, NodeNumber } from '../identity.ts';
import type { Random } from '../seam/random.ts';
import { CookieJar } from './cookie.ts';
import type { DropReason } from './drop.ts';
import { decodeHeader, type Header } from './header.ts';
import { type Arrival, Introductions } from './introductions.ts';
import { LocalEnd } from './local-end.ts';
import { bodyBytesMax, lengthFault, payloadOf, unknownLayout } from './packet.ts';
import type { PeerDirectory } from './peer-directory.ts';
import { RateLimit } from './rate-limit.ts';
import { tagOf } from './sent-tags.ts';
import type { SessionEffect } from './session-effect.ts';

/** Answers a second, to all addresses together, to data that does not open. */
export const unknownsPerSecondMax = 200;

export interface SessionsOptions {
  readonly self: NodeNumber;
  /** This node's static key, the one that its certificate names. */
  readonly exchangeKey: ExchangeKey;
  /** 32 bytes, drawn anew by every process: using them twice would repeat keys and nonces. */
  readonly bootSeed: Uint8Array;
  /** The cluster's id, 16 bytes. */
  readonly cluster: Uint8Array;
  readonly epoch: Epoch;
  /** What makes this node known to a stranger, certificate and locator: at most `credentialBytesMax`. */
  readonly credential: () => Uint8Array;
  readonly directory: PeerDirectory;
  readonly random: Random;
}

/** For so long packets of the epoch before are taken: by then all who run have heard of the new one. */
export const epochGraceMs = 60_000;

export class Sessions {
  private readonly local: LocalEnd;
  private readonly introductions: Introductions;
  private readonly unknowns = new RateLimit(unknownsPerSecondMax);

  /** The epoch before this one, and how long it is still spoken. */
  private before: { readonly epoch: Epoch; readonly untilMs: MonotonicMs } | undefined;

  constructor({ self, exchangeKey, bootSeed, cluster, epoch, ...others }: SessionsOptions) {
    const bootKey = exchangeKeyFrom(bootSeed);
    const cookieSecret = hkdf(bootSeed, new Uint8Array(0), utf8('hivemind/cookie-secret/1'), seedBytes);
    this.local = new LocalEnd({ number: self, exchangeKey, bootKey }, { cluster, epoch });
    this.introductions = new Introductions({ ...others, local: this.local, cookies: new CookieJar(cookieSecret) });
  }

  /** This process's boot id: the public half of its boot key, 32 bytes. */
  get boot(): Uint8Array {
    return this.local.boot;
  }

  /** Whether the member is proven, so that a body would leave at once. */
  established(number: NodeNumber): boolean {
    return this.local.sessions.get(number) !== undefined;
  }

  /** The boot that was last proven of this member. */
  bootOf(number: NodeNumber): Uint8Array | undefined {
    return this.local.sessions.get(number)?.peer.boot;
  }

  /** Where this member's newest packet came from. It may differ from every address that the member advertises. */
  sourceOf(number: NodeNumber): Endpoint | undefined {
    return this.local.sessions.get(number)?.source;
  }

  /** What was dropped since the start, by reason. */
  dropped(): Readonly<Record<DropReason, number>> {
    return this.local.drops;
  }

  /**
   * Sends one body, at most `bodyBytesMax`, in one datagram. Without a session it waits for a handshake, which
   * this starts: up to `queuedBodiesMax` bodies for a peer, each for at most `queuedBodyMs`.
   */
  send(to: NodeNumber, at: Endpoint, body: Uint8Array, now: MonotonicMs): readonly SessionEffect[] {
    assert(body.length <= bodyBytesMax, 'a body fits a datagram');
    const session = this.local.sessions.get(to);
    const pending = this.introductions.pendingWith(to);
    pending?.want(at, now);
    if (session !== undefined) return [this.local.data(session, at, body, now)];
    if (pending !== undefined) return pending.enqueue(body, now) ? [this.local.drop('queue-full', at)] : [];
    const begun = this.introductions.begin(to, at, now);
    if (typeof begun === 'string') return [this.local.drop(begun, at)];
    begun.enqueue(body, now);
    return [this.introductions.hello(begun, now)];
  }

  /** Takes one datagram off the network, whatever it holds: it never throws for what a peer sent. */
  receive(from: Endpoint, datagram: Uint8Array, now: MonotonicMs): readonly SessionEffect[] {
    const header = decodeHeader(datagram);
    if (typeof header === 'string') return [this.local.drop(header, from)];
    const fault = this.faultOf(header, datagram, now);
    if (fault === undefined) return this.dispatch({ header, datagram, from, now });
    const dropped = this.local.drop(fault, from);
    if (fault !== 'other-epoch') return [dropped];
    return [dropped, { kind: 'other-epoch', from, epoch: header.epoch, number: header.number, proven: false }];
  }

  /** Repeats hellos that went unanswered, and gives up the handshakes that nobody wants any more. */
  tick(now: MonotonicMs): readonly SessionEffect[] {
    return this.introductions.tick(now);
  }

  /** When `tick` is next of use; nothing while no handshake is under way. */
  nextTickAt(): MonotonicMs | undefined {
    return this.introductions.nextTickAt();
  }

  /** Ends what there is with a removed member. The directory must not know it any more, or it may come back. */
  forget(number: NodeNumber): void {
    this.introductions.abandon(number);
    this.local.sessions.delete(number);
  }

  /**
   * From now on packets carry this epoch. Sessions go on, without a handshake, under keys of the new epoch; packets of
   * the one before are taken for `graceMs` more: less than `epochGraceMs` where the epoch is not new any more.
   */
  setEpoch(epoch: Epoch, now: MonotonicMs, graceMs: number = epochGraceMs): void {
    const { scope } = this.local;
    if (epoch === scope.epoch) return;
    this.before = { epoch: scope.epoch, untilMs: now + graceMs };
    this.local.scope = { cluster: scope.cluster, epoch };
  }

  /** A member may be ahead by one epoch, or not have heard of this one yet. */
  private takesEpoch(epoch: Epoch, now: MonotonicMs): boolean {
    const own = this.local.scope.epoch;
    if (epoch === own || epoch === own + 1) return true;
    return epoch === this.before?.epoch && now <= this.before.untilMs;
  }

  private faultOf(header: Header, datagram: Uint8Array, now: MonotonicMs): DropReason | undefined {
    if (!equalBytes(header.clusterTag, this.local.clusterTag)) return 'other-cluster';
    if (!this.takesEpoch(header.epoch, now)) return 'other-epoch';
    if (header.number === this.local.number) return 'own-number';
    return lengthFault(header.kind, datagram.length);
  }

  private dispatch(arrival: Arrival): readonly SessionEffect[] {
    const { kind } = arrival.header;
    switch (kind) {
      case 'hello':
        return this.introductions.onHello(arrival);
      case 'challenge':
        return this.introductions.onChallenge(arrival);
      case 'prove':
        return this.introductions.onProve(arrival);
      case 'accept':
        return this.introductions.onAccept(arrival);
      case 'data':
        return this.onData(arrival);
      case 'unknown':
        return this.onUnknown(arrival);
      default:
        return unreachable(kind);
    }
  }

  private onData(arrival: Arrival): readonly SessionEffect[] {
    const { header, datagram, from, now } = arrival;
    const session = this.local.sessions.get(header.number);
    // Opened before its counter is looked at: a low counter may be that of another boot, which deserves an answer.
    const body = session?.open(header, datagram, this.local.scope);
    if (session === undefined || body === undefined) return this.onForeignData(arrival);
    if (!session.takes(header.counter, from)) return [this.local.drop('replayed', from)];
    this.local.sessions.touch(session, now);
    const heard: SessionEffect = { kind: 'body', from: header.number, at: from, body };
    if (header.epoch <= this.local.scope.epoch) return [heard];
    return [heard, { kind: 'other-epoch', from, epoch: header.epoch, number: header.number, proven: true }];
  }

  /** Data that does not open: noise, or a member that believes in a session which this process does not have. */
  private onForeignData({ header, datagram, from, now }: Arrival): readonly SessionEffect[] {
    const unproven = this.introductions.pendingWith(header.number)?.session;
    if (unproven?.open(header, datagram, this.local.scope)) return [this.local.drop('unproven', from)];
    if (!this.unknowns.take(now)) return [this.local.drop('rate-limited', from)];
    const reason = this.established(header.number) ? 'forged' : 'unknown-sender';
    const answer = this.local.plain('unknown', from, unknownLayout.encode({ tag: tagOf(datagram) }));
    return [this.local.drop(reason, from), answer];
  }

  /** Whoever says this did receive our packet, no more: the session stays until another one is proven. */
  private onUnknown({ header, datagram, from, now }: Arrival): readonly SessionEffect[] {
    const { number } = header;
    const sent = this.local.sentTags.take(unknownLayout.decode(payloadOf(datagram)).tag, now);
    const session = this.local.sessions.get(number);
    if (session === undefined || sent?.session !== session) return [this.local.drop('unsolicited', from)];
    if (this.introductions.pendingWith(number) !== undefined) return [];
    const begun = this.introductions.begin(number, sent.to, now);
    return [typeof begun === 'string' ? this.local.drop(begun, from) : this.introductions.hello(begun, now)];
  }
}
