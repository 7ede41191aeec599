/**
 * The handshake, both halves. The responder's keeps nothing between packets; the initiator's is one
 * `Handshake` for each peer. Both end in the same session, by whichever half is through first.
 */
import { assert } from '../assert.ts';
import { equalBytes } from '../bytes.ts';
import type { Endpoint, MonotonicMs, NodeNumber } from '../identity.ts';
import type { Random } from '../seam/random.ts';
import type { CookieJar } from './cookie.ts';
import type { DropReason } from './drop.ts';
import { Handshake } from './handshake.ts';
import type { Header } from './header.ts';
import type { LocalEnd } from './local-end.ts';
import {
  acceptLayout,
  challengeLayout,
  credentialBytesMax,
  handshakeNonceBytes,
  helloLayout,
  type Prove,
  payloadOf,
  proveLayout,
  withoutTag,
} from './packet.ts';
import type { PeerDirectory } from './peer-directory.ts';
import { RateLimit } from './rate-limit.ts';
import { type Proof, Session } from './session.ts';
import type { SessionEffect } from './session-effect.ts';

/** Peers that this node introduces itself to at the same time. */
export const handshakesMax = 1_024;
/** Proves a second that may cost key exchanges and signatures, half a millisecond or more each. */
export const provesPerSecondMax = 500;

/** A packet of this cluster and epoch, from another member's number, of a length that its kind may have. */
export interface Arrival {
  readonly header: Header;
  readonly datagram: Uint8Array;
  readonly from: Endpoint;
  readonly now: MonotonicMs;
}

export interface IntroductionsOptions {
  readonly local: LocalEnd;
  readonly cookies: CookieJar;
  readonly directory: PeerDirectory;
  readonly credential: () => Uint8Array;
  readonly random: Random;
}

export class Introductions {
  private readonly local: LocalEnd;
  private readonly cookies: CookieJar;
  private readonly directory: PeerDirectory;
  private readonly credential: () => Uint8Array;
  private readonly random: Random;
  private readonly handshakes = new Map<NodeNumber, Handshake>();
  private readonly proves = new RateLimit(provesPerSecondMax);

  constructor({ local, cookies, directory, credential, random }: IntroductionsOptions) {
    this.local = local;
    this.cookies = cookies;
    this.directory = directory;
    this.credential = credential;
    this.random = random;
  }

  pendingWith(number: NodeNumber): Handshake | undefined {
    return this.handshakes.get(number);
  }

  /** Says hello to a member that no handshake is under way with; or the reason why that cannot be. */
  begin(to: NodeNumber, at: Endpoint, now: MonotonicMs): Handshake | DropReason {
    if (this.directory.exchangeKeyOf(to) === undefined) return 'no-key';
    if (this.handshakes.size >= handshakesMax) return 'handshakes-full';
    const handshake = new Handshake(to, this.random.bytes(handshakeNonceBytes), at, now);
    this.handshakes.set(to, handshake);
    return handshake;
  }

  /** Repeats what went unanswered, and gives up what nobody wants any more. */
  tick(now: MonotonicMs): readonly SessionEffect[] {
    const effects: SessionEffect[] = [];
    for (const handshake of [...this.handshakes.values()]) {
      if (now < handshake.retryAtMs) continue;
      if (handshake.isWanted(now)) effects.push(this.hello(handshake, now));
      else {
        effects.push(...this.expired(handshake, handshake.drain(now).expired));
        this.end(handshake);
      }
    }
    return effects;
  }

  nextTickAt(): MonotonicMs | undefined {
    let next: MonotonicMs | undefined;
    for (const { retryAtMs } of this.handshakes.values()) next = Math.min(next ?? retryAtMs, retryAtMs);
    return next;
  }

  abandon(number: NodeNumber): void {
    const handshake = this.handshakes.get(number);
    if (handshake !== undefined) this.end(handshake);
  }

  hello(handshake: Handshake, now: MonotonicMs): SessionEffect {
    handshake.onHelloSent(now);
    const { to, nonce, at } = handshake;
    return this.local.plain('hello', at, helloLayout.encode({ to, boot: this.local.boot, nonce }));
  }

  onHello({ header, datagram, from, now }: Arrival): readonly SessionEffect[] {
    const { to, boot, nonce } = helloLayout.decode(payloadOf(datagram));
    if (to !== this.local.number) return [this.local.drop('wrong-target', from)];
    const cookie = this.cookies.issue({ address: from, number: header.number, boot }, now);
    return [this.local.plain('challenge', from, challengeLayout.encode({ boot: this.local.boot, nonce, cookie }))];
  }

  /** The prove goes where the hello went, not where the challenge came from: a host may answer from elsewhere. */
  onChallenge({ header, datagram, from, now }: Arrival): readonly SessionEffect[] {
    const { number } = header;
    const { boot, nonce, cookie } = challengeLayout.decode(payloadOf(datagram));
    const handshake = this.handshakes.get(number);
    if (!handshake?.takesChallenge(nonce, now)) return [this.local.drop('unsolicited', from)];
    if (this.local.sessions.isRetired(number, boot)) return [this.local.drop('retired-boot', from)];
    const exchangeKey = this.directory.exchangeKeyOf(number);
    if (exchangeKey === undefined) return [this.local.drop('no-key', from)];
    const session = this.sessionWith(number, exchangeKey, boot);
    if (session === undefined) return [this.local.drop('forged', from)];

    if (handshake.session !== session) this.releaseUnproven(handshake.session);
    handshake.onProve(session, now);
    const credential = this.credential();
    assert(credential.length <= credentialBytesMax, 'a credential fits a prove');
    return [this.local.prove(session, handshake.at, proveLayout.encode({ boot: this.local.boot, cookie, credential }))];
  }

  onProve(arrival: Arrival): readonly SessionEffect[] {
    const { header, datagram, from, now } = arrival;
    const prove = proveLayout.decode(withoutTag(payloadOf(datagram)));
    const holder = { address: from, number: header.number, boot: prove.boot };
    const issuedMs = this.cookies.issuedMs(prove.cookie, holder, now);
    if (issuedMs === undefined) return [this.local.drop('stale-cookie', from)];
    const proof = { counter: header.counter, aliveAtMs: issuedMs };
    const session = this.local.sessions.get(header.number);
    if (session === undefined || !equalBytes(session.peer.boot, prove.boot)) {
      return this.onNewBoot(arrival, prove, proof);
    }

    if (!this.opensProve(session, arrival)) return [this.local.drop('forged', from)];
    if (!session.takes(header.counter, from)) return [this.local.drop('replayed', from)];
    session.prove(proof);
    return [this.accept(session, header.counter, from, now)];
  }

  onAccept({ header, datagram, from, now }: Arrival): readonly SessionEffect[] {
    const handshake = this.handshakes.get(header.number);
    const session = handshake?.session;
    if (handshake === undefined || session === undefined) return [this.local.drop('unsolicited', from)];
    const sealed = session.open(header, datagram, this.local.scope);
    if (sealed === undefined) return [this.local.drop('forged', from)];
    const provedAtMs = handshake.provedAtMs(acceptLayout.decode(sealed).provedCounter);
    if (provedAtMs === undefined) return [this.local.drop('replayed', from)];

    const proof = { counter: header.counter, aliveAtMs: provedAtMs };
    if (this.local.sessions.get(header.number) !== session) {
      if (!this.local.sessions.makeRoom(header.number, now)) return [this.local.drop('sessions-full', from)];
      return [this.establish(session, proof, from, now), ...this.finish(session, now)];
    }
    if (!session.takes(header.counter, from)) return [this.local.drop('replayed', from)];
    session.prove(proof);
    return this.finish(session, now);
  }

  private onNewBoot(arrival: Arrival, prove: Prove, proof: Proof): readonly SessionEffect[] {
    const { header, from, now } = arrival;
    const { number } = header;
    const { sessions } = this.local;
    if (sessions.isRetired(number, prove.boot)) return [this.local.drop('retired-boot', from)];
    // A prove that somebody held back must not replace a boot that was seen alive since.
    const aliveAtMs = sessions.get(number)?.aliveAtMs ?? Number.NEGATIVE_INFINITY;
    if (proof.aliveAtMs < aliveAtMs) return [this.local.drop('stale-cookie', from)];
    if (!this.proves.take(now)) return [this.local.drop('rate-limited', from)];
    const known = this.directory.exchangeKeyOf(number);
    const exchangeKey = known ?? this.directory.introduce(number, prove.credential, from);
    if (exchangeKey === undefined) return [this.local.drop('bad-credential', from)];
    const session = this.sessionWith(number, exchangeKey, prove.boot);
    if (session === undefined || !this.opensProve(session, arrival)) return [this.local.drop('forged', from)];
    if (!sessions.makeRoom(number, now)) return [this.local.drop('sessions-full', from)];

    const established = this.establish(session, proof, from, now);
    const accept = this.accept(session, header.counter, from, now);
    return [{ ...established, credential: prove.credential }, accept, ...this.finish(session, now)];
  }

  private opensProve(session: Session, { header, datagram }: Arrival): boolean {
    const clearBytes = withoutTag(payloadOf(datagram)).length;
    return session.open(header, datagram, this.local.scope, clearBytes) !== undefined;
  }

  private accept(session: Session, provedCounter: number, to: Endpoint, now: MonotonicMs): SessionEffect {
    return this.local.accept(session, to, acceptLayout.encode({ provedCounter }), now);
  }

  private establish(
    session: Session,
    proof: Proof,
    at: Endpoint,
    now: MonotonicMs,
  ): Extract<SessionEffect, { readonly kind: 'established' }> {
    session.prove(proof);
    session.source = at;
    this.local.sessions.put(session, now);
    return { kind: 'established', number: session.number, boot: session.peer.boot, at };
  }

  /** The peer is proven, by whichever half: nothing holds the waiting bodies back. */
  private finish(session: Session, now: MonotonicMs): readonly SessionEffect[] {
    const handshake = this.handshakes.get(session.number);
    if (handshake === undefined) return [];
    const { bodies, expired } = handshake.drain(now);
    this.end(handshake);
    return [
      ...this.expired(handshake, expired),
      ...bodies.map((body) => this.local.data(session, handshake.at, body, now)),
    ];
  }

  private expired(handshake: Handshake, bodies: number): readonly SessionEffect[] {
    return Array.from({ length: bodies }, () => this.local.drop('expired', handshake.at));
  }

  private end(handshake: Handshake): void {
    this.handshakes.delete(handshake.to);
    this.releaseUnproven(handshake.session);
  }

  /** There is never more than one session with the same two boots, or both would seal with the same counters. */
  private sessionWith(number: NodeNumber, exchangeKey: Uint8Array, boot: Uint8Array): Session | undefined {
    for (const known of [this.local.sessions.get(number), this.handshakes.get(number)?.session]) {
      if (known !== undefined && equalBytes(known.peer.boot, boot)) return known;
    }
    const { own, scope, sessions } = this.local;
    return Session.between(own, { number, exchangeKey, boot }, scope, sessions.counterFloor);
  }

  private releaseUnproven(session: Session | undefined): void {
    if (session !== undefined && this.local.sessions.get(session.number) !== session) {
      this.local.sessions.release(session);
    }
  }
}
