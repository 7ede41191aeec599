import type { NodeNumber } from '../identity.ts';
import type { SwimEffect, SwimEvent } from './effect.ts';
import type { Gossip, SwimMessage } from './message.ts';

/** The part of a datagram (1,400 bytes) that all but gossip may take; the rest goes in a further one. */
export const messagesBytesMax = 300;

/** The most that a message takes on the wire; gossip has a budget of its own. */
const messageBytesMax: Readonly<Record<SwimMessage['kind'], number>> = {
  ping: 7,
  ack: 12,
  'probe-request': 7,
  'stream-closed': 7,
  accusation: 22,
  report: 13,
  gossip: 0,
};

const nothing: readonly SwimEffect[] = [];

/** Gathers what one call has to say, so that a member gets one datagram and not one for each message. */
export class Outbox {
  private readonly letters = new Map<NodeNumber, SwimMessage[]>();
  private effects: SwimEffect[] = [];

  post(to: NodeNumber, message: SwimMessage): void {
    this.letterTo(to).push(message);
  }

  /** Sends this member a datagram in any case, if only for the gossip. */
  visit(to: NodeNumber): void {
    this.letterTo(to);
  }

  emit(effect: SwimEffect): void {
    this.effects.push(effect);
  }

  event(event: SwimEvent): void {
    this.emit({ kind: 'event', event });
  }

  /** All that was gathered; `gossipFor` says what rides along where no gossip was posted. */
  drain(gossipFor: (to: NodeNumber) => Gossip | undefined): readonly SwimEffect[] {
    if (this.letters.size === 0 && this.effects.length === 0) return nothing;
    for (const [to, messages] of this.letters) {
      const hasGossip = messages.some(({ kind }) => kind === 'gossip');
      this.seal(to, messages, hasGossip ? undefined : gossipFor(to));
    }
    this.letters.clear();
    const drained = this.effects;
    this.effects = [];
    return drained;
  }

  private letterTo(to: NodeNumber): SwimMessage[] {
    const letter = this.letters.get(to) ?? [];
    this.letters.set(to, letter);
    return letter;
  }

  private seal(to: NodeNumber, messages: readonly SwimMessage[], gossip: Gossip | undefined): void {
    const datagrams = inDatagrams(messages);
    if (gossip !== undefined) (datagrams[datagrams.length - 1] as SwimMessage[]).push(gossip);
    for (const datagram of datagrams) {
      if (datagram.length > 0) this.emit({ kind: 'send', to, messages: datagram });
    }
  }
}

/** Each takes one gossip, which has a budget of its own, beside the other messages. */
function inDatagrams(messages: readonly SwimMessage[]): SwimMessage[][] {
  let datagram: SwimMessage[] = [];
  const datagrams = [datagram];
  let [bytes, hasGossip] = [0, false];
  for (const message of messages) {
    const isGossip = message.kind === 'gossip';
    const size = messageBytesMax[message.kind];
    if (isGossip ? hasGossip : bytes + size > messagesBytesMax) {
      datagram = [];
      datagrams.push(datagram);
      [bytes, hasGossip] = [0, false];
    }
    bytes += size;
    hasGossip ||= isGossip;
    datagram.push(message);
  }
  return datagrams;
}
