/**
 * The datagram side of a member: seals what it says, opens what it hears, and sorts it to whom it concerns.
 */
import type { KeepAlive, KeepAliveAnswer } from '../control/keep-alive.ts';
import type { Endpoint, Epoch, MonotonicMs, NodeNumber } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import type { SessionEffect } from '../session/session-effect.ts';
import type { Sessions } from '../session/sessions.ts';
import type { SwimMessage } from '../swim/message.ts';
import { type DatagramMessage, decodeDatagramBody, encodeDatagramBody, type RaftDatagram } from '../wire/datagram.ts';
import type { Directory } from './directory.ts';
import { graceLeftMs } from './epoch-grace.ts';
import type { Outbox } from './outbox.ts';

/** Who takes what was said. */
export interface DatagramListeners {
  onSwim(from: NodeNumber, message: SwimMessage, at: Instant): void;
  onKeepAlive(from: NodeNumber, message: KeepAlive, at: Instant): void;
  onKeepAliveAnswer(from: NodeNumber, message: KeepAliveAnswer, at: Instant): void;
  onRaft(from: NodeNumber, message: RaftDatagram, at: Instant): void;
  /** This member spoke in another epoch; or, where that is not proven, anybody who gives its number. */
  onOtherEpoch(number: NodeNumber, epoch: Epoch, proven: boolean, at: Instant): void;
  /** A process of this member is proven to run that was not known before. */
  onEstablished(number: NodeNumber, isRestart: boolean, credential: Uint8Array | undefined, at: Instant): void;
}

export class DatagramLine {
  readonly sessions: Sessions;
  private readonly directory: Directory;
  private readonly outbox: Outbox;
  private readonly listeners: DatagramListeners;
  /** Bodies that opened but did not decode: a peer of another version, or a broken one. */
  malformed = 0;
  private readonly seen = new Set<NodeNumber>();

  constructor(sessions: Sessions, directory: Directory, outbox: Outbox, listeners: DatagramListeners) {
    this.sessions = sessions;
    this.directory = directory;
    this.outbox = outbox;
    this.listeners = listeners;
  }

  /** Says something to a member; without a known address it is lost, as any packet may be. */
  send(to: NodeNumber, messages: readonly DatagramMessage[], at: Instant): void {
    const endpoint = this.directory.get(to)?.endpoints[0] ?? this.sessions.sourceOf(to);
    if (endpoint === undefined || this.directory.get(to) === undefined) return;
    this.perform(this.sessions.send(to, endpoint, encodeDatagramBody(messages), at.now), at);
  }

  receive(from: Endpoint, bytes: Uint8Array, at: Instant): void {
    this.perform(this.sessions.receive(from, bytes, at.now), at);
  }

  tick(at: Instant): void {
    this.perform(this.sessions.tick(at.now), at);
  }

  nextTickAt(): MonotonicMs {
    return this.sessions.nextTickAt() ?? Number.POSITIVE_INFINITY;
  }

  forget(number: NodeNumber): void {
    this.sessions.forget(number);
    this.seen.delete(number);
  }

  /** From now on packets carry the charter's epoch; those of the one before are taken while it is new. */
  followEpoch(at: Instant): void {
    const { epoch, epochStatement } = this.directory.charter;
    this.sessions.setEpoch(epoch, at.now, graceLeftMs(epochStatement?.at ?? 0, at.wall));
  }

  private perform(effects: readonly SessionEffect[], at: Instant): void {
    for (const effect of effects) this.onEffect(effect, at);
  }

  private onEffect(effect: SessionEffect, at: Instant): void {
    switch (effect.kind) {
      case 'datagram':
        this.outbox.push({ kind: 'datagram', to: effect.to, bytes: effect.bytes });
        break;
      case 'body':
        this.onBody(effect.from, effect.body, at);
        break;
      case 'established': {
        const isRestart = this.seen.has(effect.number);
        this.seen.add(effect.number);
        this.listeners.onEstablished(effect.number, isRestart, effect.credential, at);
        break;
      }
      case 'other-epoch':
        this.listeners.onOtherEpoch(effect.number, effect.epoch, effect.proven, at);
        break;
      case 'dropped':
        // Counted by the sessions.
        break;
    }
  }

  private onBody(from: NodeNumber, body: Uint8Array, at: Instant): void {
    const messages = decodeDatagramBody(body);
    if (messages === undefined) {
      this.malformed++;
      return;
    }
    for (const message of messages) this.onMessage(from, message, at);
  }

  private onMessage(from: NodeNumber, message: DatagramMessage, at: Instant): void {
    switch (message.kind) {
      case 'keep-alive':
        this.listeners.onKeepAlive(from, message, at);
        break;
      case 'keep-alive-answer':
        this.listeners.onKeepAliveAnswer(from, message, at);
        break;
      case 'raft':
        this.listeners.onRaft(from, message, at);
        break;
      default:
        this.listeners.onSwim(from, message, at);
    }
  }
}
