/** Collects what a step wants done, and keeps the continuations of requests that are under way. */
import { type Codec, decode, encode } from '../codec.ts';
import { HivemindError } from '../error.ts';
import type { Instant } from '../seam/instant.ts';
import type { StreamPeer, StreamTarget } from '../seam/streams.ts';
import { encodePost, encodeRequest, type PeerPost, type PeerRequest } from '../wire/peer-message.ts';
import type { MemberEffect, MemberEvent, RawOutcome } from './effect.ts';

/** Requests of ours under way at a time; one more fails at once as busy. */
export const asksMax = 1_024;

export type Outcome<T> =
  | { readonly ok: true; readonly value: T; readonly from: StreamPeer }
  /** `refused`: nobody listens at that address, says its kernel. */
  | { readonly ok: false; readonly error: HivemindError; readonly refused?: boolean };

type Continuation = (outcome: RawOutcome, at: Instant) => void;

export class Outbox {
  private effects: MemberEffect[] = [];
  private readonly asks = new Map<number, Continuation>();
  /** Requests of peers that are not answered yet; the connections bound how many. */
  private readonly begun = new Map<number, string>();
  private nextId = 1;
  private eventful = false;

  push(effect: MemberEffect): void {
    this.effects.push(effect);
  }

  event(event: MemberEvent): void {
    this.eventful = true;
    this.push({ kind: 'event', event });
  }

  post(to: StreamTarget, post: PeerPost): void {
    this.push({ kind: 'post', to, body: encodePost(post) });
  }

  /** A peer's request arrived; it is answered or refused once. */
  begin(id: number, what: string): void {
    this.begun.set(id, what);
  }

  answer<T>(id: number, codec: Codec<T>, value: T): void {
    this.push({ kind: 'answer', id, what: this.finish(id), body: encode(codec, value) });
  }

  refuse(id: number, error: HivemindError): void {
    this.push({ kind: 'refuse', id, what: this.finish(id), error });
  }

  /** Forgets a request of a peer that somebody else answers, and gives its name. */
  finish(id: number): string {
    const what = this.begun.get(id) ?? 'unreadable';
    this.begun.delete(id);
    return what;
  }

  /** Sends a request; `then` is called exactly once, in a later step. */
  ask<T>(
    to: StreamTarget,
    request: PeerRequest,
    answer: Codec<T>,
    timeoutMs: number,
    then: (outcome: Outcome<T>, at: Instant) => void,
    at: Instant,
  ): void {
    if (this.asks.size >= asksMax) {
      then({ ok: false, error: new HivemindError('busy', 'Too many requests are under way; try again.') }, at);
      return;
    }
    const id = this.nextId++;
    this.asks.set(id, (outcome, later) => then(readOutcome(outcome, answer), later));
    this.push({ kind: 'request', id, to, body: encodeRequest(request), timeoutMs });
  }

  onResponse(id: number, outcome: RawOutcome, at: Instant): void {
    const continuation = this.asks.get(id);
    this.asks.delete(id);
    continuation?.(outcome, at);
  }

  /** Whether anything happened since this was asked last. */
  takeEventful(): boolean {
    const was = this.eventful;
    this.eventful = false;
    return was;
  }

  /** Everything that this step wants done, in order. */
  take(): readonly MemberEffect[] {
    const taken = this.effects;
    this.effects = [];
    return taken;
  }
}

function readOutcome<T>(outcome: RawOutcome, answer: Codec<T>): Outcome<T> {
  if (!outcome.ok) return outcome;
  const value = decode(answer, outcome.body);
  if (value !== undefined) return { ok: true, value, from: outcome.from };
  return { ok: false, error: new HivemindError('frame-invalid', 'The peer answered with something unreadable.') };
}
