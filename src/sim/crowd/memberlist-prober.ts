import { assert } from '../../assert.ts';
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import type { MemberlistMessage } from './memberlist-message.ts';
import type { MemberlistRoster } from './memberlist-roster.ts';
import {
  healthScoreMax,
  indirectProbes,
  type LifeguardComponents,
  nackAfterMs,
  probePeriodMs,
  probeTimeoutMs,
  relaysMax,
} from './memberlist-settings.ts';

export interface ProberParts {
  readonly self: NodeNumber;
  readonly roster: MemberlistRoster;
  readonly lifeguard: LifeguardComponents;
  readonly send: (to: NodeNumber, ...messages: readonly MemberlistMessage[]) => void;
  /** Tries a stream where datagrams failed; the outcome comes to `onStreamAnswer`. */
  readonly dial: (to: NodeNumber, seq: number) => void;
  readonly suspect: (subject: NodeNumber, now: MonotonicMs) => void;
}

/** The probe of this period. */
interface Probe {
  readonly subject: NodeNumber;
  readonly seq: number;
  /** When others are asked too, and when it is over. */
  readonly timeoutAt: MonotonicMs;
  readonly deadlineAt: MonotonicMs;
  asked: boolean;
  /** Helpers that have not said yet that they heard nothing either. */
  nacksMissing: number;
  helpersNack: boolean;
  /** The subject answered by stream. */
  reached: boolean;
}

/** A ping on behalf of another. */
interface Relay {
  readonly origin: NodeNumber;
  readonly originSeq: number;
  readonly expiresAt: MonotonicMs;
  /** Infinite when none is wanted, or it was sent. */
  nackAt: MonotonicMs;
}

/** SWIM's failure detector (Das 2002 §3.1), with memberlist's stream probe and Lifeguard's doubts about oneself. */
export class MemberlistProber {
  private readonly parts: ProberParts;
  private probe: Probe | undefined;
  private nextProbeAt: MonotonicMs;
  private readonly relays = new Map<number, Relay>();
  private lastSeq = 0;
  private healthScore = 0;

  constructor(parts: ProberParts, firstProbeAt: MonotonicMs) {
    this.parts = parts;
    this.nextProbeAt = firstProbeAt;
  }

  get nextTickAt(): MonotonicMs {
    const { probe } = this;
    let at = probe === undefined ? this.nextProbeAt : probe.asked ? probe.deadlineAt : probe.timeoutAt;
    for (const { nackAt } of this.relays.values()) at = Math.min(at, nackAt);
    return at;
  }

  tick(now: MonotonicMs): void {
    this.tickRelays(now);
    const { probe } = this;
    if (probe !== undefined && !probe.asked && now >= probe.timeoutAt) this.askOthers(probe);
    if (probe !== undefined && now >= probe.deadlineAt) this.giveUp(probe, now);
    if (this.probe === undefined && now >= this.nextProbeAt) this.beginProbe(now);
  }

  onPing(from: NodeNumber, seq: number): void {
    this.parts.send(from, { kind: 'ack', seq });
  }

  onPingRequest(from: NodeNumber, request: Extract<MemberlistMessage, { kind: 'ping-request' }>, now: number): void {
    if (this.relays.size >= relaysMax) return;
    const seq = ++this.lastSeq;
    this.relays.set(seq, {
      origin: from,
      originSeq: request.seq,
      expiresAt: now + probeTimeoutMs,
      nackAt: request.nack ? now + nackAfterMs : Number.POSITIVE_INFINITY,
    });
    this.parts.send(request.target, { kind: 'ping', seq });
  }

  onAck(seq: number): void {
    const relay = this.relays.get(seq);
    if (relay !== undefined) {
      this.relays.delete(seq);
      this.parts.send(relay.origin, { kind: 'ack', seq: relay.originSeq });
    }
    if (this.probe?.seq !== seq) return;
    this.changeHealth(-1);
    this.probe = undefined;
  }

  onNack(seq: number): void {
    if (this.probe?.seq === seq) this.probe.nacksMissing -= 1;
  }

  onStreamAnswer(seq: number): void {
    if (this.probe?.seq === seq) this.probe.reached = true;
  }

  onRefuted(): void {
    this.changeHealth(1);
  }

  private beginProbe(now: MonotonicMs): void {
    const { self, roster, lifeguard, send } = this.parts;
    const stretch = this.healthScore + 1;
    this.nextProbeAt = now + probePeriodMs * stretch;
    const subject = roster.nextSubject(now);
    if (subject === undefined) return;
    const seq = ++this.lastSeq;
    this.probe = {
      subject,
      seq,
      timeoutAt: now + probeTimeoutMs * stretch,
      deadlineAt: now + probePeriodMs * stretch,
      asked: false,
      nacksMissing: 0,
      helpersNack: false,
      reached: false,
    };
    const tellsFirst = lifeguard.buddy && roster.standingOf(subject) === 'suspect';
    const accusation = { kind: 'suspect', subject, incarnation: roster.incarnationOf(subject), accuser: self } as const;
    send(subject, { kind: 'ping', seq }, ...(tellsFirst ? [accusation] : []));
  }

  private askOthers(probe: Probe): void {
    const { roster, lifeguard, send, dial } = this.parts;
    const { subject, seq } = probe;
    const nack = lifeguard.localHealthProbe;
    const isHelper = (number: NodeNumber): boolean => number !== subject && roster.standingOf(number) === 'alive';
    const helpers = roster.draw(indirectProbes, isHelper);
    probe.asked = true;
    probe.helpersNack = nack && helpers.length > 0;
    probe.nacksMissing = helpers.length;
    for (const helper of helpers) send(helper, { kind: 'ping-request', seq, target: subject, nack });
    dial(subject, seq);
  }

  /**
   * Nothing came. Where helpers answered that they heard nothing either, this member's own path works; each one that
   * did not even say so counts against it, as the miss itself does where there was nobody to ask.
   */
  private giveUp(probe: Probe, now: MonotonicMs): void {
    assert(probe.asked, 'others are asked before a probe is over');
    this.probe = undefined;
    if (probe.reached) return;
    this.changeHealth(probe.helpersNack ? probe.nacksMissing : 1);
    this.parts.suspect(probe.subject, now);
  }

  private tickRelays(now: MonotonicMs): void {
    for (const [seq, relay] of this.relays) {
      if (now >= relay.nackAt) {
        relay.nackAt = Number.POSITIVE_INFINITY;
        this.parts.send(relay.origin, { kind: 'nack', seq: relay.originSeq });
      }
      if (now >= relay.expiresAt) this.relays.delete(seq);
    }
  }

  private changeHealth(by: number): void {
    if (!this.parts.lifeguard.localHealthProbe) return;
    this.healthScore = Math.min(healthScoreMax, Math.max(0, this.healthScore + by));
  }
}
